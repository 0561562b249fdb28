"""The losses and what judges scores, against NumPy in float64."""

import numpy as np
import pytest

from sklearn_dl import _ext

from ._kernels import assert_close, draw, dtypes, z

SHAPES = [(1, 1), (1, 10), (7, 3), (33, 17), (130, 5), (60, 101)]
shapes = pytest.mark.parametrize(("n", "c"), SHAPES)
weighted = pytest.mark.parametrize("weighted", [False, True])
WIDTH = 0.75


def softmax_terms(scores, y, smoothing=0.0):
    """Return losses (N,) and gradients (N, C)."""
    c = scores.shape[1]
    below = scores - scores.max(axis=1, keepdims=True)
    log_p = below - np.log(np.exp(below).sum(axis=1, keepdims=True))
    target = (1 - smoothing) * np.eye(c)[y] + smoothing / c
    return -np.where(target > 0, target * log_p, 0).sum(axis=1), np.exp(log_p) - target


def smoothed_terms(scores, y):
    return softmax_terms(scores, y, 0.3)


def hinge_terms(scores, y):
    rows = np.arange(len(y))
    margins = scores - scores[rows, y][:, None] + 1
    margins[rows, y] = 0
    gradient = (margins > 0).astype(float)
    gradient[rows, y] = -gradient.sum(axis=1)
    return np.maximum(margins, 0).sum(axis=1), gradient


def logistic_terms(s, y):
    e = np.exp(-np.abs(s))
    return np.maximum(s, 0) - y * s + np.log1p(e), np.where(s > 0, 1, e) / (1 + e) - y


def squared_terms(s, y):
    return (s - y) ** 2 / 2, s - y


def absolute_terms(s, y):
    return np.abs(s - y), np.sign(s - y)


def huber_terms(s, y):
    off = np.abs(s - y)
    return np.where(off > WIDTH, WIDTH * (off - WIDTH / 2), off**2 / 2), np.clip(s - y, -WIDTH, WIDTH)


def poisson_terms(s, y):
    return np.exp(s) - y * s, np.exp(s) - y


OF_LABELS = {"softmax": softmax_terms, "smoothed": smoothed_terms, "hinge": hinge_terms}
POINTWISE = {
    "logistic": logistic_terms,
    "squared_error": squared_terms,
    "absolute_error": absolute_terms,
    "huber": huber_terms,
    "poisson": poisson_terms,
}
TERMS = {**OF_LABELS, **POINTWISE}
each_loss = pytest.mark.parametrize("name", TERMS)


def call(name, scores, y, weight=None, dscores=None, total=0.0):
    """Call the kernel of a loss."""
    if name == "hinge":
        return _ext.hinge_loss(scores, y, weight, dscores, total)
    if name in OF_LABELS:
        return _ext.softmax_loss(scores, y, weight, dscores, total, 0.3 if name == "smoothed" else 0.0)
    return _ext.pointwise_loss(name, scores, y, weight, dscores, total, WIDTH)


def targets(name, scores, seed=1):
    """Draw what a loss compares scores with."""
    rng = np.random.RandomState(seed)
    if name in OF_LABELS:
        return rng.randint(scores.shape[1], size=len(scores))
    if name == "logistic":
        return rng.choice([0, 1, 0.25], scores.shape).astype(scores.dtype)
    if name == "poisson":
        return rng.poisson(2, scores.shape).astype(scores.dtype)
    return np.where(rng.rand(*scores.shape) < 0.2, scores, 2 * rng.randn(*scores.shape)).astype(scores.dtype)


def expected_of(name, scores, y, share):
    """Return loss and gradient, in float64."""
    y = y if name in OF_LABELS else y.astype(np.float64)
    losses, gradient = TERMS[name](scores.astype(np.float64), y)
    return float((share * losses.reshape(len(share), -1).sum(axis=1)).sum()), share[:, None] * gradient


