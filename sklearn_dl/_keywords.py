"""Errors for keyword arguments that other libraries have: they say what is to be used here."""

import difflib
import functools
import inspect

# What other libraries call a parameter of the estimators. Of several names, the one that the estimator has is meant.
_ALIASES = {
    "num_epochs": ["epochs", "nb_epoch", "n_epochs", "max_epochs", "max_iter", "num_boost_round"],
    "num_iters": ["steps_per_epoch", "n_iter", "num_steps", "max_steps"],
    "learning_rate": ["lr", "learning_rate_init", "eta"],
    "lr_schedule": ["scheduler", "lr_scheduler"],
    "update_rule": ["optimizer", "solver", "optim"],
    "reg": ["alpha", "l2", "weight_decay"],
    "hidden_dims": ["hidden_layer_sizes", "hidden_units"],
    "hidden_dim": ["hidden_layer_sizes", "hidden_units", "hidden_size"],
    "n_iter_no_change": ["early_stopping_rounds", "patience"],
    "random_state": ["seed", "random_seed"],
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


def _advice(estimator, method, name):
    """Return a sentence on what `name` may have meant."""
    if method not in ("fit", "partial_fit") and name in _PREDICTION_ADVICE:
        return _PREDICTION_ADVICE[name]
    cls, parameters = type(estimator).__name__, estimator.get_params(deep=False)
    for ours in (name, *(ours for ours, aliases in _ALIASES.items() if name in aliases)):
        if ours in parameters:
            return f"Set {ours} on the estimator: {cls}({ours}=...), or set_params({ours}=...)."
    if name in _ADVICE:
        return _ADVICE[name]
    for other in ("fit", "partial_fit"):
        if other != method and name in _arguments(estimator, other):
            return f"It is an argument of {other}."
    similar = difflib.get_close_matches(name, _arguments(estimator, method), 1)
    return f"Did you mean {similar[0]}?" if similar else "There is no similar argument."


def _arguments(estimator, method):
    return inspect.signature(getattr(estimator, method)).parameters
