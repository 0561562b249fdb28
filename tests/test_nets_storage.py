"""Nets in files: what comes back, what is refused."""

import copy
import os
import tracemalloc

import numpy as np
import pytest

import sklearn_dl
from sklearn_dl import Softmax, TwoLayerNet, persistence
from sklearn_dl.nets import FullyConnected, Net, ThreeLayerConv, _storage
from sklearn_dl.nets.activations import ACTIVATIONS
from sklearn_dl.nets.layers import (
    Affine,
    AffineActivation,
    AffineReLU,
    BatchNorm,
    Conv,
    ConvActivation,
    ConvReLUPool,
    Dropout,
    GroupNorm,
    LayerNorm,
    MaxPool,
    ReLU,
    SiLU,
    Tanh,
)
from sklearn_dl.persistence import read_archive, write_archive

ALL_LAYERS = [Conv(4, 3), GroupNorm(2), ReLU(), BatchNorm(), MaxPool(), ConvReLUPool(Conv(3, 1), MaxPool())]
ALL_LAYERS += [ConvActivation(Conv(2, 3), Tanh()), *(cls() for cls in ACTIVATIONS.values())]
ALL_LAYERS += [AffineActivation(Affine(6), SiLU())]
ALL_LAYERS += [AffineReLU(Affine(6)), LayerNorm(), Dropout(0.7), Dropout(0.5, seed=3), BatchNorm(), Affine(3)]
NETS = {
    "net": lambda **o: Net(ALL_LAYERS, (2, 6, 5), **o),
    "net-linear": lambda **o: Net([Affine(3)], (128,), **o),
    "net-rows": lambda **o: Net([BatchNorm(), Affine(3)], (2,), **o),
    "fc": lambda **o: FullyConnected([5, 4], 6, 3, **o),
    "fc-batchnorm": lambda **o: FullyConnected([5], 6, 3, normalization="batchnorm", dropout_keep_ratio=0.6, **o),
    "conv": lambda **o: ThreeLayerConv((1, 5, 4), 3, 3, 4, 3, dropout_keep_ratio=0.6, **o),
    "conv-groupnorm": lambda **o: ThreeLayerConv((1, 5, 4), 8, 3, 4, 3, normalization="groupnorm", **o),
}
every_net = pytest.mark.parametrize("make", NETS.values(), ids=NETS)


@pytest.fixture
def path(tmp_path):
    return str(tmp_path / "model")


def batch(net, n=6):
    rng = np.random.RandomState(2)
    return rng.randn(n, *net.input_shape), rng.randint(net.num_classes, size=n)


def assert_same(actual, desired):
    assert list(actual) == list(desired)
    for name, value in desired.items():
        np.testing.assert_array_equal(actual[name], value, err_msg=name)
        assert actual[name].dtype == value.dtype


@every_net
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("load", [Net.load, sklearn_dl.load, persistence.load])
def test_what_comes_back(make, dtype, load, path):
    net = make(dtype=dtype, reg=0.25, random_state=5)
    X, y = batch(net)
    net.loss(X, y)
    net.save(path)
    twin = load(path)
    assert type(twin) is type(net)
    assert twin.layers == net.layers
    assert (twin.input_shape, twin.num_classes, twin.dtype, twin.reg) == (net.input_shape, 3, np.dtype(dtype), 0.25)
    assert twin.weight_names == net.weight_names
    assert twin.takes_rows == net.takes_rows
    assert_same(twin.params, net.params)
    assert_same(twin.statistics, net.statistics)
    np.testing.assert_array_equal(twin.loss(X), net.loss(X))
    for _ in range(2):  # the masks of dropout go on
        (loss, grads), (expected_loss, expected) = twin.loss(X, y), net.loss(X, y)
        assert loss == expected_loss
        assert_same(grads, expected)
    assert_same(twin.statistics, net.statistics)
    with pytest.raises(KeyError, match="no parameter"):
        twin.params["V1"] = 0


@every_net
def test_a_loaded_net_trains_on_alone(make, path):
    net = make(random_state=0)
    net.save(path)
    twins = [net, Net.load(path), Net.load(path)]
    arrays = [array for twin in twins for array in (*twin.params.values(), *twin.statistics.values())]
    assert not any(np.shares_memory(a, b) for i, a in enumerate(arrays) for b in arrays[:i])
    assert all(array.flags.writeable and array.flags.c_contiguous for array in arrays)


