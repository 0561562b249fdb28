"""Layer objects: they bind parameter names and buffers to the functions of `sklearn_dl.layers`.

Each is defined in the file of its functions. A layer knows the names of its parameters, what shape it makes of its
input, and which function to call; the buffers live in a ``work`` dict that the caller owns, so that
one layer can serve a training step and several concurrent predictions. Affine layers call their
kernels themselves, and so does a convolution that predicts: on small nets the checks of the public
functions, of arrays that the net has made, take as long as the arithmetic.

The contract (shapes without the batch axis N):

``build(in_shape, block, init)``
    Returns ``(out_shape, params)``. The names of the parameters, and those of running statistics (kept in the dict
    ``statistics``, listed in ``statistics_names``), come from ``block.names("scale", "shift")``: kind and number of the
    block, as in "scale1", for the second such layer of a block "scale1_2", and so on. ``block`` is an int, so that a
    layer that numbers its names itself, ``f"scale{block}"``, works too, once in each block. A name that two layers
    use, or that is a parameter and a statistic, is an error of `Net`. ``init.weights`` and ``init.constant`` make
    first parameters in the net's dtype, ``init.random_state`` is the net's generator.
``forward(x, params, work, *, train, sample_weight)``
    Returns the output; keeps what backward needs in ``work``, a dict of this layer alone. Must not change x.
``backward(dout, grads, work, *, need_dx)``
    Writes the gradients of the layer's parameters into the arrays of ``grads``, returns dx or None.
    May overwrite dout.
``to_onnx(graph, arrays, x, shape)``
    Adds what the layer does in prediction to an ONNX graph; returns the name of its output and the shape of one sample
    of it. Only needed for conversion to ONNX, and not inherited. See `Layer`.

A net copies the layers that it is given, with all that they hold (``copy.deepcopy``): one object may stand in several
places of a list, and in several nets, without sharing parameters, statistics or anything else. A constructor keeps its
arguments as attributes of the same names: see `Layer`.

Examples
--------
A layer that scales its features:

>>> import numpy as np
>>> from sklearn_dl.nets import Net
>>> from sklearn_dl.nets.layers import Affine, Layer
>>> class Scale(Layer):
...     def __init__(self, start=1.0):
...         self.start = start
...     def build(self, in_shape, block, init):
...         (self.scale,) = block.names("scale")
...         return in_shape, {self.scale: init.constant(self.start, in_shape)}
...     def forward(self, x, params, work, *, train, sample_weight):
...         work["x"], work["scale"] = x, params[self.scale]
...         return x * work["scale"]
...     def backward(self, dout, grads, work, *, need_dx):
...         grads[self.scale][...] = (dout * work["x"]).sum(axis=0)
...         return dout * work["scale"]
>>> net = Net([Affine(3), Scale(), Scale(start=2.0)], (4,), random_state=0)
>>> list(net.params), net.layers[2]
(['W1', 'b1', 'scale1', 'scale1_2'], Scale(start=2.0))
"""

from sklearn_dl.layers._layer import Initializer, Layer  # noqa: F401
from sklearn_dl.layers._registry import LAYERS
from sklearn_dl.layers._table import *

__all__ = sorted([*LAYERS, "Initializer", "Layer"])
