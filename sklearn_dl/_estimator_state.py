"""The attributes that a training leaves with an estimator: learned by a copy, published at once, copied, pickled.

An estimator has its net as ``_net`` and the state of its training, a `TrainingState`, as ``_state``. The arrays of the
net are in the state, so that copies and pickles leave out the net, and make it again.
"""

import copy
import functools
import inspect
import numbers
from contextlib import contextmanager
from types import MappingProxyType

import numpy as np

from sklearn_dl._callbacks import CALLBACKS, DURING_FIT
from sklearn_dl._checks import check_weight_scale
from sklearn_dl._claims import claimed
from sklearn_dl._legacy import upgrade_state
from sklearn_dl.nets.net import StoredArrays
from sklearn_dl.training.state import SHORT_NAMES, TrainingState, copy_generator
from sklearn_dl.training.trainee import Trainee

# Attributes of an estimator that are fields of the training's state.
PUBLISHED = {
    "params_": "params",
    "running_stats_": "statistics",
    "loss_history_": "loss_history",
    "learning_rate_history_": "learning_rate_history",
    "history_": "history",
    "n_iter_": "epoch",
    "best_epoch_": "best_epoch",
    "stop_reason_": "stop_reason",
}


@functools.lru_cache(maxsize=4)  # names made anew would stay in the interpreter's cache of attributes, up to 4096
def published_fields(score_name):
    """Return fields of the training's state by the names of the public attributes, for a score called so."""
    short = SHORT_NAMES.get(score_name, score_name)
    histories = {f"{part}_{short}_history_": f"{part}_acc_history" for part in ("train", "val")}
    return MappingProxyType({**PUBLISHED, **histories})


def published(state, score_name):
    """Return the public attributes that a training changes, by name, and its state."""
    attributes = {name: getattr(state, field) for name, field in published_fields(score_name).items()}
    return {**attributes, "best_val_score_": state.best_val_acc if state.validated else None, "_state": state}


@functools.lru_cache(maxsize=64)  # else a seventh of the time of a small partial_fit
def defaults(cls):
    """Return the defaults of a constructor's arguments by name."""
    parameters = inspect.signature(cls).parameters.values()
    return MappingProxyType({p.name: p.default for p in parameters if p.default is not p.empty})


def view(estimator):
    """Return an object that has an estimator's attributes as they are now, also when a training has ended meanwhile.

    A training exchanges all attributes at once (see `trained_apart`), so that what is read through a view belongs
    together.
    """
    found = object.__new__(type(estimator))
    found.__dict__ = vars(estimator)
    return found


@contextmanager
def trained_apart(estimator, *, going_on):
    """Let a copy be trained; once that has ended without an error, the estimator gets its attributes, all at once.

    Until then, predictions in other threads are those of the net as it was. After an error nothing has changed.

    Parameters
    ----------
    estimator : BaseNet
    going_on : bool
        Whether the net that there is will be trained further: the copy then has a net and a state of its own. A
        generator that the caller passed as ``random_state`` is drawn from, not copied.

    Yields
    ------
    twin : BaseNet
        The copy.

    Raises
    ------
    RuntimeError
        If the estimator is being trained already.
    """
    error = (
        f"this {type(estimator).__name__} is being trained already, in another thread or in the fit whose callback this"
        " is: wait until that has ended, or train a clone (sklearn.base.clone)."
    )
    twin, taken = view(estimator), None
    with claimed(estimator, twin, error=error):
        before = dict(vars(estimator))
        twin.__dict__ = dict(before)
        try:
            if going_on and "_state" in before:
                taken = before["_state"]
                vars(twin).update(copy_training(before, estimator._score_name))
            yield twin
            changed = {name: value for name, value in vars(twin).items() if before.get(name, _MISSING) is not value}
            gone = before.keys() - vars(twin).keys()
            kept = {name: value for name, value in vars(estimator).items() if name not in gone}
            estimator.__dict__ = kept | changed
        except BaseException:
            if taken is not None and vars(estimator).get("_state") is taken:  # else Ctrl-C came after the exchange
                taken.take_back()
            raise


