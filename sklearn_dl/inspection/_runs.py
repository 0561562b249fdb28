"""The numbers of a training, taken from a net, a Solver or a history."""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from sklearn_dl._checks import check_int
from sklearn_dl.inspection._axes import check_names
from sklearn_dl.inspection._nets import find_net
from sklearn_dl.training.state import SHORT_NAMES

# How axes call the scores that histories may have.
SCORES = {"accuracy": "accuracy", "r2": "R²"}
SOLVER = ("loss_history", "train_acc_history", "val_acc_history")
A_RUN = (
    "a fitted net, an estimator that holds one, a Solver, a history with a column 'loss', or a list with the loss of"
    " each update"
)


@dataclass(frozen=True)
class Run:
    """The numbers of one training.

    Parameters
    ----------
    loss : ndarray of shape (n_losses,)
        Of each update or, with ``step='epoch'``, of each epoch from `first_epoch` on.
    train_accuracy, val_accuracy, val_loss : ndarray of shape (n_epochs,)
        Empty if there is none. The former two are of R² where that is the score.
    first_epoch : int
        Epoch of the first accuracy.
    best_epoch : int or None
        Epoch whose weights were kept.
    step : {'update', 'epoch'}
    """

    loss: np.ndarray
    train_accuracy: np.ndarray
    val_accuracy: np.ndarray
    val_loss: np.ndarray
    first_epoch: int
    best_epoch: int | None
    step: str

    @property
    def steps(self):
        """Where the losses are drawn."""
        return (1 if self.step == "update" else self.first_epoch) + np.arange(self.loss.size)

    @property
    def val_steps(self):
        """Where the validation losses are drawn: evenly over the updates, or each at its epoch."""
        if self.step == "epoch":
            return self.val_epochs
        return np.arange(1, self.val_loss.size + 1) * (self.loss.size / max(1, self.val_loss.size))

    @property
    def val_epochs(self):
        """Epochs of the validation losses. Beside updates they end with the accuracies, which may begin earlier."""
        first = self.first_epoch
        if self.step == "update":
            first += max(1, self.train_accuracy.size - self.val_loss.size, self.val_accuracy.size - self.val_loss.size)
        return first + np.arange(self.val_loss.size)

    def epochs(self, accuracies):
        """Return the epochs of accuracies."""
        return self.first_epoch + np.arange(accuracies.size)

    def smoothed(self, window):
        """Return the mean of the finite losses in a window around each; at the ends, of those that there are."""
        finite = np.isfinite(self.loss)
        total = _window_sums(np.where(finite, self.loss, 0.0), window)
        n = _window_sums(finite.astype(np.float64), window)
        return np.where(n > 0, total / np.maximum(n, 1), np.nan)


