"""Checks of a training's state that comes from a file: each field is what a training can have left.

What a file holds was written by anybody. Where a field is of the wrong type or size, the error should come before
anything is assigned, and name the field, and not come out of a later update.
"""

import math
import numbers

import numpy as np

from sklearn_dl.optim import UPDATE_RULES
from sklearn_dl.schedules import SCHEDULES

__all__ = ["check_checkpoint", "check_drawn", "check_fields", "check_progress"]


def check_fields(state, *, columns):
    """Raise unless the fields of a `TrainingState`, by name, are those of one.

    Parameters
    ----------
    state : dict
        All fields, its params and statistics those of the net.
    columns : iterable of str
        Those of `TrainingState.history`.

    Raises
    ------
    TypeError, ValueError
        If a field is of another type, out of range, or does not fit the others. The message names it.
    """
    for name, check in _CHECKS.items():
        check(name, state[name])
    _check_rows("history", state["history"], columns)
    seconds = state["history"]["seconds"]
    _require(all(0 <= value < math.inf for value in seconds), "history['seconds']", "finite numbers of at least 0")
    _check_optim_configs(state["update_rule"], state["optim_configs"], state["params"])
    for name, like in (("params", state["params"]), ("statistics", state["statistics"])):
        for copies in (f"best_{name}", f"last_{name}"):
            _check_copies(copies, state[copies], like)
    _check_schedule(state["schedule"], state["schedule_state"])
    if len(state["learning_rate_history"]) != len(state["loss_history"]):
        raise ValueError("learning_rate_history and loss_history must have one length.")


def check_progress(state):
    """Raise ValueError unless the fields of a checkpoint's `TrainingState` tell of as many epochs and updates.

    Parameters
    ----------
    state : dict
        As `check_fields` takes it.
    """
    epochs, updates = len(state["history"]["epoch"]), len(state["loss_history"])
    _require(state["epoch"] == epochs, "epoch", f"the number of rows of history, {epochs}")
    scores = f"{epochs + 1} numbers, one more than there are epochs"
    _require(len(state["train_acc_history"]) == epochs + 1, "train_acc_history", scores)
    # Where epochs had no validation set, 0.1.0 left them out.
    _require(len(state["val_acc_history"]) <= epochs + 1, "val_acc_history", f"at most {scores}")
    _require(state["best_epoch"] is None or state["best_epoch"] <= epochs, "best_epoch", f"at most {epochs}")
    began = state["schedule_began"]
    _require(began[0] <= epochs and began[1] <= updates, "schedule_began", f"at most ({epochs}, {updates})")


def check_checkpoint(tree):
    """Raise unless the parts of a checkpoint, but for the state, are of the right types.

    Parameters
    ----------
    tree : dict

    Raises
    ------
    ValueError
        If one is missing or of another type, or there are others. The message names it.
    """
    names = [*_PARTS, "checkpoint", "layout", "state"]
    _require(tree.keys() == set(names), "it", f"a dict with the keys {', '.join(names)}")
    for name, check in _PARTS.items():
        check(name, tree[name])


def check_drawn(name, drawn, rows, ours):
    """Raise ValueError unless rows that a score is taken on are as many as ours, of those that there are.

    Parameters
    ----------
    name : str
    drawn : ndarray of intp, or None
    rows : ndarray of intp
    ours : ndarray of intp, or None
    """
    good = ours is not None and drawn is not None and len(drawn) == len(ours) == len(np.unique(drawn))
    _require(good and np.isin(drawn, rows).all(), name, f"different rows of the {len(rows)} samples, as many as here")


def _check_texts(name, value):
    good = isinstance(value, dict) and all(isinstance(key, str) for key in value)
    _require(good and all(text is None or isinstance(text, str) for text in value.values()), name, "a dict of texts")


def _check_drawn_rows(name, value):
    _require(isinstance(value, dict) and value.keys() == {"train", "val"}, name, "a dict of train and val")
    for part, rows in value.items():
        good = rows is None or (isinstance(rows, np.ndarray) and rows.ndim == 1 and rows.dtype == np.intp)
        _require(good, f"{name}[{part!r}]", "an array of integers or None")


def _check_version(name, value):
    _require(isinstance(value, str) and 0 < len(value) <= 40 and value.isprintable(), name, "a version")


def _check_rows(name, history, columns):
    """Check a dict of columns of numbers of one length."""
    _require(isinstance(history, dict) and history.keys() == set(columns), name, f"a dict of {', '.join(columns)}")
    for column, values in history.items():
        _check_numbers(f"{name}[{column!r}]", values)
    _require(len({len(values) for values in history.values()}) == 1, name, "lists of one length")


def _require(good, name, wanted):
    if not good:
        raise ValueError(f"{name} must be {wanted}.")


def _is_int(value, low=0):
    return type(value) is int and low <= value < 2**63


def _is_real(value):
    return isinstance(value, numbers.Real) and not isinstance(value, (bool, np.bool_))


def _check_count(name, value):
    _require(_is_int(value), name, "an integer of at least 0")


def _check_count_or_none(name, value):
    _require(value is None or _is_int(value), name, "an integer of at least 0 or None")


def _check_real(name, value):
    _require(_is_real(value), name, "a number")


