"""Errors for parameters and keyword arguments that other libraries have: they say what is to be used here."""

import difflib
import functools
import inspect

# What other libraries call a parameter of the estimators. If several list a name, the one that the estimator has is
# meant.
_ALIASES = {
    "num_epochs": ["epochs", "nb_epoch", "n_epochs", "max_epochs", "max_iter", "n_estimators", "num_boost_round"],
    "num_iters": ["steps_per_epoch", "n_iter", "num_steps", "max_steps"],
    "learning_rate": ["lr", "learning_rate_init", "eta"],
    "lr_schedule": ["scheduler", "lr_scheduler"],
    "update_rule": ["optimizer", "solver", "optim"],
    "reg": ["alpha", "l2", "weight_decay"],
    "activation": ["act", "activation_fn", "activation_function", "hidden_activation", "nonlinearity"],
    "hidden_dims": ["hidden_layer_sizes", "hidden_units"],
    "hidden_dim": ["hidden_layer_sizes", "hidden_units", "hidden_size"],
    "n_iter_no_change": ["early_stopping_rounds", "patience"],
    "random_state": ["seed", "random_seed"],
    "dropout_keep_ratio": ["dropout", "dropout_rate", "drop_rate"],
    "beta1": ["beta_1"],
    "beta2": ["beta_2"],
    "epsilon": ["eps"],
    "normalization": ["batch_norm", "batch_normalization", "use_batchnorm", "layer_norm"],
    "monitor": ["eval_metric", "metric"],
    "validation_fraction": ["validation_split", "train_split"],
    "verbose": ["verbosity", "verbose_eval", "silent"],
    "class_weight": ["class_weights", "is_unbalance"],
    "weight_scale": ["kernel_initializer", "initializer", "init"],
    "augmentation": ["transforms", "data_augmentation"],
    "num_filters": ["filters", "out_channels"],
    "filter_size": ["kernel_size"],
    "warm_start": ["initial_epoch", "init_model", "xgb_model"],
}

_VALIDATION_SETS = [
    *("validation_data", "validation_set", "validation", "val_data", "val_set", "valid_data", "valid_sets"),
    *(
        "eval_set",
        "eval_data",
        "evals",
        "X_valid",
        "y_valid",
        "x_val",
        "x_valid",
        "X_eval",
        "y_eval",
        "X_test",
        "y_test",
    ),
]
_ADVICE = {
    **dict.fromkeys(_VALIDATION_SETS, "Give the validation set to fit as X_val and y_val."),
    "validation_split": "Set early_stopping=True and validation_fraction on the estimator, or give X_val and y_val.",
    **dict.fromkeys(["sample_weights", "weights", "weight"], "Give the weights of the samples as sample_weight."),
    **dict.fromkeys(
        ["eval_sample_weight", "sample_weight_eval_set", "validation_sample_weight"],
        "Give the weights of the validation samples to fit as sample_weight_val.",
    ),
    "callbacks": "Set callbacks before, with set_callbacks (scikit-learn 1.9 and later).",
}
# How a parameter differs from its counterpart here.
_MEANINGS = {
    "alpha": "It multiplies half the sum of the squared weights, not divided by the size of the minibatch.",
    **dict.fromkeys(["dropout", "dropout_rate", "drop_rate"], "It is the probability to keep a value, not to drop it."),
    "validation_split": "It counts with early_stopping=True.",
    "train_split": "It counts with early_stopping=True.",
}
# Parameters without a counterpart.
_PARAMETER_ADVICE = {
    **_ADVICE,
    "n_jobs": "It runs on as many threads as OMP_NUM_THREADS or threadpoolctl allow.",
    **dict.fromkeys(["device", "gpu", "gpu_id"], "It runs on the CPU."),
    **dict.fromkeys(
        ["nesterovs_momentum", "nesterov"], "Set update_rule='nesterov', or 'sgd_momentum' for plain momentum."
    ),
    "power_t": "Set lr_schedule=InverseScaling(power=...), from sklearn_dl.schedules.",
    "max_fun": "With update_rule='lbfgs', num_epochs is the limit, of iterations.",
}
_PREDICTION_ADVICE = dict.fromkeys(
    ["batch_size", "verbose", "steps", "num_workers"], "X may be of any length: it is taken in batches of bounded size."
)


