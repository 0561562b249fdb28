"""A layer a file: functions, object and ONNX translation, registered by one line."""

import importlib
import inspect
import pickle
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

import sklearn_dl
from sklearn_dl import TwoLayerNet, layers
from sklearn_dl.gradient_check import check_net
from sklearn_dl.layers import _registry
from sklearn_dl.nets import Net, fusion
from sklearn_dl.nets import layers as objects
from sklearn_dl.nets.layers import Affine, AffineReLU, Conv, ConvReLUPool, Layer, MaxPool, ReLU

from ._estimators import blobs, small

LAYERS = dict(_registry.LAYERS)
each_layer = pytest.mark.parametrize("cls", LAYERS.values(), ids=LAYERS)

PACKAGE = Path(sklearn_dl.__file__).parent
FILES = sorted(path.stem for path in PACKAGE.glob("layers/*.py") if path.stem[0] != "_")

SOFTPLUS = '''
"""Softplus."""

import numpy as np

from sklearn_dl.layers._layer import Layer
from sklearn_dl.layers._registry import register

__all__ = ["Softplus", "softplus_backward", "softplus_forward"]


def softplus_forward(x):
    return np.logaddexp(0, x), x


def softplus_backward(dout, cache):
    return dout / (1 + np.exp(-cache))


@register
class Softplus(Layer):
    def forward(self, x, params, work, *, train, sample_weight):
        out, work["cache"] = softplus_forward(x)
        return out

    def backward(self, dout, grads, work, *, need_dx):
        return softplus_backward(dout, work["cache"])

    def to_onnx(self, graph, arrays, x, shape):
        return graph.add("Softplus", x), shape
'''

SOFTSIGN = '''
"""Softsign."""

import numpy as np

from sklearn_dl.layers._activation import Activation
from sklearn_dl.layers._registry import register

__all__ = ["Softsign"]


@register
class Softsign(Activation):
    name = "softsign"

    def function(self, x):
        return x / (1 + np.abs(x))

    def slope(self, x):
        return 1 / (1 + np.abs(x)) ** 2

    def to_onnx(self, graph, arrays, x, shape):
        return graph.add("Softsign", x), shape
'''

SIGN_DESCENT = '''

def sign_descent(w, dw, config=None, *, out=None, reg=0.0):
    """Steps of one size.

    {parameters}

    {errors}
    """
    return _update("sign_descent", w, dw, config, out, reg)


@_rule(sign_descent, auto_rate=1e-3, auto_rate_linear=0.01)
def _step_sign_descent(w, dw, config, reg):
    w -= (config["learning_rate"] * np.sign(dw + reg * w)).astype(w.dtype)
    return float((w * w).sum())
'''


@pytest.mark.parametrize("name", FILES)
def test_names_of_each_file_are_exported(name):
    module = importlib.import_module(f"sklearn_dl.layers.{name}")
    for public in module.__all__:
        value = getattr(module, public)
        home = objects if inspect.isclass(value) else layers
        assert public in home.__all__
        assert getattr(home, public) is value


@each_layer
def test_layers_keep_the_names_that_stored_models_have(cls):
    assert f"{cls.__module__}.{cls.__qualname__}" == f"sklearn_dl.nets.layers.{cls.__name__}"
    assert pickle.loads(pickle.dumps(cls)) is cls


@each_layer
def test_each_layer_has_its_own_translation(cls):
    """An inherited one would not be used."""
    assert "to_onnx" in vars(cls)


def test_a_name_is_registered_once():
    class Affine(Layer):
        pass

    with pytest.raises(ValueError, match=r"a layer named 'Affine' is registered already: .*nets.layers.Affine"):
        _registry.register(Affine)
    assert _registry.LAYERS == LAYERS


@pytest.fixture
def softplus(tmp_path, monkeypatch):
    """Return the module of an activation that is registered for one test."""
    (tmp_path / "softplus_of_a_test.py").write_text(SOFTPLUS)
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.setattr(sys, "dont_write_bytecode", True)
    yield importlib.import_module("softplus_of_a_test")
    del _registry.LAYERS["Softplus"], sys.modules["softplus_of_a_test"]


