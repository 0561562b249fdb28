"""Batch normalization of features and, for images, of channels."""

import math
from typing import NamedTuple

import numpy as np

from sklearn_dl import _ext
from sklearn_dl._arrays import (
    Cache,
    as_floats,
    as_gradient,
    buffer,
    check_batch,
    check_no_overlap,
    check_shape,
    checked_weights,
    output,
    outputs,
    positive_eps,
    real,
    train_mode,
)
from sklearn_dl._threads import n_threads
from sklearn_dl.layers._norm import Norm
from sklearn_dl.layers._registry import register

__all__ = [
    "BatchNorm",
    "batchnorm_backward",
    "batchnorm_backward_alt",
    "batchnorm_forward",
    "spatial_batchnorm_backward",
    "spatial_batchnorm_forward",
]


class BatchNormCache(Cache):
    """One item, of `batchnorm_forward` in train or test mode."""

    __slots__ = ()
    forward = "batchnorm_forward"


class SpatialBatchNormCache(Cache):
    """One item, of `spatial_batchnorm_forward` in train or test mode."""

    __slots__ = ()
    forward = "spatial_batchnorm_forward"


def batchnorm_forward(x, gamma, beta, bn_param, *, out=None, work=None):
    """Normalize each feature over the batch, then scale and shift it.

    Parameters
    ----------
    x : ndarray of shape (N, D)
        Samples.
    gamma, beta : ndarray of shape (D,)
        Scale and shift.
    bn_param : dict
        - mode : 'train' (statistics of the batch) or 'test' (running statistics).
        - eps : float, default 1e-5, added to the variance.
        - momentum : float in [0, 1], default 0.9, of the running statistics.
        - running_mean, running_var : ndarray of shape (D,). Zeros are put there if absent; training
          updates them in place: ``running = momentum * running + (1 - momentum) * batch``.
        - sample_weight : array-like of shape (N,), optional. Weigh the samples in the batch
          statistics as if each was there that many times.
    out : ndarray of shape (N, D), optional
        Where to write the result; must not overlap the inputs.
    work : dict, optional
        Keeps the normalized samples between calls, to reuse their memory.

    Returns
    -------
    out : ndarray of shape (N, D)
        ``gamma * (x - mean) / sqrt(var + eps) + beta`` with the biased variance.
    cache : tuple
        What `batchnorm_backward` and `batchnorm_backward_alt` need.

    Raises
    ------
    ValueError
        If the batch is empty, shapes do not fit together or bn_param is not as described.

    Notes
    -----
    Ioffe & Szegedy, "Batch normalization: accelerating deep network training by reducing internal
    covariate shift", ICML 2015. They use the unbiased variance for testing; this function, like
    most course material, keeps a running average of the biased one.

    Examples
    --------
    >>> import numpy as np
    >>> from sklearn_dl.layers import batchnorm_forward
    >>> x = np.array([[1.0, 0.0], [3.0, 4.0]])
    >>> bn_param = {"mode": "train"}
    >>> out, cache = batchnorm_forward(x, np.ones(2), np.zeros(2), bn_param)
    >>> out.round(3)
    array([[-1., -1.],
           [ 1.,  1.]])
    >>> bn_param["running_mean"]
    array([0.2, 0.2])
    """
    x, gamma, beta = as_floats(x=x, gamma=gamma, beta=beta)
    check_batch("x", x, 2, "(N, D)")
    out, cache = _forward(x, gamma, beta, bn_param, out, work)
    return out, BatchNormCache((cache,))


