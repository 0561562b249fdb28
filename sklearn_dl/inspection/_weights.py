"""Weights as pictures: templates and filters side by side, or a heat map."""

import math

import numpy as np

from sklearn_dl._checks import check_dims, check_int
from sklearn_dl.inspection._axes import check_axes, check_names, import_pyplot, incline, shorten
from sklearn_dl.inspection._nets import find_net

__all__ = ["WeightsDisplay", "weights_grid"]


def weights_grid(images, *, padding=1, n_cols=None, channel_axis=None):
    """Arrange weight templates as one picture, each scaled to its own range.

    Parameters
    ----------
    images : array-like of shape (n_templates, C, H, W)
        Templates: three channels become colour, one channel becomes grey. With any other number
        of channels each is a grey picture of its own, one row of pictures per template; the
        range is still that of the whole template.
    padding : int or tuple (vertical, horizontal), default=1
        White pixels around and between the pictures.
    n_cols : int, default=None
        Pictures per row; by default nearly as many as there are rows, with few empty places.
    channel_axis : {1, -1}, default=None
        Where `images` has its channels: 1 for (n_templates, C, H, W), -1 for (n_templates, H, W, C).
        None is 1, but refuses what is probably meant as -1, see Notes.

    Returns
    -------
    grid : ndarray of shape (n_rows * (H + vertical) + vertical, \
n_cols * (W + horizontal) + horizontal), or the same and 3 for colour
        Values from 0 (a template's minimum) to 1 (its maximum; also padding and empty places);
        0.5 for a template that is constant.

    Raises
    ------
    ValueError
        If `images` is not 4-D, is empty, holds NaN or infinity, or has its channels last while
        `channel_axis` is None.

    Notes
    -----
    Without `channel_axis`, a shape like (10, 32, 32, 3) or (10, 28, 28, 1) is an error: the last axis
    has the length of channels, and read as channels first it would be 32 grey pictures of 32 x 3 pixels.
    Three shapes that end in 3 or 1 are taken as they are, channels first: with 1 or 3 in second place,
    as (10, 3, 32, 3); with square pictures, as the filters (32, 16, 3, 3); and with pictures that are
    one pixel high, as (32, 16, 1, 3). If such an array has its channels last, say so.

    Examples
    --------
    >>> import numpy as np
    >>> from sklearn_dl.inspection import weights_grid
    >>> weights_grid(np.array([[[[1.0, 3.0]]], [[[0.0, -4.0]]]]), n_cols=1)
    array([[1., 1., 1., 1.],
           [1., 0., 1., 1.],
           [1., 1., 1., 1.],
           [1., 1., 0., 1.],
           [1., 1., 1., 1.]])
    >>> weights_grid(np.zeros((10, 32, 32, 3)), channel_axis=-1).shape
    (67, 166, 3)
    """
    images = channels_first("images", check_weights("images", images, (4,)), channel_axis)
    vertical, horizontal = _check_padding(padding)
    n, channels, height, width = images.shape
    low = images.min(axis=(1, 2, 3), keepdims=True)
    span = images.max(axis=(1, 2, 3), keepdims=True) - low
    scaled = np.where(span > 0, (images - low) / np.where(span > 0, span, 1), 0.5)
    if channels not in (1, 3):
        n, n_cols, channels = n * channels, channels, 1
    n_rows, n_cols = _grid_shape(n, n_cols)
    cells = np.ones((n_rows * n_cols, height + vertical, width + horizontal, channels))
    cells[:n, vertical:, horizontal:] = scaled.reshape(n, channels, height, width).transpose(0, 2, 3, 1)
    cells = cells.reshape(n_rows, n_cols, height + vertical, width + horizontal, channels)
    grid = cells.transpose(0, 2, 1, 3, 4).reshape(n_rows * (height + vertical), n_cols * (width + horizontal), channels)
    grid = np.pad(grid, ((0, vertical), (0, horizontal), (0, 0)), constant_values=1)
    return grid if channels == 3 else grid[:, :, 0]


