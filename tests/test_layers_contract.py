"""What all layer functions have in common, each on the shapes of the published gradient checks."""

import pickle
from copy import deepcopy
from typing import NamedTuple

import numpy as np
import pytest

from sklearn_dl import layers
from sklearn_dl._arrays import Cache
from sklearn_dl.gradient_check import eval_numerical_gradient_array, rel_error

TRAIN = {"mode": "train"}
CONV = {"stride": 1, "pad": 1}
POOL = {"pool_height": 2, "pool_width": 2, "stride": 2}
DROPOUT = {"mode": "train", "p": 0.6, "seed": 123}
RUNNING = {
    "mode": "test",
    "running_mean": np.linspace(10, 13, 5),
    "running_var": np.linspace(20, 30, 5),
}
WEIGHTED = {"mode": "train", "sample_weight": [0.5, 0, 2, 1]}


class Case(NamedTuple):
    """A layer, the shapes of its arrays (None: not given), what follows them, error bounds.

    The array x is drawn as scale * randn + shift. Batch normalization takes back what the bias
    before it (the argument number without_effect) adds.
    """

    forward: callable
    backward: callable
    shapes: list
    args: tuple = ()
    kwargs: dict | None = None
    bounds: tuple = (1e-7,)
    scale: float = 1
    shift: float = 0
    without_effect: int | None = None

    def arrays(self, seed=231):
        rng = np.random.RandomState(seed)
        arrays = [None if s is None else rng.randn(*s) for s in self.shapes]
        arrays[0] = arrays[0] * self.scale + self.shift
        return arrays

    def dout(self, out, seed=231):
        """Draw what follows the arrays in the published checks."""
        rng = np.random.RandomState(seed)
        for shape in filter(None, self.shapes):
            rng.randn(*shape)
        return rng.randn(*out.shape)

    def run(self, arrays, **buffers):
        return self.forward(*arrays, *deepcopy(self.args), **(self.kwargs or {}), **buffers)

    def grads(self, dout, cache, **kwargs):
        """Gradients as a list, also where there is only one."""
        grads = self.backward(dout, cache, **kwargs)
        return list(grads) if isinstance(grads, tuple) else [grads]


def batchnorm(backward=layers.batchnorm_backward, **bn_param):
    return Case(
        layers.batchnorm_forward,
        backward,
        [(4, 5), (5,), (5,)],
        (bn_param,),
        bounds=(1e-8, 1e-10, 1e-10),
        scale=5,
        shift=12,
    )


def conv(kind):
    return Case(
        getattr(layers, f"conv_forward_{kind}"),
        getattr(layers, f"conv_backward_{kind}"),
        [(4, 3, 5, 5), (2, 3, 3, 3), (2,)],
        (CONV,),
        bounds=(1e-7, 1e-8, 1e-8),
    )


def pool(kind):
    return Case(
        getattr(layers, f"max_pool_forward_{kind}"),
        getattr(layers, f"max_pool_backward_{kind}"),
        [(3, 2, 8, 8)],
        (POOL,),
        bounds=(1e-10,),
    )


def hidden(normalization, norm_param, dropout_param):
    scale_and_shift = [(5,), (5,)] if normalization else [None, None]
    return Case(
        layers.affine_norm_relu_dropout_forward,
        layers.affine_norm_relu_dropout_backward,
        [(4, 3, 2), (6, 5), (5,), *scale_and_shift],
        (norm_param, dropout_param),
        {"normalization": normalization},
        without_effect=2 if normalization == "batchnorm" else None,
    )


def convolutional(normalization, norm_param, shape):
    return Case(
        layers.conv_norm_relu_pool_forward,
        layers.conv_norm_relu_pool_backward,
        [(2, 3, 8, 8), (4, 3, 3, 3), (4,), shape, shape],
        (CONV, norm_param, POOL),
        {"normalization": normalization},
        without_effect=2 if normalization == "batchnorm" else None,
    )


