"""
Fully-connected nets: depth and update rules
============================================

More layers can say more and are harder to train: the right first weights and the right learning
rate lie in a narrower band. This example goes the way one takes with any new net: make sure that it
can memorize a handful of samples, find the scale of its weights, choose an update rule, and only
then train.

Run it with ``--cifar10 FOLDER`` for photographs in place of digits.
"""

# %%
# For CIFAR-10, the settings of the last net are those of the published accuracies.

import warnings

import matplotlib.pyplot as plt
import numpy as np
from _common import load_data, parse_arguments, print_heading, print_table, save_figure, smooth
from sklearn.model_selection import GridSearchCV

from sklearn_dl import FullyConnectedNet
from sklearn_dl.inspection import SweepDisplay, TrainingCurveDisplay

DEPTHS = {"three layers": (100, 100), "five layers": (100, 100, 100, 100)}

LEARNING_RATES = {"sgd": 5e-3, "sgd_momentum": 5e-3, "adagrad": 3e-3, "rmsprop": 1e-4, "adam": 1e-3}

SETTINGS = {
    "digits": {
        "memorize": {
            "learning_rate": [3e-3, 1e-2, 3e-2, 1e-1],
            "weight_scale": [1e-2, 3e-2, 0.1, 0.2, 0.4],
        },
        "rules": {"weight_scale": 7e-2, "num_epochs": 10, "batch_size": 50},
        "best": {
            "hidden_dims": (100, 100),
            "learning_rate": 1e-3,
            "lr_decay": 0.95,
            "reg": 1e-3,
            "num_epochs": 20,
            "batch_size": 50,
            "weight_scale": 7e-2,
        },
    },
    "cifar10": {
        "memorize": {
            "learning_rate": [1e-4, 1e-3, 1e-2],
            "weight_scale": [1e-3, 1e-2, 3e-2, 1e-1, 0.3],
        },
        "rules": {"weight_scale": 5e-2, "num_epochs": 5, "batch_size": 100},
        "best": {
            "hidden_dims": (200,) * 4,
            "weight_scale": 2e-2,
            "learning_rate": 1e-3,
            "lr_decay": 0.95,
            "reg": 1e-3,
            "num_epochs": 10,
            "batch_size": 256,
        },
    },
}


# %%
# Memorizing 50 samples
# ---------------------
# A net that cannot reach 100 % on 50 samples will not learn from 50,000. Which learning rates and
# first weights get there in 20 epochs? Training and test set of this search are the same 50
# samples. The five layers get there for fewer pairs than the three: with small weights the signal
# dies on its way through five layers and nothing is learned, with large ones it explodes (an empty
# cell: the loss became infinite).


def memorize(data, args, grid):
    """Search learning rate and weight scale for 50 samples, for two depths."""
    print_heading("Memorizing 50 samples")
    X, y = data.X_train[:50], data.y_train[:50]
    rows = np.arange(50)
    figure, axes = plt.subplots(1, 2, figsize=(12, 4), layout="constrained")
    for (name, hidden_dims), ax in zip(DEPTHS.items(), axes, strict=True):
        net = FullyConnectedNet(
            hidden_dims=hidden_dims,
            update_rule="sgd",
            num_epochs=20,
            batch_size=25,
            tol=None,
            random_state=0,
        )
        search = GridSearchCV(net, grid, cv=[(rows, rows)], refit=False, n_jobs=2)
        with warnings.catch_warnings():
            # A pair that diverges is a result here, not a mistake.
            warnings.simplefilter("ignore")
            search.fit(X, y)
        scores = search.cv_results_["mean_test_score"]
        print(f"  {name}: {np.sum(scores == 1)} of {len(scores)} pairs reach 100 %")
        SweepDisplay.from_estimator(search, param_x="weight_scale", param_y="learning_rate", ax=ax)
        ax.set_title(f"{name}: accuracy on the 50 samples trained on")
    save_figure(figure, args, "fully_connected_memorize")


# %%
# Update rules side by side
# -------------------------
# The same five layers and the same minibatches. With momentum, gradient descent gets much further
# at the same learning rate: it gathers speed where gradients agree. Adagrad, RMSProp and Adam give
# each weight a step size of its own, by the size of its past gradients; Adam does both.


def update_rules(data, args, settings):
    """Train one net with every update rule and draw the courses together."""
    print_heading("Update rules side by side")
    X, y = data.X_train[:4000], data.y_train[:4000]
    figure, axes = plt.subplots(1, 3, figsize=(13, 4), layout="constrained")
    rows = []
    for update_rule, learning_rate in LEARNING_RATES.items():
        net = FullyConnectedNet(
            hidden_dims=DEPTHS["five layers"],
            update_rule=update_rule,
            learning_rate=learning_rate,
            tol=None,
            random_state=0,
            **settings,
        ).fit(X, y, X_val=data.X_val, y_val=data.y_val)
        axes[0].plot(smooth(net.loss_history_, 5), label=update_rule)
        axes[1].plot(net.train_acc_history_, ".-", label=update_rule)
        axes[2].plot(net.val_acc_history_, ".-", label=update_rule)
        rows.append(
            [
                update_rule,
                learning_rate,
                sum(net.loss_history_[-10:]) / 10,
                net.train_acc_history_[-1],
                net.val_acc_history_[-1],
            ]
        )
    axes[0].set(xlabel="update", ylabel="loss, mean of 5")
    axes[1].set(xlabel="epoch", ylabel="training accuracy")
    axes[2].set(xlabel="epoch", ylabel="validation accuracy")
    axes[0].legend()
    print_table(["rule", "learning_rate", "last losses", "training", "validation"], rows)
    save_figure(figure, args, "fully_connected_update_rules")


# %%
# A good net
# ----------
# What was learned above, put together: Adam, first weights of the right scale ('he' where nothing
# is said), a learning rate that decays. The weights of the best epoch are kept.


def good_net(data, args, settings):
    """Train one net well, and test."""
    print_heading("A good net")
    net = FullyConnectedNet(update_rule="adam", tol=None, random_state=0, **settings)
    net.fit(data.X_train, data.y_train, X_val=data.X_val, y_val=data.y_val)
    print(f"  best validation accuracy {net.best_val_score_:.3f}")
    print(f"  test accuracy {net.score(data.X_test, data.y_test):.3f}")
    display = TrainingCurveDisplay.from_estimator(net)
    save_figure(display.figure_, args, "fully_connected_training")


# %%
# All of it.


def main(argv=None):
    """Run the example."""
    args = parse_arguments(__doc__, argv)
    data = load_data(args)
    settings = SETTINGS[data.name]
    if args.quick:
        settings = {
            "memorize": {name: values[:2] for name, values in settings["memorize"].items()},
            "rules": {**settings["rules"], "num_epochs": 2},
            "best": {**settings["best"], "num_epochs": 2},
        }
    memorize(data, args, settings["memorize"])
    update_rules(data, args, settings["rules"])
    good_net(data, args, settings["best"])


if __name__ == "__main__":
    main()