def _window_sums(values, window):
    """Return the sum of a window around each value, in time that does not depend on the window.

    A window is the end of one block and the beginning of the next, of its own length: two running sums that hold
    nothing from outside of it. Rejected: differences of one running sum, in which small losses after a huge one
    are rounded away.
    """
    window = min(window, 2 * values.size)
    blocks = np.zeros((-(-(values.size + window) // window), window))
    left = (window - 1) // 2
    blocks.ravel()[left : left + values.size] = values
    with np.errstate(over="ignore"):
        heads = blocks.cumsum(axis=1).ravel()
        tails = blocks[:, ::-1].cumsum(axis=1)[:, ::-1].ravel()
        first = np.arange(values.size)
        last = heads[first + window - 1]
        return np.where(first % window, tails[first] + last, last)


def check_run(*, loss, train_accuracy, val_accuracy, val_loss, first_epoch, best_epoch, step, of=""):
    """Return a Run of what a user gave; `of` names the run in errors."""
    checked = _check_curve(f"loss{of}", loss)
    if checked.size == 0:
        raise ValueError(f"loss{of} must hold at least one {step}, got none.")
    curves = {"train_accuracy": train_accuracy, "val_accuracy": val_accuracy, "val_loss": val_loss}
    curves = {name: _check_curve(f"{name}{of}", curve) for name, curve in curves.items()}
    empty = np.empty(0)
    return Run(
        loss=checked,
        first_epoch=check_int(f"first_epoch{of}", first_epoch, low=0),
        best_epoch=None if best_epoch is None else check_int(f"best_epoch{of}", best_epoch, low=0),
        step=step,
        # A history without a validation set has columns of nan.
        **{name: curve if np.isfinite(curve).any() else empty for name, curve in curves.items()},
    )


def _check_curve(name, values):
    try:
        curve = np.asarray(values, dtype=np.float64)
    except (TypeError, ValueError) as error:
        raise TypeError(f"{name} must be a list of numbers, got {values!r:.80}.") from error
    if curve.ndim != 1:
        raise ValueError(f"{name} must be 1-D, got shape {curve.shape}.")
    return curve


# From what holds them ---------------------------------------------------------------------------


def label_runs(runs, labels):
    """Return runs by label, each with a name for errors."""
    if isinstance(runs, Mapping):
        if labels is not None:
            raise ValueError("labels must be None where runs is a dict, whose keys are the labels.")
        labels, places, runs = list(runs), list(runs), list(runs.values())
    elif isinstance(runs, (list, tuple)):
        places = range(len(runs))
        labels = [f"run {i + 1}" for i in places] if labels is None else labels
    else:
        raise TypeError(f"runs must be a dict or a list, got {runs!r:.80}.")
    if not runs:
        raise ValueError("runs must hold at least one run, got none.")
    labels = check_names("labels", labels, len(runs), of="run")
    if len(set(labels)) < len(labels):
        raise ValueError(f"labels must be distinct, got {labels}.")
    names = [f"runs[{place!r}]" for place in places]
    return dict(zip(labels, zip(names, runs, strict=True), strict=True))


def is_solver(value):
    """Return whether a value has the histories of a Solver."""
    return all(hasattr(value, name) for name in SOLVER)


def is_history(value):
    """Return whether a value is a table with a row for each epoch: a dict of lists, or a data frame."""
    return isinstance(value, Mapping) or hasattr(value, "columns")


def curves_of(name, run, step):
    """Return the constructor's arguments, but for `step`, of anything that can be a run."""
    if is_history(run):
        if step == "update":
            raise ValueError(f"step must be 'epoch' or None: {name} is a history, which has a row for each epoch.")
        return _curves_of_history(name, run)
    if is_solver(run):
        return curves_of_solver(name, run, step)
    if isinstance(run, (list, tuple, np.ndarray)):
        if step == "epoch":
            raise ValueError(f"step must be 'update' or None: {name} is a list with the loss of each update.")
        return {"loss": _check_curve(name, run)}
    try:
        net = find_net(run, name)
    except TypeError as error:
        raise TypeError(f"{name} must be {A_RUN}, got {run!r:.80}.") from error
    return curves_of_net(net, step)


def curves_of_net(net, step="update"):
    """Return the constructor's arguments, but for `step`, of a fitted net."""
    best_epoch = getattr(net, "best_epoch_", None)
    if step == "epoch":
        return {**_curves_of_history("estimator", net.history_), "best_epoch": best_epoch}
    score = _score_of(net.history_)
    short = SHORT_NAMES.get(score, score)
    histories = (net.loss_history_, *(getattr(net, f"{part}_{short}_history_") for part in ("train", "val")))
    return _curves_of_updates(*histories, net.history_, best_epoch)


def curves_of_solver(name, solver, step="update"):
    """Return the constructor's arguments, but for `step`, of a Solver."""
    if not solver.loss_history:
        raise ValueError(f"{name} holds no losses yet: call its train first.")
    best_epoch = getattr(solver, "best_epoch", None)
    if step == "epoch":
        return {**_curves_of_history(name, solver.history), "best_epoch": best_epoch}
    histories = (getattr(solver, history) for history in SOLVER)
    return _curves_of_updates(*histories, getattr(solver, "history", {}), best_epoch)


def _score_of(history):
    """Return what a history calls its score."""
    return next((name for name in SCORES if f"train_{name}" in history), "accuracy")


def _curves_of_updates(loss, train_accuracy, val_accuracy, history, best_epoch):
    return {
        "loss": list(loss),
        "train_accuracy": list(train_accuracy),
        "val_accuracy": list(val_accuracy),
        "score_name": SCORES[_score_of(history)],
        "val_loss": list(history.get("val_loss", ())),
        "best_epoch": best_epoch,
    }


def _curves_of_history(name, history):
    if "loss" not in history:
        raise TypeError(f"{name} must be {A_RUN}, got {history!r:.80}.")
    score = _score_of(history)
    columns = {
        "loss": "loss",
        "train_accuracy": f"train_{score}",
        "val_accuracy": f"val_{score}",
        "val_loss": "val_loss",
    }
    curves = {name: list(history[column]) for name, column in columns.items() if column in history}
    if not curves["loss"]:
        raise ValueError(f"{name} has no epoch yet.")
    first_epoch = int(history["epoch"][0]) if "epoch" in history else 1
    return {**curves, "score_name": SCORES[score], "first_epoch": first_epoch}
