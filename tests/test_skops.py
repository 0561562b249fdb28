import importlib
import inspect
import pkgutil
from pathlib import Path

import numpy as np
import pytest
from sklearn.base import BaseEstimator
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import FunctionTransformer, StandardScaler

import sklearn_dl
from sklearn_dl import FullyConnectedRegressor, ThreeLayerConvNet, TwoLayerNet, persistence
from sklearn_dl.augmentation import AUGMENTATIONS, Augmentation, Cutout, HorizontalFlip, RandomCrop
from sklearn_dl.nets import layers
from sklearn_dl.persistence import SKOPS_TRUSTED
from sklearn_dl.preprocessing import ImageReshaper, MeanSubtractor
from sklearn_dl.schedules import SCHEDULES, Cosine, Schedule

from ._estimators import (
    ESTIMATORS,
    FRAMES,
    RULES,
    answers,
    assert_same,
    batchnorm,
    blobs,
    each_of_all,
    images,
    quantities,
    small,
)

io = pytest.importorskip("skops.io", reason="skops is not installed")


def round_trip(model):
    """Dump and load; of untrusted types there may be those of SKOPS_TRUSTED only."""
    data = io.dumps(model)
    assert set(io.get_untrusted_types(data=data)) <= set(SKOPS_TRUSTED)
    return io.loads(data, trusted=SKOPS_TRUSTED)


def public_classes():
    """Return the public classes of all public modules that a pipeline can hold: as a step, or as a parameter of one."""
    modules = [sklearn_dl] + [
        importlib.import_module(module.name)
        for module in pkgutil.walk_packages(sklearn_dl.__path__, "sklearn_dl.")
        if "._" not in module.name
    ]
    named = [getattr(module, name) for module in modules for name in getattr(module, "__all__", ())]
    kinds = (BaseEstimator, Schedule, Augmentation, layers.Layer)
    return sorted({one for one in named if isinstance(one, type) and issubclass(one, kinds)}, key=str)


def test_trusted_types_are_all_that_a_pipeline_can_hold():
    held = public_classes()
    assert {*ESTIMATORS, ImageReshaper, Cosine, RandomCrop, layers.Affine} < set(held)
    assert {f"{cls.__module__}.{cls.__qualname__}" for cls in held} <= set(SKOPS_TRUSTED)


def test_trusted_types_exist_and_are_ours():
    assert isinstance(SKOPS_TRUSTED, tuple)
    for name in SKOPS_TRUSTED:
        module, _, attribute = name.rpartition(".")
        assert hasattr(importlib.import_module(module), attribute)
    others = {name for name in SKOPS_TRUSTED if not name.startswith("sklearn_dl.")}
    path = type(Path())
    assert others == {"numpy.dtype", f"{path.__module__}.{path.__qualname__}", f"pathlib.{path.__qualname__}"}


def test_a_checkpoint_may_be_a_path():
    assert round_trip(TwoLayerNet(checkpoint=Path("run"))).checkpoint == Path("run")


def test_no_other_late_names():
    with pytest.raises(AttributeError, match="has no attribute 'SKOPS'"):
        persistence.SKOPS  # noqa: B018


SETTINGS = [*SCHEDULES.values(), *AUGMENTATIONS.values()]


@pytest.mark.parametrize("fitted", [False, True], ids=["unfitted", "fitted"])
@pytest.mark.parametrize("setting", SETTINGS, ids=lambda cls: cls.__name__)
def test_settings_given_as_objects(setting, fitted):
    """In a pipeline, alone and in a sequence, with settings of their own."""
    if issubclass(setting, Schedule):
        params = {"lr_schedule": setting()}
    else:
        whole = {"padding": 1} if setting is RandomCrop else {"size": 2} if setting is Cutout else {"p": 0.25}
        params = {"augmentation": [setting(**whole), HorizontalFlip()]}
    model = make_pipeline(ImageReshaper(), MeanSubtractor(), small(ThreeLayerConvNet, early_stopping=True, **params))
    X, y = images()
    rows = X.reshape(len(X), -1)
    if fitted:
        model.fit(rows, y)
    loaded = round_trip(model)
    assert loaded[-1].get_params() == model[-1].get_params()
    assert_same(loaded.fit(rows, y)[-1], model.fit(rows, y)[-1])


POOL = layers.MaxPool()
POOL.build((2, 4, 4), "", None)
LAYER_ARGUMENTS = {
    "units": 3,
    "filters": 2,
    "size": 3,
    "groups": 2,
    "keep_ratio": 0.5,
    "layers": [layers.Affine(3), layers.ReLU()],
    # What nets fuse.
    "affine": layers.Affine(3),
    "conv": layers.Conv(2, 3),
    "activation": layers.Tanh(),
    "pool": POOL,
}


