"""Losses: from scores and targets to the mean loss and its gradient.

Most take the scores and give the gradient with respect to them: what stands at the end of a net. `softmax_loss` and
`svm_loss` take labels, one of several classes for each sample. `logistic_loss`, `squared_error`, `absolute_error`,
`huber_loss` and `poisson_loss` take a target for each score; of several outputs, a sample's loss is the sum.

Those named naive and vectorized take the weights and the samples of a linear classifier, and give the gradient of its
whole objective, penalty included, with respect to the weights: each in plain loops, to read, and vectorized.
"""

import math

import numpy as np

from sklearn_dl import _ext
from sklearn_dl._arrays import as_floats, check_batch, check_not_empty, check_shape, normalized_weights, output
from sklearn_dl._checks import check_real
from sklearn_dl._threads import n_threads

_LARGEST = float(np.finfo(np.float64).max)


def softmax_loss(x, y, *, sample_weight=None, label_smoothing=0.0, out=None):
    """Softmax and cross-entropy.

    Parameters
    ----------
    x : ndarray of shape (N, C)
        Scores.
    y : ndarray of shape (N,)
        Labels, integers from 0 to C - 1.
    sample_weight : array-like of shape (N,), optional
        Weights of the samples; all one without.
    label_smoothing : float in [0, 1), default=0.0
        Share of each label that goes to all C classes alike: the target of a sample's softmax is
        ``(1 - label_smoothing) * onehot(y[i]) + label_smoothing / C`` (Szegedy et al., "Rethinking the inception
        architecture for computer vision", CVPR 2016).
    out : ndarray of shape (N, C), optional
        Where to write the gradient; may be x itself.

    Returns
    -------
    loss : float
        ``-sum(target[i] * log(softmax(x)[i]))``, without smoothing ``-log(softmax(x)[i, y[i]])``, averaged over the
        samples with their weights. Finite for any finite scores: beyond the largest float64 it is that number.
    dx : ndarray of shape (N, C)
        ``(softmax(x) - target) / N``, or the sample's share of the weights in place of 1/N.

    Raises
    ------
    TypeError
        If y does not hold integers.
    ValueError
        If the batch is empty, shapes do not fit together, or a label or weight is out of range.

    Notes
    -----
    Computed from scores less the largest of their row (Goodfellow, Bengio & Courville, "Deep
    learning", section 4.1).

    Examples
    --------
    >>> import numpy as np
    >>> from sklearn_dl.losses import softmax_loss
    >>> loss, dx = softmax_loss(np.array([[0.0, 0.0], [0.0, np.log(3)]]), np.array([0, 1]))
    >>> round(loss, 4), dx
    (0.4904, array([[-0.25 ,  0.25 ], [ 0.125, -0.125]]))
    """
    x, y, weights, dx = _prepare(x, y, sample_weight, out)
    smoothing = check_real("label_smoothing", label_smoothing, low=0, high=1, boundaries="left")
    return _ext.softmax_loss(x, y, weights, dx, smoothing=smoothing), dx


def svm_loss(x, y, *, sample_weight=None, out=None):
    """Multiclass hinge loss with margin 1.

    Parameters
    ----------
    x : ndarray of shape (N, C)
        Scores.
    y : ndarray of shape (N,)
        Labels, integers from 0 to C - 1.
    sample_weight : array-like of shape (N,), optional
        Weights of the samples; all one without.
    out : ndarray of shape (N, C), optional
        Where to write the gradient; may be x itself.

    Returns
    -------
    loss : float
        ``sum(max(0, x[i, j] - x[i, y[i]] + 1) for j != y[i])``, averaged over the samples with
        their weights. Finite for any finite scores: beyond the largest float64 it is that number.
    dx : ndarray of shape (N, C)
        Its gradient.

    Raises
    ------
    TypeError
        If y does not hold integers.
    ValueError
        If the batch is empty, shapes do not fit together, or a label or weight is out of range.

    Notes
    -----
    Weston & Watkins, "Support vector machines for multi-class pattern recognition", ESANN 1999.

    Examples
    --------
    >>> import numpy as np
    >>> from sklearn_dl.losses import svm_loss
    >>> loss, dx = svm_loss(np.array([[3.0, 2.5, 0.0], [0.0, 0.0, 4.0]]), np.array([0, 2]))
    >>> loss, dx
    (0.25, array([[-0.5,  0.5,  0. ], [ 0. ,  0. ,  0. ]]))
    """
    x, y, weights, dx = _prepare(x, y, sample_weight, out)
    return _ext.hinge_loss(x, y, weights, dx), dx


