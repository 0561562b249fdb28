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

from sklearn_dl.layers.affine import affine_backward, affine_forward
from sklearn_dl.layers.batchnorm import (
    batchnorm_backward,
    batchnorm_backward_alt,
    batchnorm_forward,
    spatial_batchnorm_backward,
    spatial_batchnorm_forward,
)
from sklearn_dl.layers.conv import conv_backward_fast, conv_forward_fast
from sklearn_dl.layers.dropout import dropout_backward, dropout_forward
from sklearn_dl.layers.groupnorm import spatial_groupnorm_backward, spatial_groupnorm_forward
from sklearn_dl.layers.layernorm import layernorm_backward, layernorm_forward
from sklearn_dl.layers.naive import (
    conv_backward_naive,
    conv_forward_naive,
    max_pool_backward_naive,
    max_pool_forward_naive,
)
from sklearn_dl.layers.pool import max_pool_backward_fast, max_pool_forward_fast
from sklearn_dl.layers.relu import relu_backward, relu_forward
from sklearn_dl.layers.sandwich import (
    affine_norm_relu_dropout_backward,
    affine_norm_relu_dropout_forward,
    affine_relu_backward,
    affine_relu_forward,
    conv_norm_relu_pool_backward,
    conv_norm_relu_pool_forward,
    conv_relu_backward,
    conv_relu_forward,
    conv_relu_pool_backward,
    conv_relu_pool_forward,
)
from sklearn_dl.losses import softmax_loss, svm_loss

__all__ = [
    "affine_backward",
    "affine_forward",
    "affine_norm_relu_dropout_backward",
    "affine_norm_relu_dropout_forward",
    "affine_relu_backward",
    "affine_relu_forward",
    "batchnorm_backward",
    "batchnorm_backward_alt",
    "batchnorm_forward",
    "conv_backward_fast",
    "conv_backward_naive",
    "conv_forward_fast",
    "conv_forward_naive",
    "conv_norm_relu_pool_backward",
    "conv_norm_relu_pool_forward",
    "conv_relu_backward",
    "conv_relu_forward",
    "conv_relu_pool_backward",
    "conv_relu_pool_forward",
    "dropout_backward",
    "dropout_forward",
    "layernorm_backward",
    "layernorm_forward",
    "max_pool_backward_fast",
    "max_pool_backward_naive",
    "max_pool_forward_fast",
    "max_pool_forward_naive",
    "relu_backward",
    "relu_forward",
    "softmax_loss",
    "spatial_batchnorm_backward",
    "spatial_batchnorm_forward",
    "spatial_groupnorm_backward",
    "spatial_groupnorm_forward",
    "svm_loss",
]
