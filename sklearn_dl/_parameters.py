"""The estimators' parameters: what they mean (docstrings), and the check of those of training."""

import inspect
import textwrap

from sklearn.utils import check_random_state

from sklearn_dl._checks import DTYPES, check_bool, check_choice, check_int, check_real
from sklearn_dl._inputs import named
from sklearn_dl.augmentation import check_augmentation
from sklearn_dl.schedules import check_schedule
from sklearn_dl.solver import MONITORS, UPDATE_RULES

SHARED_PARAMETERS = """\
    learning_rate : float or 'auto', default='auto'
        Step size. 'auto' takes what suits the update rule: {learning_rates}.
    lr_decay : float, default=1.0
        Factor on the learning rate after each epoch.
    lr_schedule : None, 'cosine', 'linear', 'one_cycle', 'reduce_on_plateau' or schedule, default=None
        Factor on the learning rate in the course of training, beside `lr_decay`: an object of `sklearn_dl.schedules`,
        such as ``Cosine(warmup=0.05)``, or the name of one with its defaults. 'cosine', 'linear' and 'one_cycle' go
        by updates: they span `num_epochs`, or `num_iters` (training that `tol` ends earlier does not see their end),
        and start anew with each `fit`; successive calls of `partial_fit` are the epochs of one schedule.
        'reduce_on_plateau' goes by the validation accuracy of each epoch, or, without a validation set, by the training
        loss; with `warm_start` and in `partial_fit` it goes on.
    reg : float, default={reg}
        {reg_text}
    num_epochs : int, default={num_epochs}
        Passes over the data, at most: see `tol`.
    num_iters : int, default=None
        An exact number of minibatch updates, in place of `num_epochs`; `tol` then only counts with `early_stopping`.
    batch_size : int, default=64
        Minibatch size, cut to the number of samples.
    shuffle : bool, default=True
        Whether each epoch visits the samples in a fresh random order.
    update_rule : {{'sgd', 'sgd_momentum', 'adagrad', 'rmsprop', 'adam'}}, default='{update_rule}'
        Function of `sklearn_dl.optim`.
    optim_config : dict, default=None
        Its other constants: ``momentum`` (sgd_momentum), ``epsilon`` (adagrad, rmsprop, adam), ``decay_rate``
        (rmsprop), ``beta1``, ``beta2`` (adam). Each is a parameter of its own, too, to be given in one of the two ways.
        Here, a constant that the rule does not have is an error.
    momentum : float in [0, 1], default=None
        Constant of 'sgd_momentum', 0.9 if None; the other rules ignore it.
    decay_rate : float in [0, 1], default=None
        Constant of 'rmsprop', 0.99 if None; the other rules ignore it.
    beta1 : float in [0, 1), default=None
        Constant of 'adam', 0.9 if None; the other rules ignore it.
    beta2 : float in [0, 1), default=None
        Constant of 'adam', 0.999 if None; the other rules ignore it.
    epsilon : float above 0, default=None
        Constant of 'adagrad', 'rmsprop' and 'adam', 1e-8 if None; the other rules ignore it.
    weight_scale : float, 'he' or 'xavier', default={weight_scale}
        Standard deviation of the first weights, or the scheme that gives it: sqrt(2 / fan_in) [He et al. 2015] or
        sqrt(2 / (fan_in + fan_out)) [Glorot & Bengio 2010].
    dtype : {{'auto', 'float32', 'float64'}}, default='auto'
        What to compute in. 'auto': float64 for float64 X, float32 for everything else.
    tol : float, default=1e-4
        Training ends when the loss (with `early_stopping`: what `monitor` names, on the validation set) has not
        improved by more than `tol` for `n_iter_no_change` epochs in a row. None: never before `num_epochs`.
        `early_stopping` waits at least 50 epochs where an epoch is a single update.
    n_iter_no_change : int, default=10
        See `tol`.
    early_stopping : bool, default=False
        Watch a validation set: `X_val` given to `fit`, or else a stratified share `validation_fraction` of the training
        samples, set aside (not stratified where a class has too few; a weight of 2 is two samples where the training
        set fits into one minibatch). Whenever there is a validation set, the weights of the best epoch are kept.
    validation_fraction : float, default=0.1
        Share of the samples set aside for `early_stopping`.
    monitor : {{'accuracy', 'loss'}}, default='accuracy'
        What decides on the validation set which epoch is the best one: its accuracy, or its loss without the penalty.
        Probabilities overfit before labels do, and only the loss shows it. Counts for `early_stopping`, for the weights
        that are kept, and for 'reduce_on_plateau'.
    class_weight : dict, 'balanced' or None, default=None
        Weights of the classes, multiplied into the samples' weights. 'balanced': inversely to their total weight.
    random_state : int, RandomState instance or None, default=None
        Draws first weights, order of the samples, dropout masks and the validation set.
    verbose : int, default=0
        1 shows epoch, loss, accuracies and the time left: as a bar where tqdm is installed (the extra ``progress``) and
        the output is a terminal or a notebook, as a line for each epoch elsewhere and in `partial_fit`. Fits in the
        workers of a parallel search show nothing, from scikit-learn 1.9 on those of any search. 2 prints the lines,
        always, and the loss of every tenth update.
    warm_start : bool, default=False
        Whether `fit` goes on from the weights, the update rule's state and the random state of the last one."""