@each_loss
@dtypes
@shapes
@weighted
def test_loss_and_gradient(name, n, c, weighted, dtype):
    scores = draw(dtype, n, c) * 2
    y = targets(name, scores)
    weight = None
    if weighted:
        weight = np.random.RandomState(2).rand(n) + 0.1
        weight[1::3] = 0
    share = np.ones(n) / n if weight is None else weight / weight.sum()
    expected, gradient = expected_of(name, scores, y, share)
    d = np.full(scores.shape, np.nan, dtype)
    loss = call(name, scores, y, weight, d)
    assert loss == pytest.approx(expected, rel=2e-6 if dtype == np.float32 else 1e-13, abs=1e-7 if c == 1 else 1e-12)
    assert_close(d, gradient, dtype)
    assert call(name, scores, y, weight) == pytest.approx(loss, rel=1e-12, abs=1e-15)
    doubled = np.empty_like(d)
    total = (n if weight is None else weight.sum()) / 2
    assert call(name, scores, y, weight, doubled, total) == pytest.approx(2 * loss, rel=1e-12, abs=1e-15)
    assert_close(doubled, 2 * gradient, dtype)
    assert call(name, scores, y, weight, scores) == loss, "the gradient written over the scores changes the loss"
    np.testing.assert_array_equal(scores, d)


@dtypes
@shapes
def test_softmax(n, c, dtype):
    scores = draw(dtype, n, c) * 5
    wide = scores.astype(np.float64)
    log_p = wide - np.log(np.exp(wide).sum(axis=1, keepdims=True))
    out = np.empty_like(scores)
    _ext.softmax(scores, out)
    assert_close(out, np.exp(log_p), dtype)
    _ext.log_softmax(scores, out)
    assert_close(out, log_p, dtype)
    _ext.softmax(scores, scores)
    assert_close(scores, np.exp(log_p), dtype)


@dtypes
@shapes
def test_no_smoothing_is_the_plain_softmax_to_the_bit(n, c, dtype):
    scores = draw(dtype, n, c) * 5
    y, plain, smoothed = targets("softmax", scores), np.empty_like(scores), np.empty_like(scores)
    assert _ext.softmax_loss(scores, y, None, plain) == _ext.softmax_loss(scores, y, None, smoothed, 0, 0.0)
    assert plain.tobytes() == smoothed.tobytes()


@each_loss
@dtypes
@pytest.mark.parametrize("n", [1, 127, 128, 129, 257])
def test_nothing_is_written_beside_the_gradient(name, n, dtype):
    """At sizes about that of the blocks that the kernels work on."""
    scores = draw(dtype, n, 1) * 2
    room = np.full((n + 40, 1), 7, dtype)
    call(name, scores, targets(name, scores), np.ones(n), room[20:-20])
    assert (room[:20] == 7).all()
    assert (room[-20:] == 7).all()


# ------------------------------------------------------------------ at the ends of the number range


@each_loss
@dtypes
@pytest.mark.parametrize("size", [1e4, 1e30])
@pytest.mark.parametrize("c", [2, 5, 40])
def test_large_scores(name, size, c, dtype):
    scores = np.random.RandomState(0).choice([-size, 0, size], (9, c)).astype(dtype)
    if name == "poisson":
        scores = -np.abs(scores)  # of others exp is infinite
    y = targets(name, np.sign(scores))
    expected, gradient = expected_of(name, scores, y, np.ones(9) / 9)
    d = np.empty_like(scores)
    assert call(name, scores, y, None, d) == pytest.approx(expected, rel=1e-6)
    assert_close(d, gradient, dtype)


@each_loss
@dtypes
@pytest.mark.parametrize("c", [3, 40])
@pytest.mark.parametrize("n", [3, 5, 10])
def test_loss_is_finite_for_finite_scores(name, n, c, dtype):
    big = np.finfo(dtype).max
    rng = np.random.RandomState(0)
    for values in ([-big, big], [big], [-big], [-big, 0, big], [-0.0, np.finfo(dtype).smallest_subnormal]):
        scores = rng.choice(values, (n, c)).astype(dtype)
        d = np.empty_like(scores)
        for label in range(3):
            y = np.full(n, label) if name in OF_LABELS else np.full(scores.shape, label / 2, dtype)
            loss = call(name, scores, y, None, d)
            assert np.isfinite(loss)
            assert not np.isnan(d).any()
            if name != "poisson":
                assert loss >= 0
            if name in (*OF_LABELS, "logistic", "absolute_error", "huber"):
                assert np.isfinite(d).all()


