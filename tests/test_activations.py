"""The parameter `activation` of nets and estimators."""

import pickle

import numpy as np
import pytest
from sklearn.datasets import load_digits
from sklearn.model_selection import GridSearchCV, train_test_split
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from sklearn_dl import FullyConnectedNet, Softmax, ThreeLayerConvNet, TwoLayerNet, load
from sklearn_dl.gradient_check import check_net
from sklearn_dl.nets import FullyConnected, Net, ThreeLayerConv
from sklearn_dl.nets.activations import ACTIVATIONS
from sklearn_dl.nets.layers import MaxPool

from ._estimators import assert_same, blobs, each_hidden, images, small
from ._saved_models import stored

NAMES = ["gelu", "identity", "leaky_relu", "logistic", "relu", "silu", "tanh"]
each_name = pytest.mark.parametrize("activation", NAMES)


def activations_of(net):
    return [layer for layer in net.layers if type(layer) in ACTIVATIONS.values()]


# ----------------------------------------------------------------------------- nets


@each_name
def test_layers_of_the_nets(activation):
    layer = ACTIVATIONS[activation]()
    assert activations_of(FullyConnected([4, 3], 5, 2, activation=activation)) == [layer, layer]
    assert activations_of(ThreeLayerConv((1, 4, 4), activation=activation)) == [layer, layer]


def test_relu_is_the_default():
    for default, given in (
        (FullyConnected([4], 5, 2, random_state=0), FullyConnected([4], 5, 2, activation="relu", random_state=0)),
        (ThreeLayerConv((1, 4, 4), random_state=0), ThreeLayerConv((1, 4, 4), activation="relu", random_state=0)),
    ):
        assert default.layers == given.layers
    assert all(cls().activation == "relu" for cls in (TwoLayerNet, FullyConnectedNet, ThreeLayerConvNet))
    assert not hasattr(Softmax(), "activation")


@each_name
@pytest.mark.parametrize("normalization", [None, "batchnorm"])
def test_gradients(activation, normalization, rng):
    options = {"activation": activation, "normalization": normalization, "weight_scale": "he", "dtype": np.float64}
    net = FullyConnected([9, 8], 5, 3, **options, dropout_keep_ratio=0.8, seed=1, reg=0.1, random_state=0)
    check_net(net, rng.randn(7, 5), rng.randint(3, size=7), h=1e-6)
    net = ThreeLayerConv((2, 6, 5), 3, 3, 7, 3, **options, reg=0.1, random_state=0)
    check_net(net, rng.randn(7, 2, 6, 5), rng.randint(3, size=7), h=1e-6)


@pytest.mark.parametrize("wrong", ["sigmoid", "ReLU", None, np.tanh, ["relu"], np.array(["relu", "tanh"])])
def test_other_activations_are_refused(wrong):
    message = "^activation must be one of 'gelu', 'identity', 'leaky_relu', 'logistic', 'relu', 'silu', 'tanh', got "
    for make in (FullyConnected, ThreeLayerConv):
        with pytest.raises(ValueError, match=message):
            make((3, 4, 4), activation=wrong)
    X, y = blobs()
    for cls in (TwoLayerNet, FullyConnectedNet, ThreeLayerConvNet):
        with pytest.raises(ValueError, match=message):
            small(cls, activation=wrong).fit(X, y)


@pytest.mark.parametrize(
    ("given", "meant"),
    [
        ("sigmoid", "logistic"),
        ("Swish", "silu"),
        ("linear", "identity"),
        ("none", "identity"),
        (None, "identity"),
        ("ReLU", "relu"),
        ("LeakyReLU", "leaky_relu"),
        ("GELU", "gelu"),
    ],
)
def test_names_of_other_libraries_are_explained(given, meant):
    X, y = blobs()
    with pytest.raises(ValueError, match=f"got {given!r}. Its name here is {meant!r}.$"):
        FullyConnected([3], 4, activation=given)
    with pytest.raises(ValueError, match=f"got {given!r}. Its name here is {meant!r}.$"):
        small(TwoLayerNet, activation=given).fit(X, y)
    with pytest.raises(ValueError, match=r"got 'softplus'\.$"):
        FullyConnected([3], 4, activation="softplus")