def check_weights(name, weights, ndims):
    """Return weights in float64, if they are finite numbers with one of these numbers of dimensions."""
    weights = np.asarray(weights)
    if weights.dtype.kind not in "biuf":
        raise TypeError(f"{name} must be an array of real numbers, got dtype {weights.dtype}.")
    if weights.ndim not in ndims or weights.size == 0:
        dims = " or ".join(map(str, ndims))
        hint = f" Grey pictures (n, H, W) are {name}[:, None]." if weights.ndim == 3 else ""
        raise ValueError(f"{name} must have {dims} dimensions, none of them empty, got shape {weights.shape}.{hint}")
    if not np.isfinite(weights).all():
        raise ValueError(f"{name} must be finite, got NaN or infinity: has training diverged?")
    return weights.astype(np.float64)


def channels_first(name, images, channel_axis):
    """Return 4-D images as (n, C, H, W); without `channel_axis`, raise if they seem to be (n, H, W, C)."""
    if _check_channel_axis(channel_axis) == -1:
        return np.moveaxis(images, -1, 1)
    if channel_axis is None and _is_channels_last(images.shape[1:]):
        raise ValueError(
            f"{name} must have shape (n, C, H, W), and {images.shape} is probably (n, H, W, C). Pass"
            f" {name}.transpose(0, 3, 1, 2) or channel_axis=-1; if it is channels first, channel_axis=1."
        )
    return images


def _check_channel_axis(channel_axis):
    if channel_axis is None:
        return None
    if check_int("channel_axis", channel_axis) not in (1, -1):
        raise ValueError(f"channel_axis must be 1, -1 or None, got {channel_axis!r}.")
    return int(channel_axis)


def _is_channels_last(shape):
    """Return whether a shape is that of (H, W, C) rather than of (C, H, W)."""
    channels, height, width = shape
    return width in (1, 3) and channels not in (1, 3) and height not in (1, width)


def _check_padding(padding):
    if isinstance(padding, tuple) and len(padding) == 2:
        return tuple(check_int("padding", value, low=0) for value in padding)
    return (check_int("padding", padding, low=0),) * 2


