"""Augmentation: random changes to the images of a minibatch that leave their classes as they are.

An augmentation is an immutable value that is called with a minibatch, and changes it in place.
Pixels without a value become 0: the mean of images whose mean was subtracted, and black otherwise.
"""

from dataclasses import dataclass

import numpy as np

from sklearn_dl._checks import check_fields, check_int, check_real

__all__ = ["Augmentation", "Cutout", "HorizontalFlip", "RandomCrop"]


@dataclass(frozen=True)
class Augmentation:
    """Base of the augmentations; a subclass is a frozen dataclass that can be called.

    Examples
    --------
    >>> import numpy as np
    >>> from dataclasses import dataclass
    >>> from sklearn_dl.augmentation import Augmentation
    >>> @dataclass(frozen=True)
    ... class Brighter(Augmentation):
    ...     by: float = 0.1
    ...     def __call__(self, X, random_state, work=None):
    ...         X += self.by * random_state.random_sample((len(X), 1, 1, 1))
    >>> X = np.zeros((2, 1, 1, 1))
    >>> Brighter(by=10.0)(X, np.random.RandomState(0))
    >>> X.ravel().round(2)
    array([5.49, 7.15])
    """

    def __call__(self, X, random_state, work=None):
        """Change images in place.

        Parameters
        ----------
        X : ndarray of shape (N, C, H, W)
            Images of a minibatch, of the net's dtype.
        random_state : RandomState
            Makes the choices.
        work : dict, default=None
            Where buffers are kept for the next call.

        Raises
        ------
        TypeError, ValueError
            If X is no array of four axes.
        """
        raise NotImplementedError

    def check_shape(self, shape):
        """Raise ValueError if images of this shape are too small.

        Parameters
        ----------
        shape : tuple (C, H, W)
            Shape of an image.
        """


@dataclass(frozen=True)
class HorizontalFlip(Augmentation):
    """Mirror left and right in some of the images.

    Parameters
    ----------
    p : float in [0, 1], default=0.5
        Probability that an image is mirrored.

    Raises
    ------
    TypeError, ValueError
        If `p` is no number or out of range.

    Notes
    -----
    Krizhevsky, Sutskever & Hinton, "ImageNet classification with deep convolutional neural
    networks", NIPS 2012, section 4.1.

    Examples
    --------
    >>> import numpy as np
    >>> from sklearn_dl.augmentation import HorizontalFlip
    >>> X = np.arange(6.0).reshape(1, 1, 2, 3)
    >>> HorizontalFlip(p=1)(X, np.random.RandomState(0))
    >>> X[0, 0]
    array([[2., 1., 0.],
           [5., 4., 3.]])
    """

    p: float = 0.5

    def __post_init__(self):
        check_fields(self, check_real, "p", low=0, high=1)

    def __call__(self, X, random_state, work=None):
        """Change images in place; see `Augmentation`."""
        _check_images(X)
        for i in np.flatnonzero(random_state.random_sample(len(X)) < self.p):
            X[i] = X[i, :, :, ::-1]


@dataclass(frozen=True)
class RandomCrop(Augmentation):
    """Shift each image by up to `padding` pixels: pad it with zeros, then crop it to its size.

    Parameters
    ----------
    padding : int, default=4
        Width of the frame; less than height and width of an image. An axis of one pixel is left alone.

    Raises
    ------
    TypeError, ValueError
        If `padding` is no integer or less than 1.

    Notes
    -----
    He et al., "Deep residual learning for image recognition", CVPR 2016, section 4.2; Lee et al.,
    "Deeply-supervised nets", AISTATS 2015.

    Examples
    --------
    >>> import numpy as np
    >>> from sklearn_dl.augmentation import RandomCrop
    >>> X = np.arange(1.0, 10.0).reshape(1, 1, 3, 3)
    >>> RandomCrop(padding=1)(X, np.random.RandomState(3))
    >>> X[0, 0]
    array([[0., 4., 5.],
           [0., 7., 8.],
           [0., 0., 0.]])
    """

    padding: int = 4

    def __post_init__(self):
        check_fields(self, check_int, "padding", low=1)

    def check_shape(self, shape):
        """Raise ValueError if images of this shape are too small.

        Parameters
        ----------
        shape : tuple (C, H, W)
            Shape of an image.
        """
        for size in shape[1:]:
            if 1 < size <= self.padding:
                raise ValueError(
                    f"{self} can shift images of {shape[1]} x {shape[2]} pixels out of sight: padding must be less"
                    f" than {size}."
                )

    def __call__(self, X, random_state, work=None):
        """Change images in place; see `Augmentation`."""
        _check_images(X)
        N, C, H, W = X.shape
        rows, columns = (self.padding if size > 1 else 0 for size in (H, W))
        top = random_state.randint(2 * rows + 1, size=N)
        left = random_state.randint(2 * columns + 1, size=N)
        framed = self._framed((N, C, H + 2 * rows, W + 2 * columns), X.dtype, {} if work is None else work)
        framed[:, :, rows : rows + H, columns : columns + W] = X
        for image, source, i, j in zip(X, framed, top.tolist(), left.tolist(), strict=True):
            image[...] = source[:, i : i + H, j : j + W]

    def _framed(self, shape, dtype, work):
        """Return memory for images and their frame, which is zero."""
        held = work.get(self)
        if held is None or len(held) < shape[0] or held.shape[1:] != shape[1:] or held.dtype != dtype:
            held = work[self] = np.zeros(shape, dtype)
        return held[: shape[0]]


