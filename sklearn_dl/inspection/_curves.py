"""Training as curves: losses and scores, of one run or of several in one picture."""

from collections.abc import Mapping

import numpy as np

from sklearn_dl._checks import check_choice, check_int
from sklearn_dl.inspection._axes import check_axes, import_pyplot, shorten
from sklearn_dl.inspection._nets import find_net
from sklearn_dl.inspection._runs import (
    check_run,
    curves_of,
    curves_of_net,
    curves_of_solver,
    is_history,
    is_solver,
    label_runs,
)

__all__ = ["TrainingCurveDisplay"]

STEPS = ("update", "epoch")
STAR = {"marker": "*", "markersize": 14, "linestyle": "none", "markeredgecolor": "black"}
WHOLE = {"integer": True, "min_n_ticks": 1, "steps": [1, 2, 5, 10]}  # ticks of updates and epochs
DASHED = {"linestyle": "--", "linewidth": 1.0}
# More runs than this have their legend beside the curves, which it would cover.
MOST_IN_LEGEND = 6
# What a run has beside its losses, with the value for a run that lacks it.
PARTS = {"train_accuracy": (), "val_accuracy": (), "val_loss": (), "first_epoch": 0, "best_epoch": None}


class TrainingCurveDisplay:
    """Loss of each update, and training and validation score of each epoch: accuracy, or R² of a regressor.

    It is recommended to create it with :meth:`from_estimator`, :meth:`from_solver` or, for several runs in one picture,
    :meth:`from_runs`.

    Parameters
    ----------
    loss : array-like of shape (n_updates,), or dict of str to array-like
        Loss of each minibatch. NaN and infinity leave gaps. A dict holds several runs by their
        labels; what follows are then dicts with the same labels, or some of them.
    train_accuracy : array-like of shape (n_epochs,), default=()
        Accuracy, or another score, on training samples after each epoch.
    val_accuracy : array-like of shape (n_epochs,), default=()
        The same on the validation set after each epoch. Curves of nothing but NaN are left out.
    val_loss : array-like of shape (n_epochs,), default=()
        Loss on the validation set after each epoch. Beside the losses of updates its points are evenly spaced, the last
        one at the last update.
    first_epoch : int, default=0
        Number of the epoch that the first accuracy belongs to; 0 is before training.
    best_epoch : int, default=None
        Epoch whose weights were kept: marked on the curves of the validation set.
    step : {'update', 'epoch'}, default='update'
        What a loss belongs to. With 'epoch' the first one, as the first `val_loss`, is that of `first_epoch`.
    score_name : str, default='accuracy'
        Label of the axis of `train_accuracy` and `val_accuracy`. Regressors have 'R²'.

    Attributes
    ----------
    ax_ : matplotlib Axes
        Axes with the loss.
    accuracy_ax_ : matplotlib Axes or None
        Axes with the accuracies, or other scores; None if there are none.
    bounding_ax_ : matplotlib Axes or None
        The axes given to ``plot``, if they were divided.
    figure_ : matplotlib Figure
        Figure of these axes.
    points_ : matplotlib Line2D or None
        Dots, one for each loss; None for several runs.
    line_ : matplotlib Line2D, or list of these
        Smoothed loss; for several runs, of each.
    val_loss_lines_ : list of matplotlib Line2D
        Validation loss, of each run that has one.
    accuracy_lines_ : list of matplotlib Line2D
        Training accuracy, validation accuracy; those that there are, run by run.
    best_points_ : list of matplotlib Line2D
        Marks of the kept epochs.

    Examples
    --------
    >>> from sklearn_dl.inspection import TrainingCurveDisplay
    >>> display = TrainingCurveDisplay([2.3, 1.9, 1.7, 1.6], train_accuracy=[0.1, 0.4, 0.5])
    >>> display.plot()  # doctest: +SKIP
    """

    def __init__(
        self,
        loss,
        *,
        train_accuracy=(),
        val_accuracy=(),
        val_loss=(),
        first_epoch=0,
        best_epoch=None,
        step="update",
        score_name="accuracy",
    ):
        self.loss = loss
        self.train_accuracy = train_accuracy
        self.val_accuracy = val_accuracy
        self.val_loss = val_loss
        self.first_epoch = first_epoch
        self.best_epoch = best_epoch
        self.step = step
        self.score_name = score_name

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
        estimator : classifier or regressor of this package
            Fitted net, or a fitted pipeline, search or other estimator that holds exactly one; or a Solver, as in
            :meth:`from_solver`.
        ax : matplotlib Axes or pair of Axes, default=None
            Axes to draw on; see :meth:`plot`.
        smoothing : int, default=None
            Number of losses that the line averages over.
        points_kw, line_kw, accuracy_kw : dict, default=None
            Keyword arguments for ``Axes.plot`` of the dots, the losses' lines, the accuracies.

        Returns
        -------
        display : TrainingCurveDisplay

        Raises
        ------
        TypeError
            If `estimator` neither is nor holds a net of this package.
        ValueError
            If it holds several nets, as ensembles do: pass one of them, or all to :meth:`from_runs`.
        NotFittedError
            If the estimator is not fitted.

        Examples
        --------
        >>> import matplotlib.pyplot as plt  # doctest: +SKIP
        >>> from sklearn.datasets import load_digits
        >>> from sklearn_dl import TwoLayerNet
        >>> from sklearn_dl.inspection import TrainingCurveDisplay
        >>> X, y = load_digits(return_X_y=True)
        >>> clf = TwoLayerNet(random_state=0, num_epochs=5, tol=None).fit(X, y)
        >>> TrainingCurveDisplay.from_estimator(clf)  # doctest: +SKIP
        >>> plt.show()  # doctest: +SKIP
        """
        if is_solver(estimator):
            curves = curves_of_solver("estimator", estimator)
        else:
            curves = curves_of_net(find_net(estimator))
        display = cls(**curves)
        return display.plot(ax, smoothing=smoothing, points_kw=points_kw, line_kw=line_kw, accuracy_kw=accuracy_kw)

    @classmethod
    def from_solver(cls, solver, *, ax=None, smoothing=None, points_kw=None, line_kw=None, accuracy_kw=None):
        """Draw the training of a `sklearn_dl.solver.Solver`, as far as it has come.

        Parameters
        ----------
        solver : Solver
            After ``train`` or ``resume``; in a `sklearn_dl.solver.Watcher`, during the training.
        ax : matplotlib Axes or pair of Axes, default=None
            Axes to draw on; see :meth:`plot`.
        smoothing : int, default=None
            Number of losses that the line averages over.
        points_kw, line_kw, accuracy_kw : dict, default=None
            Keyword arguments for ``Axes.plot`` of the dots, the losses' lines, the accuracies.

        Returns
        -------
        display : TrainingCurveDisplay
            With copies of the histories: further training does not change it.

        Raises
        ------
        TypeError
            If `solver` is none.
        ValueError
            If it has made no update yet.

        Examples
        --------
        >>> from sklearn.datasets import load_digits
        >>> from sklearn_dl.inspection import TrainingCurveDisplay
        >>> from sklearn_dl.nets import FullyConnected
        >>> from sklearn_dl.solver import Solver
        >>> X, y = load_digits(return_X_y=True)
        >>> data = {"X_train": X[:1500], "y_train": y[:1500], "X_val": X[1500:], "y_val": y[1500:]}
        >>> solver = Solver(FullyConnected([50], 64, 10, random_state=0), data, verbose=False, random_state=0)
        >>> solver.train()
        >>> TrainingCurveDisplay.from_solver(solver)  # doctest: +SKIP
        """
        if not is_solver(solver):
            raise TypeError(f"solver must be a Solver of sklearn_dl.solver, got {solver!r:.80}.")
        display = cls(**curves_of_solver("solver", solver))
        return display.plot(ax, smoothing=smoothing, points_kw=points_kw, line_kw=line_kw, accuracy_kw=accuracy_kw)

    @classmethod
    def from_runs(cls, runs, *, labels=None, step=None, ax=None, smoothing=None, line_kw=None, accuracy_kw=None):
        """Draw several trainings in one picture, each in its colour.

        Parameters
        ----------
        runs : dict, or list
            Fitted nets, or what holds one (as in :meth:`from_estimator`); Solvers; histories, which are ``history_`` of
            a net, ``history`` of a Solver, or data frames made of these; or lists with the loss of each update. The
            keys of a dict are the labels.
        labels : list of str, default=None
            Labels of a list; by default 'run 1', 'run 2' and so on.
        step : {'update', 'epoch'}, default=None
            What losses are drawn over: each update's, or each epoch's mean. 'epoch' suits runs whose minibatches are of
            different sizes. By default 'update', unless there is a history, which has epochs only.
        ax : matplotlib Axes or pair of Axes, default=None
            Axes to draw on; see :meth:`plot`.
        smoothing : int, default=None
            Number of losses that the line averages over.
        line_kw, accuracy_kw : dict, default=None
            Keyword arguments for ``Axes.plot`` of the losses' lines and the accuracies.

        Returns
        -------
        display : TrainingCurveDisplay

        Raises
        ------
        TypeError
            If a run is none of these.
        ValueError
            If there are no runs, a run has no losses, `labels` do not fit them or are not distinct, `step` is 'update'
            and a run is a history, or 'epoch' and one is a list, or some runs are of classifiers, some of regressors.
        NotFittedError
            If an estimator is not fitted.

        Examples
        --------
        >>> from sklearn.datasets import load_digits
        >>> from sklearn_dl import TwoLayerNet
        >>> from sklearn_dl.inspection import TrainingCurveDisplay
        >>> X, y = load_digits(return_X_y=True)
        >>> net = TwoLayerNet(num_epochs=5, random_state=0)
        >>> runs = {rule: net.set_params(update_rule=rule).fit(X / 16, y).history_ for rule in ("sgd", "adam")}
        >>> display = TrainingCurveDisplay.from_runs(runs)  # doctest: +SKIP
        """
        runs = label_runs(runs, labels)
        if step is None:
            step = "epoch" if any(is_history(run) for _, run in runs.values()) else "update"
        check_choice("step", step, STEPS)
        curves = {label: curves_of(name, run, step) for label, (name, run) in runs.items()}
        columns = {
            name: {label: curve[name] for label, curve in curves.items() if name in curve} for name in ("loss", *PARTS)
        }
        scores = {curve["score_name"] for curve in curves.values() if "score_name" in curve}
        if len(scores) > 1:
            raise ValueError(f"runs must all have the same score, got {' and '.join(sorted(scores))}.")
        score_name = next(iter(scores), "accuracy")
        return cls(**columns, step=step, score_name=score_name).plot(
            ax, smoothing=smoothing, line_kw=line_kw, accuracy_kw=accuracy_kw
        )

    def plot(self, ax=None, *, smoothing=None, points_kw=None, line_kw=None, accuracy_kw=None):
        """Draw the curves.

        Parameters
        ----------
        ax : matplotlib Axes or pair of Axes, default=None
            Axes to draw on; a single one is divided in two if there are accuracies to show, and must be empty then. One
            that another display has, such as its `ax_`, stands for all of its axes. By default a new figure is made.
        smoothing : int, default=None
            Number of losses that the line averages over; by default a twentieth of a run's updates, or one epoch.
        points_kw, line_kw, accuracy_kw : dict, default=None
            Keyword arguments for ``Axes.plot`` of the dots (of a single run), the losses' lines, the accuracies.

        Returns
        -------
        display : TrainingCurveDisplay
            Itself.

        Raises
        ------
        ValueError
            If `ax` would have to be divided, and something is drawn on it.
        """
        plt = import_pyplot("TrainingCurveDisplay.plot")
        runs = self._runs()
        several = isinstance(self.loss, Mapping)
        windows = [_window(run, smoothing) for run in runs.values()]
        self._set_axes(plt, ax, divided=any(run.train_accuracy.size or run.val_accuracy.size for run in runs.values()))
        self.figure_ = self.ax_.figure
        self.val_loss_lines_, self.accuracy_lines_, self.best_points_ = [], [], []
        self.points_ = None if several else self._plot_points(runs[None], points_kw or {})
        styles = _styles_of_many(plt, runs) if several else [_style_of_one(runs[None], windows[0])]
        lines = [
            self._plot_run(run, window, style, line_kw or {}, accuracy_kw or {})
            for run, window, style in zip(runs.values(), windows, styles, strict=True)
        ]
        self.line_ = lines if several else lines[0]
        if several:
            self._explain_many(runs, styles, own_figure=ax is None)
        elif windows[0] > 1 or self.val_loss_lines_:
            points, *_ = self.ax_.legend().legend_handles
            points.set_markersize(8)
        self._label_axes()
        return self

    def _runs(self):
        """Return the runs by label, checked; a single one without a label."""
        check_choice("step", self.step, STEPS)
        if not isinstance(self.loss, Mapping):
            return {None: check_run(loss=self.loss, step=self.step, **{name: getattr(self, name) for name in PARTS})}
        if not self.loss:
            raise ValueError("loss must hold at least one run, got none.")
        for name, default in PARTS.items():
            value = getattr(self, name)
            if not isinstance(value, Mapping) and not (type(value) is type(default) and value == default):
                raise TypeError(f"{name} must be a dict, as loss is, got {value!r:.80}.")
            unknown = [label for label in value if label not in self.loss] if isinstance(value, Mapping) else ()
            if unknown:
                raise ValueError(f"{name} must have labels that loss has, {list(self.loss)}, got {unknown[0]!r}.")
        return {
            label: check_run(
                loss=loss,
                step=self.step,
                of=f"[{label!r}]",
                **{name: self._part(name, label) for name in PARTS},
            )
            for label, loss in self.loss.items()
        }

    def _part(self, name, label):
        value = getattr(self, name)
        return value.get(label, PARTS[name]) if isinstance(value, Mapping) else value

    # --------------------------------------------------------------- drawing

    def _plot_points(self, run, points_kw):
        many = _are_many(run)
        style = {"marker": ".", "linestyle": "none", "color": "C0", "rasterized": many}
        style |= {"markersize": 2 if many else 5, "alpha": 0.3 if many else 0.5}
        style["label"] = "minibatch" if self.step == "update" else "each epoch"
        shown = np.where(np.isfinite(run.loss), run.loss, np.nan)
        [points] = self.ax_.plot(run.steps, shown, **style | points_kw)
        return points

    def _plot_run(self, run, window, styles, line_kw, accuracy_kw):
        """Draw the lines of one run; return that of its losses."""
        [line] = self.ax_.plot(run.steps, run.smoothed(window), **styles["loss"] | line_kw)
        if run.val_loss.size:
            self.val_loss_lines_ += self.ax_.plot(run.val_steps, run.val_loss, **styles["val_loss"] | line_kw)
            self._mark_best(self.ax_, run, run.val_epochs, self.val_loss_lines_[-1])
        for name in ("train_accuracy", "val_accuracy"):
            curve = getattr(run, name)
            if curve.size:
                style = {"marker": "o" if curve.size <= 30 else None, "markersize": 4} | styles[name] | accuracy_kw
                self.accuracy_lines_ += self.accuracy_ax_.plot(run.epochs(curve), curve, **style)
        if run.val_accuracy.size:
            self._mark_best(self.accuracy_ax_, run, run.epochs(run.val_accuracy), self.accuracy_lines_[-1])
        return line

    def _mark_best(self, ax, run, epochs, line):
        """Mark the kept epoch on a curve of the validation set, if it is one of the curve's."""
        if run.best_epoch is None:
            return
        for place in np.flatnonzero(epochs == run.best_epoch):
            style = {"color": line.get_color(), "label": f"kept: epoch {run.best_epoch}", "zorder": 3}
            x, y = (values[place] for values in line.get_data())
            self.best_points_ += ax.plot(x, y, **STAR | style)

    def _explain_many(self, runs, styles, own_figure):
        """Give the axes of several runs their legends: a colour for each run, and what dashes and stars are."""
        from matplotlib.lines import Line2D

        names = [
            Line2D([], [], color=style["loss"]["color"], label=shorten(str(label), 30))
            for label, style in zip(runs, styles, strict=True)
        ]
        beside = own_figure and len(names) > MOST_IN_LEGEND
        kinds = [
            Line2D([], [], color="0.3", label="validation"),
            Line2D([], [], color="0.3", label="train", **DASHED),
        ]
        kept = [Line2D([], [], color="0.3", label="kept epoch", **STAR)]
        for ax, handles, both in (
            (self.ax_, [] if beside else names, bool(self.val_loss_lines_)),
            (self.accuracy_ax_, [], any("linestyle" in style["train_accuracy"] for style in styles)),
        ):
            marked = any(point.axes is ax for point in self.best_points_)
            handles = handles + (kinds if both else []) + (kept if marked else [])
            if handles:
                ax.legend(handles=handles, fontsize="small" if len(names) > MOST_IN_LEGEND else None)
        if beside:
            width, height = self.figure_.get_size_inches()
            self.figure_.set_size_inches(width + 2.5, max(height, 0.22 * len(names)))
            self.figure_.legend(handles=names, loc="outside right center", fontsize="small")

    def _label_axes(self):
        from matplotlib.ticker import MaxNLocator

        self.ax_.set(xlabel=self.step, ylabel="loss")
        lines = [self.line_, *self.val_loss_lines_] if self.points_ else [*self.line_, *self.val_loss_lines_]
        drawn = np.concatenate([line.get_ydata() for line in lines])
        drawn = drawn[np.isfinite(drawn)]
        if drawn.size and 0 < 30 * drawn.min() < drawn.max():
            self.ax_.set_yscale("log")  # a penalty that shrinks by orders of magnitude would flatten the rest
        self.ax_.xaxis.set_major_locator(MaxNLocator(**WHOLE))
        if self.accuracy_ax_ is not None:
            self.accuracy_ax_.xaxis.set_major_locator(MaxNLocator(**WHOLE))
            self.accuracy_ax_.set(xlabel="epoch", ylabel=self.score_name)
            if self.points_:
                self.accuracy_ax_.legend()

    def _set_axes(self, plt, ax, *, divided):
        self.bounding_ax_ = self.accuracy_ax_ = None
        if ax is None and divided:
            _, ax = plt.subplots(1, 2, figsize=(10, 4), layout="constrained")
        elif ax is None:
            _, ax = plt.subplots(layout="constrained")
        if isinstance(ax, list | tuple | np.ndarray):
            if len(ax) != 2:
                raise ValueError(f"ax must be one Axes or two, got {len(ax)}.")
            self.ax_ = check_axes(ax[0])
            self.accuracy_ax_ = check_axes(ax[1]) if divided else None
        elif _group_of(check_axes(ax)) is not None:
            self.ax_, accuracy_ax, self.bounding_ax_ = _group_of(ax)
            self.accuracy_ax_ = accuracy_ax if divided else None
        elif divided:
            self._divide(ax)
        else:
            self.ax_ = ax
        if self.accuracy_ax_ is not None:
            group = self.ax_, self.accuracy_ax_, self.bounding_ax_
            for member in filter(None, group):
                member._training_curve_axes = group

    def _divide(self, ax):
        if ax.has_data() or ax.child_axes:
            raise ValueError(
                "ax must be an empty Axes, which is divided in two, or a pair of Axes, for losses and accuracies;"
                " something is drawn on this one."
            )
        self.bounding_ax_ = ax
        ax.set_axis_off()
        inches = ax.get_window_extent().width / ax.figure.dpi
        width = 0.5 - min(0.25, 0.4 / inches)  # between them, room for the labels of one
        self.ax_ = ax.inset_axes([0, 0, width, 1])
        self.accuracy_ax_ = ax.inset_axes([1 - width, 0, width, 1])


