"""Transformers for images: subtract the training mean, change between rows and image layouts.

Both take rows ``(n_samples, n_features)`` and images ``(n_samples, channels, height, width)``.
A row holds its image channel first, in C order, so that ``rows.reshape(-1, C, H, W)`` is the
image: the order of CIFAR-10, and the one that the convolutional net expects.
"""

import functools
import inspect
import math

import numpy as np
from sklearn.base import BaseEstimator, OneToOneFeatureMixin, TransformerMixin
from sklearn.utils import check_array, gen_batches
from sklearn.utils.validation import check_is_fitted, validate_data

from ._callbacks import CallbackSupportMixin, single_task
from ._checks import check_bool, check_choice, check_dims, check_int
from ._doc_link import DocLinkMixin
from ._inputs import (
    MISSING_AXIS,
    are_finite_numbers,
    as_array,
    check_channels_first,
    check_numbers,
    check_weights,
    exponent_out_of_range,
    naming_columns,
    refuse_sparse,
    transposed_hint,
    warn_of_stated_images,
)

__all__ = ["ImageReshaper", "MeanSubtractor", "guess_image_shape"]

# float64 values that a statistic converts at a time: 8 MB, whatever the size of the data.
_CHUNK_ELEMENTS = 2**20

_AXES = {
    "rows": ("n_samples", "n_features"),
    "NCHW": ("n_samples", "channels", "height", "width"),
    "NHWC": ("n_samples", "height", "width", "channels"),
}


