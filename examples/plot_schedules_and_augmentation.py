"""
Schedules and augmentation: how a training goes
===============================================

Two things about a training that are not the net: the learning rate in the course of it, and what the
images go through before the net sees them. `lr_schedule` lets the learning rate rise and fall,
`augmentation` flips, shifts and cuts the images of each minibatch at random, so that the net never
sees quite the same one twice.

Run it with ``--cifar10 FOLDER`` for photographs in place of digits.
"""

# %%
# Shifts and holes have the size of the images.

import matplotlib.pyplot as plt
import numpy as np
from _common import load_data, parse_arguments, print_heading, print_table, save_figure
from sklearn.model_selection import GridSearchCV

from sklearn_dl import ThreeLayerConvNet
from sklearn_dl.augmentation import Cutout, HorizontalFlip, RandomCrop
from sklearn_dl.inspection import SweepDisplay
from sklearn_dl.schedules import Cosine, ReduceOnPlateau

SETTINGS = {
    "digits": {
        "net": {"num_filters": 8, "filter_size": 3, "hidden_dim": 50, "weight_scale": 6e-2},
        "schedules": {"learning_rate": 0.02, "num_epochs": 20},
        "sweep": {"num_epochs": 4},
        "learning_rates": [1e-3, 3e-3, 1e-2, 3e-2],
        "few": {"learning_rate": 3e-3, "num_epochs": 40, "lr_schedule": "cosine"},
        "num_samples": 300,
        "padding": 1,
        "size": 3,
    },
    "cifar10": {
        "net": {"num_filters": 32, "filter_size": 5, "hidden_dim": 100, "weight_scale": 1e-3},
        "schedules": {"learning_rate": 3e-3, "num_iters": 800},
        "sweep": {"num_iters": 200},
        "learning_rates": [3e-4, 1e-3, 3e-3, 1e-2],
        "few": {"learning_rate": 1e-3, "num_epochs": 20, "lr_schedule": "cosine"},
        "num_samples": 2000,
        "padding": 4,
        "size": 8,
    },
}


def make_net(settings, **params):
    """Return the net of this example."""
    return ThreeLayerConvNet(tol=None, random_state=0, **{**settings["net"], **params})


# %%
# Schedules
# ---------
# A large learning rate gets far soon and then jumps about; a small one does not get far. A schedule has both, one
# after the other. 'cosine', 'linear' and 'one_cycle' go by the length of the training, 'reduce_on_plateau' by the
# validation accuracy. A name stands for an object with its defaults; `Cosine(warmup=0.1)` says otherwise.


def schedules(data, args, settings):
    """Train with each schedule and draw learning rates and losses."""
    print_heading("Schedules")
    kinds = {
        "None": None,
        "Cosine(warmup=0.1)": Cosine(warmup=0.1),
        "'one_cycle'": "one_cycle",
        "ReduceOnPlateau(patience=1)": ReduceOnPlateau(patience=1),
    }
    figure, axes = plt.subplots(1, 2, figsize=(12, 4), layout="constrained")
    rows = []
    for name, schedule in kinds.items():
        net = make_net(settings, lr_schedule=schedule, **settings["schedules"])
        net.fit(data.X_train, data.y_train, X_val=data.X_val, y_val=data.y_val)
        axes[0].plot(net.learning_rate_history_, label=name)
        epochs = np.array_split(net.loss_history_, net.n_iter_)
        axes[1].plot(range(1, net.n_iter_ + 1), [epoch.mean() for epoch in epochs], label=name)
        rows.append([name, float(epochs[-1].mean()), net.val_acc_history_[-1]])
    axes[0].set(xlabel="update", ylabel="learning rate")
    axes[1].set(xlabel="epoch", ylabel="training loss", yscale="log")
    axes[1].legend()
    print_table(["lr_schedule", "loss", "last validation accuracy"], rows)
    save_figure(figure, args, "schedules")


# %%
# Schedules in a search
# ---------------------
# They are values like others: a search tries them, beside learning rates and constants of the update rule.
# With one that falls, larger learning rates do well.


def sweep(data, args, settings, lr_schedules=(None, "linear", "cosine", "one_cycle")):
    """Search schedule, learning rate and Adam's beta1."""
    print_heading("Schedules in a search")
    grid = {"lr_schedule": list(lr_schedules), "learning_rate": settings["learning_rates"], "beta1": [0.8, 0.9]}
    net = make_net(settings, **settings["sweep"])
    search = GridSearchCV(net, grid, cv=data.cv, n_jobs=2).fit(data.X, data.y)
    print(f"  best: {search.best_params_}, accuracy {search.best_score_:.3f}")
    print(f"  test accuracy {search.score(data.X_test, data.y_test):.3f}")
    display = SweepDisplay.from_estimator(search, param_x="learning_rate", param_y="lr_schedule")
    save_figure(display.figure_, args, "schedules_sweep")


