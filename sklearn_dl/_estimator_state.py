"""The attributes that a training leaves with an estimator: published, copied, pickled, put back after an error.

An estimator has its net as ``_net`` and the state of its training, a `TrainingState`, as ``_state``. The arrays of the
net are in the state, so that copies and pickles leave out the net, and make it again.
"""

import copy
import inspect
import numbers
from contextlib import contextmanager

import numpy as np

from sklearn_dl._callbacks import CALLBACKS, DURING_FIT
from sklearn_dl._checks import check_weight_scale
from sklearn_dl._legacy import upgrade_state
from sklearn_dl.nets.net import StoredArrays
from sklearn_dl.training.state import SHORT_NAMES, TrainingState, copy_field
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


def published_fields(score_name):
    """Return fields of the training's state by the names of the public attributes, for a score called so."""
    short = SHORT_NAMES.get(score_name, score_name)
    histories = {f"{part}_{short}_history_": f"{part}_acc_history" for part in ("train", "val")}
    return {**PUBLISHED, **histories}


def published(state, score_name):
    """Return the public attributes that a training changes, by name, and its state."""
    attributes = {name: getattr(state, field) for name, field in published_fields(score_name).items()}
    return {**attributes, "best_val_score_": state.best_val_acc if state.validated else None, "_state": state}


def defaults(cls):
    """Return the defaults of a constructor's arguments by name."""
    parameters = inspect.signature(cls).parameters.values()
    return {p.name: p.default for p in parameters if p.default is not p.empty}


@contextmanager
def unchanged_on_error(estimator, *, in_place):
    """Put back the attributes after an error; `in_place`, also what changes when training goes on from a fit."""
    before = dict(vars(estimator))
    # The state of a generator that the caller passed is not put back.
    own_generator = isinstance(estimator.random_state, numbers.Integral)
    mark = before["_state"].mark(generators=own_generator) if in_place and "_state" in before else None
    try:
        yield
    except BaseException:
        vars(estimator).clear()
        vars(estimator).update(before)
        if mark is not None:
            before["_state"].roll_back(mark)
        raise


def pack(attributes, score_name):
    """Return an estimator's attributes as copies and files have them: without the net, and a fit under way."""
    packed = {name: value for name, value in attributes.items() if name not in DURING_FIT}
    if packed.pop("_net", None) is None:
        return packed
    archive = packed["_state"].to_archive(histories=list)
    for name, field in published_fields(score_name).items():
        del archive[field]
        packed[name] = copy_field(field, packed[name])
    if isinstance(packed["random_state"], numbers.Integral):  # a copy draws from a generator of its own
        own = copy.deepcopy(packed["_random_state"])
        packed["_random_state"] = archive["random_state"] = archive["net_random_state"] = own
    return {**packed, "_state": archive}


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
