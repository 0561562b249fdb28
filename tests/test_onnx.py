import subprocess
import sys

import numpy as np
import pandas as pd
import pytest
from sklearn.calibration import CalibratedClassifierCV
from sklearn.exceptions import NotFittedError
from sklearn.model_selection import GridSearchCV
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from sklearn.tree import DecisionTreeClassifier

from sklearn_dl import FullyConnectedNet, Softmax, ThreeLayerConvNet, TwoLayerNet
from sklearn_dl.nets import Net
from sklearn_dl.nets.layers import Affine, Conv, ReLU
from sklearn_dl.onnx import DEFAULT_OPSET, LOWEST_OPSET, register_converters, to_onnx
from sklearn_dl.preprocessing import ImageReshaper, MeanSubtractor

from ._estimators import ESTIMATORS, blobs, each_estimator, images, small
from ._onnx_models import assert_equal_predictions, run, scores_by_column, skl2onnx

NETS = {
    "softmax": (Softmax, {}),
    "two layers": (TwoLayerNet, {}),
    "batchnorm": (TwoLayerNet, {"normalization": "batchnorm"}),
    "layernorm, dropout": (FullyConnectedNet, {"normalization": "layernorm", "dropout_keep_ratio": 0.5}),
    "batchnorm, dropout": (FullyConnectedNet, {"normalization": "batchnorm", "dropout_keep_ratio": 0.5}),
    "convolution": (ThreeLayerConvNet, {}),
    "spatial batchnorm": (ThreeLayerConvNet, {"normalization": "batchnorm"}),
    "groupnorm": (ThreeLayerConvNet, {"normalization": "groupnorm", "num_filters": 8}),
    "convolution, dropout": (ThreeLayerConvNet, {"dropout_keep_ratio": 0.5}),
}
each_net = pytest.mark.parametrize("name", NETS)


@pytest.mark.parametrize("target_opset", [None, LOWEST_OPSET, 17, skl2onnx.get_latest_tested_opset_version()])
@each_net
def test_predictions(name, dtype, target_opset):
    cls, params = NETS[name]
    X, y = blobs(100, dtype=dtype)
    model = small(cls, **params).fit(X, y)
    onnx_model = model.to_onnx(X, target_opset=target_opset)
    opsets = {entry.domain: entry.version for entry in onnx_model.opset_import}
    assert opsets[""] == (target_opset or DEFAULT_OPSET)
    for n_samples in (1, 7, 100):
        assert_equal_predictions(model, onnx_model, X[:n_samples], atol=1e-6 if dtype == np.float32 else 1e-12)
    assert run(onnx_model, X)[1].dtype == dtype


@each_net
def test_no_rows(name):
    cls, params = NETS[name]
    X, y = blobs()
    labels, probabilities = run(small(cls, **params).fit(X, y).to_onnx(), X[:0])
    assert labels.shape == (0,)
    assert probabilities.shape == (0, 3)


def test_default_input_is_rows_of_the_nets_dtype(dtype):
    X, y = blobs(dtype=dtype)
    for cls in ESTIMATORS:
        model = small(cls).fit(X, y)
        assert_equal_predictions(model, model.to_onnx(), X)


@pytest.mark.parametrize(
    "labels",
    [["b", "ä", "cc"], [-3, 7, 2**40], [False, True], [0.0, 1.0, 5.0], np.array(["x", "y"], object), ["one"]],
    ids=["str", "int", "bool", "float", "objects", "one class"],
)
@pytest.mark.parametrize("zipmap", [False, True, "columns"])
def test_labels(labels, zipmap):
    X, y = blobs(n_classes=len(labels))
    model = small(TwoLayerNet).fit(X, np.asarray(labels)[y])
    found, *probabilities = run(model.to_onnx(X, options={"zipmap": zipmap}), X)
    np.testing.assert_array_equal(found, model.predict(X))
    if zipmap is False:
        (probabilities,) = probabilities
    elif zipmap is True:
        probabilities = [[row[label] for label in model.classes_] for row in probabilities[0]]
    else:
        probabilities = np.transpose(probabilities)
    np.testing.assert_allclose(probabilities, model.predict_proba(X), atol=1e-6)