def batchnorm_backward(dout, cache, *, out=None):
    """Return the gradients of batch normalization, one node of the computational graph after the other.

    Parameters
    ----------
    dout : ndarray of shape (N, D)
        Gradient of the loss with respect to the output.
    cache : tuple
        From `batchnorm_forward`.
    out : tuple of 3 ndarrays or None, optional
        Buffers for dx, dgamma and dbeta; any of them may be None.

    Returns
    -------
    dx : ndarray of shape (N, D)
        Gradient with respect to x.
    dgamma, dbeta : ndarray of shape (D,)
        Gradients with respect to gamma and beta.

    See Also
    --------
    batchnorm_backward_alt : The same in closed form, and faster.

    Examples
    --------
    >>> import numpy as np
    >>> from sklearn_dl.layers import batchnorm_backward, batchnorm_forward
    >>> x = np.array([[1.0, 0.0], [3.0, 4.0]])
    >>> _, cache = batchnorm_forward(x, np.ones(2), np.zeros(2), {"mode": "train"})
    >>> dx, dgamma, dbeta = batchnorm_backward(x, cache)
    >>> dgamma.round(3), dbeta
    (array([2., 4.]), array([4., 4.]))
    """
    (cache,) = BatchNormCache.check(cache)
    dout, dx, dgamma, dbeta = _prepare_backward(dout, cache, out)
    if type(cache) is _TestCache:
        return _backward_test(dout, cache, dx, dgamma, dbeta)
    _check_apart(dx, dgamma, dbeta, dout, cache._asdict())
    xhat, inv_std, gamma, weights = cache
    share = 1 / dout.shape[0] if weights is None else weights[:, None].astype(dout.dtype)
    # out = gamma * xhat + beta
    np.sum(dout, axis=0, out=dbeta)
    np.sum(dout * xhat, axis=0, out=dgamma)
    dxhat = dout * gamma
    # xhat = centered * inv_std
    centered = xhat / inv_std
    dinv_std = np.sum(dxhat * centered, axis=0)
    dcentered = dxhat * inv_std
    # inv_std = (var + eps) ** -0.5
    dvar = -0.5 * inv_std**3 * dinv_std
    # var = sum(share * centered ** 2)
    dcentered += 2 * share * centered * dvar
    # centered = x - mean
    dmean = -dcentered.sum(axis=0)
    # mean = sum(share * x)
    np.add(dcentered, share * dmean, out=dx)
    return dx, dgamma, dbeta


def batchnorm_backward_alt(dout, cache, *, out=None):
    """Return the gradients of batch normalization in closed form.

    Parameters
    ----------
    dout : ndarray of shape (N, D)
        Gradient of the loss with respect to the output.
    cache : tuple
        From `batchnorm_forward`.
    out : tuple of 3 ndarrays or None, optional
        Buffers for dx, dgamma and dbeta; any of them may be None.

    Returns
    -------
    dx : ndarray of shape (N, D)
        Gradient with respect to x.
    dgamma, dbeta : ndarray of shape (D,)
        Gradients with respect to gamma and beta.

    Notes
    -----
    The graph of `batchnorm_backward` simplifies to ``dx = gamma / std * (dout - mean(dout) - xhat *
    mean(dout * xhat))`` with means over the batch, which are ``dbeta / N`` and ``dgamma / N``. With
    sample weights, 1/N becomes the weight of the row in the sum of the weights.

    Examples
    --------
    >>> import numpy as np
    >>> from sklearn_dl.layers import batchnorm_backward_alt, batchnorm_forward
    >>> x = np.array([[1.0, 0.0], [3.0, 4.0]])
    >>> _, cache = batchnorm_forward(x, np.ones(2), np.zeros(2), {"mode": "train"})
    >>> dx, dgamma, dbeta = batchnorm_backward_alt(x, cache)
    >>> dgamma.round(3), dbeta
    (array([2., 4.]), array([4., 4.]))
    """
    return _backward(dout, BatchNormCache.check(cache), out)


def spatial_batchnorm_forward(x, gamma, beta, bn_param, *, out=None, work=None):
    """Normalize each channel over the batch and the pixels, then scale and shift it.

    Parameters
    ----------
    x : ndarray of shape (N, C, H, W)
        Images.
    gamma, beta : ndarray of shape (C,)
        Scale and shift.
    bn_param : dict
        As in `batchnorm_forward`, the running statistics of shape (C,).
    out : ndarray of shape (N, C, H, W), optional
        Where to write the result; must not overlap the inputs.
    work : dict, optional
        Keeps the normalized images between calls, to reuse their memory.

    Returns
    -------
    out : ndarray of shape (N, C, H, W)
        What `batchnorm_forward` makes of x with the channels as its features.
    cache : tuple
        What `spatial_batchnorm_backward` needs.

    Examples
    --------
    >>> import numpy as np
    >>> from sklearn_dl.layers import spatial_batchnorm_forward
    >>> x = np.arange(16.0).reshape(2, 2, 2, 2)
    >>> out, cache = spatial_batchnorm_forward(x, np.ones(2), np.zeros(2), {"mode": "train"})
    >>> out.mean(axis=(0, 2, 3)).round(3), out.std(axis=(0, 2, 3)).round(3)
    (array([0., 0.]), array([1., 1.]))
    """
    x, gamma, beta = as_floats(x=x, gamma=gamma, beta=beta)
    check_batch("x", x, 4, "(N, C, H, W)")
    out, cache = _forward(x, gamma, beta, bn_param, out, work)
    return out, SpatialBatchNormCache((cache,))


