"""Keyword arguments of other libraries: a TypeError that says what is meant here, and nothing else changes."""

import inspect
import re
import traceback

import numpy as np
import pytest
import sklearn
from sklearn.metrics import accuracy_score, r2_score
from sklearn.model_selection import GridSearchCV
from sklearn.pipeline import Pipeline
from sklearn.preprocessing import StandardScaler

from sklearn_dl import FullyConnectedNet, FullyConnectedRegressor, Softmax, ThreeLayerConvNet, TwoLayerNet

from ._estimators import ESTIMATORS, EVERY, assert_same, blobs, each_of_all, methods_of, small

X, y = blobs(30)
ARGUMENTS = {"fit": (X, y), "partial_fit": (X, y), "score": (X, y)}
PREDICTIONS = ["predict", "predict_proba", "predict_log_proba", "decision_function"]
SAID = {
    # Keras
    "validation_data": "X_val and y_val",
    "validation_split": "early_stopping=True and validation_fraction on the estimator, or give X_val and y_val",
    "epochs": r"num_epochs on the estimator: \w+\(num_epochs=",
    "callbacks": "set_callbacks",
    "initial_epoch": "Set warm_start",
    "steps_per_epoch": "Set num_iters",
    # XGBoost, LightGBM, CatBoost
    "eval_set": "X_val and y_val",
    "evals": "X_val and y_val",
    "early_stopping_rounds": "Set n_iter_no_change",
    "sample_weight_eval_set": "sample_weight_val",
    # PyTorch, skorch, MLPClassifier
    "lr": "Set learning_rate",
    "optimizer": "Set update_rule",
    "weight_decay": "Set reg",
    "max_epochs": "Set num_epochs",
    "max_iter": "Set num_epochs",
    # Parameters of ours
    "batch_size": r"batch_size on the estimator: \w+\(batch_size=\.\.\.\), or set_params\(batch_size=",
    "verbose": "Set verbose",
    "random_state": "Set random_state",
    # Slips
    "sample_weights": "as sample_weight",
    "sample_weihgt": r"Did you mean sample_weight\?",
    "nonsense": "no similar argument",
}


@each_of_all
@pytest.mark.parametrize("name", SAID)
@pytest.mark.parametrize("method", ["fit", "partial_fit"])
def test_training(cls, method, name):
    message = rf"^{cls.__name__}\.{method}\(\) got an unexpected keyword argument '{name}'\. .*{SAID[name]}"
    with pytest.raises(TypeError, match=message) as caught:
        getattr(small(cls), method)(X, y, **{name: 1})
    takes = [parameter for parameter in inspect.signature(getattr(cls, method)).parameters if parameter != "self"]
    assert str(caught.value).endswith(f" takes {', '.join(takes)}.")


@pytest.mark.parametrize(("cls", "method"), [(cls, method) for cls in EVERY for method in [*methods_of(cls), "score"]])
def test_prediction(cls, method):
    net = small(cls).fit(X, y)
    call = getattr(net, method)
    for name, said in {
        "batch_size": "batches of bounded size",
        "verbose": "batches",
        "nonsense": "no similar argument",
    }.items():
        with pytest.raises(TypeError, match=rf"^{cls.__name__}\.{method}\(\) .* '{name}'\. .*{said}.* takes X"):
            call(*ARGUMENTS.get(method, (X,)), **{name: 1})


@pytest.mark.parametrize(
    ("cls", "ours"),
    [(TwoLayerNet, "hidden_dim"), (FullyConnectedNet, "hidden_dims"), (ThreeLayerConvNet, "hidden_dim")],
)
def test_the_name_is_one_that_the_estimator_has(cls, ours):
    with pytest.raises(TypeError, match=rf"Set {ours} on the estimator: {cls.__name__}\({ours}=\.\.\.\)"):
        small(cls).fit(X, y, hidden_layer_sizes=(100,))
    with pytest.raises(TypeError, match="There is no similar argument"):
        small(Softmax).fit(X, y, hidden_layer_sizes=(100,))


@pytest.mark.parametrize(
    ("method", "name", "other"), [("fit", "classes", "partial_fit"), ("partial_fit", "X_val", "fit")]
)
def test_arguments_of_another_method(method, name, other):
    with pytest.raises(TypeError, match=f"'{name}'. It is an argument of {other}"):
        getattr(small(Softmax), method)(X, y, **{name: y})


def test_the_first_unknown_one_is_named():
    with pytest.raises(TypeError, match="'epochs'"):
        small(Softmax).fit(X, y, sample_weight=None, epochs=3, callbacks=[])


@pytest.mark.parametrize(
    ("cls", "method"), [(cls, method) for cls in EVERY for method in ["fit", "partial_fit", "score", *methods_of(cls)]]
)
def test_signatures_stay(cls, method):
    parameters = inspect.signature(getattr(cls, method)).parameters.values()
    assert not [
        parameter for parameter in parameters if parameter.kind in (parameter.VAR_KEYWORD, parameter.VAR_POSITIONAL)
    ]
    assert getattr(cls, method).__doc__
    assert inspect.unwrap(getattr(cls, method)).__name__ == method