_MISSING = object()


def copy_training(attributes, score_name, generator=None):
    """Return copies of an estimator's net and state, as attributes.

    Parameters
    ----------
    attributes : dict
        Of a fitted estimator.
    score_name : str
    generator : RandomState, default=None
        What they draw from. None: a copy of that of the estimator, or itself where that belongs to the caller.
    """
    before = attributes["_random_state"]
    if generator is None:
        own = isinstance(attributes["random_state"], numbers.Integral)
        generator = copy_generator(before) if own else before
    net = copy.deepcopy(attributes["_net"], {id(before): generator})
    state = attributes["_state"].successor(Trainee(net), generator)
    return {"_net": net, "_random_state": generator, **published(state, score_name)}


def pack(attributes, score_name):
    """Return an estimator's attributes as copies and files have them: without the net, and a fit under way."""
    packed = {name: value for name, value in attributes.items() if name not in DURING_FIT}
    if packed.pop("_net", None) is None:
        return packed
    state = packed["_state"]
    archive = state.to_archive(histories=list)
    for name, field in published_fields(score_name).items():
        del archive[field]
        packed[name] = state.copy_field(field, packed[name])
    if isinstance(packed["random_state"], numbers.Integral):  # a copy draws from a generator of its own
        own = copy_generator(packed["_random_state"])
        packed["_random_state"] = archive["random_state"] = archive["net_random_state"] = own
    return {**packed, "_state": archive}


def with_arrays(packed, score_name):
    """Return what `pack` does with histories as arrays, which take a fraction of the time and space in a file."""
    found = {
        name: packed[name] for name in published_fields(score_name) if name.endswith("history_") and name in packed
    }
    return {**packed, **{name: _as_arrays(value) for name, value in found.items()}}


def _as_arrays(values):
    if isinstance(values, dict):
        return {name: _as_arrays(column) for name, column in values.items()}
    numbers_only = set(map(type, values)) <= {int, float}
    return np.array(values, dtype=None if values else float) if numbers_only else values


def upgrade(packed, cls):
    """Return what `pack` of any release has returned for an estimator of a class, as this one's does."""
    if "_optim_state" in packed:
        packed = upgrade_state(packed)
    # A pickle of an earlier release lacks the parameters that came later.
    return {**defaults(cls), **packed}


def rebuild(net_class, net_args, random_state, packed, score_name):
    """Return the net and the state of the training that `pack` has left out or packed.

    Parameters
    ----------
    net_class : type
    net_args : dict
        Its arguments, but for ``random_state``.
    random_state : RandomState
    packed : dict
    score_name : str
    """
    check_weight_scale("weight_scale", net_args["weight_scale"])
    stored = StoredArrays(packed["params_"], packed["running_stats_"], copies=True)
    _check_sizes(net_args, stored.params)
    net = net_class(**{**net_args, "weight_scale": stored}, random_state=random_state)
    restored = TrainingState.of_net(Trainee(net), random_state)
    fields = published_fields(score_name)
    restored.restore({**packed["_state"], **{field: packed[name] for name, field in fields.items()}})
    return net, restored


def _check_sizes(net_args, params):
    """Raise ValueError if a net's arguments name sizes that its parameters are too small for.

    A net may take time and memory for what its arguments say before it asks its layers for the shapes of parameters.
    """
    n_values = sum(np.size(value) for value in params.values())
    for name, value in net_args.items():
        sizes = value if np.iterable(value) and not isinstance(value, str) else [value]
        too_large = (isinstance(size, numbers.Integral) and size > 4 * n_values for size in sizes)
        if len(sizes) > len(params) or any(too_large):
            raise ValueError(f"{name}={value!r:.80} is more than {len(params)} parameters of {n_values} values have.")


def snapshot(estimator, solver):
    """Return the attributes of a copy that shares nothing, with the weights that training would end with now."""
    state = estimator.__getstate__()
    state.pop(CALLBACKS, None)
    twin = type(estimator).__new__(type(estimator))
    twin.__setstate__(state)
    solver.write_best(twin._net)
    return vars(twin)
