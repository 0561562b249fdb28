"""Optuna: studies over pipelines, with hopeless trials ended early."""

import numpy as np
import pytest
from sklearn.base import clone
from sklearn.datasets import load_digits
from sklearn.model_selection import StratifiedKFold, cross_val_score, train_test_split
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import MinMaxScaler

from sklearn_dl import ThreeLayerConvNet, TwoLayerNet
from sklearn_dl.preprocessing import ImageReshaper, MeanSubtractor

optuna = pytest.importorskip("optuna", reason="Optuna is an extra, and not installed")


@pytest.fixture(scope="module")
def digits():
    """Return 400 digits as uint8 rows."""
    X, y = load_digits(return_X_y=True)
    return X[:400].astype(np.uint8), y[:400]


@pytest.fixture(autouse=True)
def quiet():
    before = optuna.logging.get_verbosity()
    optuna.logging.set_verbosity(optuna.logging.WARNING)
    yield
    optuna.logging.set_verbosity(before)


def run_study(objective, n_trials, pruner=None, n_jobs=1):
    """Return a study after its trials."""
    sampler = optuna.samplers.RandomSampler(seed=0)
    study = optuna.create_study(direction="maximize", sampler=sampler, pruner=pruner)
    study.optimize(objective, n_trials=n_trials, n_jobs=n_jobs)
    return study


def states(study):
    """Return the set of the trials' states, as names."""
    return {trial.state.name for trial in study.trials}


def values(study):
    """Return what was tried, and how it scored."""
    return [(trial.params, trial.value, trial.intermediate_values) for trial in study.trials]


def epoch_by_epoch(X, y, max_epochs=8):
    """Return an objective that trains the net at a pipeline's end by partial_fit and reports each epoch."""
    X_train, X_val, y_train, y_val = train_test_split(X, y, stratify=y, random_state=0)
    model = make_pipeline(MeanSubtractor(), ImageReshaper(), ThreeLayerConvNet(num_filters=4, random_state=0))

    def objective(trial):
        candidate = clone(model).set_params(
            threelayerconvnet__learning_rate=trial.suggest_float("learning_rate", 1e-6, 1e-2, log=True),
            threelayerconvnet__filter_size=trial.suggest_categorical("filter_size", [3, 5]),
        )
        steps, net = candidate[:-1], candidate[-1]
        train, val = steps.fit_transform(X_train), steps.transform(X_val)
        for epoch in range(max_epochs):
            score = net.partial_fit(train, y_train, classes=np.unique(y)).score(val, y_val)
            trial.report(score, epoch)
            if trial.should_prune():
                raise optuna.TrialPruned
        return score

    return objective


def test_hopeless_trials_are_pruned_between_epochs(digits):
    pruner = optuna.pruners.MedianPruner(n_startup_trials=3, n_warmup_steps=1)
    study = run_study(epoch_by_epoch(*digits), 10, pruner)
    assert states(study) == {"PRUNED", "COMPLETE"}
    lengths = [len(trial.intermediate_values) for trial in study.trials if trial.state.name == "PRUNED"]
    assert max(lengths) < 8
    assert study.best_value > 0.8
    assert values(study) == values(run_study(epoch_by_epoch(*digits), 10, pruner))


def test_trials_in_threads_score_as_one_by_one(digits):
    X, y = digits

    def objective(trial):
        reg = [0.0, 1e-3, 1e-2, 1e-1, 1.0, 10.0][trial.number]
        net = TwoLayerNet(hidden_dim=10, reg=reg, num_epochs=3, random_state=0)
        return cross_val_score(make_pipeline(MinMaxScaler(), net), X, y, cv=2, error_score="raise").mean()

    one, two = (run_study(objective, 6, n_jobs=n_jobs) for n_jobs in (1, 2))
    assert [trial.value for trial in one.trials] == [trial.value for trial in two.trials]
    assert len({trial.value for trial in one.trials}) > 1


def test_hopeless_trials_are_pruned_between_folds(digits):
    X, y = digits
    folds = list(StratifiedKFold(4).split(X, y))

    def objective(trial):
        net = TwoLayerNet(num_epochs=5, random_state=0, reg=trial.suggest_float("reg", 1e-4, 1e2, log=True))
        model = make_pipeline(MinMaxScaler(), net)
        scores = []
        for number, (train, test) in enumerate(folds):
            scores.append(clone(model).fit(X[train], y[train]).score(X[test], y[test]))
            trial.report(scores[-1], number)
            if trial.should_prune():
                raise optuna.TrialPruned
        return np.mean(scores)

    study = run_study(objective, 8, optuna.pruners.PercentilePruner(50, n_startup_trials=2))
    assert states(study) == {"PRUNED", "COMPLETE"}
    by_scikit_learn = cross_val_score(
        make_pipeline(MinMaxScaler(), TwoLayerNet(num_epochs=5, random_state=0, **study.best_params)), X, y, cv=4
    )
    assert study.best_value == by_scikit_learn.mean()


# What it uses of Optuna and of scikit-learn is going away, and it is experimental.
@pytest.mark.filterwarnings("ignore:`optuna.terminator`:FutureWarning")
@pytest.mark.filterwarnings("ignore:OptunaSearchCV is experimental")
@pytest.mark.filterwarnings("ignore:The OptunaSearchCV or classes:DeprecationWarning")
@pytest.mark.parametrize("enable_pruning", [False, True])
def test_optuna_search_cv(enable_pruning, digits):
    integration = pytest.importorskip("optuna_integration", reason="Optuna is an extra, and not installed")
    X, y = digits
    X = MinMaxScaler().fit_transform(X)
    search = integration.OptunaSearchCV(
        TwoLayerNet(hidden_dim=20, num_epochs=5, random_state=0),
        {"learning_rate": optuna.distributions.FloatDistribution(1e-4, 1e-1, log=True)},
        n_trials=6,
        cv=2,
        enable_pruning=enable_pruning,
        max_iter=5,
        error_score="raise",
        random_state=0,
    ).fit(X, y)
    assert len(search.trials_) == 6
    assert search.best_score_ > 0.8
    assert search.score(X, y) > 0.8
    assert any(trial.intermediate_values for trial in search.trials_) == enable_pruning
