"""Base of the layer objects that normalize."""

from collections.abc import Callable
from typing import Any

from sklearn_dl._arrays import buffer, positive_eps
from sklearn_dl.layers._layer import Layer, names_of


class Norm(Layer):
    """A normalization with a scale gamma and a shift beta, both of `_param_shape`."""

    _statistics: tuple[tuple[str, float], ...] = ()  # kinds of running statistics, each with what it begins at
    # The function pair.
    _forward: Callable[..., Any]
    _backward: Callable[..., Any]

    def build(self, in_shape, block, init):
        """Make gamma one and beta zero."""
        kinds = [kind for kind, _ in self._statistics]
        names = names_of(block, "gamma", "beta", *kinds)
        (self.gamma, self.beta), self.statistics_names = names[:2], names[2:]
        first = zip(self.statistics_names, self._statistics, strict=True)
        self.statistics = {name: init.constant(value, in_shape[0]) for name, (_, value) in first}
        shape = self._param_shape(in_shape)
        return in_shape, {
            self.gamma: init.constant(1, shape),
            self.beta: init.constant(0, shape),
        }

    def _param_shape(self, in_shape):
        return in_shape[0]

    def forward(self, x, params, work, *, train, sample_weight):
        """Return the normalized output, of the shape of x."""
        work["x_shape"] = x.shape
        out, work["cache"] = self._call_forward(
            x,
            params[self.gamma],
            params[self.beta],
            self._param(train, sample_weight),
            out=buffer(work, "out", x.shape, x.dtype),
            work=work,
        )
        return out

    def backward(self, dout, grads, work, *, need_dx):
        """Write dgamma and dbeta; return dx."""
        dx = self._dx_buffer(work, True, dout.dtype)
        out = (dx, grads[self.gamma], grads[self.beta])
        return self._backward(dout, work["cache"], out=out)[0]

    def _call_forward(self, x, gamma, beta, param, **buffers):
        return self._forward(x, gamma, beta, param, **buffers)

    def _param(self, train, sample_weight):
        return {}

    def _eps(self):
        return positive_eps(self._param(train=False, sample_weight=None), "param")

    def _standardize_in_onnx(self, graph, arrays, x, axis):
        # Not LayerNormalization: onnxruntime computes it from the mean of the squares, inexact far from zero.
        eps = arrays[self.gamma].dtype.type(self._eps())
        centred = graph.add("Sub", x, graph.mean(x, axis))
        variance = graph.mean(graph.add("Mul", centred, centred), axis)
        return graph.add("Div", centred, graph.add("Sqrt", graph.add("Add", variance, graph.constant(eps))))

    def _scale_and_shift_in_onnx(self, graph, arrays, x):
        scaled = graph.add("Mul", x, graph.constant(arrays[self.gamma]))
        return graph.add("Add", scaled, graph.constant(arrays[self.beta]))