def test_every_layer_of_this_package_can_be_stored():
    from sklearn_dl.nets import layers

    used = {type(layer).__name__ for layer in ALL_LAYERS}
    assert used == set(_storage.LAYERS) == set(layers.__all__) - {"Layer", "Initializer"}


@every_net
def test_loading_draws_nothing(make, path):
    make(random_state=0).save(path)
    np.random.seed(0)
    before = np.random.get_state()[1].copy()
    twin = Net.load(path)
    np.testing.assert_array_equal(np.random.get_state()[1], before)
    expected = make(random_state=0).random_state
    np.testing.assert_array_equal(twin.random_state.randn(3), expected.randn(3))


def test_a_net_on_the_global_generator(path):
    np.random.seed(4)
    FullyConnected([5], 6, 3, dropout_keep_ratio=0.5).save(path)
    expected = np.random.rand(3)
    np.testing.assert_array_equal(Net.load(path).random_state.rand(3), expected)


def test_classes(path):
    FullyConnected([5], 6, 3).save(path)
    assert type(FullyConnected.load(path)) is FullyConnected
    assert type(sklearn_dl.load(path, expected_class=Net)) is FullyConnected
    with pytest.raises(ValueError, match=r"model' holds a FullyConnected, not a ThreeLayerConv; load it with Fully"):
        ThreeLayerConv.load(path)
    with pytest.raises(ValueError, match=r"model' holds a FullyConnected, not a TwoLayerNet"):
        TwoLayerNet.load(path)
    Softmax().save(path)
    with pytest.raises(ValueError, match=r"model' holds a Softmax, not a Net"):
        Net.load(path)
    with pytest.raises(ValueError, match=r"model' holds a Softmax, not a FullyConnected"):
        FullyConnected.load(path)


def test_a_file_that_holds_something_else(path):
    write_archive(path, {"W1": np.ones(3)})
    with pytest.raises(ValueError, match=r"model' holds no estimator and no net; read_archive reads"):
        Net.load(path)


def test_numpy_reads_the_parameters(path):
    net = FullyConnected([5], 6, 3)
    net.save(path)
    with np.load(path) as archive:
        np.testing.assert_array_equal(archive["params.W1"], net.params["W1"])


# ----------------------------------------------------------- what is refused


class Mine(Net):
    pass


class Leaky(ReLU):
    pass


@pytest.mark.parametrize(
    ("net", "message"),
    [
        (Mine([Affine(3)], (4,)), "net must be an instance of Net, FullyConnected, ThreeLayerConv itself, got Mine"),
        (type("Net", (Net,), {})([Affine(3)], (4,)), "net must be an instance of .* itself, got Net"),
        (Net([Affine(3), Leaky()], (4,)), r"^layers\[1\] is a Leaky, which is no layer of sklearn_dl.nets.layers: .*"),
        (Net([Affine(3), type("ReLU", (ReLU,), {})()], (4,)), r"^layers\[1\] is a ReLU, which is no layer of"),
        (
            Net([Affine(3)], (4,), random_state=np.random.RandomState(np.random.PCG64(0))),
            "random_state.* of Net cannot be saved: a RandomState on PCG64",
        ),
    ],
)
def test_what_cannot_be_saved(net, message, tmp_path, path):
    with pytest.raises(TypeError, match=message):
        net.save(path)
    assert os.listdir(tmp_path) == []


def test_save_of_a_class(path):
    with pytest.raises(TypeError, match=r"estimator must be an instance of .*, Net, .* itself, got type"):
        persistence.save(Net, path)


def tree():
    """Return the tree of a net with all that a tree can hold."""
    net = Net([Affine(4), BatchNorm(), ReLU(), Dropout(0.5), BatchNorm(), AffineReLU(Affine(3))], (5,), random_state=0)
    return _storage.net_to_tree(net)


def test_the_tree_is_good():
    net = _storage.net_from_tree(tree())
    assert net.layers[-1] == AffineReLU(Affine(3))


def put(*keys, value):
    """Return a function that puts a value into a tree."""

    def change(tree):
        for key in keys[:-1]:
            tree = tree[key]
        tree[keys[-1]] = value

    return change


def drop(*keys):
    def change(tree):
        for key in keys[:-1]:
            tree = tree[key]
        del tree[keys[-1]]

    return change


