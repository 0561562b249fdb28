"""The activations that nets are given by name."""

from sklearn_dl._checks import check_choice
from sklearn_dl.layers._activation import Activation
from sklearn_dl.nets.layers import LAYERS

__all__ = ["ACTIVATIONS", "check_activation"]

# From the table of layers, so that a new one needs no further line.
ACTIVATIONS = {cls.name: cls for _, cls in sorted(LAYERS.items()) if issubclass(cls, Activation)}

# What else they are called, see `name_here`.
_OTHER_NAMES = {
    "sigmoid": "logistic",
    "expit": "logistic",
    "swish": "silu",
    "linear": "identity",
    "none": "identity",
    "rectifier": "relu",
}


def check_activation(name, value):
    """Return `value` if it names an activation; the error for another name of one says which is ours."""
    return check_choice(name, value, ACTIVATIONS, _OTHER_NAMES)
