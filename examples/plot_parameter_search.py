"""
Searching parameters: halving and Optuna
========================================

A grid grows with every parameter, and gives a hopeless candidate as much time as the best. Two
searches that do not: successive halving, which trains many candidates a little and the better ones
longer, and Optuna, which chooses the next candidate by what it has seen and ends bad ones early.

Run it with ``--cifar10 FOLDER`` for photographs in place of digits. It needs Optuna:
``pip install "sklearn_dl[optuna]"``.
"""

# %%
# Both search the same space. Continuous parameters need no grid.

import matplotlib.pyplot as plt
import numpy as np
import optuna
from _common import load_data, parse_arguments, print_heading, print_table, save_figure
from scipy.stats import loguniform
from sklearn.experimental import enable_halving_search_cv  # noqa: F401
from sklearn.model_selection import HalvingRandomSearchCV

from sklearn_dl import TwoLayerNet

SETTINGS = {
    "digits": {"candidates": 27, "max_epochs": 27, "trials": 30, "learning_rate": (1e-5, 1e-1), "hidden_dim": (5, 200)},
    "cifar10": {"candidates": 9, "max_epochs": 9, "trials": 9, "learning_rate": (1e-6, 1e-2), "hidden_dim": (20, 200)},
}
REG = (1e-5, 1e1)


def make_net(data, **params):
    """Return the net of this example, for pixels that are centred and not scaled."""
    weight_scale = 1e-2 if data.name == "digits" else 1e-3
    return TwoLayerNet(weight_scale=weight_scale, tol=None, random_state=0, **params)


# %%
# Successive halving
# ------------------
# The resource that is shared out is the number of epochs: all candidates get one, the best third of
# them three, and so on. What was trained for few epochs is not trained on, but again from the start: for 27
# candidates and 27 epochs that is 108 epochs, where a plain search has 729.


def halving(data, args, settings):
    """Search by successive halving; draw the scores round by round."""
    print_heading("Successive halving")
    space = {
        "learning_rate": loguniform(*settings["learning_rate"]),
        "hidden_dim": np.unique(np.geomspace(*settings["hidden_dim"], 20).astype(int)),
        "reg": loguniform(*REG),
    }
    search = HalvingRandomSearchCV(
        make_net(data),
        space,
        n_candidates=settings["candidates"],
        resource="num_epochs",
        min_resources=1,
        max_resources=settings["max_epochs"],
        cv=data.cv,
        refit=False,
        random_state=0,
        n_jobs=2,
    ).fit(data.X, data.y)
    results = search.cv_results_
    rows = []
    for number, (epochs, candidates) in enumerate(zip(search.n_resources_, search.n_candidates_, strict=True)):
        scores = results["mean_test_score"][results["iter"] == number]
        rows.append([epochs, candidates, scores.max(), np.median(scores)])
    print_table(["epochs", "candidates", "best accuracy", "median"], rows)
    print(f"  best: {describe(search.best_params_)}")

    figure, ax = plt.subplots(figsize=(7, 4), layout="constrained")
    courses = {}
    for params, epochs, score in zip(
        results["params"], results["n_resources"], results["mean_test_score"], strict=True
    ):
        key = tuple(params[name] for name in sorted(space))
        courses.setdefault(key, []).append((epochs, score))
    winner = tuple(search.best_params_[name] for name in sorted(space))
    for key, course in courses.items():
        style = {"color": "C1", "zorder": 3} if key == winner else {"color": "C0", "alpha": 0.5}
        ax.plot(*zip(*course, strict=True), "o-", markersize=4, **style)
    ax.set(xlabel="epochs", ylabel="validation accuracy", title="successive halving: each line a candidate")
    ax.set_xscale("log", base=3)
    ax.set_xticks(search.n_resources_, labels=search.n_resources_)
    save_figure(figure, args, "search_halving")


def describe(params):
    """Return parameters as text."""
    return ", ".join(f"{name}={value:.3g}" for name, value in sorted(params.items()))


# %%
# Optuna
# ------
# A trial trains by `partial_fit`, one epoch a call, and reports the validation accuracy after each. When
# that is below the median of the trials before it at the same epoch, the trial ends.


def run_study(data, settings):
    """Return an Optuna study after its trials."""
    classes = np.unique(data.y)

    def objective(trial):
        net = make_net(
            data,
            learning_rate=trial.suggest_float("learning_rate", *settings["learning_rate"], log=True),
            hidden_dim=trial.suggest_int("hidden_dim", *settings["hidden_dim"], log=True),
            reg=trial.suggest_float("reg", *REG, log=True),
        )
        for epoch in range(1, settings["max_epochs"] + 1):
            net.partial_fit(data.X_train, data.y_train, classes=classes)
            score = net.score(data.X_val, data.y_val)
            trial.report(score, epoch)
            if trial.should_prune():
                raise optuna.TrialPruned
        return score

    optuna.logging.set_verbosity(optuna.logging.WARNING)
    study = optuna.create_study(
        direction="maximize",
        sampler=optuna.samplers.TPESampler(seed=0),
        pruner=optuna.pruners.MedianPruner(n_startup_trials=5, n_warmup_steps=1),
    )
    study.optimize(objective, n_trials=settings["trials"])
    return study


def with_optuna(data, args, settings):
    """Run a study; draw the trials' courses, and where in the space they were."""
    print_heading("Optuna")
    study = run_study(data, settings)
    pruned = [trial for trial in study.trials if trial.state.name == "PRUNED"]
    epochs = sum(len(trial.intermediate_values) for trial in study.trials)
    print(f"  {len(study.trials)} trials, {len(pruned)} of them ended early, {epochs} epochs in all")
    print(f"  best: {describe(study.best_params)}, validation accuracy {study.best_value:.3f}")

    figure, axes = plt.subplots(1, 2, figsize=(11, 4), layout="constrained")
    for trial in study.trials:
        style = {"color": "0.7"} if trial in pruned else {"color": "C0"}
        if trial.number == study.best_trial.number:
            style = {"color": "C1", "zorder": 3}
        course = trial.intermediate_values
        axes[0].plot(list(course), list(course.values()), "o-", markersize=3, **style)
    axes[0].set(xlabel="epoch", ylabel="validation accuracy", title="each line a trial; grey: ended early")
    last = [trial.intermediate_values[max(trial.intermediate_values)] for trial in study.trials]
    places = {name: [trial.params[name] for trial in study.trials] for name in ("learning_rate", "reg")}
    points = axes[1].scatter(
        places["learning_rate"], places["reg"], c=last, s=[20 if trial in pruned else 60 for trial in study.trials]
    )
    axes[1].set(xscale="log", yscale="log", xlabel="learning_rate", ylabel="reg", title="where they were; small: early")
    figure.colorbar(points, ax=axes[1], label="last validation accuracy")
    save_figure(figure, args, "search_optuna")
    return study.best_params


# %%
# The best, on the test set
# -------------------------


def test_accuracy(data, settings, params):
    """Train the best candidate on all but the test set."""
    print_heading("The best, on the test set")
    net = make_net(data, num_epochs=settings["max_epochs"], **params).fit(data.X, data.y)
    print(f"  test accuracy {net.score(data.X_test, data.y_test):.3f}")


# %%
# All of it.


def main(argv=None):
    """Run the example."""
    args = parse_arguments(__doc__, argv)
    data = load_data(args)
    settings = SETTINGS[data.name]
    if args.quick:
        settings = {**settings, "candidates": 9, "max_epochs": 3, "trials": 8}
    halving(data, args, settings)
    test_accuracy(data, settings, with_optuna(data, args, settings))


if __name__ == "__main__":
    main()