@each_of_all
def test_all_arguments_can_be_keywords(cls):
    net = small(cls).fit(X=X, y=y, sample_weight=None, X_val=X, y_val=y, sample_weight_val=None)
    assert_same(net, small(cls).fit(X, y, None, X_val=X, y_val=y))
    for method in methods_of(cls):
        np.testing.assert_array_equal(getattr(net, method)(X=X), getattr(net, method)(X))
    assert net.score(X=X, y=y, sample_weight=None) == net.score(X, y)
    net.partial_fit(X=X, y=y, sample_weight=None, **({"classes": None} if cls in ESTIMATORS else {}))


def test_missing_arguments_are_python_s_errors():
    with pytest.raises(TypeError, match=r"predict\(\) missing 1 required positional argument: 'X'"):
        small(Softmax).predict()
    with pytest.raises(TypeError, match=r"fit\(\) missing 1 required positional argument: 'y'"):
        small(Softmax).fit(X)


def test_type_errors_from_within_are_not_touched():
    with pytest.raises(TypeError, match=r"^num_epochs") as caught:
        small(Softmax, num_epochs=2.5).fit(X, y)
    assert "check_parameters" in "".join(traceback.format_tb(caught.value.__traceback__))


@each_of_all
def test_metadata_is_routed(cls):
    with sklearn.config_context(enable_metadata_routing=True):
        net = small(cls).set_fit_request(X_val=True, y_val=True).set_score_request(sample_weight=True)
        model = Pipeline([("scale", StandardScaler()), ("net", net)], transform_input=["X_val"])
        model.fit(X, y, X_val=X, y_val=y)
        assert model["net"].best_val_score_ is not None
        score = accuracy_score if cls in ESTIMATORS else r2_score
        weight = np.arange(30)
        assert model.score(X, y, sample_weight=weight) == score(y, model.predict(X), sample_weight=weight)
        with pytest.raises(TypeError, match=re.escape("Unexpected args: {'validation_data'}")):
            net.set_fit_request(validation_data=True)


@each_of_all
def test_more_by_position_than_there_are(cls):
    X, y = blobs()
    with pytest.raises(
        TypeError, match=rf"^{cls.__name__}\.fit\(\) takes X, y, sample_weight by position.* X_val, y_val"
    ):
        small(cls).fit(X, y, None, X, y)


# Parameters of other libraries: what the constructor and set_params say of them.
SET = {
    "max_iter": "Its counterpart here is num_epochs.",
    "epochs": "Its counterpart here is num_epochs.",
    "learning_rate_init": "Its counterpart here is learning_rate.",
    "solver": "Its counterpart here is update_rule.",
    "alpha": "Its counterpart here is reg. It multiplies half the sum of the squared weights",
    "beta_1": "Its counterpart here is beta1.",
    "early_stopping_rounds": "Its counterpart here is n_iter_no_change.",
    "validation_split": "Its counterpart here is validation_fraction. It counts with early_stopping=True.",
    "callbacks": "Set callbacks before, with set_callbacks",
    "eval_set": "Give the validation set to fit as X_val and y_val.",
    "device": "It runs on the CPU.",
    "n_jobs": "OMP_NUM_THREADS",
    "num_epoch": "Did you mean num_epochs?",
    "nonsense": "There is no similar parameter.",
}


@each_of_all
@pytest.mark.parametrize("name", SET)
def test_parameters_of_other_libraries(cls, name):
    said = re.escape(SET[name])
    with pytest.raises(TypeError, match=rf"^{cls.__name__}\(\) got an unexpected keyword argument '{name}'\. .*{said}"):
        cls(**{name: 1})
    net = cls()
    with pytest.raises(ValueError, match=rf"(?s)^Invalid parameter '{name}' for estimator {cls.__name__}\(.*{said}"):
        net.set_params(**{name: 1})
    assert net.get_params() == cls().get_params()
    with pytest.raises(ValueError, match=rf"(?s)^Invalid parameter '{name}'.*{said}"):
        GridSearchCV(small(cls), {name: [1]}, error_score="raise").fit(X, y)


def test_parameters_that_some_estimators_have():
    with pytest.raises(TypeError, match=r"Its counterpart here is hidden_dim\."):
        TwoLayerNet(hidden_layer_sizes=(100,))
    with pytest.raises(TypeError, match=r"Its counterpart here is hidden_dims\."):
        FullyConnectedNet(hidden_layer_sizes=(100,))
    with pytest.raises(TypeError, match=r"keep_ratio\. It is the probability to keep a value, not to drop it\."):
        TwoLayerNet(dropout=0.5)
    with pytest.raises(TypeError, match=r"There is no similar parameter\."):
        Softmax(hidden_layer_sizes=(100,))


