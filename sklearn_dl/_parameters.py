"""The estimators' parameters: a row for each, with its type and meaning for the docstrings and its check.

Defaults are where scikit-learn wants them, in the signatures of the constructors, and docstrings show those. The
constants of the update rules, and the learning rates that suit them, come from `sklearn_dl.optim`.
"""

import inspect
import math
import numbers
import os
import textwrap
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass

import numpy as np
from sklearn.utils import check_random_state

from sklearn_dl._checks import (
    check_bool,
    check_choice,
    check_dtype,
    check_int,
    check_real,
    check_weight_scale,
    name_here,
)
from sklearn_dl._inputs import named
from sklearn_dl._names import history_attributes
from sklearn_dl.augmentation import check_augmentation
from sklearn_dl.nets.activations import ACTIVATIONS, check_activation
from sklearn_dl.optim import CLIP_NORM, CONSTANTS, LEARNING_RATE, UPDATE_RULES, in_optim_config, number_text
from sklearn_dl.schedules import OTHER_NAMES, Cosine, check_schedule

# The constants of update rules that are parameters, too.
RULE_PARAMETERS = {constant.name: constant for constant in CONSTANTS if constant is not LEARNING_RATE}

# What 'auto' stands for, and what where an epoch is a single update. A set that fits into one minibatch needs some
# hundred updates like any other, and with dropout, the losses of 10 updates are mostly noise.
LENGTHS = {"num_epochs": 100, "n_iter_no_change": 10}
LENGTHS_OF_SINGLE_UPDATES = {"num_epochs": 1000, "n_iter_no_change": 50}

# What 'auto' stands for where a training is planned: a net with hidden layers, whose learning rate falls to zero until
# `num_epochs`. Chosen on 68 tables of 60 to 1,333 rows to train on: accuracy wants larger steps than a constant rate
# allows, the log-loss wants the penalty, and both some hundred updates, however few rows there are.
PLANNED_RULES = ("adam", "adamw")
PLANNED_RATE, PLANNED_REGRESSION_RATE = 1e-2, 2e-2  # over the number of hidden layers
PLANNED_EPOCHS = 30
PLANNED_UPDATES = 600

# `reg` is that of a prior, over n, and lower for few rows, which it would keep from being learned. Each hidden layer
# counts: with the penalty of one, nets of two are too sure of their probabilities.
PENALTY, PENALTY_ROWS = 4.0, 30.0

# A minibatch has a 64th of the rows, within limits; a set of that many rows is a minibatch of its own.
MINIBATCHES = 64
SMALLEST_BATCH, LARGEST_BATCH = 32, 128

TOL = 1e-4

# Without hidden layers the loss is convex: weights need not be drawn apart, and train best from near zero.
LINEAR_WEIGHT_SCALE = 1e-3


def is_auto(value):
    """Return whether a parameter is 'auto', and not an array, say, that compares with it elementwise."""
    return isinstance(value, str) and value == "auto"


def resolve_plan(params, *, n_hidden, in_parts=False):
    """Return checked parameters with a schedule in place of 'auto', and with `planned`: whether 'auto' took one.

    Parameters
    ----------
    params : dict
        As `check_parameters` returns them.
    n_hidden : int
        Hidden layers of the net, 0 where it has none or `lr_schedule` is not planned.
    in_parts : bool, default=False
        Whether there will be more data, so that no schedule knows its end.
    """
    if not is_auto(params["lr_schedule"]):
        return {**params, "planned": False}
    left_alone = is_auto(params["learning_rate"]) and params["lr_decay"] == 1
    planned = left_alone and n_hidden > 0 and not in_parts and params["update_rule"] in PLANNED_RULES
    return {**params, "lr_schedule": Cosine() if planned else None, "planned": planned}


