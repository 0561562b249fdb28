"""Layers as pure functions on arrays.

Each is a pair ``f_forward(x, ...) -> out, cache`` and ``f_backward(dout, cache) -> gradients in
argument order``. What changes between calls (mode, running statistics, seeds) lives in a dict of
the caller. Every function can write to buffers given as ``out``; those which keep intermediate
results also take a dict ``work``, in which they are held and reused from call to call: then a cache
is good until the next forward call with the same dict. A backward function takes the cache of its own
forward function, and raises a TypeError that names this function for anything else.

Legend: N samples, D inputs, M outputs, C channels, H W image size, F filters, HH WW filter size,
HO WO output size, G groups. Images are NCHW. Arithmetic is in float32 if all arrays are float32,
in float64 otherwise; dout is converted to what the forward pass computed in.
"""

import inspect

from sklearn_dl.layers._table import *
from sklearn_dl.losses import softmax_loss, svm_loss  # noqa: F401

__all__ = sorted(name for name, value in globals().items() if inspect.isfunction(value))
