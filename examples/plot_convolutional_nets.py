"""
Convolutional nets: filters for images
======================================

A convolution looks at a small window of the image with the same few filters everywhere, so that
what it learns in one place holds in all. `ThreeLayerConvNet` has one convolution, a 2 x 2 max-pool
and two affine layers.

Run it with ``--cifar10 FOLDER`` for photographs in place of digits.
"""

# %%
# For CIFAR-10 the settings are those of the published accuracies, with fewer hidden units.

import matplotlib.pyplot as plt
from _common import load_data, parse_arguments, print_heading, print_table, save_figure, smooth
from sklearn.model_selection import GridSearchCV

from sklearn_dl import ThreeLayerConvNet
from sklearn_dl.inspection import SweepDisplay, TrainingCurveDisplay, WeightsDisplay

SETTINGS = {
    "digits": {
        "net": {
            "num_filters": 16,
            "filter_size": 5,
            "hidden_dim": 50,
            "weight_scale": 6e-2,
            "batch_size": 50,
        },
        "memorize": {"learning_rate": 3e-3, "num_epochs": 15, "batch_size": 25},
        "train": {"learning_rate": 3e-3, "reg": 1e-3, "num_epochs": 10},
        "normalization": {"num_epochs": 3},
        "learning_rates": [1e-3, 1e-2, 3e-2, 1e-1],
    },
    "cifar10": {
        "net": {
            "num_filters": 32,
            "filter_size": 7,
            "hidden_dim": 100,
            "weight_scale": 1e-3,
            "batch_size": 50,
        },
        "memorize": {"learning_rate": 1e-3, "num_epochs": 15, "batch_size": 25},
        "train": {"learning_rate": 1e-3, "reg": 1e-3, "num_epochs": 1},
        "normalization": {"num_iters": 200},
        "learning_rates": [3e-4, 1e-3, 3e-3, 1e-2],
    },
}


def make_net(settings, **params):
    """Return the net of this example."""
    return ThreeLayerConvNet(tol=None, random_state=0, **{**settings["net"], **params})


# %%
# Memorizing 50 samples
# ---------------------
# The first test of a new net: it has to learn 50 samples by heart. That it does less well on others
# is no surprise.


def memorize(data, args, settings):
    """Overfit 50 samples."""
    print_heading("Memorizing 50 samples")
    net = make_net(settings, **settings["memorize"])
    net.fit(data.X_train[:50], data.y_train[:50], X_val=data.X_val, y_val=data.y_val)
    print(f"  training accuracy {net.train_acc_history_[-1]:.3f}")
    print(f"  validation accuracy {net.val_acc_history_[-1]:.3f}")
    display = TrainingCurveDisplay.from_estimator(net)
    save_figure(display.figure_, args, "convolutional_memorize")


# %%
# Training
# --------
# With all samples, training and validation accuracy go up together.


def train(data, args, settings):
    """Train on all samples, test, and return the net."""
    print_heading("Training")
    net = make_net(settings, **settings["train"])
    net.fit(data.X_train, data.y_train, X_val=data.X_val, y_val=data.y_val)
    print(f"  best validation accuracy {net.best_val_score_:.3f}")
    print(f"  test accuracy {net.score(data.X_test, data.y_test):.3f}")
    display = TrainingCurveDisplay.from_estimator(net)
    save_figure(display.figure_, args, "convolutional_training")
    return net


# %%
# The filters
# -----------
# Edges and blobs; on photographs, colours too.


def filters(net, args):
    """Draw the filters of the convolution."""
    print_heading("The filters")
    display = WeightsDisplay.from_estimator(net)
    save_figure(display.figure_, args, "convolutional_filters")


# %%
# Spatial normalization
# ---------------------
# Spatial batch normalization normalizes each channel over the minibatch and all places; group
# normalization some channels together, within one image. A short training with several learning
# rates: with normalization, larger ones do well too. Without, the largest is too large, and a
# ConvergenceWarning says so.


def normalization(data, args, settings):
    """Search normalization and learning rate; draw the courses of the best of each kind."""
    print_heading("Spatial normalization")
    kinds = [None, "batchnorm", "groupnorm"]
    learning_rates = settings["learning_rates"]
    grid = {"normalization": kinds, "learning_rate": learning_rates}
    net = make_net(settings, **settings["normalization"])
    search = GridSearchCV(net, grid, cv=data.cv, refit=False, n_jobs=2).fit(data.X, data.y)
    results = search.cv_results_
    scores = {
        (params["normalization"], params["learning_rate"]): score
        for params, score in zip(results["params"], results["mean_test_score"], strict=True)
    }
    print("  validation accuracy by learning rate:")
    print_table(
        ["normalization", *(f"{rate:g}" for rate in learning_rates)],
        [[str(kind), *(scores[kind, rate] for rate in learning_rates)] for kind in kinds],
    )
    figure, axes = plt.subplots(1, 2, figsize=(12, 4), layout="constrained")
    SweepDisplay.from_estimator(search, param_x="learning_rate", param_y="normalization", ax=axes[0])
    for kind in kinds:
        best = max((scores[kind, rate], rate) for rate in learning_rates)[1]
        net = make_net(settings, normalization=kind, learning_rate=best, **settings["normalization"])
        losses = net.fit(data.X_train, data.y_train).loss_history_
        axes[1].plot(smooth(losses, 10), label=f"{kind}, {best:g}")
    axes[1].set(xlabel="update", ylabel="loss, mean of 10", title="each with its best learning rate")
    axes[1].legend()
    save_figure(figure, args, "convolutional_normalization")


# %%
# All of it.


def main(argv=None):
    """Run the example."""
    args = parse_arguments(__doc__, argv)
    data = load_data(args)
    settings = SETTINGS[data.name]
    if args.quick:
        settings = {
            "net": {**settings["net"], "num_filters": 4, "hidden_dim": 10},
            "memorize": {**settings["memorize"], "num_epochs": 2},
            "train": {**settings["train"], "num_epochs": 1},
            "normalization": {"num_iters": 3},
            "learning_rates": settings["learning_rates"][:2],
        }
    memorize(data, args, settings)
    filters(train(data, args, settings), args)
    normalization(data, args, settings)


if __name__ == "__main__":
    main()