def test_parameters_of_a_subclass():
    class Wide(TwoLayerNet):
        def __init__(self, *, width=3):
            super().__init__(hidden_dim=2 * width)
            self.width = width

    class Any(TwoLayerNet):
        def __init__(self, **params):
            super().__init__(**params)

    assert list(inspect.signature(Wide).parameters) == ["width"]
    assert Wide(width=2).hidden_dim == 4
    with pytest.raises(TypeError, match=r"^Wide\(\) got .* 'widht'\. Did you mean width\?"):
        Wide(widht=2)
    with pytest.raises(TypeError, match=r"^Any\(\) got .* 'max_iter'\. Its counterpart here is num_epochs\."):
        Any(max_iter=3)


def test_other_errors_of_set_params_are_scikit_learns():
    with pytest.raises(ValueError, match=r"Valid parameters are: \[.*\]\.$"):
        Pipeline([("net", Softmax())]).set_params(nett__reg=1)


@each_of_all
def test_values_of_other_libraries(cls):
    with pytest.raises(
        ValueError, match=r"^n_iter_no_change must be finite, got inf: for no such stop, set tol=None\."
    ):
        small(cls, n_iter_no_change=np.inf).fit(X, y)
    for value in ("constant", "adaptive", "invscaling"):
        with pytest.raises(ValueError, match=r"learning_rate .*, got '\w+': schedules are .* lr_schedule\."):
            small(cls, learning_rate=value).fit(X, y)
    with pytest.raises(ValueError, match=r"^learning_rate must be a number of at least 0 or 'auto', got 'slow'\.$"):
        small(cls, learning_rate="slow").fit(X, y)


@each_of_all
def test_parameters_by_position(cls):
    message = rf"^{cls.__name__}\(\) takes its parameters by name, as in {cls.__name__}\(\w+=\(100,\)\)\.$"
    with pytest.raises(TypeError, match=message):
        cls((100,))


@each_of_all
@pytest.mark.parametrize("value", [None, 2.0, np.inf, True])
def test_lengths_that_are_no_integers(cls, value):
    with pytest.raises(TypeError, match=rf"^num_epochs must be an integer of at least 1 or 'auto', got {value}\.$"):
        small(cls, num_epochs=value).fit(X, y)


@pytest.mark.parametrize(
    ("cls", "name", "given", "meant"),
    [
        (TwoLayerNet, "loss", "log_loss", "softmax"),
        (Softmax, "loss", "CrossEntropyLoss", "softmax"),
        (FullyConnectedRegressor, "loss", "mse", "squared_error"),
        (FullyConnectedRegressor, "loss", "squared_loss", "squared_error"),
        (FullyConnectedRegressor, "loss", "MAE", "absolute_error"),
        (FullyConnectedRegressor, "loss", "smooth_l1", "huber"),
        (TwoLayerNet, "update_rule", "L-BFGS-B", "lbfgs"),
        (TwoLayerNet, "update_rule", "momentum", "sgd_momentum"),
        (TwoLayerNet, "lr_schedule", "invscaling", "inverse_scaling"),
        (TwoLayerNet, "lr_schedule", "adaptive", "reduce_on_plateau"),
        (TwoLayerNet, "lr_schedule", "constant", None),
        (TwoLayerNet, "lr_schedule", "One-Cycle", "one_cycle"),
        (TwoLayerNet, "activation", "sigmoid", "logistic"),
        (TwoLayerNet, "activation", "LeakyReLU", "leaky_relu"),
        (TwoLayerNet, "update_rule", "Adam", "adam"),
        (TwoLayerNet, "update_rule", "RMS prop", "rmsprop"),
        (TwoLayerNet, "normalization", "batch_norm", "batchnorm"),
        (TwoLayerNet, "normalization", "LayerNorm", "layernorm"),
        (ThreeLayerConvNet, "normalization", "group_norm", "groupnorm"),
        (TwoLayerNet, "monitor", "val_loss", "loss"),
        (TwoLayerNet, "monitor", "val_acc", "accuracy"),
        (FullyConnectedRegressor, "monitor", "r2_score", "r2"),
    ],
)
def test_choices_of_other_libraries(cls, name, given, meant):
    with pytest.raises(ValueError, match=rf"^{name} must be .*, got '{given}'\. Its name here is {meant!r}\.$"):
        cls(**{name: given}).fit(X, y)
    with pytest.raises(ValueError, match=r", got 'nonsense'\.$"):
        cls(**{name: "nonsense"}).fit(X, y)


def test_schedules_that_scikit_learn_has_as_learning_rates():
    with pytest.raises(ValueError, match=r"got 'adaptive': .* lr_schedule\. Its name there is 'reduce_on_plateau'\.$"):
        TwoLayerNet(learning_rate="adaptive").fit(X, y)


@pytest.mark.parametrize(
    ("name", "advice"),
    [
        ("nesterovs_momentum", "update_rule='nesterov'"),
        ("power_t", "InverseScaling"),
        ("max_fun", "num_epochs is the limit"),
    ],
)
def test_parameters_of_mlpclassifier_that_are_others_here(name, advice):
    for cls in (FullyConnectedNet, FullyConnectedRegressor):
        with pytest.raises(TypeError, match=f"unexpected keyword argument '{name}'. .*{advice}"):
            cls(**{name: 1})
        with pytest.raises(ValueError, match=advice):
            cls().set_params(**{name: 1})