def share(*pairs):
    """Let one array stand for two."""

    def change(tree):
        (field, name), (other_field, other) = pairs
        tree[field][name] = tree[other_field][other]

    return change


W1 = np.ones((5, 4), np.float32)
BAD = {
    "no layers": (drop("layers"), "a net has the fields net, layers, .*, got net, input_shape"),
    "no random state": (drop("random_state"), "a net has the fields"),
    "another field": (put("extra", value=1), "a net has the fields .* random_state, got .*, extra"),
    "class": (put("net", value="Mine"), "net is 'Mine'; known are Net, FullyConnected, ThreeLayerConv"),
    "class that is no name": (put("net", value=["Net"]), "unhashable|net is"),
    "layers": (put("layers", value={}), "layers are no list"),
    "empty layers": (put("layers", value=[]), "layers are no list"),
    "a layer": (put("layers", 1, value=3), r"layers\[1\] is 3, which is no layer"),
    "a layer's keys": (put("layers", 1, value={"layer": "ReLU"}), r"layers\[1\] is .*, which is no layer"),
    "a layer's class": (put("layers", 2, "layer", value="Layer"), r"layers\[2\] is of class 'Layer'; known are Affine"),
    "a class elsewhere": (put("layers", 2, "layer", value="os.system"), r"layers\[2\] is of class 'os.system'"),
    "arguments": (put("layers", 2, "arguments", value=[1]), "arguments is .*, which is no dict"),
    "names of arguments": (put("layers", 2, "arguments", value={1: 1}), "arguments is .*, which is no dict of names"),
    "another argument": (put("layers", 2, "arguments", value={"x": 1}), "unexpected keyword argument|takes no arg"),
    "units": (put("layers", 0, "arguments", "units", value=-1), "units == -1, must be >= 1"),
    "other units": (put("layers", 0, "arguments", "units", value=9), r"params\['W1'\] must be .* of shape \(5, 9\)"),
    "text": (put("layers", 0, "arguments", "units", value="4"), "units must be an instance of"),
    "keep ratio": (put("layers", 3, "arguments", "keep_ratio", value=2.0), "keep_ratio == 2.0"),
    "a layer in a layer": (put("layers", 5, "arguments", "affine", value=7), "affine must be a layer of class Affine"),
    "its class": (put("layers", 5, "arguments", "affine", "layer", value="Net"), r"s\[5\].affine is of class 'Net'"),
    "order": (lambda tree: tree["layers"].reverse(), "params|layers"),
    "images": (put("layers", 0, value={"layer": "MaxPool", "arguments": {}}), "MaxPool needs images"),
    "input shape": (put("input_shape", value=(5, 0)), r"input_shape\[1\] == 0"),
    "no input shape": (put("input_shape", value=()), "input_shape must hold at least one size"),
    "input shape of another type": (put("input_shape", value="5"), "input_shape must be an integer or a sequence"),
    "inputs": (put("input_shape", value=(6,)), r"params\['W1'\] must be float32 of shape \(6, 4\), got .*\(5, 4\)"),
    "reg": (put("reg", value=-1.0), "reg == -1.0"),
    "nan": (put("reg", value=float("nan")), "reg must be a finite number"),
    "dtype": (put("dtype", value=np.dtype(np.float16)), "dtype must be float32 or float64"),
    "another dtype": (put("dtype", value=np.dtype(np.float64)), r"params\['W1'\] must be float64 .*, got float32"),
    "no dtype": (put("dtype", value=None), "dtype must be"),
    "random state": (put("random_state", value=3), "random_state is 3, which is no RandomState"),
    "params": (put("params", value=[W1]), "params is .*, which is no dict of names"),
    "a parameter less": (drop("params", "b1"), "params are W1, gamma1, .*, those of the layers W1, b1"),
    "a parameter more": (put("params", "V", value=W1), "params are .*, V, those of the layers"),
    "shape": (put("params", "b1", value=np.zeros(5, np.float32)), r"params\['b1'\] must be .*\(4,\), got .*\(5,\)"),
    "dtype of one": (put("params", "b1", value=np.zeros(4)), r"params\['b1'\] must be float32 .* got float64"),
    "byte order": (put("params", "b1", value=np.zeros(4, ">f4")), r"params\['b1'\] must be float32 .* got >f4"),
    "no array": (put("params", "b1", value=[0.0] * 4), r"params\['b1'\] must be float32 .*, got \[0.0"),
    "none": (put("params", "b1", value=None), r"params\['b1'\] must be float32 .*, got None"),
    "statistics": (put("statistics", value=None), "statistics is a NoneType, which is no dict"),
    "a statistic less": (drop("statistics", "running_var1_2"), "statistics are running_mean1, .*, those of the layers"),
    "a statistic more": (put("statistics", "n", value=W1), "statistics are .*, n, those of the layers"),
    "a statistic's shape": (put("statistics", "running_mean1", value=W1), r"statistics\['running_mean1'\] must be"),
    "one array for two": (share(("params", "b1"), ("params", "gamma1")), "one array stands for several"),
    "one array in both": (share(("params", "b1"), ("statistics", "running_mean1")), "one array stands for several"),
}  # fmt: skip