SHARED_ATTRIBUTES = """\
    classes_ : ndarray of shape (n_classes,)
        The labels.
    n_features_in_ : int
        Number of features; C * H * W for images.
    feature_names_in_ : ndarray of str
        Names of the features, where X is a data frame with string names.
    params_ : dict of str to ndarray
        The learned parameters: W1, b1, ….
    running_stats_ : dict of str to ndarray
        Running statistics of batch normalization; empty without it.
    loss_history_ : list of float
        Loss of each update's minibatch, penalty included.
    learning_rate_history_ : list of float
        Learning rate of each update.
    train_acc_history_ : list of float
        Accuracy before training and after each epoch, on up to 1,000 training samples.
    val_acc_history_ : list of float
        The same on the validation set; empty without one.
    history_ : dict of str to list
        A row for each epoch, ready for ``pandas.DataFrame(net.history_)``: ``epoch`` (from 1), ``loss`` (mean over its
        updates), ``train_accuracy``, ``val_accuracy`` and ``val_loss`` (nan without a validation set; without the
        penalty), ``learning_rate``, ``seconds``.
    n_iter_ : int
        Epochs done, those of earlier fits and partial fits that this one continued included.
    best_val_score_ : float or None
        The validation accuracy of the best epoch; None without a validation set.
    best_epoch_ : int or None
        The epoch whose weights were kept, 0 for those before training; None without a validation set.
    stop_reason_ : str or None
        Why training ended: 'num_epochs', 'num_iters', 'no_improvement' (see `tol`), 'stopped' (by a callback) or
        'interrupted' (by Ctrl-C). None after `partial_fit`."""

REG_TEXT = "Strength of the L2 penalty ``0.5 * reg * sum(W ** 2)`` over the weights."


# The learning rates of 'auto' where there are hidden layers.
LEARNING_RATES = {"sgd": 0.1, "sgd_momentum": 0.02, "adagrad": 0.02, "rmsprop": 1e-3, "adam": 2e-3}

# The ranges of the update rules' constants.
_UP_TO_ONE = {"low": 0, "high": 1, "boundaries": "both"}
_BELOW_ONE = {"low": 0, "high": 1, "boundaries": "left"}
CONSTANTS = {
    "momentum": _UP_TO_ONE,
    "decay_rate": _UP_TO_ONE,
    "beta1": _BELOW_ONE,
    "beta2": _BELOW_ONE,
    "epsilon": {"low": 0, "boundaries": "neither"},
}


def shared_docs(*, hidden_parameters="", **defaults):
    """Fill the parameters and attributes that estimators share into a class's docstring."""
    defaults = {
        "reg": 0.0,
        "reg_text": REG_TEXT,
        "update_rule": "adam",
        "num_epochs": 100,
        "learning_rates": LEARNING_RATES,
        **defaults,
    }
    defaults["learning_rates"] = ", ".join(f"{rate:g} for {rule}" for rule, rate in defaults["learning_rates"].items())
    sections = {
        "shared_parameters": SHARED_PARAMETERS.format(**defaults),
        "hidden_parameters": hidden_parameters,
        "shared_attributes": SHARED_ATTRIBUTES,
    }

    def fill(cls):
        if cls.__doc__ is None:  # python -OO
            return cls
        # Python 3.13 strips a docstring's indentation, earlier versions keep it.
        cls.__doc__ = inspect.cleandoc(cls.__doc__)
        for name, text in sections.items():
            cls.__doc__ = cls.__doc__.replace(f"{{{name}}}", textwrap.dedent(text))
        return cls

    return fill