def test_labels_beyond_int64_are_refused():
    X, y = blobs(n_classes=2)
    model = small(Softmax).fit(X, np.array([1, 2**63], np.uint64)[y])
    with pytest.raises(ValueError, match="int64 or strings, got the classes"):
        model.to_onnx()


@pytest.mark.parametrize("shape", [(3, 4, 4), (1, 5, 7), (2, 1, 9), (3, 1, 1), (1, 6, 3)])
@pytest.mark.parametrize("filter_size", [1, 3, 5])
def test_image_sizes(shape, filter_size, dtype):
    X, y = images(shape=shape)
    X = (X / 255).astype(dtype)
    model = small(ThreeLayerConvNet, filter_size=filter_size, input_shape=shape).fit(X, y)
    assert_equal_predictions(model, model.to_onnx(X), X)
    assert_equal_predictions(model, model.to_onnx(), X.reshape(len(X), -1))


@each_estimator
@pytest.mark.parametrize("flat", [False, True], ids=["images", "rows"])
def test_uint8_images(cls, flat):
    X, y = images()
    if flat:
        X = X.reshape(len(X), -1)
    model = small(cls, weight_scale=1e-3).fit(X, y)
    assert_equal_predictions(model, model.to_onnx(X), X)


@pytest.mark.parametrize("kind", ["f4", "f8", "i1", "i4", "i8", "?"])
@pytest.mark.parametrize("net_dtype", ["float32", "float64"])
def test_input_dtypes(kind, net_dtype):
    X, y = blobs()
    X = X.astype(kind)
    model = small(TwoLayerNet, dtype=net_dtype).fit(X, y)
    assert_equal_predictions(model, model.to_onnx(X), X)


def test_normalization_far_from_zero():
    X, y = blobs(n_samples=100)
    model = small(FullyConnectedNet, normalization="layernorm").fit(X, y)
    model.params_["b1"] = model.params_["b1"] + 1000
    exact = small(FullyConnectedNet, normalization="layernorm", dtype="float64").fit(X, y)
    for name, value in model.params_.items():
        exact.params_[name] = value
    _, probabilities = run(model.to_onnx(), X)
    np.testing.assert_allclose(probabilities, exact.predict_proba(X), atol=1e-3)


PIPELINES = {
    "scaler": (lambda net: make_pipeline(StandardScaler(), net), "f4", False),
    "scaler in double": (lambda net: make_pipeline(StandardScaler(), net), "f8", False),
    "mean": (lambda net: make_pipeline(MeanSubtractor(), net), "u1", False),
    "mean of integers": (lambda net: make_pipeline(MeanSubtractor(), net), "i8", False),
    "mean of images": (lambda net: make_pipeline(MeanSubtractor(), net), "u1", True),
    "mean by channel": (lambda net: make_pipeline(MeanSubtractor(per="channel"), net), "f8", True),
    "reshaper": (lambda net: make_pipeline(ImageReshaper(input_shape=(3, 4, 4)), MeanSubtractor(), net), "u1", False),
    "reshaper back": (
        lambda net: make_pipeline(ImageReshaper(input_layout="NCHW", output_layout="rows"), net),
        "u1",
        True,
    ),
    "search": (lambda net: GridSearchCV(make_pipeline(StandardScaler(), net), {}, cv=2), "f4", False),
    "calibrated": (lambda net: CalibratedClassifierCV(net, cv=2), "f4", False),
}


