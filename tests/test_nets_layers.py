"""Layer objects: any list of them makes a net, names, arguments, copies, layers of a user."""

import copy
import math
import pickle
import re

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.base import clone

from sklearn_dl.gradient_check import check_net
from sklearn_dl.nets import FullyConnected, Net, ThreeLayerConv
from sklearn_dl.nets.activations import ACTIVATIONS
from sklearn_dl.nets.layers import (
    LAYERS,
    Affine,
    AffineActivation,
    AffineReLU,
    BatchNorm,
    Conv,
    ConvActivation,
    ConvReLUPool,
    Dropout,
    GroupNorm,
    Layer,
    LayerNorm,
    MaxPool,
    ReLU,
)
from sklearn_dl.solver import Solver
from sklearn_dl.training import _program

from ._recorded import assert_same as assert_same_values


def batch(net, n=6, seed=2):
    rng = np.random.RandomState(seed)
    return rng.randn(n, *net.input_shape).astype(net.dtype), rng.randint(net.num_classes, size=n)


def make(layers, input_shape, **options):
    """Return a net whose parameters are all far from zero, so that no gradient vanishes."""
    net = Net(layers, input_shape, **{"weight_scale": "he", "dtype": np.float64, "random_state": 0, **options})
    rng = np.random.RandomState(1)
    for name, value in net.params.items():
        if name[0] != "W":
            net.params[name] = value + 0.3 * rng.randn(*value.shape)
    return net


def names(layers, input_shape=(4,)):
    net = Net(layers, input_shape)
    return [*net.params, *net.statistics]


# ---------------------------------------------------------- lists of layers


def divisors(n):
    return [k for k in range(1, n + 1) if n % k == 0]


def units():
    return st.integers(1, 5)


def activations():
    return st.one_of(*map(st.builds, ACTIVATIONS.values()))


def shapeless():
    """Return layers that take any input and leave its shape."""
    dropout = st.builds(Dropout, st.sampled_from([0.5, 0.8, 1.0]), st.integers(0, 2))
    return st.one_of(activations(), st.builds(BatchNorm), dropout)


def fitting(shape):
    """Return the layers that take an input of this shape."""
    if len(shape) == 1:
        fused = st.one_of(st.builds(AffineReLU, affine()), st.builds(AffineActivation, affine(), activations()))
        return st.one_of(shapeless(), st.builds(LayerNorm), st.builds(Affine, units()), fused)
    conv = st.builds(Conv, st.integers(1, 4), st.sampled_from([1, 3, 5]))
    group_norm = st.builds(GroupNorm, st.sampled_from(divisors(shape[0])))
    fused = st.one_of(st.builds(ConvReLUPool, conv, st.builds(MaxPool)), st.builds(ConvActivation, conv, activations()))
    return st.one_of(shapeless(), conv, group_norm, st.builds(MaxPool), st.builds(Affine, units()), fused)


def affine():
    return st.builds(Affine, units())


