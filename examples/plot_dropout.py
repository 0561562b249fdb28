"""
Dropout: training on 500 samples
================================

Dropout sets hidden values to zero at random while a net trains, so that no unit can rely on
another, and uses all of them when it predicts. Where samples are few it keeps a large net from
knowing them by heart. `dropout_keep_ratio` is the probability that a value is kept; 1 is no
dropout.

Run it with ``--cifar10 FOLDER`` for photographs in place of digits.
"""

# %%
# The net is much too large for 500 samples.

import matplotlib.pyplot as plt
import numpy as np
from _common import load_data, parse_arguments, print_heading, print_table, save_figure
from sklearn.model_selection import GridSearchCV

from sklearn_dl import FullyConnectedNet
from sklearn_dl.inspection import SweepDisplay
from sklearn_dl.layers import dropout_forward

NUM_SAMPLES = 500

SETTINGS = {
    "digits": {"learning_rate": 5e-4, "num_epochs": 25, "batch_size": 25},
    "cifar10": {"learning_rate": 5e-4, "num_epochs": 25, "batch_size": 100, "weight_scale": 1e-2},
}

# %%
# What the layer does
# -------------------
# Values that are kept are divided by the keep ratio, so that the mean stays as it was, and
# prediction needs no correction: in test mode the layer passes everything on.


def the_layer():
    """Apply dropout to normal values of mean 10."""
    print_heading("What the layer does")
    np.random.seed(231)
    x = np.random.randn(500, 500) + 10
    rows = []
    for keep_ratio in (0.25, 0.4, 0.7):
        trained, _ = dropout_forward(x, {"mode": "train", "p": keep_ratio})
        tested, _ = dropout_forward(x, {"mode": "test", "p": keep_ratio})
        rows.append(
            [
                keep_ratio,
                float(x.mean()),
                float(trained.mean()),
                float(tested.mean()),
                float((trained == 0).mean()),
            ]
        )
    print_table(["keep ratio", "mean of x", "in training", "in test", "set to zero"], rows)


# %%
# With and without
# ----------------
# Without dropout the net soon knows all 500 samples. With it, training accuracy rises more slowly,
# and the gap to the validation accuracy is smaller: what is learned carries over better.


def with_and_without(data, args, settings, keep_ratios=(1.0, 0.5, 0.25)):
    """Train the same net with and without dropout and draw the courses."""
    print_heading("With and without")
    X, y = data.X_train[:NUM_SAMPLES], data.y_train[:NUM_SAMPLES]
    figure, axes = plt.subplots(1, 2, figsize=(10, 4), sharey=True, layout="constrained")
    rows = []
    for keep_ratio in keep_ratios:
        net = make_net(settings, hidden_dims=(500,), dropout_keep_ratio=keep_ratio)
        net.fit(X, y, X_val=data.X_val, y_val=data.y_val)
        train, val = net.train_acc_history_, net.val_acc_history_
        axes[0].plot(train, "o-", markersize=4, label=f"keep {keep_ratio:g}")
        axes[1].plot(val, "o-", markersize=4, label=f"keep {keep_ratio:g}")
        rows.append([keep_ratio, train[-1], val[-1], train[-1] - val[-1]])
    axes[0].set(xlabel="epoch", ylabel="accuracy", title="training")
    axes[1].set(xlabel="epoch", title="validation")
    axes[0].legend()
    print_table(["keep ratio", "training", "validation", "gap"], rows)
    save_figure(figure, args, "dropout_with_and_without")


def make_net(settings, **params):
    """Return the net of this example."""
    return FullyConnectedNet(update_rule="adam", tol=None, random_state=0, **settings, **params)


# %%
# How much of it
# --------------
# A search over keep ratio and size, in cross-validation on the 500 samples. The larger the net, the more it
# gains; a small one that keeps little has too few units left to say anything with.


def sweep(data, args, settings, grid):
    """Search keep ratio and size of the net."""
    print_heading("How much of it")
    X, y = data.X_train[:NUM_SAMPLES], data.y_train[:NUM_SAMPLES]
    search = GridSearchCV(make_net(settings), grid, cv=4, n_jobs=2).fit(X, y)
    print(f"  best: {search.best_params_}, accuracy {search.best_score_:.3f}")
    print(f"  test accuracy {search.score(data.X_test, data.y_test):.3f}")
    display = SweepDisplay.from_estimator(search, param_x="dropout_keep_ratio", param_y="hidden_dims")
    save_figure(display.figure_, args, "dropout_sweep")


# %%
# All of it.


def main(argv=None):
    """Run the example."""
    args = parse_arguments(__doc__, argv)
    data = load_data(args)
    settings = SETTINGS[data.name]
    grid = {
        "dropout_keep_ratio": [0.1, 0.25, 0.5, 0.75, 1.0],
        "hidden_dims": [(20,), (100,), (500,)],
    }
    if args.quick:
        settings = {**settings, "num_epochs": 2}
        grid = {name: values[:2] for name, values in grid.items()}
    the_layer()
    with_and_without(data, args, settings)
    sweep(data, args, settings, grid)


if __name__ == "__main__":
    main()