@dataclass(frozen=True)
class Cutout(Augmentation):
    """Set a square at a random place of each image to zero.

    Its centre may be any pixel, so that parts of it may lie outside.

    Parameters
    ----------
    size : int, default=8
        Side of the square, in pixels; less than the longer side of an image.

    Raises
    ------
    TypeError, ValueError
        If `size` is no integer or less than 1.

    Notes
    -----
    DeVries & Taylor, "Improved regularization of convolutional neural networks with Cutout", 2017.

    Examples
    --------
    >>> import numpy as np
    >>> from sklearn_dl.augmentation import Cutout
    >>> X = np.ones((1, 1, 3, 4))
    >>> Cutout(size=2)(X, np.random.RandomState(0))
    >>> X[0, 0]
    array([[1., 1., 0., 0.],
           [1., 1., 1., 1.],
           [1., 1., 1., 1.]])
    """

    size: int = 8

    def __post_init__(self):
        check_fields(self, check_int, "size", low=1)

    def check_shape(self, shape):
        """Raise ValueError if images of this shape are too small.

        Parameters
        ----------
        shape : tuple (C, H, W)
            Shape of an image.
        """
        longer = max(shape[1:])
        if self.size >= longer:
            raise ValueError(
                f"{self} can blank out images of {shape[1]} x {shape[2]} pixels: size must be less than {longer}."
            )

    def __call__(self, X, random_state, work=None):
        """Change images in place; see `Augmentation`."""
        _check_images(X)
        N, _, H, W = X.shape
        before = self.size // 2
        top = random_state.randint(H, size=N) - before
        left = random_state.randint(W, size=N) - before
        bottom, right = top + self.size, left + self.size
        corners = (top.clip(0), bottom, left.clip(0), right)
        for image, i, ii, j, jj in zip(X, *(corner.tolist() for corner in corners), strict=True):
            image[:, i:ii, j:jj] = 0


def _check_images(X):
    """Raise unless X is an array of images, to be changed in place."""
    if not isinstance(X, np.ndarray):
        raise TypeError(f"X must be a NumPy array of images, which is changed in place, got {type(X).__name__}.")
    if X.ndim != 4:
        hint = " Images of one channel lack an axis: X[:, None]. A single image is X[None]." if X.ndim == 3 else ""
        raise ValueError(f"X must be images (N, C, H, W), got shape {X.shape}.{hint}")


AUGMENTATIONS = {"flip": HorizontalFlip, "crop": RandomCrop, "cutout": Cutout}


def check_augmentation(name, value):
    """Return `value`, None, a name, an augmentation or a sequence of these, as a tuple of augmentations."""
    if value is None:
        return ()
    if isinstance(value, (list, tuple)):
        return tuple(_check_one(f"{name}[{i}]", one) for i, one in enumerate(value))
    return (_check_one(name, value),)


def _check_one(name, value):
    if isinstance(value, Augmentation):
        return value
    if isinstance(value, str) and value in AUGMENTATIONS:
        return AUGMENTATIONS[value]()
    known = ", ".join(map(repr, AUGMENTATIONS))
    wanted = f"{name} must be {known}, an augmentation such as RandomCrop(padding=2), or, in place of it, a sequence"
    kind = ValueError if isinstance(value, str) else TypeError
    raise kind(f"{wanted} of these or None, got {value!r}.")