def logistic_loss(x, y, *, sample_weight=None, out=None):
    """Sigmoid and cross-entropy, one for each output: of labels that do not exclude each other.

    Parameters
    ----------
    x : ndarray of shape (N, K), or (N,) for one output
        Scores: the logarithms of the odds.
    y : ndarray of the shape of x
        Targets: 1 where the label applies, 0 where it does not, or a probability in [0, 1].
    sample_weight : array-like of shape (N,), optional
        Weights of the samples; all one without.
    out : ndarray of the shape of x, optional
        Where to write the gradient; may be x itself.

    Returns
    -------
    loss : float
        ``log(1 + exp(x)) - y * x``, summed over the outputs and averaged over the samples
        with their weights. Finite for any finite scores: beyond the largest float64 it is that number.
    dx : ndarray of the shape of x
        ``(1 / (1 + exp(-x)) - y) / N``, or the sample's share of the weights in place of 1/N.

    Raises
    ------
    TypeError
        If x or y does not hold real numbers.
    ValueError
        If the batch is empty, shapes do not fit together, or a target or weight is out of range.

    Notes
    -----
    As `MLPClassifier` has it for multilabel y. Computed as ``max(x, 0) - y * x + log(1 + exp(-abs(x)))``, in which
    nothing overflows.

    Examples
    --------
    >>> import numpy as np
    >>> from sklearn_dl.losses import logistic_loss
    >>> loss, dx = logistic_loss(np.array([[0.0, np.log(3)]]), np.array([[1, 0]]))
    >>> round(loss, 4), dx
    (2.0794, array([[-0.5 ,  0.75]]))
    """
    return _pointwise("logistic", x, y, sample_weight, out, check=_check_probabilities)


def squared_error(x, y, *, sample_weight=None, out=None):
    """Half the squared error.

    Parameters
    ----------
    x : ndarray of shape (N, K), or (N,) for one output
        Scores: the predictions.
    y : ndarray of the shape of x
        Targets.
    sample_weight : array-like of shape (N,), optional
        Weights of the samples; all one without.
    out : ndarray of the shape of x, optional
        Where to write the gradient; may be x itself.

    Returns
    -------
    loss : float
        ``(x - y) ** 2 / 2``, summed over the outputs and averaged over the samples
        with their weights. Finite for any finite scores: beyond the largest float64 it is that number.
    dx : ndarray of the shape of x
        ``(x - y) / N``, or the sample's share of the weights in place of 1/N.

    Raises
    ------
    TypeError
        If x or y does not hold real numbers.
    ValueError
        If the batch is empty, shapes do not fit together, or a weight is out of range.

    Notes
    -----
    `MLPRegressor` trains on the same gradient. The loss that it reports is this one divided by the K outputs.

    Examples
    --------
    >>> import numpy as np
    >>> from sklearn_dl.losses import squared_error
    >>> squared_error(np.array([3.0, 1.0]), np.array([1.0, 1.0]))
    (1.0, array([1., 0.]))
    """
    return _pointwise("squared_error", x, y, sample_weight, out)


def absolute_error(x, y, *, sample_weight=None, out=None):
    """Absolute error, the least of which the median has.

    Parameters
    ----------
    x : ndarray of shape (N, K), or (N,) for one output
        Scores: the predictions.
    y : ndarray of the shape of x
        Targets.
    sample_weight : array-like of shape (N,), optional
        Weights of the samples; all one without.
    out : ndarray of the shape of x, optional
        Where to write the gradient; may be x itself.

    Returns
    -------
    loss : float
        ``abs(x - y)``, summed over the outputs and averaged over the samples
        with their weights. Finite for any finite scores: beyond the largest float64 it is that number.
    dx : ndarray of the shape of x
        ``sign(x - y) / N``, or the sample's share of the weights in place of 1/N.

    Raises
    ------
    TypeError
        If x or y does not hold real numbers.
    ValueError
        If the batch is empty, shapes do not fit together, or a weight is out of range.

    Examples
    --------
    >>> import numpy as np
    >>> from sklearn_dl.losses import absolute_error
    >>> absolute_error(np.array([3.0, 1.0]), np.array([1.0, 1.0]))
    (1.0, array([0.5, 0. ]))
    """
    return _pointwise("absolute_error", x, y, sample_weight, out)