def spatial_batchnorm_backward(dout, cache, *, out=None):
    """Return the gradients of spatial batch normalization.

    Parameters
    ----------
    dout : ndarray of shape (N, C, H, W)
        Gradient of the loss with respect to the output.
    cache : tuple
        From `spatial_batchnorm_forward`.
    out : tuple of 3 ndarrays or None, optional
        Buffers for dx, dgamma and dbeta; any of them may be None.

    Returns
    -------
    dx : ndarray of shape (N, C, H, W)
        Gradient with respect to x.
    dgamma, dbeta : ndarray of shape (C,)
        Gradients with respect to gamma and beta.

    Examples
    --------
    >>> import numpy as np
    >>> from sklearn_dl.layers import spatial_batchnorm_backward, spatial_batchnorm_forward
    >>> x = np.arange(16.0).reshape(2, 2, 2, 2)
    >>> out, cache = spatial_batchnorm_forward(x, np.ones(2), np.zeros(2), {"mode": "train"})
    >>> dx, dgamma, dbeta = spatial_batchnorm_backward(np.ones_like(x), cache)
    >>> dbeta
    array([8., 8.])
    """
    return _backward(dout, SpatialBatchNormCache.check(cache), out)


class _TrainCache(NamedTuple):
    xhat: np.ndarray
    inv_std: np.ndarray
    gamma: np.ndarray
    weights: np.ndarray | None


class _TestCache(NamedTuple):
    x: np.ndarray
    mean: np.ndarray
    var: np.ndarray
    eps: float
    gamma: np.ndarray


def _forward(x, gamma, beta, bn_param, out, work):
    """Normalize over all axes but the second."""
    channels = x.shape[1:2]
    axes = "(D,)" if x.ndim == 2 else "(C,)"
    check_shape("gamma", gamma, channels, axes)
    check_shape("beta", beta, channels, axes)
    train = train_mode(bn_param, "bn_param")
    eps = positive_eps(bn_param, "bn_param")
    running = {key: _running(bn_param, key, x) for key in ("running_mean", "running_var")}
    out = output(out, x.shape, x.dtype)
    if not train:
        check_no_overlap("out", out, x=x)  # of which the kernel needs less than the cache
        bn_param.update(running)
        if any(a.dtype != x.dtype or not a.flags.carray for a in running.values()):
            _ext.spoil_recording()  # which would not know of the copies
        mean, var = (np.require(a, x.dtype, ["C", "A"]) for a in running.values())
        _ext.batchnorm_test(x, gamma, beta, mean, var, eps, out, n_threads())
        return out, _TestCache(x, mean, var, eps, gamma)
    momentum = real(bn_param.get("momentum", 0.9), "bn_param", "momentum")
    if not 0 <= momentum <= 1:
        raise ValueError(f"bn_param['momentum'] must be in [0, 1], got {momentum!r}.")
    weights = bn_param.get("sample_weight")
    if weights is not None:
        weights = checked_weights(weights, x.shape[0], "bn_param['sample_weight']")
    for key, a in running.items():
        if not a.flags.writeable:
            raise ValueError(f"bn_param[{key!r}] must be writeable, as training updates it in place.")
    _ext.check_apart((*running.values(), x, gamma, beta, weights, out), _UPDATED, 2)
    if weights is not None:
        weights = _shares(weights, work)
    xhat = buffer(work, "xhat", x.shape, x.dtype)
    mean, var, inv_std = (buffer(work, name, channels, x.dtype) for name in ("mean", "var", "inv_std"))
    _ext.batchnorm_forward(x, gamma, beta, weights, eps, out, xhat, mean, var, inv_std, n_threads())
    bn_param.update(running)
    for average, batch in zip(running.values(), (mean, var), strict=True):
        _update_average(average, batch, momentum)
    return out, _TrainCache(xhat, inv_std, gamma, weights)


# What training writes to at last, and what it has to leave alone.
_RUNNING = "bn_param['running_mean']", "bn_param['running_var']"
_UPDATED = *_RUNNING, "x", "gamma", "beta", "bn_param['sample_weight']", "out"


def _shares(weights, work):
    shares = buffer(work, "shares", weights.shape, weights.dtype)
    _ext.weight_shares(weights, shares)
    return shares


def _update_average(average, batch, momentum):
    """Set average to ``momentum * average + (1 - momentum) * batch``; overwrites batch."""
    if average.dtype == batch.dtype and average.flags.carray:
        _ext.update_average(average, batch, momentum)
    else:  # the caller's own, as a strided or a float64 one of float32 samples
        _ext.spoil_recording()
        batch *= 1 - momentum
        average *= momentum
        average += batch


