"""The activations that nets are given by name."""

from sklearn_dl.layers._activation import Activation
from sklearn_dl.nets.layers import LAYERS

__all__ = ["ACTIVATIONS"]

# From the table of layers, so that a new one needs no further line.
ACTIVATIONS = {cls.name: cls for _, cls in sorted(LAYERS.items()) if issubclass(cls, Activation)}