def explain_keywords(method):
    """Decorate a method of an estimator: a keyword argument that it does not have is a TypeError that says what to do.

    The signature stays as it is, for `inspect` and for scikit-learn's metadata routing.
    """
    accepted = [name for name in inspect.signature(method).parameters if name != "self"]

    by_position = [
        name
        for name, parameter in inspect.signature(method).parameters.items()
        if name != "self" and parameter.kind is parameter.POSITIONAL_OR_KEYWORD
    ]

    def too_many(estimator, given):
        called = f"{type(estimator).__name__}.{method.__name__}()"
        by_name = [name for name in accepted if name not in by_position]
        advice = f" Give {', '.join(by_name)} by name." if by_name else ""
        return TypeError(
            f"{called} takes {', '.join(by_position)} by position, but {given} arguments were given.{advice}"
        )

    def error(estimator, unknown):
        name = next(name for name in unknown if name not in accepted)
        called = f"{type(estimator).__name__}.{method.__name__}()"
        advice = _advice(estimator, method.__name__, name)
        return TypeError(
            f"{called} got an unexpected keyword argument {name!r}. {advice} {called} takes {', '.join(accepted)}."
        )

    if accepted == ["X"]:  # a prediction of one row takes a hundred times as long as this call

        @functools.wraps(method)
        def wrapped(self, X, **unknown):
            if unknown:
                raise error(self, unknown)
            return method(self, X)

    else:

        @functools.wraps(method)
        def wrapped(self, *args, **kwargs):
            if not kwargs.keys() <= known:
                raise error(self, kwargs)
            if len(args) > len(by_position):
                raise too_many(self, len(args))
            return method(self, *args, **kwargs)

    known = set(accepted)
    return wrapped


def explain_parameters(init):
    """Decorate the constructor of an estimator: a parameter that it does not have is a TypeError that says what to set.

    The signature stays as it is, for scikit-learn's `get_params`.
    """
    parameters = inspect.signature(init).parameters
    if any(parameter.kind is parameter.VAR_KEYWORD for parameter in parameters.values()):
        return init

    by_name = all(parameter.kind is parameter.KEYWORD_ONLY for parameter in list(parameters.values())[1:])

    @functools.wraps(init)
    def wrapped(self, *args, **kwargs):
        if args and by_name:
            first = next(name for name in parameters if name != "self")
            called = type(self).__name__
            raise TypeError(f"{called}() takes its parameters by name, as in {called}({first}={args[0]!r}).")
        unknown = next((name for name in kwargs if name not in parameters), None)
        if unknown is not None:
            raise TypeError(
                f"{type(self).__name__}() got an unexpected keyword argument {unknown!r}."
                f" {_parameter_advice(list(parameters), unknown)}"
            )
        init(self, *args, **kwargs)

    return wrapped


def explain_set_params(set_params):
    """Decorate `set_params`: the error for a parameter that the estimator does not have says what to set."""

    @functools.wraps(set_params)
    def wrapped(self, **params):
        known = self.get_params(deep=False)
        unknown = next((name for name in params if "__" not in name and name not in known), None)
        try:
            return set_params(self, **params)
        except ValueError as error:
            if unknown is None:
                raise
            raise ValueError(f"{error} {_parameter_advice(list(known), unknown)}") from None

    return wrapped


def _parameter_advice(parameters, name):
    """Return a sentence on what a parameter `name`, which is not among `parameters`, may have meant."""
    for ours in _counterparts(name):
        if ours in parameters:
            return " ".join(filter(None, [f"Its counterpart here is {ours}.", _MEANINGS.get(name)]))
    if name in _PARAMETER_ADVICE:
        return _PARAMETER_ADVICE[name]
    similar = difflib.get_close_matches(name, parameters, 1)
    return f"Did you mean {similar[0]}?" if similar else "There is no similar parameter."


def _counterparts(name):
    return [ours for ours, theirs in _ALIASES.items() if name in theirs]


def _advice(estimator, method, name):
    """Return a sentence on what `name` may have meant."""
    if method not in ("fit", "partial_fit") and name in _PREDICTION_ADVICE:
        return _PREDICTION_ADVICE[name]
    cls, parameters = type(estimator).__name__, estimator.get_params(deep=False)
    if name in _ADVICE:
        return _ADVICE[name]
    for ours in (name, *_counterparts(name)):
        if ours in parameters:
            return f"Set {ours} on the estimator: {cls}({ours}=...), or set_params({ours}=...)."
    for other in ("fit", "partial_fit"):
        if other != method and name in _arguments(estimator, other):
            return f"It is an argument of {other}."
    similar = difflib.get_close_matches(name, _arguments(estimator, method), 1)
    return f"Did you mean {similar[0]}?" if similar else "There is no similar argument."


def _arguments(estimator, method):
    return inspect.signature(getattr(estimator, method)).parameters