def test_other_names_of_the_parameter_are_explained():
    with pytest.raises(TypeError, match="counterpart here is activation"):
        TwoLayerNet(nonlinearity="tanh")


# ----------------------------------------------------------------- against PyTorch


def torch_net(torch, net, activation):
    """Return the same function of X with PyTorch, and its parameters by name."""
    functions = {"logistic": torch.sigmoid, "tanh": torch.tanh, "identity": lambda x: x}
    function = functions.get(activation) or getattr(torch.nn.functional, activation)
    params = {name: torch.tensor(value, requires_grad=True) for name, value in net.params.items()}

    def scores(X):
        h = torch.tensor(X)
        if params["W1"].ndim == 4:
            h = torch.nn.functional.conv2d(h, params["W1"], params["b1"], padding=params["W1"].shape[-1] // 2)
            h = torch.nn.functional.max_pool2d(function(h), 2).flatten(1)
            first = 2
        else:
            first = 1
        last = max(int(name[1:]) for name in params)
        for i in range(first, last + 1):
            h = h @ params[f"W{i}"] + params[f"b{i}"]
            h = function(h) if i < last else h
        return h

    return scores, params


@each_name
@pytest.mark.parametrize("kind", ["fully connected", "convolutional"])
def test_loss_and_gradients_are_pytorchs(activation, kind, torch, rng):
    options = {"activation": activation, "weight_scale": "he", "dtype": np.float64, "random_state": 0}
    if kind == "convolutional":
        net = ThreeLayerConv((2, 6, 6), 3, 3, 7, 4, **options)
    else:
        net = FullyConnected([9, 8, 7], 5, 4, **options)
    X, y = rng.randn(11, *net.input_shape), rng.randint(4, size=11)
    scores, params = torch_net(torch, net, activation)
    expected = torch.nn.functional.cross_entropy(scores(X), torch.tensor(y))
    expected.backward()
    loss, grads = net.loss(X, y)
    np.testing.assert_allclose(net.loss(X), scores(X).detach().numpy(), rtol=1e-10, atol=1e-12)
    assert loss == pytest.approx(expected.item(), rel=1e-12)
    for name, param in params.items():
        np.testing.assert_allclose(grads[name], param.grad.numpy(), rtol=1e-9, atol=1e-12, err_msg=name)


# ------------------------------------------------------------------------- estimators

X_DIGITS, Y_DIGITS = load_digits(return_X_y=True)


@each_name
def test_digits_are_learned(activation):
    X_train, X_test, y_train, y_test = train_test_split(X_DIGITS / 16, Y_DIGITS, random_state=0)
    quick = {"activation": activation, "tol": None, "random_state": 0}
    dense = FullyConnectedNet(**quick, num_epochs=15).fit(X_train, y_train)
    num_epochs = 30 if activation == "logistic" else 5
    conv = ThreeLayerConvNet(**quick, num_epochs=num_epochs, num_filters=8, filter_size=3).fit(X_train, y_train)
    wanted = {"identity": 0.93, "logistic": 0.9}.get(activation, 0.95)  # linear, and slow
    for net in (dense, conv):
        assert net.loss_curve_[-1] < net.loss_curve_[0] / 2
        assert net.score(X_test, y_test) > (wanted if net is dense else 0.88)


def test_activations_differ():
    X, y = blobs()
    fitted = {name: small(FullyConnectedNet, activation=name).fit(X, y).loss_history_ for name in NAMES}
    assert len({tuple(losses) for losses in fitted.values()}) == len(NAMES)


@each_name
@each_hidden
def test_weight_scale_auto_goes_by_the_activation(cls, activation):
    X, y = blobs()
    scheme = "he" if activation in ("relu", "leaky_relu", "gelu", "silu") else "xavier"
    assert cls().weight_scale == "auto"
    auto, given = small(cls, activation=activation), small(cls, activation=activation, weight_scale=scheme)
    assert_same(auto.fit(X, y), given.fit(X, y))


@each_name
@each_hidden
def test_files(cls, activation, tmp_path):
    X, y = blobs()
    net = small(cls, activation=activation).fit(X, y)
    net.save(tmp_path / "net")
    for twin in (load(tmp_path / "net"), pickle.loads(pickle.dumps(net))):
        assert twin.activation == activation
        assert_same(twin, net)
        np.testing.assert_array_equal(twin.predict_proba(X), net.predict_proba(X))
    twin = load(tmp_path / "net")
    assert_same(twin.partial_fit(X, y), net.partial_fit(X, y))
    net._net.save(tmp_path / "inner")
    np.testing.assert_array_equal(Net.load(tmp_path / "inner").loss(X), net._net.loss(X))


@pytest.mark.parametrize("path", [path for path in stored() if "softmax" not in path.stem], ids=lambda path: path.stem)
def test_models_of_0_1_0_have_relu(path):
    model = load(path)
    if path.parent.name == "0.1.0":
        assert "activation" not in model._net_args
    assert model.activation == "relu"
    assert {type(layer).__name__ for layer in activations_of(model._net)} == {"ReLU"}


@each_hidden
def test_a_net_that_is_trained_on_cannot_change_its_activation(cls):
    X, y = blobs()
    net = small(cls, activation="tanh").fit(X, y).set_params(activation="gelu")
    with pytest.raises(ValueError, match="cannot change activation from 'tanh' to 'gelu'"):
        net.partial_fit(X, y)
    with pytest.raises(ValueError, match="cannot change activation from 'tanh' to 'gelu'"):
        net.set_params(warm_start=True).fit(X, y)
    assert activations_of(net.set_params(warm_start=False).fit(X, y)._net)[0] == ACTIVATIONS["gelu"]()


def test_grid_search_over_activations():
    X, y = X_DIGITS[:400] / 16, Y_DIGITS[:400]
    model = make_pipeline(StandardScaler(), FullyConnectedNet(hidden_dims=20, num_epochs=15, tol=None, random_state=0))
    search = GridSearchCV(model, {"fullyconnectednet__activation": NAMES}, cv=3).fit(X, y)
    assert set(search.cv_results_["param_fullyconnectednet__activation"]) == set(NAMES)
    assert len(set(search.cv_results_["mean_test_score"])) > 3
    assert search.best_estimator_[-1].activation == search.best_params_["fullyconnectednet__activation"]
    assert search.best_score_ > 0.8


@each_name
@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_onnx(activation, dtype):
    pytest.importorskip("skl2onnx", reason="skl2onnx is not installed")
    onnxruntime = pytest.importorskip("onnxruntime", reason="onnxruntime is not installed")
    X, y = blobs(spread=3.0)
    X_images, y_images = images(shape=(1, 4, 4))
    for cls, features, labels in (
        (TwoLayerNet, X, y),
        (FullyConnectedNet, X, y),
        (ThreeLayerConvNet, X_images.reshape(40, 16) / 255, y_images),
    ):
        features = features.astype(dtype)
        net = small(cls, activation=activation, dtype=dtype).fit(features, labels)
        session = onnxruntime.InferenceSession(net.to_onnx(features).SerializeToString())
        found, probabilities = session.run(None, {"X": features})
        np.testing.assert_array_equal(found, net.predict(features))
        np.testing.assert_allclose(probabilities, net.predict_proba(features), atol=1e-5)


@pytest.mark.parametrize("opset", [13, 18])
def test_onnx_of_every_opset(opset):
    onnxruntime = pytest.importorskip("onnxruntime", reason="onnxruntime is not installed")
    pytest.importorskip("skl2onnx", reason="skl2onnx is not installed")
    X, y = blobs()
    for activation in NAMES:
        net = small(TwoLayerNet, activation=activation).fit(X, y)
        session = onnxruntime.InferenceSession(net.to_onnx(X, target_opset=opset).SerializeToString())
        np.testing.assert_allclose(session.run(None, {"X": X})[1], net.predict_proba(X), atol=1e-5)


@each_name
def test_the_convolutional_net_pools_what_is_activated(activation):
    layers = ThreeLayerConv((1, 4, 4), activation=activation).layers
    assert layers[1:3] == (ACTIVATIONS[activation](), MaxPool())
