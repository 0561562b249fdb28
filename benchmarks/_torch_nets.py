"""The nets as PyTorch modules; importable only where PyTorch is."""

from itertools import pairwise

import torch
from torch import nn


def make_module(row, params):
    """Return the row's net as a torch.nn.Sequential with the given parameters."""
    layers = []
    if row.filters:
        size = row.filter_size
        layers = [
            nn.Conv2d(row.image[0], row.filters, size, padding=size // 2),
            nn.ReLU(inplace=True),
            nn.MaxPool2d(2),
            nn.Flatten(),
        ]
    dims = row.affine_dims
    for fan_in, fan_out in pairwise(dims[:-1]):
        layers += [nn.Linear(fan_in, fan_out), nn.ReLU(inplace=True)]
    module = nn.Sequential(*layers, nn.Linear(*dims[-2:]))
    holders = [layer for layer in module if hasattr(layer, "weight")]
    for layer, (w, b) in zip(holders, params, strict=True):
        layer.weight = nn.Parameter(torch.tensor(w if w.ndim == 4 else w.T.copy()))
        layer.bias = nn.Parameter(torch.tensor(b))
    return module


def penalty(module, reg):
    """Return ``0.5 * reg * sum(W ** 2)`` over a module's weights."""
    weights = [p.detach() for p in module.parameters() if p.ndim > 1]
    return 0.5 * reg * sum(w.square().sum().item() for w in weights)


class TwoLayer(nn.Sequential):
    """affine - relu - affine with small random weights, for a parameter search under skorch.

    Parameters
    ----------
    hidden : int
        Units of the hidden layer.
    weight_scale : float
        Standard deviation of the first weights.
    """

    def __init__(self, hidden, weight_scale):
        super().__init__(nn.Linear(3072, hidden), nn.ReLU(inplace=True), nn.Linear(hidden, 10))
        for layer in (self[0], self[2]):
            nn.init.normal_(layer.weight, std=weight_scale)
            nn.init.zeros_(layer.bias)
