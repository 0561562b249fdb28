"""The table of layers, in which `register` enters a class."""

from typing import TypeVar

from sklearn_dl.layers._layer import PUBLIC_MODULE, Layer

__all__ = ["LAYERS", "register"]

_L = TypeVar("_L", bound=Layer)

# By name. Files of nets name layers so, and `sklearn_dl.nets.layers` exports them.
LAYERS: dict[str, type[Layer]] = {}


def register(cls: type[_L]) -> type[_L]:
    """Enter a class into the table of layers, so that nets with such a layer can be saved and loaded.

    Parameters
    ----------
    cls : subclass of Layer
        Its name must be no other layer's.

    Returns
    -------
    cls : subclass of Layer
        The same.
    """
    other = LAYERS.setdefault(cls.__name__, cls)
    if other is not cls:
        raise ValueError(f"a layer named {cls.__name__!r} is registered already: {other!r}.")
    if cls.__module__.startswith("sklearn_dl.layers."):
        cls.__module__ = PUBLIC_MODULE
    return cls
