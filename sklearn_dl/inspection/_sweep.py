"""The scores of a parameter search as a map."""

import numpy as np

from sklearn_dl.inspection._axes import check_axes, import_pyplot, incline
from sklearn_dl.inspection._results import is_number, labels_of, sweep_table

__all__ = ["SweepDisplay"]

# With more values than this, and most of its cells empty, a map is drawn as points.
MOST_CELLS = 12


class SweepDisplay:
    """Scores of a parameter search as a map over two parameters.

    Each pair of values is a cell. Where there are more than twelve values of a parameter and most pairs were not tried,
    as after a random search over distributions, the candidates are drawn as points at their values instead.

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
        Cell to frame, or point to circle.
    best_over : list of str, default=()
        Names of further parameters, over which each score is the best.

    Attributes
    ----------
    ax_ : matplotlib Axes
        Axes with the map.
    figure_ : matplotlib Figure
        Figure of these axes.
    im_ : matplotlib AxesImage or PathCollection
        The map, or the points.
    text_ : ndarray of shape (n_y, n_x) of matplotlib Text, or None
        Score written in each cell.
    frame_ : matplotlib Rectangle or PathCollection, or None
        Frame of the best cell, or circle around the best point.
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
        estimator : GridSearchCV, RandomizedSearchCV, HalvingGridSearchCV, OptunaSearchCV or alike
            Fitted search, or a pipeline or other estimator that holds exactly one.
        param_x, param_y : str, default=None
            Names of the parameters along the axes, as in ``cv_results_['params']``. They may be
            left out if no more than two take several values. Over all others, a cell shows the
            best score. A parameter that some candidates leave alone, as with a list of grids, is
            '(default)' there.
        metric : str, default=None
            Which of several metrics to show; by default the one that `refit` names.
        ax : matplotlib Axes, default=None
            Axes to draw on; by default a new figure is made.
        include_values : bool, default=True
            Whether the scores are written in the cells. Points bear none.
        values_format : str, default='.3f'
            Format of these scores.
        cmap : str or matplotlib Colormap, default='viridis'
            Colours.
        colorbar : bool, default=True
            Whether to draw a colour bar.
        xticks_rotation : float, default=None
            Angle of the labels along the x axis; by default 0, or 45 where they are long.
        im_kw, text_kw : dict, default=None
            Keyword arguments for ``Axes.imshow`` (for points, ``Axes.scatter``) and for the scores written in the
            cells.

        Returns
        -------
        display : SweepDisplay

        Raises
        ------
        TypeError
            If `estimator` neither is nor holds a search.
        ValueError
            If `param_x`, `param_y` or `metric` is missing or not one of the search's, all fits have
            failed, or `estimator` holds several searches.
        NotFittedError
            If the search is not fitted.

        Notes
        -----
        The framed cell is that of the search's choice, ``best_params_``. Where there is none, as with
        ``refit=False`` and several metrics, or where another metric than that of `refit` is shown, it is that of
        the best score. NaN, the score of failed fits, never counts.

        A candidate that a halving search tried several times counts with its last score, the one from the most
        resources, and before any candidate that did not get as far. What the search gives it, such as
        ``resource="num_epochs"``, is no searched parameter, but can be named as `param_x` or `param_y`.

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
        display = cls(**sweep_table(estimator, param_x, param_y, metric))
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
            Whether the scores are written in the cells. Points bear none.
        values_format : str, default='.3f'
            Format of these scores.
        cmap : str or matplotlib Colormap, default='viridis'
            Colours.
        colorbar : bool, default=True
            Whether to draw a colour bar.
        xticks_rotation : float, default=None
            Angle of the labels along the x axis; by default 0, or 45 where they are long.
        im_kw, text_kw : dict, default=None
            Keyword arguments for ``Axes.imshow`` (for points, ``Axes.scatter``) and for the scores written in the
            cells.

        Returns
        -------
        display : SweepDisplay
            Itself.
        """
        plt = import_pyplot("SweepDisplay.plot")
        scores = np.asarray(self.scores, dtype=np.float64)
        expected = (len(self.y_values), len(self.x_values))
        if scores.shape != expected:
            raise ValueError(f"scores must have shape {expected}, (len(y_values), len(x_values)), got {scores.shape}.")
        as_points = max(expected) > MOST_CELLS and np.isfinite(scores).mean() <= 0.5
        self.text_ = self.frame_ = None
        if as_points:
            x_axis, y_axis = _Axis(self.x_values, as_points=True), _Axis(self.y_values, as_points=True)
            self._plot_points(plt, ax, scores, x_axis, y_axis, cmap, im_kw)
        else:
            x_axis, y_axis = _Axis(self.x_values), _Axis(self.y_values)
            self._plot_map(plt, ax, scores, x_axis, y_axis, cmap, im_kw)
            if include_values:
                self.text_ = self._write_scores(self.ax_, scores, values_format, text_kw)
        self.figure_ = self.ax_.figure
        self.colorbar_ = self.figure_.colorbar(self.im_, ax=self.ax_, label=self.score_name) if colorbar else None
        self._label_axes(x_axis, y_axis, xticks_rotation)
        return self

    def _plot_map(self, plt, ax, scores, x_axis, y_axis, cmap, im_kw):
        n_y, n_x = scores.shape
        if ax is None:
            size = (max(4.5, 0.75 * n_x + 2.5), max(3, 0.5 * n_y + 1.6 + x_axis.is_crowded))
            ax = _new_axes(plt, size, x_axis, y_axis)
        self.ax_ = check_axes(ax)
        options = {"cmap": cmap, "interpolation": "nearest", "aspect": "auto"}
        ax.set_facecolor("0.9")
        self.im_ = ax.imshow(np.ma.masked_invalid(scores), **options | (im_kw or {}))
        if self.best is not None:
            row, col = self.best
            self.frame_ = ax.add_patch(
                plt.Rectangle((col - 0.5, row - 0.5), 1, 1, fill=False, ec="C3", lw=3, clip_on=False)
            )

    def _plot_points(self, plt, ax, scores, x_axis, y_axis, cmap, im_kw):
        if ax is None:
            ax = _new_axes(plt, (6.5, 4.5), x_axis, y_axis)
        self.ax_ = check_axes(ax)
        rows, cols = np.nonzero(np.isfinite(scores))
        order = np.argsort(scores[rows, cols])  # the best on top
        rows, cols = rows[order], cols[order]
        options = {"c": scores[rows, cols], "cmap": cmap, "s": 60, "edgecolors": "0.4", "linewidths": 0.5}
        self.im_ = ax.scatter(x_axis.places[cols], y_axis.places[rows], **options | (im_kw or {}))
        if self.best is not None:
            row, col = self.best
            ring = {"s": 180, "facecolors": "none", "edgecolors": "C3", "linewidths": 2.5}
            self.frame_ = ax.scatter(x_axis.places[col], y_axis.places[row], **ring)

    def _label_axes(self, x_axis, y_axis, xticks_rotation):
        names = [name.rsplit("__", 1)[-1] for name in (self.param_x, self.param_y)]
        if names[0] == names[1]:
            names = [self.param_x, self.param_y]
        self.ax_.set(xlabel=names[0], ylabel=names[1])
        x_axis.label(self.ax_, "x")
        y_axis.label(self.ax_, "y")
        if self.best_over:
            short = ", ".join(name.rsplit("__", 1)[-1] for name in self.best_over)
            self.ax_.set_title(f"best over {short}", fontsize="medium")
        rotation = (45 if x_axis.is_crowded else 0) if xticks_rotation is None else xticks_rotation
        if rotation:
            incline(self.ax_.get_xticklabels(), rotation)

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