@each_estimator
@pytest.mark.parametrize("name", PIPELINES)
def test_pipelines(cls, name):
    make, kind, with_images = PIPELINES[name]
    X, y = images(n_samples=60)
    X = (X if with_images else X.reshape(len(X), -1)).astype(kind)
    model = make(small(cls, weight_scale=1e-3)).fit(X, y)
    assert_equal_predictions(model, to_onnx(model, X), X)

    register_converters()
    direct = skl2onnx.to_onnx(model, X[:1], options={"zipmap": False}, target_opset=DEFAULT_OPSET)
    assert_equal_predictions(model, direct, X)


LAYOUTS = {"rows": (24,), "NCHW": (2, 3, 4), "NHWC": (3, 4, 2)}


@pytest.mark.parametrize("source", LAYOUTS)
@pytest.mark.parametrize("target", LAYOUTS)
@pytest.mark.parametrize("kind", ["u1", "f4", "f8"])
def test_reshaper(source, target, kind, rng):
    X = rng.randint(0, 100, (7, *LAYOUTS[source])).astype(kind)
    reshaper = ImageReshaper(input_shape=(2, 3, 4), input_layout=source, output_layout=target).fit(X)
    (found,) = run(to_onnx(reshaper, X), X)
    assert found.dtype == kind
    np.testing.assert_array_equal(found, reshaper.transform(X))


@pytest.mark.parametrize("kind", ["u1", "i4", "i8", "?", "f4", "f8"])
@pytest.mark.parametrize("per", ["pixel", "channel"])
@pytest.mark.parametrize("flat", [False, True], ids=["images", "rows"])
def test_mean_subtractor(kind, per, flat, rng):
    X = (100 * rng.rand(7, 2, 3, 4)).astype(kind)
    if flat:
        X = X.reshape(7, -1)
    model = MeanSubtractor(per=per, input_shape=(2, 3, 4)).fit(X)
    (found,) = run(to_onnx(model, X), X)
    expected = model.transform(X)
    assert found.dtype == expected.dtype
    np.testing.assert_allclose(found, expected, rtol=1e-6)


def test_data_frames():
    X, y = blobs()
    X = pd.DataFrame(X, columns=[f"c{i}" for i in range(16)])
    for model in (small(TwoLayerNet), make_pipeline(MeanSubtractor(), small(TwoLayerNet))):
        model.fit(X, y)
        onnx_model = to_onnx(model, X)
        assert len(onnx_model.graph.input) == 16
        assert_equal_predictions(model, onnx_model, X)


@pytest.mark.parametrize("n_classes", [2, 3])
def test_raw_scores(n_classes):
    X, y = blobs(n_classes=n_classes)
    model = make_pipeline(StandardScaler(), small(TwoLayerNet)).fit(X, y)
    _, scores = run(to_onnx(model, X, options={"twolayernet__raw_scores": True}), X)
    np.testing.assert_allclose(scores, scores_by_column(model.decision_function(X)), atol=1e-5)


def test_options_of_skl2onnx():
    X, y = blobs()
    model = small(TwoLayerNet).fit(X, np.array(["a", "b", "c"])[y])
    labels = run(model.to_onnx(X, options={"nocl": True}), X)[0]
    np.testing.assert_array_equal(model.classes_[labels], model.predict(X))
    np.testing.assert_array_equal(run(model.to_onnx(options={"output_class_labels": True}), X)[2], model.classes_)
    by_id = to_onnx(model, X, options={id(model): {"zipmap": True}})
    assert run(by_id, X)[1][0].keys() == {"a", "b", "c"}
    with pytest.raises(NameError, match="unknown_option"):
        model.to_onnx(options={"unknown_option": True})


def test_other_models_convert_as_they_do_without():
    X, y = blobs()
    model = make_pipeline(StandardScaler(), DecisionTreeClassifier(random_state=0)).fit(X, y)
    assert_equal_predictions(model, to_onnx(model, X), X)