def test_float32_scores_further_apart_than_a_float32():
    scores, y = np.full((1, 1), 3e38, np.float32), np.full((1, 1), -3e38, np.float32)
    for name in ("squared_error", "absolute_error", "huber"):
        assert call(name, scores, y) == pytest.approx(expected_of(name, scores, y, np.ones(1))[0], rel=1e-6)


@pytest.mark.parametrize("c", [3, 40])
def test_the_mean_of_smoothed_labels_does_not_overflow(c):
    scores = np.full((2, c), 1e308)
    assert call("smoothed", scores, np.array([0, 1])) == pytest.approx(np.log(c))
    scores[:, 0] = -1.7e308
    share = 0.3 / c
    expected = share * 1e308 + share * 1.7e308
    assert call("smoothed", scores, np.array([1, 2])) == pytest.approx(expected)


@each_loss
@dtypes
@pytest.mark.parametrize("c", [1, 3, 17, 40])
def test_nan_shows_in_the_loss(name, c, dtype):
    for place in {0, c // 2, c - 1}:
        scores = draw(dtype, 11, c).copy()
        scores[4, place] = np.nan
        if c == 1 and name == "hinge":
            continue  # there is nothing to compare it with
        assert np.isnan(call(name, scores, targets(name, draw(dtype, 11, c))))


@each_loss
@dtypes
def test_infinite_scores_do_not_pass_for_good_ones(name, dtype):
    for infinite in (np.inf, -np.inf):
        scores = draw(dtype, 11, 5).copy()
        scores[4, 2] = infinite
        y = np.zeros(11, np.int64) if name in OF_LABELS else np.full(scores.shape, 0.5, dtype)
        y[4] = 2 if name in OF_LABELS and infinite < 0 else y[4]
        assert not call(name, scores, y) < 1e300


@pytest.mark.parametrize("name", POINTWISE)
@dtypes
def test_samples_without_weight_count_nothing(name, dtype):
    scores = draw(dtype, 9, 5).copy()
    scores[::2] = np.finfo(dtype).max  # of which exp is infinite
    y = targets(name, draw(dtype, 9, 5))
    y[::2] = 0 if name in ("logistic", "poisson") else -np.finfo(dtype).max
    weight = np.arange(9.0) % 2
    d, others = np.full(scores.shape, np.nan, dtype), np.empty((4, 5), dtype)
    assert call(name, scores, y, weight, d) == pytest.approx(
        call(name, scores[1::2].copy(), y[1::2].copy(), None, others)
    )
    np.testing.assert_array_equal(d[1::2], others)
    assert not d[::2].any()


# ------------------------------------------------------------------ evaluation


@dtypes
@shapes
@weighted
def test_judges(n, c, weighted, dtype):
    scores = draw(dtype, n, c).copy()
    scores[0, 0] = 0.0
    weight = np.random.RandomState(2).rand(n) if weighted else None
    w = np.ones(n) if weight is None else weight
    labels, predicted = targets("softmax", scores), np.zeros(c, bool)
    best = scores.argmax(axis=1)
    assert _ext.judge_scores(scores, labels, weight, predicted) == pytest.approx((w * (best == labels)).sum())
    np.testing.assert_array_equal(np.flatnonzero(predicted), np.unique(best))
    # Rows that are right, as good as all: else there are none of many columns.
    indicators = np.where(np.random.RandomState(3).rand(n, c) < 0.05 / c, scores <= 0, scores > 0).astype(dtype)
    right = ((scores > 0) == (indicators > 0.5)).all(axis=1)
    assert _ext.judge_indicators(scores, indicators, weight) == pytest.approx((w * right).sum())
    y, scale = draw(dtype, n, c, seed=4), np.random.RandomState(5).rand(c)
    for take_exp, prediction in ((False, scores.astype(np.float64)), (True, np.exp(scores.astype(np.float64)))):
        expected = (w[:, None] * scale * (y.astype(np.float64) - prediction) ** 2).sum()
        judged = _ext.judge_residuals(scores, y, weight, take_exp, scale)
        assert judged == pytest.approx(expected, rel=2e-6 if dtype == np.float32 else 1e-13)


@dtypes
@pytest.mark.parametrize("bad", [np.nan, np.inf, -np.inf])
@pytest.mark.parametrize("c", [1, 3, 17])
@weighted
def test_judges_tell_of_scores_that_are_not_finite(bad, c, weighted, dtype):
    for place in {0, c - 1}:
        scores = draw(dtype, 11, c).copy()
        scores[5, place] = bad
        y, weight = z((11, c), dtype), np.ones(11) if weighted else None
        if weighted:
            weight[5] = 0  # even so
        assert np.isnan(_ext.judge_scores(scores, np.zeros(11, np.int64), weight, np.zeros(c, bool)))
        assert np.isnan(_ext.judge_indicators(scores, y, weight))
        for take_exp in (False, True):
            assert np.isnan(_ext.judge_residuals(scores, y, weight, take_exp, np.ones(c)))


@dtypes
def test_judged_squares_may_be_infinite_where_they_count_nothing(dtype):
    scores = np.zeros((3, 2), dtype)
    scores[0], scores[1, 1] = 800, 800  # of which exp is infinite
    y, scale = np.ones((3, 2), dtype), np.array([0.5, 0])
    y[2, 0] = 3
    assert _ext.judge_residuals(scores, y, np.array([0.0, 1, 1]), True, scale) == 0.5 * 4
    assert _ext.judge_residuals(scores, y, None, True, scale) == np.inf


@dtypes
def test_judges_take_no_rows(dtype):
    none = z((0, 3), dtype)
    assert _ext.judge_indicators(none, none.copy(), None) == 0
    assert _ext.judge_residuals(none, none.copy(), None, True, np.ones(3)) == 0


# ------------------------------------------------------------------ arguments


def bad_arguments(name):
    """Return what is changed of good arguments, the error, and its message."""
    cases = [
        ({"scores": z((4, 3), int)}, TypeError, "scores must be"),
        ({"scores": z(4)}, ValueError, "scores must have 2 axes|shape of scores"),
        ({"scores": z((3, 4)).T}, ValueError, "C-contiguous"),
        ({"scores": z((4, 3), ">f8")}, TypeError, "scores must be"),
        ({"weight": z(4)}, ValueError, "sample_weight must have a positive finite sum"),
        ({"weight": np.array([1, 1, 1, np.inf])}, ValueError, "sample_weight must have a positive finite sum"),
        ({"weight": np.array([1, 1, -1.0, 1])}, ValueError, "sample_weight must not be negative"),
        ({"weight": np.array([1, 1, np.nan, 1])}, ValueError, "sample_weight must not be negative or nan"),
        ({"weight": np.ones(3)}, ValueError, "sample_weight must have"),
        ({"weight": np.ones(4, np.float32)}, TypeError, "sample_weight must be"),
        ({"total": -1.0}, ValueError, "total must be positive"),
        ({"total": np.nan}, ValueError, "total must be positive"),
        ({"total": np.inf}, ValueError, "total must be positive"),
        ({"dscores": np.full((4, 3), 7, np.float32)}, TypeError, "dscores must be"),
        ({"dscores": np.full((3, 4), 7.0)}, ValueError, "dscores must have the shape of scores"),
        ({"dscores": np.full((4, 6), 7.0)[:, ::2]}, ValueError, "dscores must be C-contiguous"),
    ]
    if name in OF_LABELS:
        return [
            *cases,
            ({"y": np.array([0, 1, 3, 0])}, ValueError, r"y must be in \[0, 3\), got 3"),
            ({"y": np.array([0, 1, -1, 0])}, ValueError, "y must be in .* got -1"),
            ({"y": np.zeros(3, np.int64)}, ValueError, "y must have"),
            ({"y": np.zeros(4, np.int32)}, TypeError, "y must be int64"),
        ]
    return [
        *cases,
        ({"y": z((4, 3), np.float32)}, TypeError, "y must be"),
        ({"y": z((3, 4))}, ValueError, "y must have the shape of scores"),
        ({"y": z(4)}, ValueError, "y must have"),
    ]


@each_loss
def test_bad_arguments_leave_the_gradient_alone(name):
    for change, error, message in bad_arguments(name):
        good = {
            "scores": np.ones((4, 3)),
            "y": np.zeros(4, np.int64) if name in OF_LABELS else np.ones((4, 3)),
            "weight": None,
            "dscores": np.full((4, 3), 7.0),
        }
        arguments = {**good, **change}
        with pytest.raises(error, match=message):
            call(name, **arguments)
        assert (arguments["dscores"] == 7).all()


@each_loss
def test_gradients_that_overlap_are_refused(name):
    room = np.full(40, 7.0)
    scores, y = room[:12].reshape(4, 3), np.zeros(4, np.int64) if name in OF_LABELS else np.ones((4, 3))
    with pytest.raises(ValueError, match="dscores must not overlap scores"):
        call(name, scores, y, None, room[1:13].reshape(4, 3))
    weight = room[20:24]
    with pytest.raises(ValueError, match="dscores must not overlap sample_weight"):
        call(name, scores, y, weight, room[18:30].reshape(4, 3))
    y = room[:12].view(np.int64)[:4] if name in OF_LABELS else room[24:36].reshape(4, 3)
    if name in OF_LABELS:
        y[:] = 0
        scores = np.ones((4, 3))
    before = room.copy()
    with pytest.raises(ValueError, match="dscores must not overlap y"):
        call(name, scores, y, None, room[:12].reshape(4, 3) if name in OF_LABELS else y)
    np.testing.assert_array_equal(room, before)


def test_bad_options():
    scores, y = np.ones((4, 3)), np.ones((4, 3))
    for width in (0.0, -1.0, np.inf, np.nan):
        with pytest.raises(ValueError, match="width must be positive and finite"):
            _ext.pointwise_loss("huber", scores, y, None, None, 0, width)
    for smoothing in (-0.1, 1.1, np.nan):
        with pytest.raises(ValueError, match=r"smoothing must be in \[0, 1\]"):
            _ext.softmax_loss(scores, np.zeros(4, np.int64), None, None, 0, smoothing)
    with pytest.raises(ValueError, match=r"kind must be one of 'logistic', .*, got 'cubic'"):
        _ext.pointwise_loss("cubic", scores, y, None, None)


@pytest.mark.parametrize(
    ("kernel", "arguments", "error", "message"),
    [
        ("judge_indicators", (np.ones((2, 3)), np.ones((3, 2)), None), ValueError, "y must have the shape of scores"),
        ("judge_indicators", (np.ones((2, 3)), np.ones((2, 3), "f4"), None), TypeError, "y must be"),
        ("judge_indicators", (np.ones((2, 0)), np.ones((2, 0)), None), ValueError, "at least one column"),
        ("judge_indicators", (np.ones((2, 3)), np.ones((2, 3)), np.ones(3)), ValueError, "sample_weight must have"),
        ("judge_residuals", (np.ones((2, 3)), np.ones((3, 2)), None, 0, np.ones(3)), ValueError, "shape of scores"),
        ("judge_residuals", (np.ones((2, 3)), np.ones((2, 3)), None, 0, np.ones(2)), ValueError, "scale must have"),
        ("judge_residuals", (np.ones((2, 3)), np.ones((2, 3)), None, 0, np.ones(3, "f4")), TypeError, "scale must be"),
        ("judge_residuals", (np.ones(2), np.ones(2), None, 0, np.ones(3)), ValueError, "scores must have 2 axes"),
    ],
)
def test_bad_arguments_of_judges(kernel, arguments, error, message):
    with pytest.raises(error, match=message):
        getattr(_ext, kernel)(*arguments)