def check_parameters(estimator):
    """Return the parameters of training, checked; the net checks its own."""
    optim_config = {} if estimator.optim_config is None else estimator.optim_config
    if not isinstance(optim_config, dict):
        raise TypeError(f"optim_config must be a dict or None, got {optim_config!r}.")
    check_choice("update_rule", estimator.update_rule, tuple(UPDATE_RULES))
    if "learning_rate" in optim_config:
        raise ValueError(
            f"optim_config={optim_config!r} must not hold 'learning_rate': set the parameter learning_rate."
        )
    optim_config = {**optim_config, **_check_constants(estimator, optim_config)}
    learning_rate = estimator.learning_rate
    if isinstance(learning_rate, str) and learning_rate == "auto":
        learning_rate = estimator._learning_rates[estimator.update_rule]
    elif isinstance(learning_rate, str) or learning_rate is None:
        raise ValueError(f"learning_rate must be a number of at least 0 or 'auto', got {learning_rate!r}.")
    learning_rate = check_real("learning_rate", learning_rate, low=0)
    check_real("reg", estimator.reg, low=0)
    with named(f"random_state={estimator.random_state!r}"):
        check_random_state(estimator.random_state)
    check_choice("dtype", estimator.dtype, ("auto", *DTYPES))
    if isinstance(estimator.class_weight, str) and estimator.class_weight != "balanced":
        raise ValueError(f"class_weight must be a dict, 'balanced' or None, got {estimator.class_weight!r}.")
    if not (estimator.class_weight is None or isinstance(estimator.class_weight, (str, dict))):
        raise TypeError(f"class_weight must be a dict, 'balanced' or None, got {estimator.class_weight!r}.")
    return {
        "optim_config": {"learning_rate": learning_rate, **optim_config},
        "update_rule": estimator.update_rule,
        "dtype": estimator.dtype,
        "lr_decay": check_real("lr_decay", estimator.lr_decay, low=0, boundaries="neither"),
        "lr_schedule": check_schedule("lr_schedule", estimator.lr_schedule),
        "augmentation": check_augmentation("augmentation", getattr(estimator, "augmentation", None)),
        "num_epochs": check_int("num_epochs", estimator.num_epochs, low=1),
        "num_iters": None if estimator.num_iters is None else check_int("num_iters", estimator.num_iters, low=1),
        "batch_size": check_int("batch_size", estimator.batch_size, low=1),
        "shuffle": check_bool("shuffle", estimator.shuffle),
        "tol": None if estimator.tol is None else check_real("tol", estimator.tol, low=0),
        "n_iter_no_change": check_int("n_iter_no_change", estimator.n_iter_no_change, low=1),
        "early_stopping": check_bool("early_stopping", estimator.early_stopping),
        "validation_fraction": check_real(
            "validation_fraction",
            estimator.validation_fraction,
            low=0,
            high=1,
            boundaries="neither",
        ),
        "monitor": check_choice("monitor", estimator.monitor, MONITORS),
        "verbose": int(estimator.verbose)
        if isinstance(estimator.verbose, bool)
        else check_int("verbose", estimator.verbose, low=0),
        "warm_start": check_bool("warm_start", estimator.warm_start),
    }


def _check_constants(estimator, optim_config):
    """Return the update rule's constants that are parameters; those of other rules are checked and left out."""
    given = {name: getattr(estimator, name) for name in CONSTANTS if getattr(estimator, name) is not None}
    for name, value in given.items():
        check_real(name, value, **CONSTANTS[name])
        if name in optim_config:
            raise ValueError(
                f"{name}={value!r} is also given as optim_config[{name!r}]={optim_config[name]!r}: leave out one."
            )
    return {name: value for name, value in given.items() if name in UPDATE_RULES[estimator.update_rule]}
