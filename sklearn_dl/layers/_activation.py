"""What the activations have in common: a function of each element by itself."""

from __future__ import annotations

from collections.abc import Callable
from typing import ClassVar

import numpy as np

from sklearn_dl import _ext
from sklearn_dl._arrays import Cache, as_floats, as_gradient, buffer, check_not_empty, output
from sklearn_dl._threads import n_threads
from sklearn_dl.layers._layer import Arrays, Layer, Work

__all__ = ["NO_ACTIVATION", "Activated", "Activation", "backward", "check_activation", "forward"]

NO_ACTIVATION: int = _ext.activations["identity"]


class Activation(Layer):
    """Base of the activations.

    A subclass states its `name`, the function and its slope in NumPy, and how it is converted to ONNX. By these it
    trains, is saved, and is a value of the parameter `activation` of nets and estimators. What it states in NumPy is
    also what its kernel is tested against, if it says that it has one.
    """

    name: ClassVar[str]  # what the parameter `activation` calls it
    weight_scale: ClassVar[str] = "he"  # the scheme of first weights that suits it, see Initializer
    steepest: ClassVar[float] = 1.0  # about the largest slope; weights that do the same are larger by its inverse
    # Whether `_ext` has kernels of this name. Not inherited: a subclass may compute something else.
    compiled: ClassVar[bool] = False

    def function(self, x: np.ndarray) -> np.ndarray:
        """Return the output, by NumPy.

        Parameters
        ----------
        x : ndarray of any shape
            Input.

        Returns
        -------
        out : ndarray of the shape of x
            The output.
        """
        raise NotImplementedError

    def slope(self, x: np.ndarray) -> np.ndarray:
        """Return the derivative, by NumPy.

        Parameters
        ----------
        x : ndarray of any shape
            Input.

        Returns
        -------
        slope : ndarray of the shape of x
            The derivative of each output with respect to its input.
        """
        raise NotImplementedError

    @classmethod
    def code(cls) -> int | None:
        """Return the number that kernels know it by, if there are any."""
        return _ext.activations[cls.name] if vars(cls).get("compiled", False) else None

    @classmethod
    def takes_output(cls) -> bool:
        """Return whether the way back is computed from the output, not from the input."""
        return cls.code() is not None and _ext.activation_backward_takes[cls.name] == "output"

    def _run_forward(self, x: np.ndarray, out: np.ndarray) -> None:
        """Write the output of checked arrays; out may be x."""
        code = self.code()
        if code is None:
            np.copyto(out, self.function(x))
        else:
            _ext.activation_forward(x, out, code, n_threads())

    def _run_backward(self, dout: np.ndarray, kept: np.ndarray, dx: np.ndarray) -> None:
        """Write the gradient with respect to x; dx may be dout."""
        code = self.code()
        if code is None:
            np.multiply(dout, self.slope(kept), out=dx)
        else:
            _ext.activation_backward(dout, kept, dx, code, n_threads())

    def forward(self, x, params, work, *, train, sample_weight):
        """Return the output, of the shape of x."""
        out = buffer(work, "out", x.shape, x.dtype)
        self._run_forward(x, out)
        work["kept"] = out if self.takes_output() else x
        return out

    def backward(self, dout, grads, work, *, need_dx):
        """Return dx, of the shape of x."""
        if not need_dx:
            return None
        kept = work["kept"]
        dout = as_gradient(dout, kept.shape, kept.dtype)
        dx = buffer(work, "dx", kept.shape, kept.dtype)
        self._run_backward(dout, kept, dx)
        return dx


def forward(activation: Activation, cache: type[Cache], x, out):
    """Return the output and the cache of an activation's function."""
    (x,) = as_floats(x=x)
    check_not_empty("x", x)
    out = output(out, x.shape, x.dtype)
    kept = out
    if not activation.takes_output():
        kept = x.copy() if np.may_share_memory(x, out) else x
    activation._run_forward(x, out)
    return out, cache((kept,))


def backward(activation: Activation, cache_class: type[Cache], dout, cache, out):
    """Return the gradient with respect to x."""
    (kept,) = cache_class.check(cache)
    dout = as_gradient(dout, kept.shape, kept.dtype)
    dx = output(out, kept.shape, kept.dtype)
    activation._run_backward(dout, kept, dx)
    return dx


def check_activation(activation: Activation) -> Activation:
    """Return an activation that kernels can do in the pass of another layer."""
    if not isinstance(activation, Activation) or activation.code() is None:
        raise TypeError(f"activation must be an activation of sklearn_dl.nets.layers itself, got {activation!r}.")
    return activation


class Activated(Layer):
    """A layer with weights and its activation in one pass: in front of the layer itself among the bases of a class."""

    activation: Activation
    # Of the layer: returns the output for x, params, work, after the activation of this number.
    _run: Callable[[np.ndarray, Arrays, Work, int | None], np.ndarray]

    def forward(self, x, params, work, *, train, sample_weight):
        """Return the activated output."""
        activation = self.activation
        if train and not activation.takes_output():
            kept = self._run(x, params, work, NO_ACTIVATION)
            out = buffer(work, "activated", kept.shape, kept.dtype)
            activation._run_forward(kept, out)
        else:
            kept = out = self._run(x, params, work, activation.code())
        work["kept"] = kept
        return out

    def backward(self, dout, grads, work, *, need_dx):
        """Write dW and db; return dx."""
        kept = work["kept"]
        dout = as_gradient(dout, kept.shape, kept.dtype)
        self.activation._run_backward(dout, kept, dout)
        return super().backward(dout, grads, work, need_dx=need_dx)