def _new_axes(plt, size, x_axis, y_axis):
    """Return axes of a new figure, which is larger where labels are long."""
    width, height = size
    width += 0.08 * max(0, y_axis.longest - 16)
    height += 0.06 * max(0, x_axis.longest - 16) * x_axis.is_crowded
    _, ax = plt.subplots(figsize=(width, height), layout="constrained")
    return ax


class _Axis:
    """Where the values of a parameter stand along an axis, and how they are labelled.

    Points stand at their values if these are numbers, cells and anything else one after the other.
    """

    def __init__(self, values, *, as_points=False):
        self.is_scale = as_points and all(is_number(value) and np.isfinite(value) for value in values)
        self.labels = [] if self.is_scale else labels_of(values)
        self.places = np.array(values if self.is_scale else range(len(values)), dtype=float)
        self.longest = max(map(len, self.labels), default=0)
        self.is_crowded = sum(map(len, self.labels)) > 8 * len(values)

    def label(self, ax, axis):
        """Label an axes' x or y axis."""
        if not self.is_scale:
            edges = (-0.5, len(self.places) - 0.5)
            ax.set(**{f"{axis}ticks": self.places, f"{axis}ticklabels": self.labels})
            ax.set(**{f"{axis}lim": edges if axis == "x" else edges[::-1]})
        elif 0 < 30 * self.places.min() < self.places.max():
            ax.set(**{f"{axis}scale": "log"})