def _backward(dout, cache, out):
    (cache,) = cache
    dout, dx, dgamma, dbeta = _prepare_backward(dout, cache, out)
    if type(cache) is _TestCache:
        return _backward_test(dout, cache, dx, dgamma, dbeta)
    xhat, inv_std, gamma, weights = cache
    _ext.batchnorm_backward(dout, xhat, inv_std, gamma, weights, dx, dgamma, dbeta, n_threads())
    return dx, dgamma, dbeta


def _prepare_backward(dout, cache, out):
    x, gamma = cache[0], cache.gamma
    dx, dgamma, dbeta = outputs(out, ("dx", "dgamma", "dbeta"))
    return (
        as_gradient(dout, x.shape, x.dtype),
        output(dx, x.shape, x.dtype, "out for dx"),
        output(dgamma, gamma.shape, x.dtype, "out for dgamma"),
        output(dbeta, gamma.shape, x.dtype, "out for dbeta"),
    )


def _check_apart(dx, dgamma, dbeta, dout, inputs):
    """Raise ValueError for buffers that overlap an input, but for a dx that is dout, as the kernels do."""
    check_no_overlap("out for dgamma", dgamma, dout=dout, **inputs)
    check_no_overlap("out for dbeta", dbeta, dout=dout, **inputs)
    _ext.check_apart((dx, dout, *inputs.values()), ("out for dx", "dout", *inputs), may_be=1)


def _backward_test(dout, cache, dx, dgamma, dbeta):
    """Gradients where the statistics are constants. Rare, hence no kernel."""
    _check_apart(dx, dgamma, dbeta, dout, cache._asdict())
    per_channel = (-1, *[1] * (dout.ndim - 2))
    inv_std = 1 / np.sqrt(cache.var + dout.dtype.type(cache.eps))
    mean, inv_std, gamma = (a.reshape(per_channel) for a in (cache.mean, inv_std, cache.gamma))
    axes = (0, *range(2, dout.ndim))
    np.sum(dout, axis=axes, out=dbeta)
    np.sum(dout * (cache.x - mean) * inv_std, axis=axes, out=dgamma)
    np.multiply(dout, gamma * inv_std, out=dx)
    return dx, dgamma, dbeta


def _running(bn_param, key, x):
    running = bn_param.get(key)
    if running is None:
        running = np.zeros(x.shape[1], x.dtype)
    elif not isinstance(running, np.ndarray) or running.dtype.kind != "f":
        raise TypeError(f"bn_param[{key!r}] must be an array of floats, got {running!r}.")
    if running.shape != x.shape[1:2]:
        raise ValueError(f"bn_param[{key!r}] must have the shape of gamma, {x.shape[1:2]}, got {running.shape}.")
    return running


@register
class BatchNorm(Norm):
    """Batch normalization of features (N, D) or, for images, of channels (N, C, H, W).

    Examples
    --------
    >>> from sklearn_dl.nets import Net
    >>> from sklearn_dl.nets.layers import Affine, BatchNorm, ReLU
    >>> net = Net([Affine(8), BatchNorm(), ReLU(), Affine(3)], (4,), random_state=0)
    >>> sorted(net.statistics)
    ['running_mean1', 'running_var1']
    """

    # 0 and 1: before training, the layer changes nothing in test mode.
    _statistics = (("running_mean", 0), ("running_var", 1))

    recordable = True
    varies = True

    def build(self, in_shape, block, init):
        """Make gamma one, beta zero, a running mean of zero and a running variance of one."""
        self.needs_two = math.prod(in_shape[1:]) == 1
        if len(in_shape) == 1:
            self._forward, self._backward = batchnorm_forward, batchnorm_backward_alt
        elif len(in_shape) == 3:
            self._forward, self._backward = spatial_batchnorm_forward, spatial_batchnorm_backward
        else:
            raise ValueError(
                f"layers: BatchNorm needs rows (D,) or images (C, H, W), but its input has shape {in_shape}."
            )
        return super().build(in_shape, block, init)

    def _param(self, train, sample_weight):
        mean, var = (self.statistics[name] for name in self.statistics_names)
        param = {"mode": "train" if train else "test", "running_mean": mean, "running_var": var}
        if train and sample_weight is not None:
            param["sample_weight"] = sample_weight
        return param

    def to_onnx(self, graph, arrays, x, shape):
        """Add normalization by the running statistics."""
        constants = [graph.constant(arrays[name]) for name in (self.gamma, self.beta, *self.statistics_names)]
        return graph.add("BatchNormalization", x, *constants, epsilon=self._eps()), shape