def resolve_batch_size(params, n_rows):
    """Return parameters with a number in place of 'auto' for `batch_size`."""
    if not is_auto(params["batch_size"]):
        return params
    size = MINIBATCHES if n_rows <= MINIBATCHES else min(max(n_rows // MINIBATCHES, SMALLEST_BATCH), LARGEST_BATCH)
    return {**params, "batch_size": size}


def resolve_reg(reg, n_samples, params, *, n_hidden):
    """Return the strength of the penalty that 'auto' stands for, given the number of samples; others as they are.

    Parameters
    ----------
    reg : float or 'auto'
    n_samples : float
    params : dict
        As `resolve_plan` returns them.
    n_hidden : int
        Hidden layers of the net.
    """
    if not is_auto(reg):
        return reg
    penalizes = params["planned"] and not UPDATE_RULES[params["update_rule"]].decoupled
    if not penalizes:
        return 0.0
    return PENALTY * n_hidden * ACTIVATIONS[params["activation"]].steepest ** 2 / (n_samples + PENALTY_ROWS)


def resolve_lengths(params, n_rows=None):
    """Return parameters with numbers in place of 'auto' for how long to train.

    Parameters
    ----------
    params : dict
        As `resolve_plan` and `resolve_batch_size` return them.
    n_rows : int, default=None
        Rows to train on; None where more are to come.
    """
    single_updates = n_rows is not None and (
        UPDATE_RULES[params["update_rule"]].full_batch or n_rows <= params["batch_size"]
    )
    lengths = {"tol": TOL, **(LENGTHS_OF_SINGLE_UPDATES if single_updates else LENGTHS)}
    if params["planned"]:
        updates_per_epoch = math.ceil(n_rows / params["batch_size"])
        lengths["num_epochs"] = max(PLANNED_EPOCHS, math.ceil(PLANNED_UPDATES / updates_per_epoch))
        lengths["tol"] = TOL if params["early_stopping"] else None
    return {**params, **{name: length for name, length in lengths.items() if is_auto(params[name])}}


def resolve_weight_scale(weight_scale, activation="relu", *, linear=False):
    """Return what 'auto' stands for, given a checked activation; anything else as it is."""
    if is_auto(weight_scale):
        return LINEAR_WEIGHT_SCALE if linear else ACTIVATIONS[activation].weight_scale
    return weight_scale


# --------------------------------------------------------------------- checks


def _int(low):
    return lambda name, value: check_int(name, value, low=low)


def _real(**limits):
    return lambda name, value: check_real(name, value, **limits)


def _choice(*choices, others=None):
    return lambda name, value: check_choice(name, value, choices, others)


def _or_none(check):
    return lambda name, value: None if value is None else check(name, value)


def _or_auto(check):
    return lambda name, value: "auto" if is_auto(value) else check(name, value)


def _check_length(name, value):
    if isinstance(value, str):
        raise ValueError(f"{name} must be an integer of at least 1 or 'auto', got {value!r}.")
    if name == "n_iter_no_change" and isinstance(value, numbers.Real) and math.isinf(value):
        raise ValueError(f"{name} must be finite, got {value}: for no such stop, set tol=None.")
    if isinstance(value, (bool, np.bool_)) or not isinstance(value, numbers.Integral):
        raise TypeError(f"{name} must be an integer of at least 1 or 'auto', got {value!r}.")
    return check_int(name, value, low=1)


# Values that scikit-learn's estimators have for a parameter of this name.
_LEARNING_RATES_BY_NAME = ("constant", "invscaling", "adaptive", "optimal")

# What other libraries call our choices, see `name_here`.
_OTHER_RULES = {"momentum": "sgd_momentum", "lbfgsb": "lbfgs", "nag": "nesterov"}
_OTHER_LOSSES = {
    **dict.fromkeys(["logloss", "crossentropy", "crossentropyloss", "logistic", "deviance"], "softmax"),
    **dict.fromkeys(["categoricalcrossentropy", "sparsecategoricalcrossentropy", "binarycrossentropy"], "softmax"),
    **dict.fromkeys(["svm", "hingeloss", "categoricalhinge", "multimarginloss"], "hinge"),
}
_OTHER_REGRESSION_LOSSES = {
    **dict.fromkeys(["mse", "mseloss", "meansquarederror", "squaredloss", "l2"], "squared_error"),
    **dict.fromkeys(["mae", "maeloss", "meanabsoluteerror", "l1", "l1loss"], "absolute_error"),
    **dict.fromkeys(["huberloss", "smoothl1", "smoothl1loss"], "huber"),
    **dict.fromkeys(["poissonloss", "poissonnllloss", "meanpoissondeviance"], "poisson"),
}


def _check_learning_rate(name, value):
    if isinstance(value, str) or value is None:
        hint = ": schedules are a parameter of their own, lr_schedule" if value in _LEARNING_RATES_BY_NAME else ""
        there = name_here(value, OTHER_NAMES).replace(" here ", " there ") if hint else ""
        raise ValueError(f"{name} must be a number of at least 0 or 'auto', got {value!r}{hint}.{there}")
    return _in_range(LEARNING_RATE)(name, value)


def _check_repeatable(name, value):
    """Return `value` unless it can be read only once: a second read would find it empty."""
    if isinstance(value, Iterator):
        raise TypeError(f"{name} must be a sequence, such as a tuple, got {value!r}.")
    return value


def _in_range(constant):
    """Return the check of a constant's range, with the same error text as the checks of other parameters."""
    high = constant.high if constant.high < math.inf else None
    return _real(low=constant.low, high=high, boundaries=constant.boundaries)


def _check_optim_config(name, value):
    if not (value is None or isinstance(value, Mapping)):
        raise TypeError(f"{name} must be a dict or None, got {value!r}.")
    if value is not None and "learning_rate" in value:
        raise ValueError(f"{name}={value!r} must not hold 'learning_rate': set the parameter learning_rate.")
    return {} if value is None else dict(value)


def _check_dtype(name, value):
    """Return the name of a dtype."""
    try:
        return check_dtype(name, value).name
    except ValueError:
        wanted = "one of 'auto', 'float32', 'float64' or NumPy's types of these names"
        raise ValueError(f"{name} must be {wanted}, got {value!r}.") from None


def _check_class_weight(name, value):
    if isinstance(value, str) and value != "balanced":
        raise ValueError(f"{name} must be a dict, 'balanced' or None, got {value!r}.")
    if not (value is None or isinstance(value, (str, Mapping))):
        raise TypeError(f"{name} must be a dict, 'balanced' or None, got {value!r}.")
    return value


def _check_random_state(name, value):
    if type(value) is int and 0 <= value < 2**32:  # a generator made of it would be thrown away
        return value
    with named(f"{name}={value!r}"):
        check_random_state(value)
    return value


def _check_file(name, value):
    path = os.fspath(value) if isinstance(value, os.PathLike) else value
    if not isinstance(path, str):
        raise TypeError(f"{name} must be the name of a file (str or os.PathLike) or None, got {value!r}.")
    if not path or "\0" in path:
        raise ValueError(f"{name} must be the name of a file, got {value!r}.")
    return str(path)


def _check_verbose(name, value):
    return int(value) if isinstance(value, (bool, np.bool_)) else check_int(name, value, low=0)


# ------------------------------------------------------------------- settings


@dataclass(frozen=True)
class Setting:
    """A parameter of estimators.

    Parameters
    ----------
    name : str
    kind : str
        Its type, as numpydoc has it.
    text : str
        What it is.
    check : callable, default=None
        ``check(name, value)`` returns the value as training takes it, or raises an error that names both. None: the net
        checks it.
    """

    name: str
    kind: str
    text: str
    check: Callable | None = None


def _rates(attribute):
    rates = {name: getattr(rule, attribute) for name, rule in UPDATE_RULES.items() if not rule.full_batch}
    return ", ".join(f"{rate:g} for {name}" for name, rate in rates.items())


def _of_rule(constant):
    """Return the row of an update rule's constant."""
    rules = [repr(name) for name, rule in UPDATE_RULES.items() if constant.name in rule.constants]
    named_rules = " and ".join(filter(None, [", ".join(rules[:-1]), rules[-1]]))
    text = f"Constant of {named_rules}, {number_text(constant.default)} if None; the other rules ignore it."
    if np.dtype(np.float32) in constant.smallest:
        text += f" At least {number_text(constant.smallest[np.dtype(np.float32)])} in float32."
    return Setting(constant.name, constant.kind, text, _or_none(_in_range(constant)))


def _schemes():
    """Return which scheme of first weights is taken for which activations."""
    schemes = {}
    for name, activation in ACTIVATIONS.items():
        schemes.setdefault(activation.weight_scale, []).append(repr(name))
    return " and ".join(f"{scheme!r} for {', '.join(names)}" for scheme, names in schemes.items())


def learning_rate(rates, planned=PLANNED_RATE):
    """Return the row of the learning rate, given what 'auto' takes, and takes where a training is planned."""
    text = (
        f"Step size. 'auto' takes what suits the update rule: {rates}. Where ``lr_schedule='auto'`` plans the training,"
        f" it is {planned:g} over the number of hidden layers. 'lbfgs' has none."
    )
    return Setting("learning_rate", "float or 'auto'", text, _or_auto(_check_learning_rate))


def reg(text):
    """Return the row of the penalty's strength, given which penalty it is."""
    return Setting("reg", "float", text, _real(low=0))


def _auto_reg():
    """Return the row of the penalty's strength where it can be left to a rule."""
    text = (
        "Strength of the L2 penalty ``0.5 * reg * sum(W ** 2)`` over the weights. 'auto', where ``lr_schedule='auto'``"
        f" plans the training: {PENALTY:g} * L / (n + {PENALTY_ROWS:g}) for L hidden layers and n samples to train on"
        " (a row of weight 2 is two, unless some weights are not whole numbers), a 16th of that with 'logistic', whose"
        " slope is a fourth of the others', 0 with 'adamw'; 0 elsewhere."
    )
    return Setting("reg", "float or 'auto'", text, _or_auto(_real(low=0)))


def _other_scores(score):
    """Return what other libraries call a score on the validation set, see `name_here`."""
    names = {"accuracy": ("accuracy", "acc"), "r2": ("r2", "r2score", "score")}[score]
    return [*names, *(f"val{name}" for name in names)]


def _monitor(score, text, words):
    return Setting(
        "monitor",
        f"{{{score!r}, 'loss'}}",
        f"What decides on the validation set which epoch is the best one: its {words}, or its loss without the penalty."
        f" {text} Counts for `early_stopping`, for the weights that are kept, and for 'reduce_on_plateau'.",
        _choice(score, "loss", others={"valloss": "loss", **dict.fromkeys(_other_scores(score), score)}),
    )


RATES, LINEAR_RATES = _rates("auto_rate"), _rates("auto_rate_linear")

SETTINGS = {
    setting.name: setting
    for setting in (
        learning_rate(RATES),
        Setting(
            "lr_decay", "float", "Factor on the learning rate after each epoch.", _real(low=0, boundaries="neither")
        ),
        Setting(
            "lr_schedule",
            "None, 'auto', str or schedule",
            """Factor on the learning rate in the course of training, beside `lr_decay`: an object of
            `sklearn_dl.schedules`, such as ``Cosine(warmup=0.05)``, or the name of one with its defaults. 'cosine',
            'linear' and 'one_cycle' go by updates: they span `num_epochs`, or `num_iters` (training that `tol` ends
            earlier does not see their end), and start again with each `fit`; successive calls of `partial_fit` are the
            epochs of one schedule. 'inverse_scaling' goes by updates, too, but has no end. 'reduce_on_plateau' goes by
            the validation score of each epoch (of every tenth where an epoch is a single update; see `monitor`), or,
            without a validation set, by the training loss. With `warm_start` and in `partial_fit` these two
            continue. 'auto' is 'cosine' where `fit` trains a fully-connected net with hidden layers by 'adam' or
            'adamw', and `learning_rate` and `lr_decay` are left alone: training is then planned, and `learning_rate`,
            `reg`, `num_epochs` and `tol` take other values by 'auto'. It is None elsewhere, and in `partial_fit`, which
            does not know how much will come.""",
            _or_auto(check_schedule),
        ),
        _auto_reg(),
        Setting(
            "num_epochs",
            "int or 'auto'",
            f"Passes over the data, at most: see `tol`. 'auto' is {LENGTHS['num_epochs']}, and"
            f" {LENGTHS_OF_SINGLE_UPDATES['num_epochs']:,} where the training set fits into one minibatch, so that an"
            f" epoch is a single update, and with 'lbfgs'. Where ``lr_schedule='auto'`` plans the training, it is"
            f" {PLANNED_EPOCHS}, or more, so that there are {PLANNED_UPDATES} updates.",
            _or_auto(_check_length),
        ),
        Setting(
            "num_iters",
            "int",
            "An exact number of minibatch updates, in place of `num_epochs`; `tol` then only counts with"
            " `early_stopping`.",
            _or_none(_int(1)),
        ),
        Setting(
            "batch_size",
            "int or 'auto'",
            f"Minibatch size, cut to the number of samples. 'auto' is all of up to {MINIBATCHES} rows, and a"
            f" {MINIBATCHES}th of more, at least {SMALLEST_BATCH} and at most {LARGEST_BATCH}.",
            _or_auto(_int(1)),
        ),
        Setting("shuffle", "bool", "Whether each epoch visits the samples in a fresh random order.", check_bool),
        Setting(
            "update_rule",
            f"{{{', '.join(map(repr, UPDATE_RULES))}}}",
            """Function of `sklearn_dl.optim`, or 'lbfgs': SciPy's L-BFGS on the loss of all samples, for small sets.
            An iteration of it is an epoch of one update. It ends where no element of the gradient is larger than
            `tol`, or the loss hardly falls any more, or, with `early_stopping`, as the others do. It has no use for
            `learning_rate`, `lr_decay`, `batch_size` and `shuffle`, and refuses dropout, batch normalization,
            `augmentation`, `lr_schedule` and `clip_norm`; there is no `partial_fit` with it. 'adamw' takes `reg`
            for its decay: each update multiplies the weights by ``1 - learning_rate * reg``, and the loss has no
            penalty.""",
            lambda name, value: check_choice(name, value, tuple(UPDATE_RULES), _OTHER_RULES),
        ),
        Setting(
            "optim_config",
            "dict",
            "Constants of the update rule, in place of the parameters of their names below: each may be given in one of"
            " the two ways. Here, a constant that the rule does not have is an error.",
            _check_optim_config,
        ),
        *(_of_rule(constant) for constant in RULE_PARAMETERS.values()),
        Setting(
            "clip_norm",
            "float",
            "Gradients of a larger Euclidean norm are scaled to it, those of all parameters as one vector. That of the"
            " penalty is added after: as with PyTorch's ``clip_grad_norm_`` and ``weight_decay``.",
            _or_none(_in_range(CLIP_NORM)),
        ),
        Setting(
            "weight_scale",
            "float, 'he', 'xavier' or 'auto'",
            "Standard deviation of the first weights, or the scheme that gives it: sqrt(2 / fan_in) [He et al. 2015] or"
            f" sqrt(2 / (fan_in + fan_out)) [Glorot & Bengio 2010]. 'auto' is {_schemes()},"
            f" and {LINEAR_WEIGHT_SCALE} without hidden layers.",
            _or_auto(check_weight_scale),
        ),
        Setting(
            "dtype",
            "{'auto', 'float32', 'float64'} or dtype",
            "What to compute in. 'auto': float64 for float64 X, float32 for everything else.",
            _or_auto(_check_dtype),
        ),
        Setting(
            "tol",
            "float or 'auto'",
            """Training ends when the loss (with `early_stopping`: what `monitor` names, on the validation set) has not
            improved by more than `tol` for `n_iter_no_change` epochs in a row. None: never before `num_epochs`.
            `early_stopping` waits at least 50 epochs where an epoch is a single update. 'lbfgs': see `update_rule`.
            'auto' is 1e-4, and None without `early_stopping` where ``lr_schedule='auto'`` plans the training.""",
            _or_none(_or_auto(_real(low=0))),
        ),
        Setting(
            "n_iter_no_change",
            "int or 'auto'",
            f"See `tol`. 'auto' is {LENGTHS['n_iter_no_change']}, and {LENGTHS_OF_SINGLE_UPDATES['n_iter_no_change']}"
            " where an epoch is a single update.",
            _or_auto(_check_length),
        ),
        Setting(
            "early_stopping",
            "bool",
            """Watch a validation set: `X_val` given to `fit`, or else a stratified share `validation_fraction` of the
            training samples, set aside (not stratified where a class has too few; a weight of 2 is two samples where
            the training set fits into one minibatch). With `warm_start`, samples keep their side from fit to fit.
            Whenever there is a validation set, the weights of the best epoch are kept.""",
            check_bool,
        ),
        Setting(
            "validation_fraction",
            "float",
            "Share of the samples set aside for `early_stopping`.",
            _real(low=0, high=1, boundaries="neither"),
        ),
        _monitor("accuracy", "Probabilities overfit before labels do, and only the loss shows it.", "accuracy"),
        Setting(
            "class_weight",
            "dict, 'balanced' or None",
            "Weights of the classes, multiplied into the samples' weights. 'balanced': inversely to their total"
            " weight. Not where a sample has several labels.",
            _check_class_weight,
        ),
        Setting(
            "random_state",
            "int, RandomState instance or None",
            "Draws first weights, order of the samples, dropout masks and the validation set.",
            _check_random_state,
        ),
        Setting(
            "verbose",
            "int",
            """1 shows epoch, loss, accuracies and the time left: as a bar where tqdm is installed (the extra
            ``progress``) and the output is a terminal or a notebook, as a line for each epoch elsewhere and in
            `partial_fit`. Fits in the workers of a parallel search show nothing, from scikit-learn 1.9 on those of any
            search. 2 prints the lines, always, and the loss of every tenth update.""",
            _check_verbose,
        ),
        Setting(
            "warm_start",
            "bool",
            "Whether `fit` continues from the weights, the update rule's state and the random state of the last one.",
            check_bool,
        ),
        Setting(
            "checkpoint",
            "str or path",
            """A file that `fit` replaces after each epoch, and goes on from where it exists already: with the same
            parameters and data, to the same bits as without the interruption ('lbfgs': from the same weights); with
            others, it is an error. `verbose`, `checkpoint_interval` and `warm_start` may be others, and `num_epochs`
            and `num_iters` larger where no schedule depends on them, and `num_iters` has not ended training within an
            epoch. When training has ended the file stays, and the same fit gives the trained net at once. A write that
            fails is warned of, and training goes on. `partial_fit` neither reads nor writes it.""",
            _or_none(_check_file),
        ),
        Setting(
            "checkpoint_interval",
            "float",
            "Seconds that pass at least from one write of `checkpoint` to the next, but for the last one; 0 writes"
            " after each epoch.",
            _real(low=0),
        ),
        # Of some estimators.
        Setting(
            "loss",
            "{'softmax', 'hinge'}",
            """What is trained for: 'softmax' is the cross-entropy of the classes' probabilities (of several labels,
            that of the logistic function of each score), 'hinge' the multiclass hinge loss, without probabilities:
            there is no `predict_proba` then. See `sklearn_dl.losses`.""",
            _choice("softmax", "hinge", others=_OTHER_LOSSES),
        ),
        Setting(
            "label_smoothing",
            "float in [0, 1)",
            """Share of each label that goes to all classes alike [Szegedy et al. 2016], which keeps probabilities from
            extremes. Of several labels, half of it goes to the label that is not. With ``loss='softmax'`` only.""",
            _real(low=0, high=1, boundaries="left"),
        ),
        Setting(
            "delta",
            "float",
            "With ``loss='huber'``, how far from the target the square ends, in standard deviations of y (`y_scale_`).",
            _real(low=0, boundaries="neither"),
        ),
        Setting("hidden_dim", "int", "Units of the hidden layer.", _int(1)),
        Setting(
            "hidden_dims",
            "int or sequence of int",
            "Units of the L hidden layers; an int is one layer. Empty for none.",
            _check_repeatable,
        ),
        Setting(
            "activation",
            f"{{{', '.join(map(repr, ACTIVATIONS))}}}",
            "Function of `sklearn_dl.layers` after each hidden layer.",
            check_activation,
        ),
        Setting(
            "normalization",
            "None, 'batchnorm' or 'layernorm'",
            "Normalization before each activation. With batch normalization, weights of the samples count in the batch"
            " statistics.",
        ),
        Setting(
            "dropout_keep_ratio",
            "float in (0, 1]",
            "Probability that dropout, after each activation, keeps a value; 1 is no dropout.",
        ),
        Setting(
            "augmentation",
            "None, 'flip', 'crop', 'cutout', augmentation or sequence of these",
            "Random changes to the images of each minibatch in training, in this order: objects of"
            " `sklearn_dl.augmentation`, such as ``RandomCrop(padding=2)``, or names of them with their defaults.",
            check_augmentation,
        ),
        Setting("input_shape", "tuple (C, H, W)", "Shape of one image; see above.", _check_repeatable),
        Setting("num_filters", "int", "Number of filters of the convolution."),
        Setting("filter_size", "int", "Their height and width; odd."),
    )
}


# What regressors have in place of the rows of the same names.
REGRESSION_LOSS = Setting(
    "loss",
    "{'squared_error', 'absolute_error', 'huber', 'poisson'}",
    """What is trained for: 'squared_error' for the mean of y, 'absolute_error' for its median, 'huber' for a mean that
    outliers hardly move, 'poisson' for the mean of counts and other numbers of at least 0, of which scores are the
    logarithms. See `sklearn_dl.losses`.""",
    _choice("squared_error", "absolute_error", "huber", "poisson", others=_OTHER_REGRESSION_LOSSES),
)
REGRESSION_SETTINGS = {
    setting.name: setting
    for setting in (
        REGRESSION_LOSS,
        _monitor("r2", "The loss is what is trained for; with 'squared_error', both decide alike.", "R²"),
        Setting(
            "early_stopping",
            "bool",
            """Watch a validation set: `X_val` given to `fit`, or else a share `validation_fraction` of the training
            samples, set aside (a weight of 2 is two samples where the training set fits into one minibatch). With
            `warm_start`, samples keep their side from fit to fit. Whenever there is a validation set, the weights of
            the best epoch are kept.""",
            check_bool,
        ),
        Setting(
            "tol",
            "float or 'auto'",
            """Training ends when the loss (with `early_stopping`: what `monitor` names, on the validation set) has not
            improved by more than `tol` for `n_iter_no_change` epochs in a row; the loss is that of y over its scale.
            None: never before `num_epochs`. `early_stopping` waits at least 50 epochs where an epoch is a single
            update. 'lbfgs': see `update_rule`. 'auto' is 1e-4, and None without `early_stopping` where
            ``lr_schedule='auto'`` plans the training.""",
            _or_none(_or_auto(_real(low=0))),
        ),
    )
}


# ------------------------------------------------------------------ docstrings

CLASSIFIER_ATTRIBUTES = """\
    classes_ : ndarray of shape (n_classes,)
        The labels; where a sample has any number of them, those of the columns of y, from 0."""

REGRESSOR_ATTRIBUTES = """\
    y_mean_, y_scale_ : ndarray of shape (n_outputs,)
        Mean and standard deviation of each output of y, which the net is trained on less the one and over the other.
        With ``loss='poisson'`` 0 and the mean. The scale of an output that does not vary is 0 (1 with `warm_start` and
        after `partial_fit`, there also that of counts which are all zero)."""

_ATTRIBUTES = """\
    n_features_in_ : int
        Number of features; C * H * W for images.
    feature_names_in_ : ndarray of str
        Names of the features, where X is a data frame with string names.
    params_ : dict of str to ndarray
        The learned parameters: W1, b1, ….
    running_stats_ : dict of str to ndarray
        Running statistics of batch normalization; empty without it.
    loss_history_ : list of float
        Loss of each update's minibatch, penalty included. As all histories, it grows in place when training continues.
    learning_rate_history_ : list of float
        Learning rate of each update; nan with 'lbfgs'.
    train_{short}_history_ : list of float
        {Words} before training and after each epoch, on up to 1,000 training samples.
    val_{short}_history_ : list of float
        The same on the validation set; empty without one.
    history_ : dict of str to list
        A row for each epoch, ready for ``pandas.DataFrame(net.history_)``: ``epoch`` (from 1), ``loss`` (mean over its
        updates), ``train_{score}``, ``val_{score}`` and ``val_loss`` (nan without a validation set; without the
        penalty), ``learning_rate``, ``seconds``.
    n_iter_ : int
        Epochs done, those of earlier fits and partial fits that this one continued included.
    best_val_score_ : float or None
        The validation {words} of the best epoch; None without a validation set.
    best_epoch_ : int or None
        The epoch whose weights were kept, 0 for those before training; None without a validation set.
    stop_reason_ : str or None
        Why training ended: 'num_epochs', 'num_iters', 'no_improvement' (see `tol`), 'converged' ('lbfgs' by `tol`),
        'stopped' (by a callback) or 'interrupted' (by Ctrl-C). None after `partial_fit`."""


def documented(*rows, attributes="", regressor=False):
    """Return a class decorator that gives an estimator its settings, and fills them and attributes into its docstring.

    Parameters
    ----------
    rows : Setting
        In place of those of `SETTINGS`, where they mean something else in this class.
    attributes : str
        Those that not all estimators have.
    regressor : bool
        Whether it is one, and no classifier.
    """
    rows = {**SETTINGS, **(REGRESSION_SETTINGS if regressor else {}), **{row.name: row for row in rows}}
    score, short, words = ("r2", "r2", "R²") if regressor else ("accuracy", "acc", "accuracy")
    common = _ATTRIBUTES.format(score=score, short=short, words=words, Words=words.capitalize())
    own = REGRESSOR_ATTRIBUTES if regressor else CLASSIFIER_ATTRIBUTES

    def fill(cls):
        cls._settings = rows
        if cls.__doc__ is None:  # python -OO
            return cls
        parameters = inspect.signature(cls).parameters
        sections = {
            "parameters": "\n".join(_entry(rows[name], value.default) for name, value in parameters.items()),
            "attributes": textwrap.dedent(
                "\n".join(filter(None, [own, common, history_attributes(score, words), attributes]))
            ),
        }
        # Python 3.13 strips a docstring's indentation, earlier versions keep it.
        cls.__doc__ = inspect.cleandoc(cls.__doc__)
        for name, text in sections.items():
            cls.__doc__ = cls.__doc__.replace(f"{{{name}}}", text)
        return cls

    return fill


def _entry(row, default):
    """Return what numpydoc wants of a parameter."""
    wrapped = textwrap.wrap(" ".join(row.text.split()), 116, break_long_words=False, break_on_hyphens=False)
    return "\n    ".join([f"{row.name} : {row.kind}, default={default!r}", *wrapped])


# ----------------------------------------------------------------- the checks


def check_parameters(estimator):
    """Return an estimator's parameters by name, as training takes them; the net checks its own.

    The constants of the update rule are not among them: their ranges depend on the dtype, see `check_rule`.
    """
    params = {
        name: setting.check(name, getattr(estimator, name))
        for name, setting in estimator._settings.items()
        if setting.check is not None and hasattr(estimator, name)
    }
    params.setdefault("augmentation", ())
    check_rule(estimator)
    return params


def check_rule(estimator, dtype=None, *, planned=False):
    """Return the constants of an estimator's update rule, its learning rate among them.

    Parameters
    ----------
    estimator : object
    dtype : dtype, default=None
        What the net computes in; None where that is not known yet.
    planned : bool, default=False
        Whether 'auto' took a schedule; it then takes another learning rate, too.

    Raises
    ------
    TypeError, ValueError
        If one is out of range, given twice, or not of this rule. The message calls it what the user does.
    """
    rule = UPDATE_RULES[estimator.update_rule]
    config = _check_optim_config("optim_config", estimator.optim_config)
    given = {name: getattr(estimator, name) for name in RULE_PARAMETERS if getattr(estimator, name) is not None}
    twice = next((name for name in given if name in config), None)
    if twice is not None:
        raise ValueError(
            f"{twice}={given[twice]!r} is also given as optim_config[{twice!r}]={config[twice]!r}: leave out one."
        )
    own = {name: value for name, value in given.items() if name in rule.constants}
    if not rule.full_batch:
        rate = estimator.learning_rate
        if isinstance(rate, str) and planned:
            rate = estimator._planned_rate / estimator._n_hidden()
        elif isinstance(rate, str):
            rate = rule.auto_rate_linear if estimator._is_linear() else rule.auto_rate
        own["learning_rate"] = rate
    return rule.check({**config, **own}, lambda name: name if name in own else in_optim_config(name), dtype)
