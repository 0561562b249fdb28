"""Runs of layers that a net does in one pass."""

from collections.abc import Callable, Sequence

from sklearn_dl.layers._layer import Layer
from sklearn_dl.nets.layers import Affine, AffineReLU, Conv, ConvReLUPool, MaxPool, ReLU

__all__ = ["PATTERNS", "fuse"]

# The classes of a run, and what makes one layer of its layers. These classes themselves: a subclass may compute
# something else.
PATTERNS: tuple[tuple[tuple[type[Layer], ...], Callable[..., Layer]], ...] = (
    ((Affine, ReLU), lambda affine, relu: AffineReLU(affine)),
    ((Conv, ReLU, MaxPool), lambda conv, relu, pool: ConvReLUPool(conv, pool)),
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
        The layers, with the first run of `PATTERNS` that ends at a layer fused.
    """
    steps: list[Layer] = []
    for layer in layers:
        steps.append(layer)
        for kinds, make in PATTERNS:
            run = steps[-len(kinds) :]
            if tuple(map(type, run)) == kinds:
                steps[-len(kinds) :] = [make(*run)]
                break
    return steps