def test_model_is_unchanged():
    X, y = blobs()
    model = small(ThreeLayerConvNet, normalization="batchnorm").fit(X, y)
    before = model.predict_proba(X)
    model.to_onnx(X)
    np.testing.assert_array_equal(model.predict_proba(X), before)


def test_bad_input():
    X, y = blobs()
    model = small(TwoLayerNet).fit(X, y)
    pipeline = make_pipeline(MeanSubtractor(), model).fit(X, y)
    for unfitted in (small(TwoLayerNet), make_pipeline(StandardScaler(), small(TwoLayerNet))):
        with pytest.raises(NotFittedError, match="not fitted"):
            to_onnx(unfitted, X)
    with pytest.raises(ValueError, match="a sample must be given to convert a Pipeline"):
        to_onnx(pipeline)
    with pytest.raises(ValueError, match=r"rows of 16 features .* got samples of shape \(15,\)"):
        model.to_onnx(X[:, :15])
    with pytest.raises(ValueError, match=r"got samples of shape \(4, 4\)"):
        model.to_onnx(X.reshape(-1, 4, 4))
    with pytest.raises(ValueError, match=r"got samples of shape \(\)"):
        model.to_onnx(X[0])
    with pytest.raises(ValueError, match="X has 15 features, but MeanSubtractor is expecting 16"):
        to_onnx(pipeline, X[:, :15])
    with pytest.raises(ValueError, match=r"images of shape \(4, 2, 2\)"):
        small(ThreeLayerConvNet).fit(X, y).to_onnx(X.reshape(-1, 4, 2, 2))
    with pytest.raises(TypeError, match=r"float32, .*, got float16"):
        model.to_onnx(X.astype(np.float16))
    with pytest.raises(TypeError, match="X must hold numbers"):
        model.to_onnx(X.astype(str))
    with pytest.raises(ValueError, match="target_opset == 12, must be >= 13"):
        model.to_onnx(target_opset=12)
    with pytest.raises(ValueError, match="target_opset == 12, must be >= 13"):
        skl2onnx.to_onnx(model, X[:1], target_opset={"": 12})
    with pytest.raises(TypeError, match="target_opset"):
        model.to_onnx(target_opset="18")
    with pytest.raises(ValueError, match=r"1000 .* higher than the version of the installed onnx"):
        model.to_onnx(target_opset=1000)
    with pytest.raises(TypeError, match="options must be a dict or None"):
        model.to_onnx(options="zipmap")
    with pytest.raises(ValueError, match="zipmap=True needs float X"):
        model.to_onnx(X.astype(float), options={"zipmap": True})


def test_unknown_layer_is_refused():
    class Leaky(ReLU):
        pass

    X, y = blobs()
    model = small(TwoLayerNet).fit(X, y)
    model._net = Net([Affine(8), Leaky(), Affine(3)], (16,))
    with pytest.raises(ValueError, match=r"layer Leaky cannot be converted to ONNX; known are Affine, .*ReLU"):
        model.to_onnx()


@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_layers_in_another_order(dtype, rng):
    """Two convolutions, and an affine layer straight after the second."""
    X, y = blobs(dtype=dtype)
    model = small(TwoLayerNet).fit(X, y)
    model._net = Net([Conv(3, 3), ReLU(), Conv(2, 5), Affine(3)], (1, 4, 4), weight_scale="he", dtype=dtype)
    assert_equal_predictions(model, model.to_onnx(), X)


WITHOUT = """
import sys
sys.modules["skl2onnx"] = None
import numpy as np
from sklearn_dl import Softmax
try:
    Softmax(num_epochs=1).fit(np.eye(2), [0, 1]).to_onnx()
except ImportError as error:
    print(error)
"""


def test_without_skl2onnx():
    run = subprocess.run([sys.executable, "-c", WITHOUT], capture_output=True, text=True, check=True)
    assert run.stdout == 'ONNX export requires onnx and skl2onnx: pip install "sklearn_dl[onnx]".\n'