@pytest.mark.parametrize("bad", BAD)
def test_bad_trees(bad, path):
    change, message = BAD[bad]
    broken = tree()
    change(broken)
    write_archive(path, broken)
    for load in (Net.load, sklearn_dl.load):
        with pytest.raises(ValueError, match=rf"model' does not hold a valid net \(written by .*\): .*(?:{message})"):
            load(path)


def test_damaged_files(path):
    net = FullyConnected([3], 2, 3, normalization="batchnorm", random_state=0)
    net.save(path)
    with open(path, "rb") as file:
        raw = file.read()
    X = np.ones((2, 2))
    expected = net.loss(X)
    messages = []
    for i in range(0, len(raw), 7):
        damaged = bytearray(raw)
        damaged[i] ^= 1 << (i % 8)
        with open(path, "wb") as file:
            file.write(damaged)
        try:
            np.testing.assert_array_equal(Net.load(path).loss(X), expected)
        except ValueError as error:
            messages.append(str(error))
    assert len(messages) > len(raw) / 7 * 0.8
    assert all("model'" in message for message in messages)
    for length in range(0, len(raw), 101):
        with open(path, "wb") as file:
            file.write(raw[:length])
        with pytest.raises(ValueError, match="model'"):
            Net.load(path)


HUGE = [
    {"layers": [{"layer": "Affine", "arguments": {"units": 2**40}}]},
    {"layers": [{"layer": "Affine", "arguments": {"units": 2**70}}]},
    {"input_shape": (2**40,)},
    {"input_shape": (2**40, 2**40)},
    {"layers": [{"layer": "Affine", "arguments": {"units": 2**31}}] * 3},
    {"layers": [{"layer": "BatchNorm", "arguments": {}}, tree()["layers"][0]], "input_shape": (2**40,)},
    {"layers": [{"layer": "Conv", "arguments": {"filters": 2**30, "size": 2**30 + 1}}], "input_shape": (1, 2, 2)},
]  # fmt: skip


@pytest.mark.parametrize("change", HUGE)
def test_sizes_that_the_file_does_not_hold(change, path):
    write_archive(path, {**tree(), **change})
    tracemalloc.start()
    try:
        with pytest.raises(ValueError, match="model' does not hold a valid net"):
            Net.load(path)
        assert tracemalloc.get_traced_memory()[1] < 2_000_000
    finally:
        tracemalloc.stop()


@every_net
def test_a_file_takes_what_the_arrays_take(make, path):
    net = make()
    net.save(path)
    arrays = [*net.params.values(), *net.statistics.values()]
    assert os.path.getsize(path) < sum(array.nbytes for array in arrays) + 512 * len(arrays) + 9_000


def test_saving_does_not_change_the_net(path):
    net = NETS["net"](random_state=0)
    twin = copy.deepcopy(net)
    net.save(path)
    X, y = batch(net)
    assert net.loss(X, y)[0] == twin.loss(X, y)[0]


def test_arrays_of_every_layout(path):
    broken = tree()
    broken["params"]["W1"] = np.asfortranarray(np.arange(20, dtype=np.float32).reshape(5, 4))
    write_archive(path, broken)
    net = Net.load(path)
    np.testing.assert_array_equal(net.params["W1"], np.arange(20).reshape(5, 4))
    assert net.params["W1"].flags.c_contiguous
    assert read_archive(path)["params"].keys() == net.params.keys()