def test_a_new_activation_trains(softplus, rng):
    net = Net([Affine(5), softplus.Softplus(), Affine(3)], (4,), weight_scale="he", dtype="float64", random_state=0)
    check_net(net, rng.randn(7, 4), rng.randint(3, size=7))


def test_a_new_activation_is_saved_and_loaded(softplus, rng, tmp_path):
    net = Net([Affine(5), softplus.Softplus(), Affine(3)], (4,), random_state=0)
    net.save(tmp_path / "net")
    X = rng.randn(7, 4)
    for twin in (Net.load(tmp_path / "net"), pickle.loads(pickle.dumps(net))):
        assert type(twin.layers[1]) is softplus.Softplus
        np.testing.assert_array_equal(twin.loss(X), net.loss(X))


def test_a_file_cannot_name_a_layer_that_is_not_registered(softplus, tmp_path):
    Net([Affine(5), softplus.Softplus(), Affine(3)], (4,)).save(tmp_path / "net")
    del _registry.LAYERS["Softplus"]
    try:
        with pytest.raises(ValueError, match=r"layers\[1\] is of class 'Softplus'; known are Affine, "):
            Net.load(tmp_path / "net")
    finally:
        _registry.LAYERS["Softplus"] = softplus.Softplus


def convert(net):
    """Return what an ONNX model and the net give for the same rows."""
    pytest.importorskip("skl2onnx", reason="skl2onnx is not installed")
    onnxruntime = pytest.importorskip("onnxruntime", reason="onnxruntime is not installed")
    X, y = blobs(50)
    model = small(TwoLayerNet).fit(X, y)
    model._net = net
    session = onnxruntime.InferenceSession(model.to_onnx().SerializeToString(), providers=["CPUExecutionProvider"])
    return session.run(None, {"X": X.astype(np.float32)})[1], model.predict_proba(X)


def test_a_new_activation_is_converted(softplus):
    net = Net([Affine(5), softplus.Softplus(), Affine(3)], (16,), weight_scale="he", random_state=0)
    np.testing.assert_allclose(*convert(net), atol=1e-5)


def test_fused_layers_are_converted():
    first = [ConvReLUPool(Conv(4, 3), MaxPool()), AffineReLU(Affine(6)), Affine(3)]
    net = Net(first, (1, 4, 4), weight_scale="he", random_state=0)
    np.testing.assert_allclose(*convert(net), atol=1e-5)


def test_subclasses_are_converted_by_what_they_define():
    class Plain(ReLU):
        pass

    class Clipped(ReLU):
        def forward(self, x, params, work, *, train, sample_weight):
            return np.clip(x, 0, 0.5)

        def to_onnx(self, graph, arrays, x, shape):
            return graph.add("Clip", x, graph.constant(np.float32(0)), graph.constant(np.float32(0.5))), shape

    def make(activation):
        return Net([Affine(5), activation, Affine(3)], (16,), weight_scale="he", random_state=0)

    np.testing.assert_allclose(*convert(make(Clipped())), atol=1e-5)
    with pytest.raises(ValueError, match=r"layer Plain cannot be converted to ONNX; known are .*ReLU, .*, and layers"):
        convert(make(Plain()))


@pytest.mark.parametrize("method", ["forward", "backward"])
def test_what_a_layer_lacks_is_named(method, rng):
    class Half(Layer):
        def forward(self, x, params, work, *, train, sample_weight):
            return x

        def backward(self, dout, grads, work, *, need_dx):
            return dout

    delattr(Half, method)
    net = Net([Affine(4), Half(), Affine(3)], (4,))
    with pytest.raises(NotImplementedError, match=f"Half has no method {method}"):
        net.loss(rng.randn(2, 4), np.array([0, 1]))


