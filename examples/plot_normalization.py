"""
Batch and layer normalization
=============================

Both bring the values between two layers to mean 0 and standard deviation 1, and then let the net
scale and shift them as it likes: batch normalization each unit over the minibatch, layer
normalization each sample over its units. Deep nets then train faster, and with nearly any first
weights.

Run it with ``--cifar10 FOLDER`` for photographs in place of digits.
"""

# %%
# All nets here are deep and narrow, and see 1,000 samples.

import matplotlib.pyplot as plt
import numpy as np
from _common import load_data, parse_arguments, print_heading, print_table, save_figure

from sklearn_dl import FullyConnectedNet
from sklearn_dl.layers import batchnorm_forward, layernorm_forward

NUM_SAMPLES = 1000
KINDS = {"none": None, "batchnorm": "batchnorm", "layernorm": "layernorm"}
COLORS = {"none": "C7", "batchnorm": "C0", "layernorm": "C1"}

# %%
# What the layers do
# ------------------
# The values that leave two random layers, before and after. Batch normalization gives each of the
# three units, a column, mean 0 and standard deviation 1; layer normalization each sample, a row.


def the_layers():
    """Normalize the output of two random layers."""
    print_heading("What the layers do")
    np.random.seed(231)
    X, W1, W2 = np.random.randn(200, 50), np.random.randn(50, 60), np.random.randn(60, 3)
    before = np.maximum(0, X @ W1) @ W2
    gamma, beta = np.ones(3), np.zeros(3)
    by_batch, _ = batchnorm_forward(before, gamma, beta, {"mode": "train"})
    by_layer, _ = layernorm_forward(before, gamma, beta, {})
    for title, axis, after in (("batchnorm", 0, by_batch), ("layernorm", 1, by_layer)):
        print(f"  {title}, the first three {('units', 'samples')[axis]}:")
        rows = [
            [name, statistic, *getattr(values, statistic)(axis)[:3].round(3) + 0.0]
            for name, values in (("before", before), ("after", after))
            for statistic in ("mean", "std")
        ]
        print_table(["", "", "1", "2", "3"], rows)


def fit(data, num_epochs, hidden_dims, **params):
    """Train one net on the first samples."""
    net = FullyConnectedNet(
        hidden_dims=hidden_dims,
        num_epochs=num_epochs,
        update_rule="adam",
        tol=None,
        random_state=0,
        **params,
    )
    X, y = data.X_train[:NUM_SAMPLES], data.y_train[:NUM_SAMPLES]
    return net.fit(X, y, X_val=data.X_val, y_val=data.y_val)


# %%
# Deep nets train faster
# ----------------------
# Six layers, the same minibatches and learning rate.


def faster(data, args, num_epochs):
    """Draw the training of a deep net without and with normalization."""
    print_heading("Deep nets train faster")
    figure, axes = plt.subplots(1, 3, figsize=(13, 4), layout="constrained")
    rows = []
    for name, kind in KINDS.items():
        net = fit(data, num_epochs, (100,) * 5, weight_scale=2e-2, batch_size=50, normalization=kind)
        axes[0].plot(net.loss_history_, ".", color=COLORS[name], label=name, markersize=4)
        axes[1].plot(net.train_acc_history_, "o-", color=COLORS[name], label=name, markersize=4)
        axes[2].plot(net.val_acc_history_, "o-", color=COLORS[name], label=name, markersize=4)
        rows.append([name, net.loss_history_[-1], net.train_acc_history_[-1], net.val_acc_history_[-1]])
    axes[0].set(xlabel="update", ylabel="loss")
    axes[1].set(xlabel="epoch", ylabel="training accuracy")
    axes[2].set(xlabel="epoch", ylabel="validation accuracy")
    axes[1].legend()
    print_table(["normalization", "last loss", "training", "validation"], rows)
    save_figure(figure, args, "normalization_training")


# %%
# The scale of the first weights
# ------------------------------
# Eight layers. Without normalization, small weights let the signal vanish on its way, and large
# ones let it explode: only a narrow band of scales trains at all. With it, and with batch
# normalization most of all, the band is many times as wide.


def weight_scales(data, args, num_epochs, scales):
    """Train with many scales of the first weights."""
    print_heading("The scale of the first weights")
    figure, axes = plt.subplots(1, 3, figsize=(13, 4), layout="constrained")
    columns = [scales]
    for name, kind in KINDS.items():
        nets = [
            fit(data, num_epochs, (50,) * 7, weight_scale=scale, batch_size=50, normalization=kind) for scale in scales
        ]
        curves = [
            [net.best_val_score_ for net in nets],
            [max(net.train_acc_history_) for net in nets],
            [float(np.mean(net.loss_history_[-10:])) for net in nets],
        ]
        columns.append(curves[0])
        for ax, curve in zip(axes, curves, strict=True):
            ax.plot(scales, curve, "o-", color=COLORS[name], label=name, markersize=4)
    for ax, label in zip(axes, ["best validation accuracy", "best training accuracy", "last loss"], strict=True):
        ax.set(xscale="log", xlabel="weight_scale", ylabel=label)
    axes[2].set(yscale="log")
    axes[0].legend()
    print("  best validation accuracy:")
    print_table(["weight_scale", *KINDS], list(zip(*columns, strict=True)))
    save_figure(figure, args, "normalization_weight_scale")


# %%
# The size of the minibatch
# -------------------------
# Batch normalization takes its means and deviations from the minibatch: of 5 samples they are
# mostly noise. Layer normalization does not look at other samples, so it does not depend on how
# many there are.


def batch_sizes(data, args, num_epochs, sizes):
    """Train with several sizes of the minibatch."""
    print_heading("The size of the minibatch")
    figure, axes = plt.subplots(2, 3, figsize=(13, 7), sharex=True, sharey="row", layout="constrained")
    rows = []
    for column, (name, kind) in enumerate(KINDS.items()):
        row = [name]
        for i, size in enumerate(sizes):
            net = fit(data, num_epochs, (100,) * 5, weight_scale="he", batch_size=size, normalization=kind)
            style = {"color": f"C{i}", "markersize": 4, "label": f"batch size {size}"}
            epochs = range(1, num_epochs + 1)
            axes[0, column].plot(epochs, net.train_acc_history_[1:], "o-", **style)
            axes[1, column].plot(epochs, net.val_acc_history_[1:], "o-", **style)
            row.append(net.val_acc_history_[-1])
        axes[0, column].set(title=name)
        axes[1, column].set(xlabel="epoch")
        rows.append(row)
    axes[0, 0].set(ylabel="training accuracy")
    axes[1, 0].set(ylabel="validation accuracy")
    axes[0, 0].legend()
    print("  validation accuracy at the end:")
    print_table(["normalization", *(f"batch size {size}" for size in sizes)], rows)
    save_figure(figure, args, "normalization_batch_size")


# %%
# All of it.


def main(argv=None):
    """Run the example."""
    args = parse_arguments(__doc__, argv)
    data = load_data(args)
    num_epochs = 2 if args.quick else 10
    scales = np.logspace(-4, 0, 3 if args.quick else 9).tolist()
    the_layers()
    faster(data, args, num_epochs)
    weight_scales(data, args, num_epochs, scales)
    batch_sizes(data, args, num_epochs, (5, 50) if args.quick else (5, 10, 50))


if __name__ == "__main__":
    main()
