"""What the examples share: their arguments, their data, how they print and where pictures go."""

import argparse
from pathlib import Path

import numpy as np
from sklearn.datasets import load_digits
from sklearn.model_selection import PredefinedSplit, train_test_split
from sklearn.utils import Bunch

from sklearn_dl.datasets import cifar10_splits, load_cifar10


def parse_arguments(docstring, argv=None):
    """Read an example's command line.

    Parameters
    ----------
    docstring : str
        The example's own; its title describes the program. Empty where the gallery runs it.
    argv : list of str, default=None
        The arguments; by default those of the process.

    Returns
    -------
    args : argparse.Namespace
        cifar10 (folder or None), output (folder), quick (bool).
    """
    parser = argparse.ArgumentParser(description=docstring.strip().partition("\n")[0])
    parser.add_argument("--cifar10", metavar="FOLDER", help="use CIFAR-10 from this folder, not the digits")
    parser.add_argument(
        "--output",
        metavar="FOLDER",
        type=Path,
        default=Path("demo-output"),
        help="where the pictures go (default: %(default)s)",
    )
    parser.add_argument(
        "--quick",
        action="store_true",
        help="few samples, epochs and candidates: only to see it run",
    )
    return parser.parse_args(argv)


def load_data(args):
    """Load images, centred: raw pixels less the mean training image.

    Parameters
    ----------
    args : argparse.Namespace
        From `parse_arguments`.

    Returns
    -------
    data : Bunch
        X_train, X_val, X_test : images (n, C, H, W) of float32; y_train, y_val, y_test : their
        labels, strings; X, y : the training and the validation set in one; cv : a splitter that
        tells them apart, for searches; name : 'digits' or 'cifar10'.
    """
    if args.cifar10 is None:
        name, images = "digits", _digits()
        sizes = {"num_training": 997, "num_validation": 400, "num_test": 400}
    else:
        name, images = "cifar10", load_cifar10(args.cifar10)
        sizes = {"num_training": 49_000, "num_validation": 1_000, "num_test": 1_000}
    if args.quick:
        sizes = {"num_training": 200, "num_validation": 100, "num_test": 100}
    data = Bunch(name=name, **cifar10_splits(images, **sizes))
    n_train = len(data.X_train)
    names = np.asarray(images["target_names"])
    data.X = np.concatenate([data.X_train, data.X_val])
    data.y = names[np.concatenate([data.y_train, data.y_val])]
    data.y_test = names[data.y_test]
    # Views, so that the images are in memory once.
    data.X_train, data.X_val = data.X[:n_train], data.X[n_train:]
    data.y_train, data.y_val = data.y[:n_train], data.y[n_train:]
    data.cv = PredefinedSplit(np.repeat([-1, 0], [n_train, len(data.X_val)]))
    shape = " x ".join(map(str, data.X.shape[1:]))
    print(
        f"{name}: images of {shape}, {n_train} to train on, {len(data.X_val)} to validate, {len(data.X_test)} to test"
    )
    return data


def _digits():
    """Return the digits in the form of CIFAR-10: images, shuffled, the test set apart."""
    digits = load_digits()
    X_train, X_test, y_train, y_test = train_test_split(
        digits.images[:, np.newaxis],
        digits.target,
        test_size=400,
        stratify=digits.target,
        random_state=0,
    )
    return {
        "X_train": X_train,
        "y_train": y_train,
        "X_test": X_test,
        "y_test": y_test,
        "target_names": digits.target_names.astype(str),
    }


def print_table(header, rows):
    """Print rows of strings and numbers in aligned columns, numbers to the right.

    Parameters
    ----------
    header : list of str
    rows : list of list
        Numbers of a column share one format: three decimals, or three significant digits where
        sizes differ much.
    """
    columns = [_format(column) for column in zip(*rows, strict=True)]
    cells = [list(header), *map(list, zip(*columns, strict=True))]
    widths = [max(map(len, column)) for column in zip(*cells, strict=True)]
    left = [isinstance(value, str) for value in rows[0]]
    for line in cells:
        padded = [
            cell.ljust(width) if is_left else cell.rjust(width)
            for cell, width, is_left in zip(line, widths, left, strict=True)
        ]
        print("  " + "  ".join(padded).rstrip())


def _format(column):
    if any(isinstance(value, str) for value in column):
        return [str(value) for value in column]
    form = ".3f" if all(0.05 <= abs(value) < 100 for value in column) else ".3g"
    return [str(value) if isinstance(value, int) else format(value, form) for value in column]


def print_heading(text):
    """Print the heading of one experiment."""
    print(f"\n{text}\n{'-' * len(text)}")


def smooth(losses, window):
    """Return the running mean over `window` losses, or all of them where they are fewer."""
    window = min(window, len(losses))
    return np.convolve(losses, np.ones(window) / window, mode="valid")


def save_figure(figure, args, name):
    """Save a figure to ``{name}.png`` in the output folder, and say so."""
    args.output.mkdir(parents=True, exist_ok=True)
    path = args.output / f"{name}.png"
    figure.savefig(path, dpi=120)
    print(f"  picture: {path}")