@pytest.mark.parametrize("layer", [cls for cls in public_classes() if issubclass(cls, layers.Layer)])
def test_layers_given_as_objects(layer):
    needed = [p.name for p in inspect.signature(layer).parameters.values() if p.default is p.empty]
    one = layer(*(LAYER_ARGUMENTS[name] for name in needed))
    loaded = round_trip(make_pipeline(FunctionTransformer(kw_args={"layers": [one]}))).steps[0][1].kw_args["layers"]
    assert [type(layer) for layer in loaded] == [layer]
    assert vars(loaded[0]).keys() == vars(one).keys()


@each_of_all
@pytest.mark.parametrize("rule", RULES)
def test_loaded_estimator_is_the_same_and_trains_on(cls, rule, dtype):
    X, y = blobs(dtype=dtype)
    random_state = np.random.RandomState(0)
    model = small(
        cls,
        update_rule=rule,
        early_stopping=True,
        **({"class_weight": {"a": 1, "b": 2.5}} if cls in ESTIMATORS else {"loss": "huber", "delta": np.float64(0.5)}),
        reg=np.float64(1e-3),
        random_state=random_state,
        **batchnorm(cls),
    ).fit(X, np.array(["a", "b", "c"] if cls in ESTIMATORS else [5.0, 1.0, 2.0])[y])
    loaded = round_trip(model)
    assert type(loaded) is cls
    assert_same(loaded, model)
    np.testing.assert_array_equal(loaded.predict(X), model.predict(X))
    np.testing.assert_array_equal(answers(loaded, X), answers(model, X))
    assert loaded.random_state is loaded._random_state
    model.partial_fit(X, model.predict(X))
    loaded.partial_fit(X, loaded.predict(X))
    assert_same(loaded, model)


@each_of_all
def test_unfitted(cls):
    model = small(cls, optim_config={"beta1": 0.5})
    loaded = round_trip(model)
    assert loaded.get_params() == model.get_params()
    X, y = blobs()
    assert_same(loaded.fit(X, y), model.fit(X, y))


LABELS = {
    "int": [3, 4, 5],
    "float": [0.0, 1.0, 2.0],
    "object": np.array(["a", "b", "c"], object),
    "bool": [False, True, True],
    "several": [[0, 1], [1, 1], [0, 0]],  # for which there is no hinge loss
}


@pytest.mark.parametrize(
    ("kind", "loss"),
    [*((kind, "softmax") for kind in LABELS), *((kind, "hinge") for kind in LABELS if kind != "several")],
)
def test_labels(kind, loss):
    X, y = blobs()
    labels = np.asarray(LABELS[kind])
    model = small(ESTIMATORS[1], loss=loss).fit(X, labels[y])
    loaded = round_trip(model)
    assert hasattr(loaded, "predict_proba") == (loss == "softmax")
    assert loaded.classes_.dtype == model.classes_.dtype
    np.testing.assert_array_equal(loaded.predict(X), model.predict(X))


@pytest.mark.parametrize("loss", ["squared_error", "absolute_error", "huber", "poisson"])
@pytest.mark.parametrize("n_outputs", [None, 1, 3])
def test_quantities(loss, n_outputs):
    X, y = quantities(n_outputs=n_outputs)
    model = small(FullyConnectedRegressor, loss=loss).fit(X, np.abs(y))
    loaded = round_trip(model)
    assert_same(loaded, model)
    np.testing.assert_array_equal(loaded.predict(X), model.predict(X))
    assert loaded.predict(X).shape == y.shape


def test_data_frame():
    X, y = blobs()
    model = small(ESTIMATORS[1]).fit(FRAMES["pandas"](X), y)
    np.testing.assert_array_equal(round_trip(model).feature_names_in_, model.feature_names_in_)


@each_of_all
def test_pipelines(cls):
    X, y = images()
    for model in (
        make_pipeline(ImageReshaper(input_shape=(3, 4, 4)), MeanSubtractor(per="channel"), small(cls)),
        make_pipeline(StandardScaler(), MeanSubtractor(), small(cls)),
    ):
        rows = X.reshape(len(X), -1)
        model.fit(rows, y)
        np.testing.assert_array_equal(answers(round_trip(model), rows), answers(model, rows))


def test_nothing_is_trusted_unless_said(tmp_path):
    io.dump(small(ESTIMATORS[0]), tmp_path / "model.skops")
    with pytest.raises(io.exceptions.UntrustedTypesFoundException, match=r"sklearn_dl\.linear\.Softmax"):
        io.load(tmp_path / "model.skops")