# %%
# What augmentation does
# ----------------------
# Each is called with a minibatch and changes it in place. Pixels without a value become 0, the mean, as these images
# come with the mean image subtracted.


def what_it_does(data, args, settings, num_draws=8):
    """Draw what becomes of one image."""
    print_heading("What augmentation does")
    image = data.X_train[1]
    kinds = augmentations(settings)
    figure, axes = plt.subplots(len(kinds), num_draws, figsize=(num_draws, len(kinds) + 0.5), layout="constrained")
    for row, (name, augmentation) in zip(axes, kinds.items(), strict=True):
        X = np.repeat(image[np.newaxis], num_draws, axis=0)
        random_state = np.random.RandomState(0)
        for augment in augmentation:
            augment(X, random_state)
        for ax, changed in zip(row, X, strict=True):
            draw(ax, changed, image.min(), image.max())
        row[0].set_title(name, fontsize="medium", loc="left")
    print(f"  one image, {num_draws} draws of {len(kinds)} augmentations")
    save_figure(figure, args, "augmentation")


def augmentations(settings):
    """Return augmentations by name, each as a tuple."""
    flip, crop, cutout = HorizontalFlip(), RandomCrop(settings["padding"]), Cutout(settings["size"])
    return {"none": (), "flip": (flip,), "crop": (crop,), "cutout": (cutout,), "crop and cutout": (crop, cutout)}


def draw(ax, image, low, high):
    """Draw an image (C, H, W) of values between low and high."""
    image = np.clip((image - low) / (high - low), 0, 1).transpose(1, 2, 0)
    ax.imshow(image.squeeze(), cmap="gray", vmin=0, vmax=1)
    ax.set_axis_off()


# %%
# What it brings
# --------------
# A net that has seen images shifted knows shifted images. What helps depends on those to come: a mirrored photograph
# is as good as the other, a mirrored 2 is none; and digits that all fill their frame do not gain by shifts, unless the
# next ones are not as neatly placed. So the validation images are tried as they are, and shifted.


def what_it_brings(data, args, settings):
    """Train on few samples with each augmentation; validate on images as they are, and shifted."""
    print_heading("What it brings")
    n_samples = settings["num_samples"]
    X, y = data.X_train[:n_samples], data.y_train[:n_samples]
    shifted = data.X_val.copy()
    RandomCrop(settings["padding"])(shifted, np.random.RandomState(0))
    figure, axes = plt.subplots(1, 2, figsize=(12, 4), layout="constrained")
    rows = []
    for name, augmentation in augmentations(settings).items():
        net = make_net(settings, augmentation=augmentation, **settings["few"])
        net.fit(X, y, X_val=data.X_val, y_val=data.y_val)
        axes[0].plot(net.val_acc_history_, label=name)
        rows.append([name, net.score(X, y), net.score(data.X_val, data.y_val), net.score(shifted, data.y_val)])
    axes[0].set(xlabel="epoch", ylabel="validation accuracy", title=f"trained on {len(X)} samples")
    axes[0].legend()
    for i, label in ((2, "as they are"), (3, "shifted")):
        axes[1].bar(np.arange(len(rows)) + 0.4 * (i - 2.5), [row[i] for row in rows], width=0.4, label=label)
    axes[1].set_xticks(range(len(rows)), [row[0] for row in rows])
    axes[1].set(ylabel="validation accuracy", ylim=(0.4, 1), title="best weights, images as they are and shifted")
    axes[1].legend()
    print_table(["augmentation", "training", "validation", "shifted"], rows)
    save_figure(figure, args, "augmentation_few_samples")


# %%
# All of it.


def main(argv=None):
    """Run the example."""
    args = parse_arguments(__doc__, argv)
    data = load_data(args)
    settings = SETTINGS[data.name]
    if args.quick:
        settings = {
            **settings,
            "net": {**settings["net"], "num_filters": 4, "hidden_dim": 10},
            "schedules": {"learning_rate": 1e-3, "num_epochs": 2},
            "sweep": {"num_iters": 3},
            "learning_rates": settings["learning_rates"][:2],
            "few": {"num_epochs": 2},
            "num_samples": 50,
        }
    schedules(data, args, settings)
    sweep(data, args, settings)
    what_it_does(data, args, settings)
    what_it_brings(data, args, settings)


if __name__ == "__main__":
    main()