def guess_image_shape(n_features):
    """Return the image shape that a row of this length stands for when none is given.

    Parameters
    ----------
    n_features : int
        Length of a row, at least 1.

    Returns
    -------
    shape : tuple (channels, height, width)
        A square number of features is a square image of one channel, three times a square is a
        square image of three channels, and anything else one row of pixels, ``(1, 1, n_features)``.

    Raises
    ------
    TypeError
        If `n_features` is no integer.
    ValueError
        If `n_features` is below 1.

    Examples
    --------
    >>> from sklearn_dl.preprocessing import guess_image_shape
    >>> guess_image_shape(784), guess_image_shape(3072), guess_image_shape(13)
    ((1, 28, 28), (3, 32, 32), (1, 1, 13))
    """
    n_features = check_int("n_features", n_features, low=1)
    for channels in (1, 3):
        side = math.isqrt(n_features // channels)
        if channels * side * side == n_features:
            return channels, side, side
    return 1, 1, n_features


def _leave_images_alone(method):
    """Apply `set_output` to rows only: a table has two dimensions, so images stay arrays."""
    plain = inspect.unwrap(method)

    @functools.wraps(method)
    def wrapped(self, X, *args, **kwargs):
        X = as_array("X", X)
        make = plain if self._makes_images(X) else method
        return make(self, X, *args, **kwargs)

    return wrapped


class _ImageTransformer(CallbackSupportMixin, DocLinkMixin, OneToOneFeatureMixin, TransformerMixin, BaseEstimator):
    """Base of both transformers: rows or images in, as many features out.

    A subclass has `input_shape` and says whether it makes images of X: ``_makes_images(X)``.
    """

    def __init_subclass__(cls, **kwargs):
        super().__init_subclass__(**kwargs)
        cls.transform = _leave_images_alone(cls.transform)
        cls.fit_transform = _leave_images_alone(cls.fit_transform)

    def _validate(self, X, layouts, *, reset, ensure_all_finite=True):
        """Return X as an array in one of `layouts`, and the shape of its images (None for rows)."""
        refuse_sparse(X)
        X = as_array("X", X)
        with naming_columns(X):
            X = validate_data(
                self,
                X,
                reset=reset,
                ensure_2d=False,
                allow_nd=True,
                ensure_all_finite=ensure_all_finite and not are_finite_numbers(X),
            )
            check_numbers(X)
        return X, self._check_features(X, layouts, reset=reset)

    def _check_transformed(self, X, *, ensure_all_finite=True):
        """Return X as an array, as `_validate` does, but without names of features to compare."""
        refuse_sparse(X)
        X = as_array("X", X)
        with naming_columns(X):
            X = check_array(
                X,
                ensure_2d=False,
                allow_nd=True,
                ensure_all_finite=ensure_all_finite and not are_finite_numbers(X),
                estimator=self,
                input_name="X",
            )
            check_numbers(X)
        return X

    def _check_features(self, X, layouts, *, reset=False):
        """Learn or compare the number of features; return the shape of X's images, if it has any.

        scikit-learn's own check would take the channels of an image for its features.
        """
        name = type(self).__name__
        layout = next((known for known in layouts if len(_AXES[known]) == X.ndim), None)
        if layout is None:
            wanted = " or ".join(f"({', '.join(_AXES[known])})" for known in layouts)
            raise ValueError(
                f"X must have the shape {wanted}, got {X.shape}. "
                f"{MISSING_AXIS if X.ndim == 3 else 'Reshape your data (a single row: X.reshape(1, -1))'}"
                f"{' Else' if X.ndim == 3 else ', or'} set the layout or shape parameters of {name}."
            )
        n_features = math.prod(X.shape[1:])
        if n_features == 0:
            raise ValueError(f"X must hold at least one feature, got shape {X.shape}.")
        if reset:
            self.n_features_in_ = n_features
        elif n_features != self.n_features_in_:
            raise ValueError(
                f"X has {n_features} features, but {name} is expecting {self.n_features_in_} features as input."
            )
        if layout == "rows":
            return None
        shape = tuple(X.shape[_AXES[layout].index(axis)] for axis in _AXES["NCHW"][1:])
        if not reset and self.input_shape_ not in (None, shape):
            raise ValueError(
                f"X holds images of shape (channels, height, width) = {shape}, but {name} was "
                f"fitted on images of shape {self.input_shape_}."
                + (transposed_hint(shape, self.input_shape_) if layout == "NCHW" else "")
            )
        return shape

    def _image_shape(self, seen):
        """Return the image shape given as `input_shape`, or else `seen` in X; None if unknown."""
        if self.input_shape is None:
            return seen
        given = check_dims("input_shape", self.input_shape, length=3)
        if seen not in (None, given):
            raise ValueError(f"input_shape must be the (channels, height, width) of X, {seen}, got {given}.")
        if math.prod(given) != self.n_features_in_:
            raise ValueError(
                f"input_shape={given} stands for {math.prod(given)} features, but X has {self.n_features_in_}."
            )
        return given

    def _check_channels_first(self, seen):
        """Raise if the images `seen` look as if their channels were last; warn if an `input_shape` does."""
        if self.input_shape is not None:
            warn_of_stated_images(tuple(self.input_shape))
        elif seen is not None:
            check_channels_first(seen)


class MeanSubtractor(_ImageTransformer):
    """Subtract the mean of the training data, pixel by pixel or channel by channel.

    The usual preparation of raw pixels: centred, at their own scale. Unlike
    :class:`~sklearn.preprocessing.StandardScaler` it keeps images as images, does not divide, and
    makes float32 of integers. The mean is accumulated in float64, a few rows at a time, so that
    neither a large array of uint8 nor a memory map is ever copied as a whole to find it.

    Parameters
    ----------
    per : {'pixel', 'channel'}, default='pixel'
        Subtract a mean of its own from every feature (the mean image), or from every channel (the
        mean colour).
    input_shape : tuple (channels, height, width), default=None
        The images that rows stand for, channel first. Needed for rows with ``per='channel'``, and for images that look
        as if their channels were last; elsewhere X is compared with it if it is given.
    copy : bool, default=True
        If False, a writeable X of float32 or float64 is changed in place.

    Attributes
    ----------
    mean_ : ndarray of shape (n_features,) or (channels,), float64
        What is subtracted. Of images, ``mean_.reshape(input_shape_)`` is the mean image.
    n_samples_seen_ : int or float
        Number of samples behind `mean_`; the sum of their weights where weights were given.
    input_shape_ : tuple (channels, height, width) or None
        Shape of an image; None if X was rows and `input_shape` was not given.
    n_features_in_ : int
        Number of features: of images, ``channels * height * width``.
    feature_names_in_ : ndarray of shape (n_features,)
        Names of the columns seen by `fit`. Defined only when all of them are strings.

    See Also
    --------
    ImageReshaper : Change between rows and images.

    Notes
    -----
    float32 stays float32, float64 stays float64, and any other real dtype (uint8, ints, bool)
    becomes float32. NaN and infinity are rejected.

    With ``set_output(transform="pandas")`` or ``"polars"`` rows become a table. Images have no
    columns: they stay an array whatever the output is set to.

    Examples
    --------
    >>> import numpy as np
    >>> from sklearn_dl.preprocessing import MeanSubtractor
    >>> X = np.array([[0, 10, 250], [4, 20, 255]], dtype=np.uint8)
    >>> MeanSubtractor().fit_transform(X)
    array([[-2. , -5. , -2.5],
           [ 2. ,  5. ,  2.5]], dtype=float32)

    Images keep their four dimensions:

    >>> images = np.arange(24, dtype=np.float32).reshape(2, 3, 2, 2)
    >>> subtractor = MeanSubtractor(per="channel").fit(images)
    >>> subtractor.mean_
    array([ 7.5, 11.5, 15.5])
    >>> subtractor.transform(images).shape
    (2, 3, 2, 2)
    """

    def __init__(self, *, per="pixel", input_shape=None, copy=True):
        self.per = per
        self.input_shape = input_shape
        self.copy = copy

    @single_task
    def fit(self, X, y=None, sample_weight=None):
        """Learn the mean of X.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_features) or (n_samples, channels, height, width)
            Training data of any real dtype.
        y : None
            Ignored.
        sample_weight : array-like of shape (n_samples,), default=None
            Weights of the samples, not negative and not all zero: the mean is
            ``sum(w * x) / sum(w)``.

        Returns
        -------
        self : MeanSubtractor
            Fitted transformer.

        Raises
        ------
        TypeError, ValueError
            If a parameter, X or `sample_weight` is not as described.
        """
        return self._learn(X, sample_weight, first=True)

    def partial_fit(self, X, y=None, sample_weight=None):
        """Update the mean with more data, as if all of it had been given to `fit` at once.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_features) or (n_samples, channels, height, width)
            Training data of any real dtype, with as many features as in earlier calls.
        y : None
            Ignored.
        sample_weight : array-like of shape (n_samples,), default=None
            Weights of the samples, not negative and not all zero.

        Returns
        -------
        self : MeanSubtractor
            Fitted transformer.

        Raises
        ------
        TypeError, ValueError
            If a parameter, X or `sample_weight` is not as described.
        """
        return self._learn(X, sample_weight, first=not hasattr(self, "mean_"))

    def transform(self, X):
        """Subtract the mean from X.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_features) or (n_samples, channels, height, width)
            Data of any real dtype.

        Returns
        -------
        X_tr : ndarray of the shape of X, float32 or float64
            X less the mean.

        Raises
        ------
        ValueError
            If X does not have the features or image shape seen by `fit`.
        """
        check_is_fitted(self)
        X, _ = self._validate(X, ("rows", "NCHW"), reset=False)
        return self._shift(X, np.subtract)

    def inverse_transform(self, X):
        """Add the mean to X.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_features) or (n_samples, channels, height, width)
            Data as `transform` returns it.

        Returns
        -------
        X_original : ndarray of the shape of X, float32 or float64
            X with the mean put back.

        Raises
        ------
        ValueError
            If X does not have the features or image shape seen by `fit`.
        """
        check_is_fitted(self)
        X = self._check_transformed(X)
        self._check_features(X, ("rows", "NCHW"))
        return self._shift(X, np.add)

    def _learn(self, X, sample_weight, *, first):
        check_choice("per", self.per, ("pixel", "channel"))
        check_bool("copy", self.copy)
        X, seen = self._validate(X, ("rows", "NCHW"), reset=first)
        shape = self._image_shape(seen) if first else self.input_shape_
        if self.per == "channel" and shape is None:
            raise ValueError(
                "per='channel' needs to know the channels of a row: set input_shape to "
                f"(channels, height, width), or give images of 4 dimensions; got X of shape "
                f"{X.shape} and input_shape=None."
            )
        if self.per == "channel" and first:
            self._check_channels_first(seen)
        if sample_weight is None:
            weights, count = np.ones(len(X)), len(X)
        else:
            weights = check_weights("sample_weight", sample_weight, X, only_relative=False)
            with np.errstate(over="ignore"):
                count = float(weights.sum())

        mean, total = (0.0, 0) if first else (self.mean_, self.n_samples_seen_)
        n_samples_seen = total + count
        if not n_samples_seen < math.inf:
            raise ValueError(
                "sample_weight must have a finite sum, with the weights of earlier calls: give all of them divided by"
                f" one number; got weights up to {weights.max()}."
            )
        exponent = exponent_out_of_range(n_samples_seen)
        weights, total = np.ldexp(weights, -exponent), np.ldexp(total, -exponent)
        for rows in gen_batches(len(X), max(1, _CHUNK_ELEMENTS // self.n_features_in_)):
            part = weights[rows]
            total += part.sum()
            if total > 0:
                sums = part @ X[rows].reshape(len(part), -1).astype(np.float64, copy=False)
                if self.per == "channel":
                    sums = sums.reshape(shape[0], -1).mean(axis=1)
                mean = mean + (sums - part.sum() * mean) / total
        self.mean_, self.n_samples_seen_ = mean, n_samples_seen
        self.input_shape_ = shape
        return self

    def _shift(self, X, operation):
        """Return operation(X, mean), each in the precision of the result or the wider one of X."""
        single = X.dtype.kind != "f" or X.dtype.itemsize < 8
        dtype = np.dtype(np.float32 if single else np.float64)
        mean = np.repeat(self.mean_, self.n_features_in_ // len(self.mean_))
        mean = mean.reshape(X.shape[1:]).astype(np.result_type(X.dtype, np.float32))
        in_place = not self.copy and X.dtype == dtype and X.flags.writeable
        out = X if in_place else np.empty_like(X, dtype=dtype, subok=False)
        return operation(X, mean, out=out, casting="same_kind")

    def _makes_images(self, X):
        return getattr(X, "ndim", 2) > 2

    def __sklearn_tags__(self):
        tags = super().__sklearn_tags__()
        tags.transformer_tags.preserves_dtype = ["float64", "float32"]
        return tags


class ImageReshaper(_ImageTransformer):
    """Change the layout of images: rows, channels first or channels last.

    Values and dtype are untouched, so that uint8 stays uint8.

    Parameters
    ----------
    input_shape : tuple (channels, height, width), default=None
        Shape of an image, channel first whatever the layouts. None takes it from images, but for those of
        ``input_layout='NCHW'`` that look as if their channels were last, which are an error. For rows
        it is then guessed: a square number of features is an image of one channel, three times a
        square one of three channels, and anything else one row of pixels, ``(1, 1, n_features)``.
    input_layout : {'rows', 'NCHW', 'NHWC'}, default='rows'
        What X is: rows ``(n_samples, n_features)`` with the image channel first, images
        ``(n_samples, channels, height, width)`` or images ``(n_samples, height, width, channels)``.
    output_layout : {'rows', 'NCHW', 'NHWC'}, default='NCHW'
        What `transform` returns.

    Attributes
    ----------
    input_shape_ : tuple (channels, height, width)
        Shape of an image.
    n_features_in_ : int
        Number of features: of images, ``channels * height * width``.
    feature_names_in_ : ndarray of shape (n_features,)
        Names of the columns seen by `fit`. Defined only when all of them are strings.

    See Also
    --------
    MeanSubtractor : Subtract the mean image.
    guess_image_shape : The guess that is made without `input_shape`.

    Notes
    -----
    The result is C-contiguous. Where no value has to move it is a view of X, not a copy.

    NaN and infinity pass through.

    With ``set_output(transform="pandas")`` or ``"polars"`` rows become a table. Images have no
    columns: they stay an array whatever the output is set to. ``get_feature_names_out`` names the
    features in the order of a row.

    Examples
    --------
    >>> import numpy as np
    >>> from sklearn_dl.preprocessing import ImageReshaper
    >>> rows = np.zeros((5, 3072), dtype=np.uint8)
    >>> images = ImageReshaper().fit_transform(rows)
    >>> images.shape, images.dtype
    ((5, 3, 32, 32), dtype('uint8'))

    Images that were read with their channels last:

    >>> photos = np.zeros((5, 20, 30, 3))
    >>> ImageReshaper(input_layout="NHWC").fit_transform(photos).shape
    (5, 3, 20, 30)
    >>> ImageReshaper(input_layout="NHWC", output_layout="rows").fit_transform(photos).shape
    (5, 1800)
    """

    def __init__(self, *, input_shape=None, input_layout="rows", output_layout="NCHW"):
        self.input_shape = input_shape
        self.input_layout = input_layout
        self.output_layout = output_layout

    @single_task
    def fit(self, X, y=None):
        """Learn the shape of an image.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_features), (n_samples, C, H, W) or (n_samples, H, W, C)
            Rows or images, as `input_layout` says, of any real dtype.
        y : None
            Ignored.

        Returns
        -------
        self : ImageReshaper
            Fitted transformer.

        Raises
        ------
        TypeError, ValueError
            If a parameter or X is not as described.
        """
        check_choice("input_layout", self.input_layout, _AXES)
        check_choice("output_layout", self.output_layout, _AXES)
        _, seen = self._validate(X, (self.input_layout,), reset=True, ensure_all_finite=False)
        shape = self._image_shape(seen)
        self._check_channels_first(seen if self.input_layout == "NCHW" else None)
        self.input_shape_ = shape or guess_image_shape(self.n_features_in_)
        return self

    def transform(self, X):
        """Return X in the output layout.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_features), (n_samples, C, H, W) or (n_samples, H, W, C)
            Rows or images, as `input_layout` says, of any real dtype.

        Returns
        -------
        X_tr : ndarray in the output layout, of the dtype of X
            The same values.

        Raises
        ------
        ValueError
            If X does not have the layout, features or image shape seen by `fit`.
        """
        check_is_fitted(self)
        X, _ = self._validate(X, (self.input_layout,), reset=False, ensure_all_finite=False)
        return self._change_layout(X, self.input_layout, self.output_layout)

    def inverse_transform(self, X):
        """Return X in the input layout.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_features), (n_samples, C, H, W) or (n_samples, H, W, C)
            Rows or images, as `output_layout` says, of any real dtype.

        Returns
        -------
        X_original : ndarray in the input layout, of the dtype of X
            The same values.

        Raises
        ------
        ValueError
            If X does not have the output layout, or not the features or image shape seen by `fit`.
        """
        check_is_fitted(self)
        X = self._check_transformed(X, ensure_all_finite=False)
        self._check_features(X, (self.output_layout,))
        return self._change_layout(X, self.output_layout, self.input_layout)

    def _change_layout(self, X, source, target):
        if source == "NHWC":
            images = X.transpose(0, 3, 1, 2)
        else:
            images = X.reshape(-1, *self.input_shape_)
        if target == "NHWC":
            images = images.transpose(0, 2, 3, 1)
        images = np.ascontiguousarray(images)
        return images.reshape(len(X), -1) if target == "rows" else images

    def _makes_images(self, X):
        return self.output_layout != "rows"

    def __sklearn_tags__(self):
        tags = super().__sklearn_tags__()
        tags.input_tags.allow_nan = True
        tags.input_tags.two_d_array = self.input_layout == "rows"
        tags.transformer_tags.preserves_dtype = ["float64", "float32", "int64", "uint8"]
        return tags
