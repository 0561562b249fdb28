"""Pictures of what a net learned: its weights, its training, and a search over its parameters.

The displays follow scikit-learn's: ``from_estimator`` computes and draws, the constructor takes
numbers from anywhere, ``plot`` draws once more, and what was drawn is kept in attributes that end
in ``_``. matplotlib is imported when something is drawn.
"""

import math
import numbers

import numpy as np
from sklearn.exceptions import NotFittedError

from sklearn_dl._base import BaseNetClassifier
from sklearn_dl._checks import check_dims, check_int

__all__ = ["SweepDisplay", "TrainingCurveDisplay", "WeightsDisplay", "weights_grid"]


def _import_pyplot(caller):
    try:
        import matplotlib.pyplot as plt
    except ImportError as error:
        raise ImportError(f'{caller} requires matplotlib: pip install "sklearn_dl[plot]"') from error
    return plt


def _check_axes(ax, name="ax"):
    if not hasattr(ax, "imshow"):
        raise TypeError(f"{name} must be a matplotlib Axes or None, got {ax!r:.80}.")
    return ax


def _find_net(estimator):
    """Return the fitted net in an estimator, a pipeline or a search."""
    outer = estimator
    while not isinstance(estimator, BaseNetClassifier):
        if hasattr(estimator, "best_estimator_"):
            estimator = estimator.best_estimator_
        elif hasattr(estimator, "cv_results_"):
            raise ValueError(
                f"estimator {type(outer).__name__} was run with refit={estimator.refit!r}: it "
                "holds no fitted net. Use refit=True."
            )
        elif hasattr(estimator, "refit") and hasattr(estimator, "estimator"):
            raise NotFittedError(f"estimator {type(estimator).__name__} is not fitted yet.")
        elif getattr(estimator, "steps", None):
            estimator = estimator.steps[-1][1]
        else:
            raise TypeError(
                "estimator must be a fitted net of sklearn_dl, or a pipeline or search that ends "
                f"in one, got {estimator!r:.80}."
            )
    if not hasattr(estimator, "params_"):
        raise NotFittedError(f"estimator {type(estimator).__name__} is not fitted yet.")
    return estimator


# Weights ----------------------------------------------------------------------------------------