def _check_bool(name, value):
    _require(isinstance(value, (bool, np.bool_)), name, "True or False")


def _check_text(name, value):
    _require(isinstance(value, str), name, "a str")


def _check_text_or_none(name, value):
    _require(value is None or isinstance(value, str), name, "a str or None")


def _check_rule(name, value):
    known = value is None or (isinstance(value, str) and value in UPDATE_RULES)
    _require(known, name, f"one of {', '.join(UPDATE_RULES)}, or None")


def _check_numbers(name, values):
    good = isinstance(values, list) and (set(map(type, values)) <= {float, int} or all(map(_is_real, values)))
    _require(good, name, "a list of numbers")


def _check_generator(name, value):
    _require(type(value) is np.random.RandomState, name, "a RandomState")


def _check_generator_or_none(name, value):
    _require(value is None or type(value) is np.random.RandomState, name, "a RandomState or None")


def _check_pair(name, value):
    _require(isinstance(value, tuple) and len(value) == 2 and all(map(_is_int, value)), name, "a tuple of two integers")


def _check_length(name, value):
    good = value is None or (
        isinstance(value, tuple) and len(value) == 2 and all(item is None or _is_int(item) for item in value)
    )
    _require(good, name, "None, or a tuple of numbers of epochs and updates")


def _check_sides(name, value):
    """Check keys of samples: none, or those trained on and those validated on."""
    _require(isinstance(value, dict) and (not value or value.keys() == {"trained", "validated"}), name, "two arrays")
    for side, keys in value.items():
        good = isinstance(keys, np.ndarray) and keys.ndim == 1 and keys.dtype == np.uint64
        _require(good and (keys[:-1] <= keys[1:]).all(), f"{name}[{side!r}]", "a sorted array of uint64")


_CHECKS = {
    "random_state": _check_generator,
    "net_random_state": _check_generator_or_none,
    "update_rule": _check_rule,
    "epoch": _check_count,
    "loss_history": _check_numbers,
    "learning_rate_history": _check_numbers,
    "train_acc_history": _check_numbers,
    "val_acc_history": _check_numbers,
    "initial_loss": _check_real,
    "initial_n_classes": _check_count,
    "validated": _check_bool,
    "best_epoch": _check_count_or_none,
    "best_val_acc": _check_real,
    "best_score": _check_real,
    "stop_score": _check_real,
    "epochs_without_gain": _check_count,
    "stop_reason": _check_text_or_none,
    "schedule": _check_text,
    "schedule_began": _check_pair,
    "schedule_length": _check_length,
    "held_out": _check_sides,
}
_PARTS = {
    "version": _check_version,
    "settings": _check_texts,
    "data": _check_texts,
    "generator": _check_generator_or_none,
    "begun": _check_text_or_none,
    "ended": _check_text_or_none,
    "cut": _check_count_or_none,
    "rows": _check_drawn_rows,
}


def _check_optim_configs(update_rule, configs, params):
    name = "optim_configs"
    _require(
        isinstance(configs, dict) and configs.keys() == params.keys(), name, "a dict with a key for each parameter"
    )
    rule = UPDATE_RULES.get(update_rule)
    for param, config in configs.items():
        place = f"{name}[{param!r}]"
        _require(isinstance(config, dict), place, "a dict")
        for key, value in config.items():
            _check_of_rule(f"{place}[{key!r:.40}]", rule, key, value, params[param])


def _check_of_rule(place, rule, key, value, param):
    """Check one entry of the update rule's configuration of a parameter."""
    if rule is not None and key in rule.constants:
        rule.constants[key].check(value, lambda name: place)
    elif rule is not None and key in rule.arrays:
        good = isinstance(value, np.ndarray) and (value.shape, value.dtype) == (np.shape(param), param.dtype)
        _require(good, place, f"an array of shape {np.shape(param)} of {param.dtype}")
    elif rule is not None and key == "t" and rule.counts:
        _check_count(place, value)
    else:
        raise ValueError(f"{place} is nothing that the update rule {rule and rule.name!r} has.")


def _check_copies(name, arrays, like):
    """Check copies of parameters or statistics, which are none or all."""
    _require(isinstance(arrays, dict) and (not arrays or arrays.keys() == like.keys()), name, "a dict like the net's")
    for key, value in arrays.items():
        good = isinstance(value, np.ndarray) and (value.shape, value.dtype) == (np.shape(like[key]), like[key].dtype)
        _require(good, f"{name}[{key!r}]", f"an array of shape {np.shape(like[key])} of {like[key].dtype}")


def _check_schedule(schedule, kept):
    """Check the state of a schedule, which is told by its repr; one of another package may keep what it likes."""
    _require(isinstance(kept, dict), "schedule_state", "a dict")
    names = {cls.__name__: cls for cls in SCHEDULES.values()}
    name = schedule.partition("(")[0]
    if schedule == "None":
        first = {}
    elif name in names:
        first = names[name]().begin()
    else:
        return
    _require(kept.keys() == first.keys(), "schedule_state", f"a dict of {', '.join(first)}")
    for key, value in kept.items():
        of_scores = key == "of"
        good = (value is None or isinstance(value, str)) if of_scores else _is_real(value) and not math.isnan(value)
        _require(good, f"schedule_state[{key!r}]", "a str or None" if of_scores else "a number")