def _grid_shape(n, n_cols):
    if n_cols is None:
        side = math.ceil(math.sqrt(n))
        # Fewest empty places first, then the shape nearest to a square.
        n_cols = min(range(side, 2 * side + 1), key=lambda cols: (-n % cols, cols))
    n_cols = min(check_int("n_cols", n_cols, low=1), n)
    return -(-n // n_cols), n_cols


class WeightsDisplay:
    """Weights of one layer, as pictures where its inputs are images, else as a heat map.

    It is recommended to create it with :meth:`from_estimator`.

    Parameters
    ----------
    weights : array-like of shape (n_templates, C, H, W) or (n_inputs, n_units)
        4-D weights are drawn as pictures (see :func:`weights_grid`), 2-D weights as a heat map
        whose colours are symmetric around zero.
    names : list of str, default=None
        Names of the templates or units, such as the classes.
    feature_names : list of str, default=None
        Names of the inputs of a heat map.
    layer : int, default=1
        Number of the layer, for the labels.
    channel_axis : {1, -1}, default=None
        Where 4-D weights have their channels, as for :func:`weights_grid`.

    Attributes
    ----------
    ax_ : matplotlib Axes
        Axes with the picture.
    figure_ : matplotlib Figure
        Figure of these axes.
    im_ : matplotlib AxesImage
        The picture.
    text_ : list of matplotlib Text
        Names above the templates; empty without names, and for a heat map.
    colorbar_ : matplotlib Colorbar or None
        Colour bar of a heat map.

    See Also
    --------
    weights_grid : The picture as numbers.

    Examples
    --------
    The templates of a `sklearn_dl.nets.Net`, whose first weights have a column for each:

    >>> from sklearn_dl.inspection import WeightsDisplay
    >>> from sklearn_dl.nets import FullyConnected
    >>> net = FullyConnected([], input_dim=3 * 32 * 32, num_classes=10, random_state=0)
    >>> templates = net.params["W1"].T.reshape(10, 3, 32, 32)
    >>> display = WeightsDisplay(templates, names=list("abcdefghij"))
    >>> display.plot()  # doctest: +SKIP
    """

    def __init__(self, weights, *, names=None, feature_names=None, layer=1, channel_axis=None):
        self.weights = weights
        self.names = names
        self.feature_names = feature_names
        self.layer = layer
        self.channel_axis = channel_axis

    @classmethod
    def from_estimator(
        cls,
        estimator,
        *,
        layer=1,
        image_shape=None,
        channel_axis=None,
        names=None,
        ax=None,
        n_cols=None,
        padding=1,
        cmap=None,
        colorbar=True,
        im_kw=None,
        text_kw=None,
    ):
        """Draw the weights of one layer of a fitted net.

        Parameters
        ----------
        estimator : classifier or regressor of this package
            Fitted net, or a fitted pipeline, search or other estimator that holds exactly one.
        layer : int, default=1
            1 is the layer that sees the data: the templates of Softmax, the filters of
            ThreeLayerConvNet.
        image_shape : tuple (C, H, W) or False, default=None
            Shape of the images that the layer's inputs are, flattened in this order. By default
            the inputs of layer 1 are an image if their number is a square or 3 times a square,
            of at least 4 x 4 pixels. With False the weights are drawn as a heat map.
        channel_axis : {1, -1}, default=None
            -1 where the images were flattened with their channels last, as by
            ``X.reshape(n, -1)`` of X (n, H, W, C); `image_shape` is then (H, W, C). Otherwise, and
            by default, 1.
        names : list of str, default=None
            Names of the outputs, of a classifier in the order of its ``classes_``, which are the
            default. For the last layer only.
        ax : matplotlib Axes, default=None
            Axes to draw on; by default a new figure is made.
        n_cols : int, default=None
            Pictures per row.
        padding : int or tuple (vertical, horizontal), default=1
            Pixels between the pictures; names get the room they need besides.
        cmap : str or matplotlib Colormap, default=None
            Colours; by default 'gray' for pictures and 'RdBu_r' for a heat map.
        colorbar : bool, default=True
            Whether a heat map gets a colour bar.
        im_kw : dict, default=None
            Keyword arguments for ``Axes.imshow``.
        text_kw : dict, default=None
            Keyword arguments for the names above the pictures.

        Returns
        -------
        display : WeightsDisplay

        Raises
        ------
        TypeError
            If `estimator` neither is nor holds a net of this package.
        ValueError
            If `estimator` holds several nets, as ensembles do: pass one of them. If there is no
            such `layer`, `image_shape` or `names` do not fit it, or its weights are NaN.
        NotFittedError
            If the estimator is not fitted.

        Examples
        --------
        >>> import matplotlib.pyplot as plt  # doctest: +SKIP
        >>> from sklearn.datasets import load_digits
        >>> from sklearn_dl import Softmax
        >>> from sklearn_dl.inspection import WeightsDisplay
        >>> X, y = load_digits(return_X_y=True)
        >>> clf = Softmax(random_state=0).fit(X, y)
        >>> WeightsDisplay.from_estimator(clf)  # doctest: +SKIP
        >>> plt.show()  # doctest: +SKIP
        """
        net = find_net(estimator)
        params = net.params_
        layers = [int(key[1:]) for key in params if key[0] == "W" and key[1:].isdigit()]
        if check_int("layer", layer, low=1) not in layers:
            raise ValueError(f"layer must be one of {sorted(layers)} for this {type(net).__name__}, got {layer!r}.")
        weights = params[f"W{layer}"]
        n_units = weights.shape[1 if weights.ndim == 2 else 0]
        names = _output_names(net, names, n_units, layer, last=max(layers))
        feature_names = net.feature_names_in_ if layer == 1 and hasattr(net, "feature_names_in_") else None
        shape = _image_shape(weights, image_shape, channel_axis, layer)
        if weights.ndim == 2 and shape is not None:
            weights = weights.T.reshape(-1, *shape)
            if channel_axis == -1:
                weights = np.moveaxis(weights, -1, 1)
        display = cls(weights, names=names, feature_names=feature_names, layer=layer, channel_axis=1)
        return display.plot(
            ax,
            n_cols=n_cols,
            padding=padding,
            cmap=cmap,
            colorbar=colorbar,
            im_kw=im_kw,
            text_kw=text_kw,
        )

    def plot(
        self,
        ax=None,
        *,
        n_cols=None,
        padding=1,
        cmap=None,
        colorbar=True,
        im_kw=None,
        text_kw=None,
    ):
        """Draw the weights.

        Parameters
        ----------
        ax : matplotlib Axes, default=None
            Axes to draw on; by default a new figure is made.
        n_cols : int, default=None
            Pictures per row.
        padding : int or tuple (vertical, horizontal), default=1
            Pixels between the pictures; names get the room they need besides.
        cmap : str or matplotlib Colormap, default=None
            Colours; by default 'gray' for pictures and 'RdBu_r' for a heat map.
        colorbar : bool, default=True
            Whether a heat map gets a colour bar.
        im_kw : dict, default=None
            Keyword arguments for ``Axes.imshow``.
        text_kw : dict, default=None
            Keyword arguments for the names above the pictures.

        Returns
        -------
        display : WeightsDisplay
            Itself.
        """
        plt = import_pyplot("WeightsDisplay.plot")
        weights = check_weights("weights", self.weights, (2, 4))
        if weights.ndim == 4:
            weights = channels_first("weights", weights, self.channel_axis)
        n_units = weights.shape[0 if weights.ndim == 4 else 1]
        names = check_names("names", self.names, n_units, of="template" if weights.ndim == 4 else "unit")
        self.text_ = []
        self.colorbar_ = None
        if weights.ndim == 4:
            self._plot_pictures(plt, ax, weights, names, n_cols, padding, cmap, im_kw, text_kw)
        else:
            self._plot_map(plt, ax, weights, names, cmap, colorbar, im_kw)
        self.figure_ = self.ax_.figure
        return self

    def _plot_pictures(self, plt, ax, weights, names, n_cols, padding, cmap, im_kw, text_kw):
        vertical, horizontal = _check_padding(padding)
        n, channels, height, width = weights.shape
        names = names if channels in (1, 3) else None
        room = 0 if names is None else max(2, math.ceil(0.2 * height))
        vertical += room
        n_cols = _grid_shape(n, n_cols)[1] if channels in (1, 3) else channels
        grid = weights_grid(weights, padding=(vertical, horizontal), n_cols=n_cols, channel_axis=1)
        grid = grid[: len(grid) - room]  # nothing is written below the last row
        if ax is None:
            inches = 1.2 if names is not None else min(1.0, max(0.3, 8 / n_cols))
            scale = inches / (width + horizontal)
            _, ax = plt.subplots(
                figsize=(grid.shape[1] * scale, grid.shape[0] * scale),
                gridspec_kw={"left": 0, "right": 1, "bottom": 0, "top": 1},
            )
        self.ax_ = check_axes(ax)
        options = {"cmap": cmap or "gray", "vmin": 0, "vmax": 1, "interpolation": "nearest"}
        self.im_ = ax.imshow(grid, **options | (im_kw or {}))
        ax.set_axis_off()
        if names is None:
            return
        box = ax.get_window_extent()
        points = 72 / ax.figure.dpi * min(box.width / grid.shape[1], box.height / grid.shape[0])
        names = [shorten(name, 14) for name in names]
        longest = max(map(len, names))
        size = min(0.75 * vertical * points, 1.6 * (width + horizontal) * points / longest, 11)
        for i, name in enumerate(names):
            row, col = divmod(i, n_cols)
            x = horizontal + col * (width + horizontal) + (width - 1) / 2
            y = (row + 1) * vertical + row * height - 0.5 - 0.15 * vertical
            style = {"ha": "center", "va": "bottom", "fontsize": size} | (text_kw or {})
            self.text_.append(ax.text(x, y, name, **style))

    def _plot_map(self, plt, ax, weights, names, cmap, colorbar, im_kw):
        n_inputs, n_units = weights.shape
        labels = check_names("feature_names", self.feature_names, n_inputs, of="input")
        if ax is None:
            size = (min(8, max(5, 0.3 * n_units + 3)), min(9, max(3.6, 0.2 * n_inputs + 1)))
            _, ax = plt.subplots(figsize=size, layout="constrained")
        self.ax_ = check_axes(ax)
        limit = np.abs(weights).max() or 1.0
        options = {"cmap": cmap or "RdBu_r", "vmin": -limit, "vmax": limit, "aspect": "auto"}
        options["interpolation"] = "nearest"
        self.im_ = ax.imshow(weights, **options | (im_kw or {}))
        ax.set_ylabel("input feature" if self.layer == 1 else f"input of layer {self.layer}")
        ax.set_xlabel("output" if names is not None else f"unit of layer {self.layer}")
        _label_axis(ax.yaxis, labels, n_inputs)
        _label_axis(ax.xaxis, names, n_units)
        if names is not None and max(map(len, names)) * n_units > 60:
            incline(ax.get_xticklabels())
        if colorbar:
            self.colorbar_ = ax.figure.colorbar(self.im_, ax=ax, label="weight")


def _output_names(net, names, n_units, layer, last):
    """Return the names of a layer's units: what the user says of the last layer's, by default the classes."""
    if names is not None and layer != last:
        raise ValueError(
            f"names must be None for layer {layer}, whose {n_units} units are hidden: they name the outputs, those of"
            f" layer {last}."
        )
    if names is None and layer == last:
        classes = getattr(net, "classes_", ())
        return classes if len(classes) == n_units else None
    return check_names("names", names, n_units, of="output")


def _label_axis(axis, labels, n):
    """Name every position if there is room for it, else leave numbers."""
    from matplotlib.ticker import MaxNLocator

    if labels is not None and n <= 40:
        axis.set_ticks(range(n), labels)
    else:
        axis.set_major_locator(MaxNLocator(integer=True))


def _image_shape(weights, image_shape, channel_axis, layer):
    """Return the shape of the images that the inputs of 2-D weights are, None if they are none."""
    last = _check_channel_axis(channel_axis) == -1
    if weights.ndim == 4:
        for name, value in (("image_shape", image_shape), ("channel_axis", -1 if last else None)):
            if value is not None:
                raise ValueError(f"{name} must be None for convolution filters, got {value!r:.80}.")
        return None
    if image_shape is False:
        return None
    n_inputs = weights.shape[0]
    if image_shape is None:
        return _guess_image_shape(n_inputs, last) if layer == 1 else None
    shape = check_dims("image_shape", image_shape, length=3)
    if math.prod(shape) != n_inputs:
        raise ValueError(f"image_shape must have {n_inputs} pixels, the inputs of layer {layer}, got {image_shape!r}.")
    if channel_axis is None and _is_channels_last(shape):
        height, width, channels = shape
        raise ValueError(
            f"image_shape must be (C, H, W), and {image_shape!r} is probably (H, W, C). Pass"
            f" {(channels, height, width)} or, if the images were flattened with their channels last, channel_axis=-1;"
            " if it is channels first, channel_axis=1."
        )
    return shape


def _guess_image_shape(n_inputs, last):
    for channels in (1, 3):
        side = math.isqrt(n_inputs // channels)
        if side >= 4 and channels * side**2 == n_inputs:
            return (side, side, channels) if last else (channels, side, side)
    return None