def weights_grid(images, *, padding=1, n_cols=None):
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

    Returns
    -------
    grid : ndarray of shape (n_rows * (H + vertical) + vertical, \
n_cols * (W + horizontal) + horizontal), or the same and 3 for colour
        Values from 0 (a template's minimum) to 1 (its maximum; also padding and empty places);
        0.5 for a template that is constant.

    Raises
    ------
    ValueError
        If `images` is not 4-D, is empty, or holds NaN or infinity.

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
    """
    images = _check_weights("images", images, (4,))
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


def _check_weights(name, weights, ndims):
    weights = np.asarray(weights)
    if weights.dtype.kind not in "biuf":
        raise TypeError(f"{name} must be an array of real numbers, got dtype {weights.dtype}.")
    if weights.ndim not in ndims or weights.size == 0:
        dims = " or ".join(map(str, ndims))
        raise ValueError(f"{name} must have {dims} dimensions, none of them empty, got shape {weights.shape}.")
    if not np.isfinite(weights).all():
        raise ValueError(f"{name} must be finite, got NaN or infinity: has training diverged?")
    return weights.astype(np.float64)


def _check_names(argument, names, n):
    if names is None:
        return None
    if len(names) != n:
        raise ValueError(f"{argument} must have {n} entries, got {len(names)}.")
    return [str(name) for name in names]


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
    >>> import numpy as np
    >>> from sklearn_dl.inspection import WeightsDisplay
    >>> display = WeightsDisplay(np.ones((10, 3, 32, 32)), names=list("abcdefghij"))
    >>> display.plot()  # doctest: +SKIP
    """

    def __init__(self, weights, *, names=None, feature_names=None, layer=1):
        self.weights = weights
        self.names = names
        self.feature_names = feature_names
        self.layer = layer

    @classmethod
    def from_estimator(
        cls,
        estimator,
        *,
        layer=1,
        image_shape=None,
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
        estimator : Softmax, TwoLayerNet, FullyConnectedNet or ThreeLayerConvNet
            Fitted net, or a fitted pipeline or search that ends in one.
        layer : int, default=1
            1 is the layer that sees the data: the templates of Softmax, the filters of
            ThreeLayerConvNet.
        image_shape : tuple (C, H, W) or False, default=None
            Shape of the images that the layer's inputs are, flattened in this order. By default
            the inputs of layer 1 are an image if their number is a square or 3 times a square,
            of at least 4 x 4 pixels. With False the weights are drawn as a heat map.
        ax : matplotlib Axes, default=None
            Axes to draw on; by default a new figure is made.
        n_cols, padding, cmap, colorbar, im_kw, text_kw
            As in :meth:`plot`.

        Returns
        -------
        display : WeightsDisplay

        Raises
        ------
        TypeError
            If `estimator` is, or ends in, no net of this package.
        ValueError
            If there is no such `layer`, `image_shape` does not fit it, or its weights are NaN.
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
        net = _find_net(estimator)
        params = net.params_
        layers = [int(key[1:]) for key in params if key[0] == "W" and key[1:].isdigit()]
        if check_int("layer", layer, low=1) not in layers:
            raise ValueError(f"layer must be one of {sorted(layers)} for this {type(net).__name__}, got {layer!r}.")
        weights = params[f"W{layer}"]
        n_units = weights.shape[1 if weights.ndim == 2 else 0]
        names = feature_names = None
        if layer == max(layers) and n_units == len(net.classes_):
            names = net.classes_
        if layer == 1 and hasattr(net, "feature_names_in_"):
            feature_names = net.feature_names_in_
        shape = _image_shape(weights, image_shape, layer)
        if weights.ndim == 2 and shape is not None:
            weights = weights.T.reshape(-1, *shape)
        display = cls(weights, names=names, feature_names=feature_names, layer=layer)
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
        """
        plt = _import_pyplot("WeightsDisplay.plot")
        weights = _check_weights("weights", self.weights, (2, 4))
        n_units = weights.shape[0 if weights.ndim == 4 else 1]
        names = _check_names("names", self.names, n_units)
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
        grid = weights_grid(weights, padding=(vertical, horizontal), n_cols=n_cols)
        grid = grid[: len(grid) - room]  # nothing is written below the last row
        if ax is None:
            inches = 1.2 if names is not None else min(1.0, max(0.3, 8 / n_cols))
            scale = inches / (width + horizontal)
            _, ax = plt.subplots(
                figsize=(grid.shape[1] * scale, grid.shape[0] * scale),
                gridspec_kw={"left": 0, "right": 1, "bottom": 0, "top": 1},
            )
        self.ax_ = _check_axes(ax)
        options = {"cmap": cmap or "gray", "vmin": 0, "vmax": 1, "interpolation": "nearest"}
        self.im_ = ax.imshow(grid, **options | (im_kw or {}))
        ax.set_axis_off()
        if names is None:
            return
        box = ax.get_window_extent()
        points = 72 / ax.figure.dpi * min(box.width / grid.shape[1], box.height / grid.shape[0])
        names = [_shorten(name, 14) for name in names]
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
        labels = _check_names("feature_names", self.feature_names, n_inputs)
        if ax is None:
            size = (min(8, max(5, 0.3 * n_units + 3)), min(9, max(3.6, 0.2 * n_inputs + 1)))
            _, ax = plt.subplots(figsize=size, layout="constrained")
        self.ax_ = _check_axes(ax)
        limit = np.abs(weights).max() or 1.0
        options = {"cmap": cmap or "RdBu_r", "vmin": -limit, "vmax": limit, "aspect": "auto"}
        options["interpolation"] = "nearest"
        self.im_ = ax.imshow(weights, **options | (im_kw or {}))
        ax.set_ylabel("input feature" if self.layer == 1 else f"input of layer {self.layer}")
        ax.set_xlabel("class" if names is not None else f"unit of layer {self.layer}")
        _label_axis(ax.yaxis, labels, n_inputs)
        _label_axis(ax.xaxis, names, n_units)
        if names is not None and max(map(len, names)) * n_units > 60:
            plt.setp(ax.get_xticklabels(), rotation=45, ha="right", rotation_mode="anchor")
        if colorbar:
            self.colorbar_ = ax.figure.colorbar(self.im_, ax=ax, label="weight")


def _label_axis(axis, labels, n):
    """Name every position if there is room for it, else leave numbers."""
    from matplotlib.ticker import MaxNLocator

    if labels is not None and n <= 40:
        axis.set_ticks(range(n), labels)
    else:
        axis.set_major_locator(MaxNLocator(integer=True))


def _image_shape(weights, image_shape, layer):
    """Return (C, H, W) of the images that the inputs of 2-D weights are, None if they are none."""
    n_inputs = weights.shape[0]
    if weights.ndim == 4:
        if image_shape is not None:
            raise ValueError(f"image_shape must be None for convolution filters, got {image_shape!r:.80}.")
        return None
    if image_shape is False:
        return None
    if image_shape is None:
        for channels in (1, 3) if layer == 1 else ():
            side = math.isqrt(n_inputs // channels)
            if side >= 4 and channels * side**2 == n_inputs:
                return channels, side, side
        return None
    shape = check_dims("image_shape", image_shape, length=3)
    if math.prod(shape) != n_inputs:
        raise ValueError(f"image_shape must have {n_inputs} pixels, the inputs of layer {layer}, got {image_shape!r}.")
    return shape


# Training ---------------------------------------------------------------------------------------


class TrainingCurveDisplay:
    """Loss of each update, and training and validation accuracy of each epoch.

    It is recommended to create it with :meth:`from_estimator`.

    Parameters
    ----------
    loss : array-like of shape (n_updates,)
        Loss of each minibatch. NaN and infinity leave gaps.
    train_accuracy : array-like of shape (n_epochs,), default=()
        Accuracy on training samples after each epoch.
    val_accuracy : array-like of shape (n_epochs,), default=()
        Accuracy on the validation set after each epoch.
    first_epoch : int, default=0
        Number of the epoch that the first accuracy belongs to; 0 is before training.

    Attributes
    ----------
    ax_ : matplotlib Axes
        Axes with the loss.
    accuracy_ax_ : matplotlib Axes or None
        Axes with the accuracies; None if there are none.
    bounding_ax_ : matplotlib Axes or None
        The axes given to ``plot``, if they were divided.
    figure_ : matplotlib Figure
        Figure of these axes.
    points_ : matplotlib Line2D
        Dots, one for each update.
    line_ : matplotlib Line2D
        Smoothed loss.
    accuracy_lines_ : list of matplotlib Line2D
        Training accuracy, validation accuracy; those that there are.

    Examples
    --------
    >>> from sklearn_dl.inspection import TrainingCurveDisplay
    >>> display = TrainingCurveDisplay([2.3, 1.9, 1.7, 1.6], train_accuracy=[0.1, 0.4, 0.5])
    >>> display.plot()  # doctest: +SKIP
    """

    def __init__(self, loss, *, train_accuracy=(), val_accuracy=(), first_epoch=0):
        self.loss = loss
        self.train_accuracy = train_accuracy
        self.val_accuracy = val_accuracy
        self.first_epoch = first_epoch

    @classmethod
    def from_estimator(
        cls,
        estimator,
        *,
        ax=None,
        smoothing=None,
        points_kw=None,
        line_kw=None,
        accuracy_kw=None,
    ):
        """Draw the training of a fitted net.

        Parameters
        ----------
        estimator : Softmax, TwoLayerNet, FullyConnectedNet or ThreeLayerConvNet
            Fitted net, or a fitted pipeline or search that ends in one.
        ax, smoothing, points_kw, line_kw, accuracy_kw
            As in :meth:`plot`.

        Returns
        -------
        display : TrainingCurveDisplay

        Raises
        ------
        TypeError
            If `estimator` is, or ends in, no net of this package.
        NotFittedError
            If the estimator is not fitted.

        Examples
        --------
        >>> import matplotlib.pyplot as plt  # doctest: +SKIP
        >>> from sklearn.datasets import load_digits
        >>> from sklearn_dl import TwoLayerNet
        >>> from sklearn_dl.inspection import TrainingCurveDisplay
        >>> X, y = load_digits(return_X_y=True)
        >>> clf = TwoLayerNet(random_state=0, num_epochs=5).fit(X, y)
        >>> TrainingCurveDisplay.from_estimator(clf)  # doctest: +SKIP
        >>> plt.show()  # doctest: +SKIP
        """
        net = _find_net(estimator)
        display = cls(
            net.loss_history_,
            train_accuracy=net.train_acc_history_,
            val_accuracy=net.val_acc_history_,
        )
        return display.plot(
            ax,
            smoothing=smoothing,
            points_kw=points_kw,
            line_kw=line_kw,
            accuracy_kw=accuracy_kw,
        )

    def plot(self, ax=None, *, smoothing=None, points_kw=None, line_kw=None, accuracy_kw=None):
        """Draw the curves.

        Parameters
        ----------
        ax : matplotlib Axes or pair of Axes, default=None
            Axes to draw on; a single one is divided in two if there are accuracies to show. By
            default a new figure is made.
        smoothing : int, default=None
            Number of updates that the line averages over; by default a twentieth of them.
        points_kw, line_kw, accuracy_kw : dict, default=None
            Keyword arguments for ``Axes.plot`` of the dots, the smoothed loss, the accuracies.

        Returns
        -------
        display : TrainingCurveDisplay
        """
        plt = _import_pyplot("TrainingCurveDisplay.plot")
        loss = _check_curve("loss", self.loss)
        if loss.size == 0:
            raise ValueError("loss must hold at least one update, got none.")
        curves = {
            "train": _check_curve("train_accuracy", self.train_accuracy),
            "validation": _check_curve("val_accuracy", self.val_accuracy),
        }
        curves = {label: curve for label, curve in curves.items() if curve.size}
        if smoothing is None:
            smoothing = max(1, loss.size // 20)
        smoothed = _moving_average(loss, check_int("smoothing", smoothing, low=1))

        self._set_axes(plt, ax, divided=bool(curves))
        self.figure_ = self.ax_.figure
        updates = np.arange(1, loss.size + 1)
        many = loss.size > 500
        style = {"marker": ".", "linestyle": "none", "color": "C0", "rasterized": many}
        style |= {"markersize": 2 if many else 5, "alpha": 0.3 if many else 0.5}
        shown = np.where(np.isfinite(loss), loss, np.nan)
        [self.points_] = self.ax_.plot(updates, shown, **style | {"label": "minibatch"} | (points_kw or {}))
        style = {"color": "C3", "linewidth": 1.8, "label": f"mean of {smoothing}"}
        [self.line_] = self.ax_.plot(updates, smoothed, **style | (line_kw or {}))
        self.ax_.set(xlabel="update", ylabel="loss")
        drawn = smoothed[np.isfinite(smoothed)]
        if drawn.size and 0 < 30 * drawn.min() < drawn.max():
            self.ax_.set_yscale("log")  # or a penalty that melts away would flatten the rest
        if smoothing > 1:
            self.ax_.legend(markerscale=4 if many else 1)

        self.accuracy_lines_ = []
        for label, curve in curves.items():
            epochs = check_int("first_epoch", self.first_epoch, low=0) + np.arange(curve.size)
            style = {"label": label, "marker": "o" if curve.size <= 30 else None, "markersize": 4}
            self.accuracy_lines_ += self.accuracy_ax_.plot(epochs, curve, **style | (accuracy_kw or {}))
        if curves:
            from matplotlib.ticker import MaxNLocator

            self.accuracy_ax_.xaxis.set_major_locator(MaxNLocator(integer=True, min_n_ticks=1))
            self.accuracy_ax_.set(xlabel="epoch", ylabel="accuracy")
            self.accuracy_ax_.legend()
        return self

    def _set_axes(self, plt, ax, *, divided):
        self.bounding_ax_ = self.accuracy_ax_ = None
        if ax is None and divided:
            _, ax = plt.subplots(1, 2, figsize=(10, 4), layout="constrained")
        elif ax is None:
            _, ax = plt.subplots(layout="constrained")
        if isinstance(ax, list | tuple | np.ndarray):
            if len(ax) != 2:
                raise ValueError(f"ax must be one Axes or two, got {len(ax)}.")
            self.ax_ = _check_axes(ax[0])
            self.accuracy_ax_ = _check_axes(ax[1]) if divided else None
        elif divided:
            self.bounding_ax_ = _check_axes(ax)
            ax.set_axis_off()
            inches = ax.get_window_extent().width / ax.figure.dpi
            width = 0.5 - min(0.25, 0.4 / inches)  # between them, room for the labels of one
            self.ax_ = ax.inset_axes([0, 0, width, 1])
            self.accuracy_ax_ = ax.inset_axes([1 - width, 0, width, 1])
        else:
            self.ax_ = _check_axes(ax)


def _check_curve(name, values):
    try:
        curve = np.asarray(values, dtype=np.float64)
    except (TypeError, ValueError) as error:
        raise TypeError(f"{name} must be a list of numbers, got {values!r:.80}.") from error
    if curve.ndim != 1:
        raise ValueError(f"{name} must be 1-D, got shape {curve.shape}.")
    return curve


def _moving_average(values, window):
    """Mean of the finite values in a window around each; at the ends, of those that there are."""
    finite = np.isfinite(values)
    total = np.concatenate([[0.0], np.cumsum(np.where(finite, values, 0.0))])
    count = np.concatenate([[0], np.cumsum(finite)])
    low = np.arange(values.size) - (window - 1) // 2
    high = np.minimum(low + window, values.size)
    low = np.maximum(low, 0)
    n = count[high] - count[low]
    return np.where(n > 0, (total[high] - total[low]) / np.maximum(n, 1), np.nan)


# Searches ---------------------------------------------------------------------------------------


class _Default:
    """Stands for a parameter that a candidate leaves at the estimator's own value."""

    def __repr__(self):
        return "(default)"


_DEFAULT = _Default()


class SweepDisplay:
    """Scores of a parameter search as a map over two parameters.

    It is recommended to create it with :meth:`from_estimator`.

    Parameters
    ----------
    scores : array-like of shape (n_y, n_x)
        Score at each pair of values; NaN where there is none.
    x_values, y_values : list
        Values of the two parameters, of any type.
    param_x, param_y : str
        Names of the parameters.
    score_name : str, default='score'
        Label of the colour bar.
    best : tuple (row, column), default=None
        Cell to frame.
    best_over : list of str, default=()
        Names of further parameters, over which each score is the best.

    Attributes
    ----------
    ax_ : matplotlib Axes
        Axes with the map.
    figure_ : matplotlib Figure
        Figure of these axes.
    im_ : matplotlib AxesImage
        The map.
    text_ : ndarray of shape (n_y, n_x) of matplotlib Text, or None
        Score written in each cell.
    frame_ : matplotlib Rectangle or None
        Frame of the best cell.
    colorbar_ : matplotlib Colorbar or None
        Colour bar.

    Examples
    --------
    >>> from sklearn_dl.inspection import SweepDisplay
    >>> display = SweepDisplay([[0.5, 0.6], [0.7, 0.8]], x_values=[1e-3, 1e-2],
    ...     y_values=["sgd", "adam"], param_x="learning_rate", param_y="update_rule")
    >>> display.plot()  # doctest: +SKIP
    """

    def __init__(
        self,
        scores,
        *,
        x_values,
        y_values,
        param_x,
        param_y,
        score_name="score",
        best=None,
        best_over=(),
    ):
        self.scores = scores
        self.x_values = x_values
        self.y_values = y_values
        self.param_x = param_x
        self.param_y = param_y
        self.score_name = score_name
        self.best = best
        self.best_over = best_over

    @classmethod
    def from_estimator(
        cls,
        estimator,
        *,
        param_x=None,
        param_y=None,
        metric=None,
        ax=None,
        include_values=True,
        values_format=".3f",
        cmap="viridis",
        colorbar=True,
        xticks_rotation=None,
        im_kw=None,
        text_kw=None,
    ):
        """Draw the scores of a fitted search.

        Parameters
        ----------
        estimator : GridSearchCV, RandomizedSearchCV, HalvingGridSearchCV or alike
            Fitted search. A candidate that a halving search tried several times counts with its
            last score, the one from the most resources.
        param_x, param_y : str, default=None
            Names of the parameters along the axes, as in ``cv_results_['params']``. They may be
            left out if no more than two take several values. Over all others, a cell shows the
            best score.
        metric : str, default=None
            Which of several metrics to show.
        ax, include_values, values_format, cmap, colorbar, xticks_rotation, im_kw, text_kw
            As in :meth:`plot`.

        Returns
        -------
        display : SweepDisplay

        Raises
        ------
        TypeError
            If `estimator` is no search.
        ValueError
            If `param_x`, `param_y` or `metric` is missing or not one of the search's.
        NotFittedError
            If the search is not fitted.

        Examples
        --------
        >>> import matplotlib.pyplot as plt  # doctest: +SKIP
        >>> from sklearn.datasets import load_iris
        >>> from sklearn.model_selection import GridSearchCV
        >>> from sklearn_dl import Softmax
        >>> from sklearn_dl.inspection import SweepDisplay
        >>> grid = {"learning_rate": [0.01, 0.1], "reg": [0.0, 0.01]}
        >>> search = GridSearchCV(Softmax(num_epochs=3, random_state=0), grid, cv=2)
        >>> search = search.fit(*load_iris(return_X_y=True))
        >>> SweepDisplay.from_estimator(search)  # doctest: +SKIP
        >>> plt.show()  # doctest: +SKIP
        """
        display = cls(**_sweep_table(estimator, param_x, param_y, metric))
        return display.plot(
            ax,
            include_values=include_values,
            values_format=values_format,
            cmap=cmap,
            colorbar=colorbar,
            xticks_rotation=xticks_rotation,
            im_kw=im_kw,
            text_kw=text_kw,
        )

    def plot(
        self,
        ax=None,
        *,
        include_values=True,
        values_format=".3f",
        cmap="viridis",
        colorbar=True,
        xticks_rotation=None,
        im_kw=None,
        text_kw=None,
    ):
        """Draw the map.

        Parameters
        ----------
        ax : matplotlib Axes, default=None
            Axes to draw on; by default a new figure is made.
        include_values : bool, default=True
            Whether the scores are written in the cells.
        values_format : str, default='.3f'
            Format of these scores.
        cmap : str or matplotlib Colormap, default='viridis'
            Colours.
        colorbar : bool, default=True
            Whether to draw a colour bar.
        xticks_rotation : float, default=None
            Angle of the labels along the x axis; by default 0, or 45 where they are long.
        im_kw, text_kw : dict, default=None
            Keyword arguments for ``Axes.imshow`` and for the scores written in the cells.

        Returns
        -------
        display : SweepDisplay
        """
        plt = _import_pyplot("SweepDisplay.plot")
        scores = np.asarray(self.scores, dtype=np.float64)
        expected = (len(self.y_values), len(self.x_values))
        if scores.shape != expected:
            raise ValueError(f"scores must have shape {expected}, (len(y_values), len(x_values)), got {scores.shape}.")
        n_y, n_x = expected
        x_labels, y_labels = _labels(self.x_values), _labels(self.y_values)
        crowded = sum(map(len, x_labels)) > 8 * n_x
        if ax is None:
            size = (max(4.5, 0.75 * n_x + 2.5), max(3, 0.5 * n_y + 1.6 + crowded))
            _, ax = plt.subplots(figsize=size, layout="constrained")
        self.ax_ = _check_axes(ax)
        self.figure_ = ax.figure
        options = {"cmap": cmap, "interpolation": "nearest", "aspect": "auto"}
        ax.set_facecolor("0.9")
        self.im_ = ax.imshow(np.ma.masked_invalid(scores), **options | (im_kw or {}))
        self.text_ = self._write_scores(ax, scores, values_format, text_kw) if include_values else None
        self.frame_ = None
        if self.best is not None:
            row, col = self.best
            self.frame_ = ax.add_patch(
                plt.Rectangle((col - 0.5, row - 0.5), 1, 1, fill=False, ec="C3", lw=3, clip_on=False)
            )
        self.colorbar_ = ax.figure.colorbar(self.im_, ax=ax, label=self.score_name) if colorbar else None
        names = [_last_name(name) for name in (self.param_x, self.param_y)]
        if names[0] == names[1]:
            names = [self.param_x, self.param_y]
        ax.set_xticks(range(n_x), x_labels)
        ax.set_yticks(range(n_y), y_labels)
        ax.set(xlabel=names[0], ylabel=names[1])
        if self.best_over:
            short = ", ".join(map(_last_name, self.best_over))
            ax.set_title(f"best over {short}", fontsize="medium")
        rotation = (45 if crowded else 0) if xticks_rotation is None else xticks_rotation
        if rotation:
            plt.setp(ax.get_xticklabels(), rotation=rotation, ha="right", rotation_mode="anchor")
        return self

    def _write_scores(self, ax, scores, values_format, text_kw):
        text = np.empty(scores.shape, dtype=object)
        for place, score in np.ndenumerate(scores):
            row, col = place
            if np.isnan(score):
                label, color = "\N{EN DASH}", "black"
            else:
                red, green, blue, _ = self.im_.cmap(self.im_.norm(score))
                dark = 0.299 * red + 0.587 * green + 0.114 * blue < 0.5
                label, color = format(score, values_format), "white" if dark else "black"
            style = {"ha": "center", "va": "center", "color": color} | (text_kw or {})
            text[place] = ax.text(col, row, label, **style)
        return text


def _labels(values):
    """Return short labels, or exact ones where short ones would be the same."""
    labels = [f"{value:.3g}" if _is_number(value) else _describe(value) for value in values]
    return labels if len(set(labels)) == len(labels) else [str(value) for value in values]


def _last_name(param):
    return param.rsplit("__", 1)[-1]


def _describe(value):
    text = value if isinstance(value, str) else getattr(value, "__name__", None) or repr(value)
    return _shorten(text, 24)


def _shorten(text, length):
    return text if len(text) <= length else f"{text[: length - 3]}..."


def _is_number(value):
    return isinstance(value, numbers.Real) and not isinstance(value, bool)


def _distinct(values):
    """Return the distinct values, and for each value its number among them.

    Numbers are sorted; anything else stays in order of appearance, which is the user's own.
    """
    found = {}
    for value in values:
        found.setdefault(_key(value), value)
    keys = list(found)
    if all(_is_number(key) for key in keys):
        keys.sort()
    place = {key: i for i, key in enumerate(keys)}
    return [found[key] for key in keys], [place[_key(value)] for value in values]


def _key(value):
    # Parameter values need not be hashable, nor compare to a bool (arrays, estimators).
    return value if _is_number(value) and value == value else repr(value)


def _sweep_table(search, param_x, param_y, metric):
    """Return the constructor's arguments for a fitted search."""
    results = getattr(search, "cv_results_", None)
    if results is None:
        if hasattr(search, "refit") and hasattr(search, "estimator"):
            raise NotFittedError(f"estimator {type(search).__name__} is not fitted yet.")
        raise TypeError(f"estimator must be a fitted search such as GridSearchCV, got {search!r:.80}.")
    scores = _scores(results, metric)
    candidates = [
        {key: v.item() if isinstance(v, np.generic) else v for key, v in candidate.items()}
        for candidate in results["params"]
    ]
    names = sorted({name for candidate in candidates for name in candidate})
    columns = {name: _distinct([candidate.get(name, _DEFAULT) for candidate in candidates]) for name in names}
    varying = [name for name in names if len(columns[name][0]) > 1]
    param_x, param_y = _choose_params(param_x, param_y, names, varying)

    (x_values, x_place), (y_values, y_place) = columns[param_x], columns[param_y]
    # A later round of a halving search saw more resources, and outranks any score before it.
    # Of equal scores the first candidate wins, as in best_index_.
    rounds = np.asarray(results.get("iter", np.zeros(len(scores))))
    table = np.full((len(y_values), len(x_values)), np.nan)
    for i in np.lexsort((-np.arange(len(scores)), scores, rounds)):
        if not np.isnan(scores[i]):
            table[y_place[i], x_place[i]] = scores[i]
            best = y_place[i], x_place[i]
    name = metric or (search.scoring if isinstance(search.scoring, str) else "score")
    return {
        "scores": table,
        "x_values": x_values,
        "y_values": y_values,
        "param_x": param_x,
        "param_y": param_y,
        "score_name": f"mean test {name}",
        "best": best,
        "best_over": [name for name in varying if name not in (param_x, param_y)],
    }


def _scores(results, metric):
    key = f"mean_test_{'score' if metric is None else metric}"
    if key not in results:
        prefix = "mean_test_"
        known = sorted(name[len(prefix) :] for name in results if name.startswith(prefix))
        raise ValueError(f"metric must be one of {known}, got {metric!r}.")
    scores = np.asarray(results[key], dtype=np.float64)
    if np.isnan(scores).all():
        raise ValueError("estimator holds no score: all fits of the search have failed.")
    return scores


def _choose_params(param_x, param_y, names, varying):
    for argument, name in (("param_x", param_x), ("param_y", param_y)):
        if name is not None and name not in names:
            raise ValueError(f"{argument} must be one of {names}, got {name!r}.")
    if param_x is not None and param_x == param_y:
        raise ValueError(f"param_x and param_y must differ, got {param_x!r} for both.")
    missing = (param_x is None) + (param_y is None)
    others = [name for name in varying if name not in (param_x, param_y)]
    if missing and len(others) != missing:
        raise ValueError(
            f"param_x and param_y must be given unless exactly two parameters vary; "
            f"got param_x={param_x!r}, param_y={param_y!r}, and those that vary are {varying}."
        )
    others = iter(others)
    return (
        next(others) if param_x is None else param_x,
        next(others) if param_y is None else param_y,
    )
