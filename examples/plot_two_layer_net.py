"""
Two-layer net: finding settings that work
=========================================

One hidden layer turns a linear classifier into one that can fit nearly anything, and adds
parameters that have to be right: its size, the learning rate, the penalty. The loss, the gap
between training and validation accuracy, and a picture of the first layer's weights tell what is
wrong.

Run it with ``--cifar10 FOLDER`` for photographs in place of digits.
"""

# %%
# For CIFAR-10 the settings are those of the published accuracies. The update rule is plain
# stochastic gradient descent, with a learning rate that decays after each epoch.

import matplotlib.pyplot as plt
from _common import load_data, parse_arguments, print_heading, print_table, save_figure
from sklearn.model_selection import GridSearchCV

from sklearn_dl import TwoLayerNet
from sklearn_dl.inspection import SweepDisplay, TrainingCurveDisplay, WeightsDisplay

SETTINGS = {
    "digits": {
        "net": {"weight_scale": 1e-2},
        "slow": {"learning_rate": 1e-3, "lr_decay": 0.95, "num_epochs": 15, "batch_size": 40},
        "good": {"learning_rate": 1e-1, "lr_decay": 0.95, "num_epochs": 15, "batch_size": 40},
        "sweep": {"lr_decay": 0.95, "num_epochs": 15, "batch_size": 40},
        "grid": {
            "hidden_dim": [5, 20, 100],
            "learning_rate": [3e-3, 1e-2, 3e-2, 1e-1],
            "reg": [0.0, 1e-2, 1e-1],
        },
    },
    "cifar10": {
        "net": {"weight_scale": 1e-3},
        "slow": {"learning_rate": 1e-4, "lr_decay": 0.95, "num_epochs": 4, "batch_size": 200},
        "good": {"learning_rate": 1e-3, "lr_decay": 0.7, "num_epochs": 10, "batch_size": 40},
        "sweep": {"lr_decay": 0.95, "num_epochs": 10, "batch_size": 100},
        "grid": {
            "hidden_dim": [50, 100],
            "learning_rate": [7e-4, 1e-3, 1.5e-3],
            "reg": [0.0, 0.25, 0.5],
        },
    },
}


def make_net(settings, **params):
    """Return the net with the update rule and the first weights of this example."""
    return TwoLayerNet(update_rule="sgd", tol=None, random_state=0, **settings["net"], **params)


# %%
# Reading the curves
# ------------------
# On the left a learning rate that is too low: the loss has hardly begun to fall when training ends,
# and both accuracies are low and still rising. More of the same would help, a larger step helps
# sooner. On the right the loss falls at once. The gap that opens between training and validation
# accuracy, narrow for digits and wide for photographs, is what the penalty, or a smaller net, can
# close.


def read_the_curves(data, args, settings):
    """Train with a low and with a good learning rate, side by side."""
    print_heading("Reading the curves")
    figure, axes = plt.subplots(2, 2, figsize=(10, 7), sharey="row", layout="constrained")
    rows = []
    for column, name in enumerate(["slow", "good"]):
        net = make_net(settings, hidden_dim=50, **settings[name])
        net.fit(data.X_train, data.y_train, X_val=data.X_val, y_val=data.y_val)
        TrainingCurveDisplay.from_estimator(net, ax=axes[:, column])
        axes[0, column].set_title(f"learning rate {net.learning_rate:g}")
        rows.append(
            [
                net.learning_rate,
                sum(net.loss_history_[-10:]) / 10,
                net.train_acc_history_[-1],
                net.best_val_score_,
            ]
        )
    print_table(["learning_rate", "last losses", "training", "validation"], rows)
    save_figure(figure, args, "two_layer_net_training")


# %%
# Three parameters at once
# ------------------------
# The map shows size and learning rate; each cell is the best over the penalties. Learning rate
# matters most, and once it is right the larger nets do better.


def sweep(data, args, settings):
    """Search size, learning rate and penalty; return the fitted search."""
    print_heading("Three parameters at once")
    search = GridSearchCV(make_net(settings, **settings["sweep"]), settings["grid"], cv=data.cv, n_jobs=2).fit(
        data.X, data.y
    )
    results = search.cv_results_
    best_first = results["rank_test_score"].argsort(kind="stable")
    print("  the best five:")
    names = list(settings["grid"])
    print_table(
        [*names, "validation accuracy"],
        [[*(results["params"][i][name] for name in names), results["mean_test_score"][i]] for i in best_first[:5]],
    )
    display = SweepDisplay.from_estimator(search, param_x="learning_rate", param_y="hidden_dim")
    save_figure(display.figure_, args, "two_layer_net_sweep")
    return search


# %%
# What the hidden units look for
# ------------------------------
# Each unit of the first layer has a template of its own. Where training went well they differ, with
# strokes and edges in places of their own; templates that are all noise, or all alike, say that it
# did not.


def hidden_units(search, data, args):
    """Draw the first layer of the best net, and test."""
    print_heading("What the hidden units look for")
    print(f"  best: {search.best_params_}, validation accuracy {search.best_score_:.3f}")
    print(f"  test accuracy {search.score(data.X_test, data.y_test):.3f}")
    display = WeightsDisplay.from_estimator(search)
    save_figure(display.figure_, args, "two_layer_net_weights")


# %%
# All of it.


def main(argv=None):
    """Run the example."""
    args = parse_arguments(__doc__, argv)
    data = load_data(args)
    settings = SETTINGS[data.name]
    if args.quick:
        settings = {
            "net": settings["net"],
            "slow": {**settings["slow"], "num_epochs": 2},
            "good": {**settings["good"], "num_epochs": 2},
            "sweep": {**settings["sweep"], "num_epochs": 2},
            "grid": {name: values[:2] for name, values in settings["grid"].items()},
        }
    read_the_curves(data, args, settings)
    hidden_units(sweep(data, args, settings), data, args)


if __name__ == "__main__":
    main()