CASES = {
    "affine": Case(
        layers.affine_forward,
        layers.affine_backward,
        [(10, 2, 3), (6, 5), (5,)],
        bounds=(1e-9,),
    ),
    "relu": Case(layers.relu_forward, layers.relu_backward, [(10, 10)], bounds=(1e-10,)),
    **{
        name: Case(getattr(layers, f"{name}_forward"), getattr(layers, f"{name}_backward"), [(10, 10)], bounds=(1e-7,))
        for name in ("leaky_relu", "tanh", "logistic", "identity", "gelu", "silu")
    },
    "dropout": Case(
        layers.dropout_forward,
        layers.dropout_backward,
        [(10, 10)],
        (DROPOUT,),
        bounds=(1e-9,),
        shift=10,
    ),
    "dropout-test": Case(layers.dropout_forward, layers.dropout_backward, [(10, 10)], ({**DROPOUT, "mode": "test"},)),
    "batchnorm": batchnorm(**TRAIN),
    "batchnorm-alt": batchnorm(layers.batchnorm_backward_alt, **TRAIN),
    "batchnorm-weighted": batchnorm(**WEIGHTED),
    "batchnorm-weighted-alt": batchnorm(layers.batchnorm_backward_alt, **WEIGHTED),
    "batchnorm-test": batchnorm(**RUNNING),
    "batchnorm-test-alt": batchnorm(layers.batchnorm_backward_alt, **RUNNING),
    "layernorm": Case(
        layers.layernorm_forward,
        layers.layernorm_backward,
        [(4, 5), (5,), (5,)],
        ({},),
        bounds=(1e-8, 1e-10, 1e-10),
        scale=5,
        shift=12,
    ),
    "conv-naive": conv("naive"),
    "conv-fast": conv("fast"),
    "max-pool-naive": pool("naive"),
    "max-pool-fast": pool("fast"),
    "spatial-batchnorm": Case(
        layers.spatial_batchnorm_forward,
        layers.spatial_batchnorm_backward,
        [(2, 3, 4, 5), (3,), (3,)],
        (TRAIN,),
        bounds=(1e-5, 1e-10, 1e-10),
        scale=5,
        shift=12,
    ),
    "spatial-groupnorm": Case(
        layers.spatial_groupnorm_forward,
        layers.spatial_groupnorm_backward,
        [(2, 6, 4, 5), (1, 6, 1, 1), (1, 6, 1, 1)],
        (2, {}),
        bounds=(1e-5, 1e-10, 1e-10),
        scale=5,
        shift=12,
    ),
    "affine-relu": Case(layers.affine_relu_forward, layers.affine_relu_backward, [(2, 3, 4), (12, 10), (10,)]),
    "affine-norm-relu-dropout": hidden("batchnorm", TRAIN, DROPOUT),
    "affine-layernorm-relu-dropout": hidden("layernorm", {}, DROPOUT),
    "affine-batchnorm-relu": hidden("batchnorm", TRAIN, None),
    "affine-only-relu": hidden(None, None, None),
    "affine-only-relu-dropout": hidden(None, None, DROPOUT),
    "conv-relu": Case(
        layers.conv_relu_forward,
        layers.conv_relu_backward,
        [(2, 3, 8, 8), (3, 3, 3, 3), (3,)],
        (CONV,),
    ),
    "conv-relu-pool": Case(
        layers.conv_relu_pool_forward,
        layers.conv_relu_pool_backward,
        [(2, 3, 16, 16), (3, 3, 3, 3), (3,)],
        (CONV, POOL),
    ),
    "conv-batchnorm-relu-pool": convolutional("batchnorm", TRAIN, (4,)),
    "conv-groupnorm-relu-pool": convolutional("groupnorm", {"G": 2}, (1, 4, 1, 1)),
    "conv-only-relu-pool": convolutional(None, None, None),
}


@pytest.fixture(params=CASES)
def case(request):
    return CASES[request.param]


def given(arrays):
    return [a for a in arrays if a is not None]


def astype(arrays, dtype):
    return [None if a is None else a.astype(dtype) for a in arrays]