def _group_of(ax):
    """Return the axes (loss, accuracies, bounding) of a display that one of them belongs to, None if there are none."""
    group = getattr(ax, "_training_curve_axes", None)
    was_cleared = group is not None and ax is group[2] and group[0] not in ax.child_axes
    return None if was_cleared else group


def _are_many(run):
    return run.loss.size > 500


def _window(run, smoothing):
    """Return how many losses the line of a run averages over."""
    if smoothing is None:
        return max(1, run.loss.size // 20) if run.step == "update" else 1
    return check_int("smoothing", smoothing, low=1)


def _style_of_one(run, window):
    """Return how the lines of a single run are drawn."""
    label = "train" if run.step == "epoch" and window == 1 else f"mean of {window}"
    return {
        "loss": {"color": "C3", "linewidth": 1.8, "label": label},
        "val_loss": {"color": "C1", "linewidth": 1.8, "label": "validation"},
        "train_accuracy": {"label": "train"},
        "val_accuracy": {"label": "validation"},
    }


def _styles_of_many(plt, runs):
    """Return how the lines of each run are drawn: in its colour, dashed for training where there is validation, too."""
    both = any(run.val_loss.size for run in runs.values())
    both_accuracies = all(
        any(getattr(run, name).size for run in runs.values()) for name in ("train_accuracy", "val_accuracy")
    )
    return [
        {
            "loss": {"color": color, "linewidth": 1.5} | (DASHED if both else {}),
            "val_loss": {"color": color, "linewidth": 1.5},
            "train_accuracy": {"color": color, "marker": None} | (DASHED if both_accuracies else {}),
            "val_accuracy": {"color": color, "marker": None},
        }
        for color in _colors(plt, len(runs))
    ]


def _colors(plt, n):
    return [f"C{i}" for i in range(n)] if n <= 10 else list(plt.get_cmap("turbo")(np.linspace(0.05, 0.95, n)))