def huber_loss(x, y, *, sample_weight=None, delta=1.0, out=None):
    """Half the squared error near the target, linear beyond: Huber's loss.

    Parameters
    ----------
    x : ndarray of shape (N, K), or (N,) for one output
        Scores: the predictions.
    y : ndarray of the shape of x
        Targets.
    sample_weight : array-like of shape (N,), optional
        Weights of the samples; all one without.
    delta : float, default=1.0
        How far from the target the square ends. Above 0.
    out : ndarray of the shape of x, optional
        Where to write the gradient; may be x itself.

    Returns
    -------
    loss : float
        ``d ** 2 / 2``, or ``delta * (abs(d) - delta / 2)`` where abs(d) is above delta, summed over the outputs and
        averaged over the samples with their weights. Finite for any finite scores: beyond the largest float64 it is
        that number.
    dx : ndarray of the shape of x
        ``clip(d, -delta, delta) / N``, or the sample's share of the weights in place of 1/N.

    Raises
    ------
    TypeError
        If x or y does not hold real numbers.
    ValueError
        If the batch is empty, shapes do not fit together, or a weight or delta is out of range.

    Notes
    -----
    With ``d = x - y``. Huber, "Robust estimation of a location parameter", Annals of Mathematical Statistics 35 (1964).

    Examples
    --------
    >>> import numpy as np
    >>> from sklearn_dl.losses import huber_loss
    >>> huber_loss(np.array([3.0, 1.5]), np.array([1.0, 1.0]))
    (0.8125, array([0.5 , 0.25]))
    """
    delta = check_real("delta", delta, low=0, boundaries="neither")
    return _pointwise("huber", x, y, sample_weight, out, width=delta)


def poisson_loss(x, y, *, sample_weight=None, out=None):
    """Negative log-likelihood of counts whose mean is exp(x), but for what does not depend on x.

    Parameters
    ----------
    x : ndarray of shape (N, K), or (N,) for one output
        Scores: the logarithms of the predicted means.
    y : ndarray of the shape of x
        Targets: counts, or rates, of at least 0.
    sample_weight : array-like of shape (N,), optional
        Weights of the samples; all one without.
    out : ndarray of the shape of x, optional
        Where to write the gradient; may be x itself.

    Returns
    -------
    loss : float
        ``exp(x) - y * x``, summed over the outputs and averaged over the samples
        with their weights. Where exp(x) is beyond the largest number of
        x's dtype, it is the largest float64, and the gradient infinite.
    dx : ndarray of the shape of x
        ``(exp(x) - y) / N``, or the sample's share of the weights in place of 1/N.

    Raises
    ------
    TypeError
        If x or y does not hold real numbers.
    ValueError
        If the batch is empty, shapes do not fit together, or a target or weight is out of range.

    Notes
    -----
    Half the Poisson deviance is this less its least value, ``y - y * log(y)``; so the loss may be negative.

    Examples
    --------
    >>> import numpy as np
    >>> from sklearn_dl.losses import poisson_loss
    >>> loss, dx = poisson_loss(np.array([0.0, np.log(2)]), np.array([1, 3]))
    >>> round(loss, 4), dx
    (0.4603, array([ 0. , -0.5]))
    """
    return _pointwise("poisson", x, y, sample_weight, out, check=_check_not_negative)


def _pointwise(kind, x, y, sample_weight, out, *, check=None, **options):
    """Return the loss of each score against a target of its own, and its gradient."""
    x, y = as_floats(x=x, y=y)
    if x.ndim not in (1, 2):
        raise ValueError(f"x must be (N, K), or (N,) for one output, got an array of shape {x.shape}")
    check_not_empty("x", x)
    check_shape("y", y, x.shape, "that of x")
    if check is not None:
        check(y)
    weights = None if sample_weight is None else normalized_weights(sample_weight, len(x))
    dx = output(out, x.shape, x.dtype)
    shape = x.shape if x.ndim == 2 else (len(x), 1)
    loss = _ext.pointwise_loss(kind, x.reshape(shape), y.reshape(shape), weights, dx.reshape(shape), **options)
    return loss, dx


def _check_probabilities(y):
    if not (y.min() >= 0 and y.max() <= 1):
        raise ValueError(f"y must be in [0, 1], got values from {y.min()} to {y.max()}")


def _check_not_negative(y):
    if not y.min() >= 0:
        raise ValueError(f"y must be at least 0, got values from {y.min()} to {y.max()}")


