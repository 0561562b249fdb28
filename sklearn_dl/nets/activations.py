"""The activations that nets are given by name."""

from sklearn_dl._checks import check_choice
from sklearn_dl.layers._activation import Activation
from sklearn_dl.nets.layers import LAYERS

__all__ = ["ACTIVATIONS", "check_activation"]

# From the table of layers, so that a new one needs no further line.
ACTIVATIONS = {cls.name: cls for _, cls in sorted(LAYERS.items()) if issubclass(cls, Activation)}

# What else they are called, in lower case and without underscores.
_OTHER_NAMES = {
    "sigmoid": "logistic",
    "expit": "logistic",
    "swish": "silu",
    "linear": "identity",
    "none": "identity",
    "rectifier": "relu",
    **{name.replace("_", ""): name for name in ACTIVATIONS},
}


def check_activation(name, value):
    """Return `value` if it names an activation; the error for another name of one says which is ours."""
    try:
        return check_choice(name, value, ACTIVATIONS)
    except ValueError as error:
        if value is None or isinstance(value, str):
            meant = _OTHER_NAMES.get(str(value).lower().replace("_", ""))
            if meant is not None:
                raise ValueError(f"{error} Its name here is {meant!r}.") from None
        raise
