"""Runs of layers that a net does in one pass."""

from collections.abc import Callable, Sequence

from sklearn_dl.layers._layer import Layer
from sklearn_dl.nets.activations import ACTIVATIONS
from sklearn_dl.nets.layers import Affine, AffineActivation, Conv, ConvActivation, ConvReLUPool, MaxPool, ReLU

__all__ = ["PATTERNS", "fuse"]

# Those that kernels can do in the pass of another layer.
_COMPILED = tuple(cls for cls in ACTIVATIONS.values() if cls.code() is not None)

# The classes of a run, and what makes one layer of its layers; of two runs with the same beginning, the longer one
# stands first. These classes themselves: a subclass may compute something else.
PATTERNS: tuple[tuple[tuple[type[Layer], ...], Callable[..., Layer]], ...] = (
    ((Conv, ReLU, MaxPool), lambda conv, relu, pool: ConvReLUPool(conv, pool)),
    *(((Conv, kind), ConvActivation) for kind in _COMPILED),
    *(((Affine, kind), AffineActivation) for kind in _COMPILED),
)


def fuse(layers: Sequence[Layer]) -> list[Layer]:
    """Replace runs of layers by one layer that does them in fewer passes.

    Parameters
    ----------
    layers : sequence of Layer
        In the order in which they run.

    Returns
    -------
    steps : list of Layer
        The layers, with the first run of `PATTERNS` that begins at a layer fused.
    """
    steps: list[Layer] = []
    rest = list(layers)
    while rest:
        for kinds, make in PATTERNS:
            if tuple(map(type, rest[: len(kinds)])) == kinds:
                steps.append(make(*rest[: len(kinds)]))
                del rest[: len(kinds)]
                break
        else:
            steps.append(rest.pop(0))
    return steps
