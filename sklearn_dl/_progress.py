"""Progress of a fit, as `verbose` asks for it: a bar where one can be drawn, lines elsewhere.

A bar needs tqdm, which is optional, and a terminal or notebook that is this process's own. Fits of a search show
nothing: in parallel, they would draw over each other.
"""

import multiprocessing
import sys
import time
from datetime import timedelta

from joblib.parallel import get_active_backend

from sklearn_dl.solver import Watcher
from sklearn_dl.training.state import SHORT_NAMES

# Updates from one line of verbose=2 to the next.
UPDATES_PER_LINE = 10


def make_displays(verbose, *, alone, may_draw):
    """Return what shows a fit's progress.

    Parameters
    ----------
    verbose : int
        The estimator's parameter.
    alone : bool
        False if other fits stand beside this one.
    may_draw : bool
        False if the bar must not be drawn, whatever the terminal can do.

    Returns
    -------
    displays : list of Watcher
        At most one.
    """
    if verbose == 0 or (verbose == 1 and not alone):
        return []
    if verbose == 1 and may_draw and _can_draw():
        try:
            from tqdm.auto import tqdm
        except ImportError:
            pass
        else:
            return [Bar(tqdm)]
    return [Lines(every=UPDATES_PER_LINE if verbose > 1 else 0)]


def in_joblib_worker():
    """Return whether this is a worker, thread or process, of joblib."""
    return bool(get_active_backend()[0].nesting_level)


def _can_draw():
    if multiprocessing.parent_process() is not None:
        return False  # the terminal is shared with the parent and its other children
    return _in_notebook() or (sys.stderr is not None and sys.stderr.isatty())


def _in_notebook():
    ipython = sys.modules.get("IPython")
    shell = None if ipython is None else ipython.get_ipython()
    return shell is not None and "IPKernelApp" in shell.config


def _scores(solver):
    """Return the latest scores by name."""
    score = solver.trainee.head.score_name
    name = SHORT_NAMES.get(score, score)
    found = {f"train {name}": solver.train_acc_history[-1]}
    if solver.validates:
        found[f"val_{name}"] = solver.val_acc_history[-1]
    return found


def _reason(solver):
    """Say why training ended."""
    watched = f"validation {solver.monitor}" if solver.early_stopping else "training loss"
    tol = 0.0 if solver.tol is None else solver.tol
    return {
        "num_epochs": "all epochs are done",
        "num_iters": "all updates are done",
        "no_improvement": f"the {watched} did not improve by more than tol={tol:g} for {solver.patience} epochs",
        "converged": f"no element of the gradient is larger than tol={tol:g}",
        "stopped": "a callback asked for it",
        "interrupted": "it was interrupted",
    }[solver.stop_reason]


def _ending(solver):
    """Say why training ended, and which epoch's weights the net has."""
    line = f"Training ended after epoch {solver.epoch}: {_reason(solver)}."
    if solver.best_epoch is not None:
        line += f" Kept the weights of epoch {solver.best_epoch}, the best by validation {solver.monitor}."
    return line


class Lines(Watcher):
    """A line for each epoch, for every so many updates, and for the end.

    Parameters
    ----------
    every : int
        Updates from one line to the next; 0 for epochs only.
    """

    def __init__(self, every):
        self.every = every

    @property
    def each_update(self):
        """Whether lines are drawn between epochs."""
        return self.every > 0

    def on_train_begin(self, solver):
        """Print the scores before training."""
        self._began = time.perf_counter()
        self._updates_before = solver.num_updates
        self._last_update = solver.num_updates + solver.remaining()[1]
        if solver.epoch == 0:
            self._print_epoch(solver, {})

    def on_update(self, solver):
        """Print the loss of every so many-th update."""
        if self.every and (solver.num_updates - 1) % self.every == 0:
            line = f"(Iteration {solver.num_updates}/{self._last_update}) loss: {solver.loss_history[-1]:f}"
            print(line, flush=True)

    def on_epoch_end(self, solver):
        """Print loss, scores and the time left."""
        self._print_epoch(solver, {"loss": solver.history["loss"][-1]})

    def on_train_end(self, solver):
        """Print why training ended; not for each call of partial_fit."""
        if solver.state.schedule_length is None:
            print(_ending(solver), flush=True)

    def _print_epoch(self, solver, numbers):
        epochs, updates = solver.remaining()
        line = "; ".join(f"{name}: {value:f}" for name, value in {**numbers, **_scores(solver)}.items())
        done = solver.num_updates - self._updates_before
        seconds = round((time.perf_counter() - self._began) / done * updates) if done else 0
        if seconds:
            line += f"; at most {timedelta(seconds=seconds)} left"
        print(f"(Epoch {solver.epoch}/{solver.epoch + epochs}) {line}", flush=True)


class Bar(Watcher):
    """A bar that moves with each update, and below it a line where it does not tell the end.

    Parameters
    ----------
    tqdm : type
        Draws it.
    """

    each_update = False

    def __init__(self, tqdm):
        self._tqdm = tqdm
        self._bar = None

    def on_train_begin(self, solver):
        """Draw the bar, empty."""
        self._solver = solver
        epochs, updates = solver.remaining()
        self._last_epoch = solver.epoch + epochs
        self._shown = solver.num_updates
        self._bar = self._tqdm(total=updates, unit=" updates", dynamic_ncols=True)
        self._show_numbers(solver, {})

    def on_epoch_begin(self, solver):
        """Show which epoch it is."""
        self._bar.set_description_str(f"Epoch {solver.epoch + 1}/{self._last_epoch}", refresh=False)

    def on_update(self, solver):
        """Move on, by one update or several."""
        self._bar.update(solver.num_updates - self._shown)
        self._shown = solver.num_updates

    def on_epoch_end(self, solver):
        """Show loss and scores."""
        self._show_numbers(solver, {"loss": solver.history["loss"][-1]})

    def _show_numbers(self, solver, numbers):
        numbers = {**numbers, **_scores(solver)}
        text = ", ".join(f"{name} {value:.3f}" for name, value in numbers.items())
        self._bar.set_postfix_str(text, refresh=False)

    def close(self):
        """Fill the bar of a training that ended early; after an error, leave it as it is."""
        if self._bar is None:
            return
        solver = self._solver
        early = self._bar.n < self._bar.total
        if solver.stop_reason is not None and early:
            self._bar.total = self._bar.n
        self._bar.close()
        if solver.stop_reason is not None and (early or solver.best_epoch is not None):
            print(_ending(solver), file=self._bar.fp, flush=True)