def _prepare(x, y, sample_weight, out):
    """Check the arguments; return scores, labels, weights (or None) and where dx goes."""
    (x,) = as_floats(x=x)
    check_batch("x", x, 2, "(N, C)")
    n_samples = x.shape[0]
    y = _as_labels(y, n_samples)
    weights = None if sample_weight is None else normalized_weights(sample_weight, n_samples)
    return x, y, weights, output(out, x.shape, x.dtype)


def _as_labels(y, n_samples):
    y = np.asarray(y)
    if y.dtype.kind not in "iu":
        raise TypeError(f"y must hold integers, the indices of the classes, got dtype {y.dtype}.")
    check_shape("y", y, (n_samples,), "(N,)")
    return np.ascontiguousarray(y, np.int64)


def _check_range(y, n_classes):
    bad = y[(y < 0) | (y >= n_classes)]
    if bad.size:
        raise ValueError(f"y must be in [0, {n_classes}), got {bad[0]}.")


def softmax_loss_naive(W, X, y, reg):
    """Softmax and cross-entropy of a linear classifier with penalty, in plain loops.

    Parameters
    ----------
    W : ndarray of shape (D, C)
        Weights. For a bias, append a column of ones to X.
    X : ndarray of shape (N, D)
        Samples.
    y : ndarray of shape (N,)
        Labels, integers from 0 to C - 1.
    reg : float
        Strength of the penalty, at least 0.

    Returns
    -------
    loss : float
        ``softmax_loss(X @ W, y)[0] + reg * sum(W * W)``.
    dW : ndarray of shape (D, C)
        Its gradient; the penalty's part is ``2 * reg * W``. float32 if W and X are, else float64.

    Raises
    ------
    TypeError
        If W or X does not hold real numbers, y no integers, or reg is no number.
    ValueError
        If X or W is empty, shapes do not fit together, a label is out of range, or reg is negative or not finite.

    See Also
    --------
    softmax_loss_vectorized : The same without loops, and faster.

    Notes
    -----
    Signature and penalty are those of the first assignment of CS231n from 2017 on. In 2015 and 2016 the penalty was
    ``0.5 * reg * sum(W * W)``: give half of that reg.

    Examples
    --------
    >>> import numpy as np
    >>> from sklearn_dl.losses import softmax_loss_naive
    >>> loss, dW = softmax_loss_naive(np.zeros((2, 4)), np.eye(2), np.array([0, 3]), 0.1)
    >>> round(loss, 4), dW
    (1.3863, array([[-0.375,  0.125,  0.125,  0.125], [ 0.125,  0.125,  0.125, -0.375]]))
    """
    W, X, y, reg = _prepare_linear(W, X, y, reg)
    loss, dW = 0.0, np.zeros_like(W)
    for x, label in zip(X, y.tolist(), strict=True):
        scores = _scores_of_one(x, W)
        highest = max(scores)
        exponentials = [math.exp(score - highest) for score in scores]
        total = sum(exponentials)
        loss += min(math.log(total) - (scores[label] - highest), _LARGEST) / len(X)
        for j, exponential in enumerate(exponentials):
            dW[:, j] += (exponential / total - (j == label)) * x
    return _with_penalty(min(loss, _LARGEST), dW / len(X), W, reg)


def softmax_loss_vectorized(W, X, y, reg):
    """Softmax and cross-entropy of a linear classifier with penalty.

    Parameters
    ----------
    W : ndarray of shape (D, C)
        Weights. For a bias, append a column of ones to X.
    X : ndarray of shape (N, D)
        Samples.
    y : ndarray of shape (N,)
        Labels, integers from 0 to C - 1.
    reg : float
        Strength of the penalty, at least 0.

    Returns
    -------
    loss : float
        As from `softmax_loss_naive`.
    dW : ndarray of shape (D, C)
        Its gradient, as from `softmax_loss_naive`.

    See Also
    --------
    softmax_loss_naive : The same in loops, to read and to check against.
    sklearn_dl.Softmax : The estimator that minimizes this loss.

    Examples
    --------
    >>> import numpy as np
    >>> from sklearn_dl.losses import softmax_loss_vectorized
    >>> loss, dW = softmax_loss_vectorized(np.zeros((2, 4)), np.eye(2), np.array([0, 3]), 0.1)
    >>> round(loss, 4), dW
    (1.3863, array([[-0.375,  0.125,  0.125,  0.125], [ 0.125,  0.125,  0.125, -0.375]]))
    """
    return _vectorized(softmax_loss, *_prepare_linear(W, X, y, reg))


