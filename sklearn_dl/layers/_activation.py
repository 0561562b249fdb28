"""What the activations have in common: a function of each element by itself."""

from __future__ import annotations

from typing import ClassVar

import numpy as np

from sklearn_dl._arrays import Cache, as_floats, as_gradient, buffer, check_not_empty, output
from sklearn_dl.layers._layer import Layer

__all__ = ["Activation", "backward", "forward"]


class Activation(Layer):
    """Base of the activations.

    A subclass states its `name`, the function and its slope in NumPy, and how it is converted to ONNX. By these it
    trains, is saved, and is a value of the parameter `activation` of nets and estimators. What it states in NumPy is
    also what its kernel is tested against.
    """

    name: ClassVar[str]  # what the parameter `activation` calls it
    weight_scale: ClassVar[str] = "he"  # the scheme of first weights that suits it, see Initializer
    takes_output: ClassVar[bool] = False  # whether run_backward is given the output, not the input

    @staticmethod
    def function(x: np.ndarray) -> np.ndarray:
        """Return the output, by NumPy."""
        raise NotImplementedError

    @staticmethod
    def slope(x: np.ndarray) -> np.ndarray:
        """Return the derivative at x, by NumPy."""
        raise NotImplementedError

    @classmethod
    def run_forward(cls, x: np.ndarray, out: np.ndarray) -> None:
        """Write the output of checked arrays; out may be x."""
        np.copyto(out, cls.function(x))

    @classmethod
    def run_backward(cls, dout: np.ndarray, kept: np.ndarray, dx: np.ndarray) -> None:
        """Write the gradient with respect to x; dx may be dout."""
        np.multiply(dout, cls.slope(kept), out=dx)

    def forward(self, x, params, work, *, train, sample_weight):
        """Return the output, of the shape of x."""
        out = buffer(work, "out", x.shape, x.dtype)
        self.run_forward(x, out)
        work["kept"] = out if self.takes_output else x
        return out

    def backward(self, dout, grads, work, *, need_dx):
        """Return dx, of the shape of x."""
        if not need_dx:
            return None
        kept = work["kept"]
        dout = as_gradient(dout, kept.shape, kept.dtype)
        dx = buffer(work, "dx", kept.shape, kept.dtype)
        self.run_backward(dout, kept, dx)
        return dx


def forward(activation: type[Activation], cache: type[Cache], x, out):
    """Return the output and the cache of an activation's function."""
    (x,) = as_floats(x=x)
    check_not_empty("x", x)
    out = output(out, x.shape, x.dtype)
    kept = out
    if not activation.takes_output:
        kept = x.copy() if np.may_share_memory(x, out) else x
    activation.run_forward(x, out)
    return out, cache((kept,))


def backward(activation: type[Activation], cache_class: type[Cache], dout, cache, out):
    """Return the gradient with respect to x."""
    (kept,) = cache_class.check(cache)
    dout = as_gradient(dout, kept.shape, kept.dtype)
    dx = output(out, kept.shape, kept.dtype)
    activation.run_backward(dout, kept, dx)
    return dx