def assert_same(actual, expected):
    for a, e in zip(actual, expected, strict=True):
        if e is None:
            assert a is None
        else:
            np.testing.assert_array_equal(a, e)


def test_cases_are_all_the_layers():
    tested = {f.__name__ for case in CASES.values() for f in (case.forward, case.backward)}
    assert tested | {"softmax_loss", "svm_loss"} == set(layers.__all__)


def test_numerical_gradients(case):
    arrays = case.arrays()
    out, cache = case.run(arrays)
    dout = case.dout(out)
    grads = case.grads(dout, cache)
    bounds = case.bounds * (len(arrays) // len(case.bounds))
    for i, (a, grad, bound) in enumerate(zip(arrays, grads, bounds, strict=True)):
        if a is None:
            assert grad is None
        elif i == case.without_effect:
            np.testing.assert_allclose(grad, 0, atol=1e-12)
        else:
            numerical = eval_numerical_gradient_array(lambda _: case.run(arrays)[0], a, dout)
            assert rel_error(grad, numerical) <= bound, f"argument {i}"
            assert np.any(grad != 0)


def test_dtype_and_shape_preserved(case, dtype):
    arrays = astype(case.arrays(), dtype)
    out, cache = case.run(arrays)
    assert out.dtype == dtype
    for a, grad in zip(arrays, case.grads(np.ones_like(out), cache), strict=True):
        if a is not None:
            assert (grad.dtype, grad.shape) == (a.dtype, a.shape)


def test_float32_close_to_float64(case):
    arrays = astype(case.arrays(), np.float32)
    out32, cache32 = case.run(arrays)
    out64, cache64 = case.run(astype(arrays, np.float64))
    np.testing.assert_allclose(out32, out64, rtol=1e-4, atol=1e-5)
    dout = np.random.RandomState(0).randn(*out64.shape).astype(np.float32)
    for grad32, grad64 in zip(case.grads(dout, cache32), case.grads(dout, cache64), strict=True):
        if grad64 is not None:
            np.testing.assert_allclose(grad32, grad64, rtol=1e-3, atol=2e-5)


@pytest.mark.parametrize("other", [np.float16, np.longdouble, ">f8", np.int32])
def test_other_dtypes_compute_in_float64(case, other):
    arrays = astype([None if a is None else 4 * a for a in case.arrays()], other)
    out, _ = case.run(arrays)
    expected, _ = case.run(astype(arrays, np.float64))
    assert out.dtype == np.float64
    np.testing.assert_array_equal(out, expected)


def test_mixed_dtypes_compute_in_float64(case):
    arrays = case.arrays()
    if len(arrays) > 1:
        arrays[1] = np.ones_like(arrays[1], np.float32)
    out, cache = case.run(arrays)
    assert out.dtype == np.float64
    assert {g.dtype for g in given(case.grads(np.ones_like(out), cache))} == {np.dtype(np.float64)}


def test_inputs_read_only_and_unchanged(case):
    arrays = case.arrays()
    before = deepcopy(arrays)
    for a in given(arrays):
        a.flags.writeable = False
    out, cache = case.run(arrays)
    dout = np.random.RandomState(0).randn(*out.shape)
    dout.flags.writeable = False
    kept = dout.copy(), out.copy()
    case.backward(dout, cache)
    assert_same(arrays, before)
    assert_same((dout, out), kept)


def test_non_contiguous_inputs(case):
    arrays = case.arrays()
    out, cache = case.run(arrays)
    dout = np.random.RandomState(0).randn(*out.shape)
    strided_out, strided_cache = case.run([None if a is None else np.repeat(a, 2, axis=-1)[..., ::2] for a in arrays])
    assert_same([strided_out], [out])
    assert_same(case.grads(np.asfortranarray(dout), strided_cache), case.grads(dout, cache))


def test_backward_twice(case):
    out, cache = case.run(case.arrays())
    dout = np.random.RandomState(0).randn(*out.shape)
    assert_same(case.grads(dout, cache), case.grads(dout, cache))


def test_out_is_written_and_returned(case, dtype):
    arrays = astype(case.arrays(), dtype)
    expected, expected_cache = case.run(arrays)
    dout = np.random.RandomState(0).randn(*expected.shape).astype(dtype)
    expected_grads = case.grads(dout, expected_cache)
    buffer = np.full_like(expected, np.nan)
    out, cache = case.run(arrays, out=buffer)
    assert out is buffer
    assert_same([out], [expected])
    buffers = tuple(None if g is None else np.full_like(g, np.nan) for g in expected_grads)
    grads = case.grads(dout, cache, out=buffers if len(buffers) > 1 else buffers[0])
    assert all(g is b for g, b in zip(grads, buffers, strict=True))
    assert_same(grads, expected_grads)


def read_only(shape):
    a = np.empty(shape)
    a.flags.writeable = False
    return a


BAD_BUFFERS = {
    "shape": lambda shape: np.empty((*shape[:-1], shape[-1] + 1)),
    "dtype": lambda shape: np.empty(shape, np.float32),
    "layout": lambda shape: np.empty((*shape, 2))[..., 0],
    "read-only": read_only,
}


@pytest.mark.parametrize("bad", BAD_BUFFERS)
def test_unfit_out(case, bad):
    arrays = case.arrays()
    out, cache = case.run(arrays)
    with pytest.raises(ValueError, match=r"^out must be a writeable C-contiguous float64 array"):
        case.run(arrays, out=BAD_BUFFERS[bad](out.shape))
    grads = case.grads(out, cache)
    for i, grad in enumerate(grads):
        if grad is None:
            continue
        buffers = [None] * len(grads)
        buffers[i] = BAD_BUFFERS[bad](grad.shape)
        single = len(grads) == 1
        with pytest.raises(ValueError, match=r"^out must" if single else r"^out for d\w+ must"):
            case.backward(out, cache, out=buffers[0] if single else tuple(buffers))


def test_out_of_wrong_type(case):
    arrays = case.arrays()
    out, cache = case.run(arrays)
    with pytest.raises(TypeError, match="out must be a NumPy array or None, got list"):
        case.run(arrays, out=[])
    with pytest.raises((TypeError, ValueError), match=r"^out must be a"):
        case.backward(out, cache, out=[])


def test_dout_of_wrong_shape_or_type(case):
    out, cache = case.run(case.arrays())
    with pytest.raises(ValueError, match=r"dout must have the shape of the forward output"):
        case.backward(out[:-1], cache)
    with pytest.raises(TypeError, match=r"dout must be an array of real numbers"):
        case.backward(out.astype(complex), cache)


def caches():
    """Return a cache of each forward function by its name, and what else may be given in its place."""
    forwards = {case.forward.__name__: case for case in CASES.values()}
    found = {name: case.run(case.arrays())[1] for name, case in forwards.items()}
    others = {
        "None": None,
        "tuple": (),
        "plain": tuple(found["affine_forward"]),
        "dict": {},
        "list": [np.ones(3)],
        "int": 3,
    }
    return {**found, **others, "array": np.ones((3, 2)), "objects": np.array([None]), "text": "affine_forward"}


CACHES = caches()
# `relu_forward` returns x as its cache, so that for its backward function an array is one.
ARRAYS = ("relu_forward", "array")


@pytest.mark.parametrize("given", CACHES)
def test_cache_of_another_function(case, given):
    wanted = case.forward.__name__
    arrays = case.arrays()
    out, _ = case.run(arrays)
    if given == wanted:
        case.backward(out, case.run(arrays)[1])
    elif wanted == "relu_forward" and given in ARRAYS:
        with pytest.raises(
            ValueError, match=r"^dout must have the shape of .* \(cache is that of relu_forward\), \(3, 2\)"
        ):
            case.backward(out, CACHES[given])
    else:
        with pytest.raises(TypeError, match=f"^cache must be the one that {wanted} returned, got ") as info:
            case.backward(out, CACHES[given])
        if isinstance(CACHES[given], Cache):
            assert str(info.value).endswith(f"got that of {given}.")


def test_every_forward_function_has_a_cache_of_its_own():
    kinds = {name: type(cache) for name, cache in CACHES.items() if isinstance(cache, Cache)}
    assert all(kind.forward == name for name, kind in kinds.items())
    assert len(set(kinds.values())) == len(kinds) == len({case.forward for case in CASES.values()}) - 1


def test_copies_of_a_cache(case):
    out, cache = case.run(case.arrays())
    expected = case.grads(np.ones_like(out), cache)
    for twin in (deepcopy(cache), pickle.loads(pickle.dumps(cache))):
        assert_same(case.grads(np.ones_like(out), twin), expected)


# Sample weights are those of one batch.
ANY_BATCH = [name for name in CASES if "weighted" not in name]
WITH_WORK = [name for name in ANY_BATCH if "work" in CASES[name].forward.__kwdefaults__]


@pytest.mark.parametrize("name", WITH_WORK)
def test_work_reused_across_batch_sizes(name):
    case, work, held = CASES[name], {}, None
    arrays = case.arrays()
    n_samples = len(arrays[0])
    for n in (n_samples, 2, n_samples, 1):
        batch = [arrays[0][:n], *arrays[1:]]
        out, cache = case.run(batch, work=work)
        expected, expected_cache = case.run(batch)
        dout = np.random.RandomState(n).randn(*out.shape)
        assert_same([out], [expected])
        assert_same(case.grads(dout, cache), case.grads(dout, expected_cache))
        found = ids(work)
        assert held is None or found == held
        held = found


def ids(work):
    """Identities of all arrays in a dict of dicts."""
    return {k: ids(v) if isinstance(v, dict) else id(v) for k, v in work.items()}


def test_work_refilled_after_a_larger_batch_or_another_dtype():
    work = {}
    for shape, dtype in [((2, 3), np.float64), ((5, 3), np.float64), ((5, 3), np.float32)]:
        x = np.random.RandomState(0).randn(*shape).astype(dtype)
        out, _ = layers.dropout_forward(x, DROPOUT, work=work)
        assert_same([out], [layers.dropout_forward(x, DROPOUT)[0]])


WITHOUT_DX = [name for name, c in CASES.items() if "need_dx" in c.backward.__kwdefaults__]


@pytest.mark.parametrize("name", WITHOUT_DX)
def test_without_dx(name):
    case = CASES[name]
    out, cache = case.run(case.arrays())
    dx, *grads = case.grads(out, cache, need_dx=False)
    assert dx is None
    assert_same(grads, case.grads(out, cache)[1:])


@pytest.mark.parametrize("forward", [layers.relu_forward, layers.dropout_forward])
def test_in_place(forward, rng):
    x = rng.randn(4, 5)
    args = (DROPOUT,) if forward is layers.dropout_forward else ()
    expected, expected_cache = forward(x, *args)
    backward = getattr(layers, forward.__name__.replace("forward", "backward"))
    dout = rng.randn(4, 5)
    expected_dx = backward(dout, expected_cache)
    out, cache = forward(x, *args, out=x)
    assert out is x
    assert_same([out, backward(dout, cache, out=dout)], [expected, expected_dx])


@pytest.mark.parametrize("name", [name for name in ANY_BATCH if "naive" not in name])
def test_threads_do_not_change_a_bit(name, use_threads, dtype):
    """Batches are so large that every kernel has a few 100 microseconds of work, and shares it."""
    case = CASES[name]
    arrays = astype(case.arrays(), dtype)
    n_copies = 1500 if arrays[0].ndim == 4 else 20_000
    arrays[0] = np.random.RandomState(0).permutation(np.concatenate([arrays[0]] * n_copies))
    results = []
    for n_threads in (1, 2, 3):
        use_threads(n_threads)
        out, cache = case.run(arrays)
        results.append([out, *case.grads(np.sin(out), cache)])
    assert_same(results[1], results[0])
    assert_same(results[2], results[0])
