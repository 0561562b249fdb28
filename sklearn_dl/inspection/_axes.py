"""What all displays need: matplotlib, imported when something is drawn, axes, and labels."""

from collections.abc import Mapping, Set

import numpy as np


def import_pyplot(caller):
    """Return matplotlib.pyplot; `caller` is named where matplotlib is missing."""
    try:
        import matplotlib.pyplot as plt
    except ImportError as error:
        raise ImportError(f'{caller} requires matplotlib: pip install "sklearn_dl[plot]".') from error
    return plt


def check_axes(ax, name="ax"):
    """Return `ax` if it can be drawn on."""
    if not hasattr(ax, "imshow"):
        raise TypeError(f"{name} must be a matplotlib Axes or None, got {ax!r:.80}.")
    return ax


def check_names(argument, names, n=None, *, of=""):
    """Return names as a list of n strings, None if there are none; `of` says what each one is of."""
    if names is None:
        return None
    if isinstance(names, (str, bytes, Mapping, Set)) or not np.iterable(names):
        raise TypeError(f"{argument} must be a list of names, got {names!r:.80}.")
    names = [str(name) for name in names]
    if n is not None and len(names) != n:
        each = f": one for each {of}" if of else ""
        raise ValueError(f"{argument} must have {n} entries, got {len(names)}{each}.")
    return names


def shorten(text, length):
    """Return the text, its end cut off where it is longer than `length`."""
    return text if len(text) <= length else f"{text[: length - 3]}..."


def incline(labels, rotation=45):
    """Turn the labels of an x axis, so that long ones do not run into each other."""
    for label in labels:
        label.set(rotation=rotation, ha="right", rotation_mode="anchor")
