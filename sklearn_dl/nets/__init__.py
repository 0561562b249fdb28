"""Nets: lists of layers with their parameters, run forward and backward."""

from sklearn_dl.nets import _storage  # noqa: F401 - enters the nets among what can be saved
from sklearn_dl.nets.convnet import ThreeLayerConv
from sklearn_dl.nets.fully_connected import FullyConnected
from sklearn_dl.nets.net import Net

__all__ = ["FullyConnected", "Net", "ThreeLayerConv"]
