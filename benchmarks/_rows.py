"""The nets that are timed: how each is trained, its first weights, the arithmetic of a step."""

from dataclasses import dataclass
from itertools import pairwise

import numpy as np

SEED = 0


@dataclass(frozen=True)
class Row:
    """One net with the way it is trained.

    Parameters
    ----------
    name : str
    hidden : tuple of int
        Units of the hidden affine layers.
    batch : int
    rule : {'sgd', 'adam'}
    learning_rate, reg, weight_scale : float
        reg is the strength of ``0.5 * reg * sum(W ** 2)``.
    goal : float
        Training rate to reach, in rates of the fastest other library.
    filters : int, default=0
        With filters, the net begins with conv - relu - 2x2 max-pool.
    filter_size : int, default=7
    image : tuple (C, H, W), default=(3, 32, 32)
    classes : int, default=10
    """

    name: str
    hidden: tuple
    batch: int
    rule: str
    learning_rate: float
    reg: float
    weight_scale: float
    goal: float
    filters: int = 0
    filter_size: int = 7
    image: tuple = (3, 32, 32)
    classes: int = 10

    @property
    def sample_shape(self):
        """Shape of one sample: an image for the convolutional nets, a row otherwise."""
        return self.image if self.filters else (int(np.prod(self.image)),)

    @property
    def affine_dims(self):
        """Sizes before, between and after the affine layers."""
        channels, height, width = self.image
        first = channels * height * width
        if self.filters:
            first = self.filters * (height // 2) * (width // 2)
        return (first, *self.hidden, self.classes)

    @property
    def weight_shapes(self):
        """Shapes of the weights, first to last: affine weights are (inputs, outputs)."""
        dims = self.affine_dims
        shapes = list(pairwise(dims))
        if self.filters:
            shapes.insert(0, (self.filters, self.image[0], self.filter_size, self.filter_size))
        return shapes

    def first_params(self, dtype):
        """Return the list of (W, b) that every library starts from, by sklearn_dl's rule."""
        rng = np.random.RandomState(SEED)
        return [
            (
                (self.weight_scale * rng.randn(*shape)).astype(dtype),
                np.zeros(shape[0] if len(shape) == 4 else shape[1], dtype),
            )
            for shape in self.weight_shapes
        ]

    @property
    def flops(self):
        """Multiplications and additions of a training step per sample, first layer's dX left out.

        Forward, dW and dX cost the same; everything but the products of matrices is neglected.
        """
        passes = [2] + [3] * (len(self.weight_shapes) - 1)
        return sum(
            2 * n * int(np.prod(shape)) * (self.image[1] * self.image[2] if len(shape) == 4 else 1)
            for n, shape in zip(passes, self.weight_shapes, strict=True)
        )


# reg and learning rates are those of the published accuracies, for pixels 0 to 255 less their mean.
# Softmax goes without its published penalty, which is so much larger than the loss that a
# comparison of losses would see nothing else.
ROWS = (
    Row("Softmax", (), 200, "sgd", 1e-7, 0.0, 1e-3, goal=5),
    Row("TwoLayer 50", (50,), 40, "sgd", 1e-3, 0.0, 1e-3, goal=4),
    Row("TwoLayer 100", (100,), 100, "sgd", 1e-3, 0.25, 1e-3, goal=3),
    Row("FullyConnected 200x4", (200,) * 4, 256, "adam", 1e-3, 1e-3, 2e-2, goal=2),
    Row("FullyConnected 100x5", (100,) * 5, 100, "adam", 1e-3, 0.0, 2e-2, goal=3),
    Row("ThreeLayerConv 100", (100,), 50, "adam", 1e-3, 1e-3, 1e-3, goal=3, filters=32),
    Row("ThreeLayerConv 500", (500,), 50, "adam", 1e-3, 1e-3, 1e-3, goal=2.5, filters=32),
)


def named(name):
    """Return the row of that name."""
    return next(row for row in ROWS if row.name == name)