def shape_after(layer, shape):
    """Return the shape that a layer makes, as written down in its docstring."""
    if isinstance(layer, Affine):
        return (layer.affine if isinstance(layer, AffineActivation) else layer).units, *()
    channels, *sizes = shape
    if isinstance(layer, (MaxPool, ConvReLUPool)):
        sizes = [max(1, size // 2) for size in sizes]
    return (layer.filters if isinstance(layer, Conv) else channels, *sizes)


@st.composite
def stated_nets(draw):
    """Draw a list of layers that ends in scores, and the shape of its input."""
    sizes = st.integers(1, 6)
    input_shape = draw(st.one_of(st.tuples(sizes), st.tuples(st.integers(1, 3), sizes, sizes)))
    layers, shape = [], input_shape
    for _ in range(draw(st.integers(0, 6))):
        layers.append(draw(fitting(shape)))
        shape = shape_after(layers[-1], shape)
    layers.append(Affine(draw(st.integers(2, 4))))
    layers += draw(st.lists(st.one_of(shapeless(), st.builds(LayerNorm)), max_size=3))
    return layers, input_shape


def check_gradients(net):
    """Check all gradients. A kink within a step is gone with a smaller one, rounding with a larger one."""
    X, y = batch(net)
    for h in (1e-5, 1e-6, 1e-4):
        try:
            return check_net(net, X, y, h=h, tol=1e-4)
        except AssertionError:
            continue
    return check_net(net, X, y, h=1e-7, tol=1e-4)


every_list = settings(max_examples=300, deadline=None, derandomize=True, database=None)


@every_list
@given(stated_nets(), st.sampled_from([0.0, 0.3]))
def test_gradients_of_any_list_of_layers(stated, reg):
    net = make(*stated, reg=reg)
    check_gradients(net)
    assert len({id(array) for array in (*net.params.values(), *net.statistics.values())}) == sum(
        2 * isinstance(layer, (Affine, Conv, BatchNorm, GroupNorm, LayerNorm)) + 2 * isinstance(layer, BatchNorm)
        for layer in net.layers
    )


@settings(every_list, max_examples=100)
@given(stated_nets(), st.sampled_from([np.float32, np.float64]), st.sampled_from(["sgd", "adam"]))
def test_any_list_of_layers_trains_alike_recorded_and_step_by_step(stated, dtype, rule):
    layers, input_shape = stated
    outcomes = []
    for enabled in (True, False):
        net = make(layers, input_shape, reg=0.1, dtype=dtype)
        X, y = batch(net, n=11)
        options = {"batch_size": 4, "num_epochs": 4, "update_rule": rule, "verbose": False, "random_state": 0}
        solver = Solver(net, {"X_train": X, "y_train": y, "X_val": X[:5], "y_val": y[:5]}, **options)
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(_program, "enabled", enabled)
            solver.train()
        outcomes.append((net.params, net.statistics, solver.loss_history, solver.val_acc_history))
    assert_same_values(*outcomes)


@every_list
@given(stated_nets(), st.sampled_from([np.float32, np.float64]))
def test_any_list_of_layers_comes_back_to_the_bit(tmp_path_factory, stated, dtype):
    net = make(*stated, dtype=dtype)
    X, y = batch(net)
    net.loss(X, y)
    path = tmp_path_factory.getbasetemp() / "any.net"
    net.save(path)
    twins = [Net.load(path), pickle.loads(pickle.dumps(net)), copy.deepcopy(net)]
    scores = net.loss(X)
    loss, grads = net.loss(X, y)
    for twin in twins:
        assert twin.layers == net.layers
        np.testing.assert_array_equal(twin.loss(X), scores)
        again, twin_grads = twin.loss(X, y)
        assert again == loss
        assert list(twin_grads) == list(grads)
        for name, grad in grads.items():
            np.testing.assert_array_equal(twin_grads[name], grad)
        assert list(twin.statistics) == list(net.statistics)
        for name, value in net.statistics.items():
            np.testing.assert_array_equal(twin.statistics[name], value)


@every_list
@given(stated_nets())
def test_any_layer_prints_compares_and_clones_by_its_arguments(stated):
    layers, input_shape = stated
    for layer, built in zip(layers, Net(layers, input_shape).layers, strict=True):
        for twin in (
            built,
            eval(repr(layer), dict(LAYERS)),
            type(layer)(**layer.arguments()),
            clone(layer),
            clone(built),
        ):
            assert twin is not layer
            assert twin == layer
            assert hash(twin) == hash(layer)
            assert repr(twin) == repr(layer)


def test_a_wrong_gradient_in_a_list_is_found():
    class Wrong(ReLU):
        def backward(self, dout, grads, work, *, need_dx):
            return 1.01 * super().backward(dout, grads, work, need_dx=need_dx)

    with pytest.raises(AssertionError, match="W1: gradient is wrong"):
        check_gradients(make([Affine(5), Wrong(), BatchNorm(), Affine(3)], (4,)))


# -------------------------------------------------------------------- names


@pytest.mark.parametrize(
    ("layers", "expected"),
    [
        ([Affine(3), BatchNorm(), ReLU()], "W1 b1 gamma1 beta1 running_mean1 running_var1"),
        ([Affine(3), LayerNorm(), LayerNorm()], "W1 b1 gamma1 beta1 gamma1_2 beta1_2"),
        (
            [Affine(3), LayerNorm(), ReLU(), LayerNorm(), LayerNorm()],
            "W1 b1 gamma1 beta1 gamma1_2 beta1_2 gamma1_3 beta1_3",
        ),
        # Names of one layer have one ending.
        ([Affine(3), LayerNorm(), BatchNorm()], "W1 b1 gamma1 beta1 gamma1_2 beta1_2 running_mean1_2 running_var1_2"),
        ([LayerNorm(), Affine(3), LayerNorm()], "gamma0 beta0 W1 b1 gamma1 beta1"),
        ([LayerNorm(), LayerNorm(), Affine(3)], "gamma0 beta0 gamma0_2 beta0_2 W1 b1"),
        ([Affine(3), LayerNorm(), Affine(3), LayerNorm()], "W1 b1 gamma1 beta1 W2 b2 gamma2 beta2"),
        ([AffineReLU(Affine(3)), Affine(2)], "W1 b1 W2 b2"),
    ],
)
def test_names(layers, expected):
    assert names(layers) == expected.split()


def test_names_of_the_nets_of_0_1_0_stay():
    net = FullyConnected([4, 3], 5, 2, normalization="batchnorm")
    assert list(net.params) == ["W1", "b1", "gamma1", "beta1", "W2", "b2", "gamma2", "beta2", "W3", "b3"]
    assert list(net.statistics) == ["running_mean1", "running_var1", "running_mean2", "running_var2"]
    for normalization in ("batchnorm", "groupnorm"):
        net = ThreeLayerConv((1, 4, 4), normalization=normalization)
        assert list(net.params) == ["W1", "b1", "gamma1", "beta1", "W2", "b2", "W3", "b3"]


@pytest.mark.parametrize("norm", [BatchNorm, LayerNorm])
def test_two_norms_of_a_block_learn_apart(norm):
    net = make([Affine(8), norm(), ReLU(), norm(), Affine(3)], (4,))
    assert check_net(net, *batch(net))["gamma1_2"] < 1e-6
    assert not np.array_equal(net.params["gamma1"], net.params["gamma1_2"])
    if norm is BatchNorm:
        assert not np.array_equal(net.statistics["running_mean1"], net.statistics["running_mean1_2"])


class Scale(Layer):
    """A layer of a user, with names from the net."""

    def __init__(self, start=1.0, kind="scale"):
        self.start, self.kind = start, kind

    def build(self, in_shape, block, init):
        (self.scale,) = block.names(self.kind)
        return in_shape, {self.scale: init.constant(self.start, in_shape)}

    def forward(self, x, params, work, *, train, sample_weight):
        work["x"], work["scale"] = x, params[self.scale]
        return x * work["scale"]

    def backward(self, dout, grads, work, *, need_dx):
        grads[self.scale][...] = (dout * work["x"]).sum(axis=0)
        return dout * work["scale"]


class NumberedScale(Scale):
    """As layers were written for 0.1.0: block is a number, and the name its own."""

    def build(self, in_shape, block, init):
        self.scale = f"{self.kind}{block}"
        return in_shape, {self.scale: init.constant(self.start, in_shape)}


class Fixed(NumberedScale):
    def build(self, in_shape, block, init):
        return super().build(in_shape, "", init)


class Counted(Layer):
    """Counts its samples in a running statistic of a name of its own."""

    def __init__(self, name):
        self.name = name

    def build(self, in_shape, block, init):
        self.statistics_names = (self.name,)
        self.statistics = {self.name: init.constant(0, ())}
        return in_shape, {}

    def forward(self, x, params, work, *, train, sample_weight):
        self.statistics[self.name] += len(x) if train else 0
        return x

    def backward(self, dout, grads, work, *, need_dx):
        return dout


class Twice(Layer):
    """Two layers in one, each of which is built by itself."""

    def __init__(self, layer):
        self.layer = layer

    def build(self, in_shape, block, init):
        self.parts = [copy.deepcopy(self.layer), copy.deepcopy(self.layer)]
        params = {}
        for part in self.parts:
            in_shape, new = part.build(in_shape, block, init)
            params.update(new)
        return in_shape, params

    def forward(self, x, params, work, **options):
        for i, part in enumerate(self.parts):
            x = part.forward(x, params, work.setdefault(i, {}), **options)
        return x

    def backward(self, dout, grads, work, *, need_dx):
        for i in (1, 0):
            dout = self.parts[i].backward(dout, grads, work[i], need_dx=True)
        return dout


@pytest.mark.parametrize("kind", [Scale, NumberedScale])
def test_layers_of_a_user(kind):
    net = make([kind(), Affine(5), kind(), ReLU(), Affine(3), kind()], (4,))
    assert [name for name in net.params if name.startswith("scale")] == ["scale0", "scale1", "scale2"]
    check_gradients(net)


def test_layers_of_a_user_that_stand_twice_in_a_block():
    net = make([Affine(5), Scale(), Scale(2.0), Twice(Scale()), Affine(3)], (4,))
    assert list(net.params) == ["W1", "b1", "scale1", "scale1_2", "scale1_3", "scale1_4", "W2", "b2"]
    check_gradients(net)
    net = make([Affine(5), Twice(LayerNorm()), LayerNorm(), Affine(3)], (4,))
    assert "gamma1_3" in net.params
    check_gradients(net)


@pytest.mark.parametrize(
    ("layers", "name", "second", "first"),
    [
        ([Affine(3), NumberedScale(), NumberedScale()], "scale1", 2, 1),
        ([Affine(3), Scale(), NumberedScale()], "scale1", 2, 1),
        ([Affine(3), Fixed(), Affine(3), Fixed()], "scale", 3, 1),
        ([Affine(3), NumberedScale(kind="W")], "W1", 1, 0),
        ([Affine(3), Scale(kind="x"), ReLU(), Fixed(kind="x1")], "x1", 3, 1),
        ([Affine(3), BatchNorm(), Counted("running_var1")], "running_var1", 2, 1),
        ([Affine(3), BatchNorm(), Counted("gamma1")], "gamma1", 2, 1),
        ([Affine(3), Counted("n"), Counted("n")], "n", 2, 1),
        ([Affine(3), Counted("b1")], "b1", 1, 0),
        ([Twice(Scale()), Twice(NumberedScale())], "scale0", 1, 0),
    ],
)
def test_collisions_are_errors(layers, name, second, first):
    message = (
        f"layers[{second}], {layers[second]!r}, takes the name {name!r}, which layers[{first}], {layers[first]!r}, has:"
        " get names from block.names in build."
    )
    with pytest.raises(ValueError, match=f"^{re.escape(message)}$"):
        Net(layers, (4,))


@pytest.mark.parametrize("built", [None, (4,), ([4], {}), (4, {}), ((4,), {}, {})])
def test_what_build_returns_is_checked(built):
    class Odd(Layer):
        def build(self, in_shape, block, init):
            return built

    with pytest.raises(TypeError, match=r"^layers\[1\], Odd\(\), must return \(out_shape, params\) from build, .* got"):
        Net([Affine(4), Odd(), Affine(3)], (4,))


def test_a_name_that_is_taken_is_left_out():
    """A layer that asks for names gets others, whichever of the two comes first."""
    assert names([Affine(4), NumberedScale(kind="gamma"), LayerNorm()]) == ["W1", "b1", "gamma1", "gamma1_2", "beta1_2"]
    assert names([Fixed(kind="W1"), Affine(4)]) == ["W1", "W1_2", "b1_2"]


class Selfish(Scale):
    def build(self, in_shape, block, init):
        shape, params = super().build(in_shape, block, init)
        self.statistics_names, self.statistics = (self.scale,), {self.scale: init.constant(0, in_shape)}
        return shape, params


class Penalizing(Scale):
    weight_names = ("W1",)


def test_bad_names_within_a_layer():
    with pytest.raises(ValueError, match=r"^layers\[1\], Selfish\(\), takes the name 'scale1' twice"):
        Net([Affine(3), Selfish()], (4,))
    with pytest.raises(
        ValueError, match=r"^layers\[1\], Penalizing\(\), has 'W1' in weight_names, which is none of its"
    ):
        Net([Affine(3), Penalizing()], (4,))


def test_block_is_a_number():
    blocks = []

    class Curious(Layer):
        def build(self, in_shape, block, init):
            blocks.append(block)
            return in_shape, {}

    Net([Curious(), Affine(3), Curious(), Affine(3), Curious()], (4,))
    assert blocks == [0, 1, 2]
    assert [f"{block}" for block in blocks] == ["0", "1", "2"]
    assert blocks[1] + 1 == 2
    assert type(pickle.loads(pickle.dumps(blocks[1]))) is type(copy.deepcopy(blocks[1])) is int
    assert blocks[1].names("a", "c") == ("a1", "c1")
    assert blocks[1].names("c", "d") == ("c1_2", "d1_2")
    assert blocks[2].names("W", "d") == ("W2_2", "d2_2")


# ------------------------------------------------------------ what is shared


class Recorder(ReLU):
    """Keeps a list of its own, and one that it was given."""

    def __init__(self, given=()):
        self.given, self.seen = given, []

    def forward(self, x, params, work, *, train, sample_weight):
        self.seen.append(len(x))
        return super().forward(x, params, work, train=train, sample_weight=sample_weight)


def test_layers_share_nothing_with_the_callers_or_with_each_other():
    shared = []
    layer = Recorder(shared)
    net, other = (Net([Affine(3), layer, layer], (4,)) for _ in range(2))
    net.loss(batch(net)[0])
    lists = [
        layer.seen,
        shared,
        *(item for n in (net, other) for kept in n.layers[1:] for item in (kept.seen, kept.given)),
    ]
    assert len({id(item) for item in lists}) == len(lists)
    assert [len(kept.seen) for n in (net, other) for kept in n.layers[1:]] == [1, 1, 0, 0]
    assert layer.seen == []


@pytest.mark.parametrize(
    "layer", [Affine(4), Conv(2, 3), BatchNorm(), GroupNorm(1), MaxPool(), Dropout(0.5, seed=1), ReLU()]
)
def test_an_object_in_several_places(layer):
    last = [] if isinstance(layer, Affine) else [Affine(4)]
    net, other = (make([layer, layer, *last, *([LayerNorm()] * 2)], (2, 5, 4)) for _ in range(2))
    check_gradients(net)
    before = {name: value.copy() for name, value in {**other.params, **other.statistics}.items()}
    net.loss(*batch(net))
    for value in net.params.values():
        value += 1
    for name, value in {**other.params, **other.statistics}.items():
        np.testing.assert_array_equal(value, before[name])
    assert not hasattr(layer, "w")
    assert not hasattr(layer, "gamma")


def test_layers_of_one_net_in_another():
    net = make([Affine(5), BatchNorm(), ReLU(), Dropout(0.5), Affine(3)], (4,))
    other = Net(net.layers, (4,), random_state=5)
    assert other.layers == net.layers
    assert all(ours is not theirs for ours, theirs in zip(net.layers, other.layers, strict=True))
    assert other.layers[3].rng is other.random_state
    other.loss(*batch(other))
    assert not net.statistics["running_mean1"].any()


CONSTANT = np.ones(4)


class FromConstant(Scale):
    def build(self, in_shape, block, init):
        (self.scale,) = block.names(self.kind)
        return in_shape, {self.scale: CONSTANT}


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_parameters_that_layers_make_of_one_array(dtype):
    net = Net([FromConstant(), FromConstant(), Affine(3)], (4,), dtype=dtype)
    first, second = net.params["scale0"], net.params["scale0_2"]
    assert first.dtype == second.dtype == dtype
    assert not np.shares_memory(first, second)


def test_a_layer_that_cannot_be_copied():
    layer = ReLU()
    layer.rows = (i for i in range(3))
    with pytest.raises(TypeError, match=r"^layers\[1\], ReLU\(\), holds what cannot be copied: .*generator"):
        Net([Affine(3), layer], (4,))


@pytest.mark.parametrize("n_layers", [1, 2])
@pytest.mark.parametrize("end", [[ReLU()], [ReLU(), ReLU()], [Dropout(0.7, seed=0)], [BatchNorm(), ReLU()]])
def test_the_last_layer_may_need_its_output(n_layers, end):
    check_gradients(make([Affine(4)] * n_layers + end, (5,)))


# ---------------------------------------------------------------- arguments


@pytest.mark.parametrize(
    ("layer", "text"),
    [
        (Affine(np.int64(8)), "Affine(8)"),
        (Conv(8, 3), "Conv(8, 3)"),
        (Dropout(0.5), "Dropout(0.5)"),
        (Dropout(0.5, 3), "Dropout(0.5, seed=3)"),
        (GroupNorm(2), "GroupNorm(2)"),
        (BatchNorm(), "BatchNorm()"),
        (AffineReLU(Affine(3)), "AffineReLU(Affine(3))"),
        (ConvReLUPool(Conv(2, 3), MaxPool()), "ConvReLUPool(Conv(2, 3), MaxPool())"),
        (Scale(), "Scale()"),
        (Scale(kind="x"), "Scale(kind='x')"),
        (Twice(Scale(2.0)), "Twice(Scale(start=2.0))"),
    ],
)
def test_repr(layer, text):
    assert repr(layer) == text


def test_layers_in_one_pass_take_the_layers_that_they_are_made_of():
    for call in (lambda: AffineReLU(3), lambda: AffineReLU(AffineReLU(Affine(3))), lambda: AffineReLU(affine=ReLU())):
        with pytest.raises(TypeError, match="affine must be a layer of class Affine itself, got"):
            call()
    with pytest.raises(TypeError, match="conv must be a layer of class Conv itself, got Affine"):
        ConvReLUPool(Affine(3), MaxPool())
    with pytest.raises(TypeError, match=r"pool must be a layer of class MaxPool itself, got ReLU\(\)"):
        ConvReLUPool(Conv(3, 3), ReLU())


def test_equality():
    different = [
        Affine(3),
        Affine(4),
        Conv(3, 3),
        ReLU(),
        BatchNorm(),
        LayerNorm(),
        Dropout(0.5),
        Dropout(0.5, 0),
        Scale(),
    ]
    different += [Scale(2), Twice(Scale(2)), Twice(Scale(3)), AffineReLU(Affine(3)), 3, None, "ReLU()"]
    for i, a in enumerate(different):
        for j, b in enumerate(different):
            assert (a == b) is (i == j)
            assert (a != b) is (i != j)
    assert len({Affine(3), Affine(3), Affine(4), Twice(Scale())}) == 3


class WithArray(Layer):
    def __init__(self, values, *, options=None):
        self.values, self.options = values, options


def test_equality_of_arrays_and_containers():
    ones = np.ones(3)
    assert WithArray(ones) == WithArray(ones.copy())
    assert WithArray(ones) != WithArray(np.zeros(3))
    assert WithArray(ones) != WithArray([1.0, 1.0, 1.0])
    assert WithArray(ones) != WithArray(ones.astype(int))
    assert WithArray([ones, 1]) == WithArray([np.ones(3), 1])
    assert WithArray([ones]) != WithArray([ones, ones])
    assert WithArray(1, options={"a": ones}) == WithArray(1, options={"a": np.ones(3)})
    assert WithArray(1, options={"a": ones}) != WithArray(1, options={"b": ones})
    assert WithArray(math.nan) == WithArray(math.nan)
    assert repr(WithArray(1, options=2)) == "WithArray(1, options=2)"
    twin = clone(WithArray(ones))
    assert twin == WithArray(ones)
    assert twin.values is not ones


class Hidden(Scale):
    """Keeps its argument under another name."""

    def __init__(self, factor):
        super().__init__(factor)


class Anything(Scale):
    def __init__(self, *args, **kwargs):
        super().__init__(*args, **kwargs)


@pytest.mark.parametrize(
    ("layer", "message"),
    [
        (
            Hidden(3),
            "Hidden must keep its constructor's arguments as attributes of the same names, got none for factor.",
        ),
        (Anything(3), "the constructor of Anything must name its arguments, got *args."),
    ],
)
def test_layers_that_do_not_keep_their_arguments(layer, message):
    with pytest.raises(TypeError, match=re.escape(message)):
        layer.arguments()
    twin = clone(layer)
    assert repr(twin) == f"{type(layer).__name__}(...)"
    assert twin.start == 3
    assert layer == layer
    assert layer != twin
    net = make([layer, layer, Affine(3)], (4,))
    check_gradients(net)


@pytest.mark.parametrize("input_shape", [(3, 4), (2, 3, 4, 5)])
def test_batchnorm_wants_rows_or_images(input_shape):
    message = f"BatchNorm needs rows (D,) or images (C, H, W), but its input has shape {input_shape}."
    with pytest.raises(ValueError, match=re.escape(message)):
        Net([BatchNorm(), Affine(3)], input_shape)
