import numpy as np
import pytest
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from sklearn_dl import persistence, preprocessing
from sklearn_dl.persistence import SKOPS_TRUSTED
from sklearn_dl.preprocessing import ImageReshaper, MeanSubtractor

from ._estimators import ESTIMATORS, FRAMES, RULES, assert_same, batchnorm, blobs, each_estimator, images, small

io = pytest.importorskip("skops.io", reason="skops is not installed")


def round_trip(model):
    """Dump and load; of untrusted types there may be those of SKOPS_TRUSTED only."""
    data = io.dumps(model)
    assert set(io.get_untrusted_types(data=data)) <= set(SKOPS_TRUSTED)
    return io.loads(data, trusted=SKOPS_TRUSTED)


def test_trusted_types_are_all_estimators_and_the_dtype():
    transformers = [getattr(preprocessing, name) for name in preprocessing.__all__ if name != "guess_image_shape"]
    classes = [*persistence._estimator_classes().values(), *transformers]
    assert sorted(f"{cls.__module__}.{cls.__qualname__}" for cls in [*classes, np.dtype]) == sorted(SKOPS_TRUSTED)


@each_estimator
@pytest.mark.parametrize("rule", RULES)
def test_loaded_estimator_is_the_same_and_trains_on(cls, rule, dtype):
    X, y = blobs(dtype=dtype)
    random_state = np.random.RandomState(0)
    model = small(
        cls,
        update_rule=rule,
        early_stopping=True,
        class_weight={"a": 1, "b": 2.5},
        reg=np.float64(1e-3),
        random_state=random_state,
        **batchnorm(cls),
    ).fit(X, np.array(["a", "b", "c"])[y])
    loaded = round_trip(model)
    assert type(loaded) is cls
    assert_same(loaded, model)
    np.testing.assert_array_equal(loaded.predict(X), model.predict(X))
    np.testing.assert_array_equal(loaded.predict_proba(X), model.predict_proba(X))
    assert loaded.random_state is loaded._random_state
    model.partial_fit(X, model.predict(X))
    loaded.partial_fit(X, loaded.predict(X))
    assert_same(loaded, model)


@each_estimator
def test_unfitted(cls):
    model = small(cls, optim_config={"beta1": 0.5})
    loaded = round_trip(model)
    assert loaded.get_params() == model.get_params()
    X, y = blobs()
    assert_same(loaded.fit(X, y), model.fit(X, y))


@pytest.mark.parametrize("labels", [[3, 4, 5], [0.0, 1.0, 2.0], np.array(["a", "b", "c"], object), [False, True, True]])
def test_labels(labels):
    X, y = blobs()
    model = small(ESTIMATORS[1]).fit(X, np.asarray(labels)[y])
    loaded = round_trip(model)
    assert loaded.classes_.dtype == model.classes_.dtype
    np.testing.assert_array_equal(loaded.predict(X), model.predict(X))


def test_data_frame():
    X, y = blobs()
    model = small(ESTIMATORS[1]).fit(FRAMES["pandas"](X), y)
    np.testing.assert_array_equal(round_trip(model).feature_names_in_, model.feature_names_in_)


@each_estimator
def test_pipelines(cls):
    X, y = images()
    for model in (
        make_pipeline(ImageReshaper(input_shape=(3, 4, 4)), MeanSubtractor(per="channel"), small(cls)),
        make_pipeline(StandardScaler(), MeanSubtractor(), small(cls)),
    ):
        rows = X.reshape(len(X), -1)
        model.fit(rows, y)
        np.testing.assert_array_equal(round_trip(model).predict_proba(rows), model.predict_proba(rows))


def test_nothing_is_trusted_unless_said(tmp_path):
    io.dump(small(ESTIMATORS[0]), tmp_path / "model.skops")
    with pytest.raises(io.exceptions.UntrustedTypesFoundException, match=r"sklearn_dl\.linear\.Softmax"):
        io.load(tmp_path / "model.skops")