WHOLE = """
import sys
sys.path.insert(0, sys.argv[1])
import numpy as np
import sklearn_dl
from sklearn_dl import persistence
from sklearn_dl.gradient_check import check_net
from sklearn_dl.layers import softplus_backward, softplus_forward
from sklearn_dl.nets import Net
from sklearn_dl.nets.layers import Affine, Conv, Softplus, Softsign

assert sklearn_dl.__file__.startswith(sys.argv[1])
rng = np.random.RandomState(0)
for layer in (Softplus(), Softsign()):
    assert f"sklearn_dl.nets.layers.{type(layer).__name__}" in persistence.SKOPS_TRUSTED
    layers = [Conv(2, 3), layer, Affine(5), layer, Affine(3)]
    net = Net(layers, (1, 3, 3), weight_scale="he", dtype="float64", random_state=0)
    check_net(net, rng.randn(7, 1, 3, 3), rng.randint(3, size=7))
    net.save(sys.argv[1] + "/net")
    assert Net.load(sys.argv[1] + "/net").layers[3] == layer
X, y = rng.randn(60, 4), np.arange(60) % 3
X[np.arange(60), y] += 3
settings = {"activation": "softsign", "update_rule": "sign_descent", "num_epochs": 20, "tol": None, "random_state": 0}
model = sklearn_dl.TwoLayerNet(**settings).fit(X, y)
assert model.score(X, y) > 0.8, model.score(X, y)
assert set(model.learning_rate_history_) == {1e-3}
model.save(sys.argv[1] + "/model")
assert (sklearn_dl.load(sys.argv[1] + "/model").predict(X) == model.predict(X)).all()
for name in ("activation", "update_rule"):
    try:
        sklearn_dl.TwoLayerNet(**{name: "other"}).fit(X, y)
    except ValueError as error:
        assert settings[name] in str(error), error
    assert repr(settings[name]) in sklearn_dl.TwoLayerNet.__doc__
assert "sign_descent" in sklearn_dl.optim.__all__
"""


def test_an_activation_is_one_file_and_one_line_and_a_rule_one_place(tmp_path):
    """In a copy of the package: everything else follows from the line in layers/_table.py, and the rule's row."""
    from sklearn_dl import _ext

    ignore = shutil.ignore_patterns("__pycache__")
    shutil.copytree(PACKAGE, tmp_path / "sklearn_dl", ignore=ignore)
    shutil.copytree(Path(_ext.__file__).parent, tmp_path / "sklearn_dl/_ext", ignore=ignore, dirs_exist_ok=True)
    (tmp_path / "sklearn_dl/layers/softplus.py").write_text(SOFTPLUS)
    (tmp_path / "sklearn_dl/layers/softsign.py").write_text(SOFTSIGN)
    with open(tmp_path / "sklearn_dl/layers/_table.py", "a") as table:
        table.write("from sklearn_dl.layers.softplus import *\nfrom sklearn_dl.layers.softsign import *\n")
    optim = tmp_path / "sklearn_dl/optim.py"
    before, mark, after = optim.read_text().partition("\n\ndef adagrad(")
    optim.write_text(before + SIGN_DESCENT + mark + after)
    command = [sys.executable, "-W", "error", "-c", WHOLE, str(tmp_path)]
    found = subprocess.run(command, capture_output=True, text=True, check=False)
    assert (found.stdout, found.stderr) == ("", "")


def test_patterns_of_fusion_are_of_layers_as_stated():
    for kinds, _ in fusion.PATTERNS:
        assert len(kinds) > 1
        assert set(kinds) <= set(LAYERS.values())


def kinds(stack):
    return [type(step).__name__ for step in fusion.fuse(stack)]


def test_fusion():
    assert kinds([Affine(3), ReLU(), Affine(2)]) == ["AffineActivation", "Affine"]
    assert kinds([ReLU(), Affine(3), ReLU(), ReLU()]) == ["ReLU", "AffineActivation", "ReLU"]
    assert kinds([Conv(2, 3), ReLU(), MaxPool(), Conv(2, 3), ReLU()]) == ["ConvReLUPool", "ConvActivation"]
    assert kinds([ReLU()]) == ["ReLU"]
    assert kinds([]) == []


def test_subclasses_are_not_fused():
    class Other(ReLU):
        pass

    assert kinds([Affine(3), Other()]) == ["Affine", "Other"]