def svm_loss_naive(W, X, y, reg):
    """Multiclass hinge loss of a linear classifier with penalty, in plain loops.

    Parameters
    ----------
    W : ndarray of shape (D, C)
        Weights. For a bias, append a column of ones to X.
    X : ndarray of shape (N, D)
        Samples.
    y : ndarray of shape (N,)
        Labels, integers from 0 to C - 1.
    reg : float
        Strength of the penalty, at least 0.

    Returns
    -------
    loss : float
        ``svm_loss(X @ W, y)[0] + reg * sum(W * W)``.
    dW : ndarray of shape (D, C)
        Its gradient; the penalty's part is ``2 * reg * W``. float32 if W and X are, else float64.

    See Also
    --------
    svm_loss_vectorized : The same without loops, and faster.

    Examples
    --------
    >>> import numpy as np
    >>> from sklearn_dl.losses import svm_loss_naive
    >>> loss, dW = svm_loss_naive(np.zeros((2, 3)), np.eye(2), np.array([0, 2]), 0.1)
    >>> loss, dW
    (2.0, array([[-1. ,  0.5,  0.5], [ 0.5,  0.5, -1. ]]))
    """
    W, X, y, reg = _prepare_linear(W, X, y, reg)
    loss, dW = 0.0, np.zeros_like(W)
    for x, label in zip(X, y.tolist(), strict=True):
        scores = _scores_of_one(x, W)
        for j, score in enumerate(scores):
            margin = score - scores[label] + 1
            if j == label or margin <= 0:  # not "> 0", which would leave out nan
                continue
            loss += min(margin, _LARGEST) / len(X)
            dW[:, j] += x
            dW[:, label] -= x
    return _with_penalty(min(loss, _LARGEST), dW / len(X), W, reg)


def svm_loss_vectorized(W, X, y, reg):
    """Multiclass hinge loss of a linear classifier with penalty.

    Parameters
    ----------
    W : ndarray of shape (D, C)
        Weights. For a bias, append a column of ones to X.
    X : ndarray of shape (N, D)
        Samples.
    y : ndarray of shape (N,)
        Labels, integers from 0 to C - 1.
    reg : float
        Strength of the penalty, at least 0.

    Returns
    -------
    loss : float
        As from `svm_loss_naive`.
    dW : ndarray of shape (D, C)
        Its gradient, as from `svm_loss_naive`.

    See Also
    --------
    svm_loss_naive : The same in loops, to read and to check against.

    Examples
    --------
    >>> import numpy as np
    >>> from sklearn_dl.losses import svm_loss_vectorized
    >>> loss, dW = svm_loss_vectorized(np.zeros((2, 3)), np.eye(2), np.array([0, 2]), 0.1)
    >>> loss, dW
    (2.0, array([[-1. ,  0.5,  0.5], [ 0.5,  0.5, -1. ]]))
    """
    return _vectorized(svm_loss, *_prepare_linear(W, X, y, reg))


def _prepare_linear(W, X, y, reg):
    """Check the arguments of a linear classifier's loss."""
    W, X = as_floats(W=W, X=X)
    check_batch("X", X, 2, "(N, D)")
    check_batch("W", W, 2, "(D, C)")
    if W.shape[0] != X.shape[1]:
        raise ValueError(f"W must have shape (D, C) with D = {X.shape[1]}, the columns of X, got {W.shape}.")
    y = _as_labels(y, len(X))
    _check_range(y, W.shape[1])
    return W, X, y, check_real("reg", reg, low=0)


def _scores_of_one(x, W):
    """Return the scores of one sample, as Python's floats, which overflow without a warning."""
    with np.errstate(over="ignore", invalid="ignore"):
        return (x @ W).tolist()


def _vectorized(loss_of_scores, W, X, y, reg):
    """Return loss and gradient of a linear classifier from a loss of its scores."""
    threads = n_threads()
    scores = np.empty((len(X), W.shape[1]), X.dtype)
    _ext.affine_forward(X, W, np.zeros(W.shape[1], X.dtype), scores, False, threads)
    loss, dscores = loss_of_scores(scores, y, out=scores)
    dW, db = np.empty_like(W), np.empty(W.shape[1], X.dtype)
    _ext.affine_backward_dw(X, dscores, dW, db, threads)
    return _with_penalty(loss, dW, W, reg)


def _with_penalty(loss, dW, W, reg):
    if reg == 0:  # squares may be infinite
        return loss, dW
    with np.errstate(over="ignore", invalid="ignore"):
        return loss + reg * _ext.sum_of_squares(W, n_threads()), dW + 2 * reg * W
