"""Training by L-BFGS: SciPy's, on the loss of all samples at once.

An iteration of it is an epoch of one update. SciPy has the loop, and calls back: for the loss at some weights, of which
a line search may need several, and after each iteration, which is then recorded, shown and judged as any other epoch.
"""

import math
import time
from contextlib import suppress

import numpy as np

from sklearn_dl import _ext
from sklearn_dl._threads import n_threads
from sklearn_dl.training._program import are_same, has_recordable_gradients, ingredients
from sklearn_dl.training.batches import batches
from sklearn_dl.training.overflow import divergence

# Samples in one forward and backward pass: as many as this many values of X, within bounds.
BATCH_VALUES = 2**20
BATCH_BOUNDS = 256, 1024

# SciPy's own limit, which MLPClassifier has, too: where the loss falls by a smaller share, training is over. At the
# kink of a relu, the gradient is never small, but no step is a good one. A smaller `tol` has a smaller limit: near a
# minimum, the loss goes by the square of the gradient.
SAME_LOSS = 2.2e-9


def train(solver, tuner):
    """Train a solver's net.

    Parameters
    ----------
    solver : Solver
    tuner : ThreadTuner

    Returns
    -------
    reason : str
        Why training is over, see `Solver.stop_reason`.
    """
    return solver._reason_to_stop() or _Training(solver, tuner).run()


class _Ended(Exception):
    """Leaves SciPy's loop."""


class _Training:
    """Makes iterations.

    Parameters
    ----------
    solver : Solver
    tuner : ThreadTuner
    """

    def __init__(self, solver, tuner):
        self._solver, self._tuner = solver, tuner
        self._objective = Objective(solver)
        self._in_epoch = False
        self._at = self._loss = self._gradient = None  # of the last evaluation
        self._best = None  # the three, as the last iteration left them

    def run(self):
        """Minimize; return why it is over."""
        from scipy.optimize import minimize  # takes longer to import than this package

        solver = self._solver
        tol = solver.tol if solver.watches_gradient else 0.0
        options = {"gtol": tol, "ftol": min(SAME_LOSS, tol**2), "maxfun": 2**31 - 1, "maxiter": 2**31 - 1}
        try:
            minimize(
                self._evaluate,
                self._objective.point(),
                jac=True,
                method="L-BFGS-B",
                callback=self._end_iteration,
                options=options,
            )
        except _Ended:
            reason = solver._reason_to_stop()
        else:
            reason = "converged" if np.abs(self._best[2]).max() <= tol else "no_improvement"
        self._leave()
        return reason

    def _evaluate(self, point):
        """Return loss and gradient."""
        solver = self._solver
        if solver._stopping:
            raise _Ended
        if not self._in_epoch:
            solver._begin_epoch()
            self._in_epoch = True
        began = time.perf_counter()
        self._at = None  # unless the evaluation comes to its end
        self._loss, self._gradient = self._objective(point)
        self._at = point.copy()
        self._tuner.note(began, len(solver.train_samples))
        if self._best is None:
            if not math.isfinite(self._loss):
                self._record(self._loss)  # raises the error
            if not math.isfinite(self._gradient @ self._gradient):
                raise divergence(solver, "The gradient's norm is not finite", solver.updates_before)
            self._best = self._at, self._loss, self._gradient
        return self._loss, self._gradient

    def _end_iteration(self, point):
        """End the epoch at a point, that of the last evaluation."""
        if not np.array_equal(point, self._at):
            self._evaluate(point)
        self._best = self._at, self._loss, self._gradient
        self._end_epoch()

    def _end_epoch(self, *, whole=True):
        solver = self._solver
        self._in_epoch, solver._at_whole_epoch = False, whole
        self._record(self._best[1])
        for watcher in solver.watchers:
            watcher.on_update(solver)
        solver._end_epoch(self._best[1])
        if solver._reason_to_stop():
            raise _Ended

    def _record(self, loss):
        solver = self._solver
        solver._squares = None
        solver.learning_rate_history.append(math.nan)
        solver._record_losses([loss])

    def _leave(self):
        """Leave the weights of the last iteration, and no epoch open, but one that nothing has come of."""
        solver = self._solver
        if self._best is None:  # stopped in the first evaluation, at the weights that the net had
            return
        if self._at is not self._best[0]:
            self._objective.put(self._best[0])
        if self._in_epoch and not (solver._stopping and solver.num_updates == solver.updates_before):
            with suppress(_Ended):
                self._end_epoch(whole=not solver._stopping)


class Objective:
    """The loss of all samples, penalty included, and its gradient, as functions of all parameters in one vector.

    Parameters
    ----------
    solver : Solver
    """

    def __init__(self, solver):
        self._solver = solver
        net = solver.net
        penalized = list(solver.trainee.penalized)
        self._names = [*penalized, *(name for name in net.params if name not in penalized)]
        ends = np.cumsum([net.params[name].size for name in self._names])
        self._slices = [slice(end - net.params[name].size, end) for name, end in zip(self._names, ends, strict=True)]
        self._penalized = slice(0, sum(net.params[name].size for name in penalized))
        self._reg = solver.trainee.reg if penalized else 0.0
        self._size = int(ends[-1])
        samples = solver.train_samples
        low, high = BATCH_BOUNDS
        size = max(low, min(high, BATCH_VALUES // samples.X.shape[1]))
        if solver.trainee.through_loss:  # which may divide by what it likes
            size = len(samples)
        self._batches = [samples.rows[part] for part in batches(len(samples), size)]
        self._recorded = RecordedGradients(solver) if has_recordable_gradients(solver) else None

    def point(self):
        """Return the parameters as a vector."""
        return self._join(self._solver.net.params)

    def put(self, point):
        """Write a vector to the parameters."""
        params = self._solver.net.params
        for name, place in zip(self._names, self._slices, strict=True):
            params[name].reshape(-1)[:] = point[place]

    def __call__(self, point):
        """Return the loss, and its gradient in a new vector; raise _Ended if the solver was stopped."""
        self.put(point)
        solver = self._solver
        if solver.trainee.through_loss:
            X, y, weight = solver.train_samples.gather(self._batches[0])
            loss, grads = solver.net.loss(X, y) if weight is None else solver.net.loss(X, y, sample_weight=weight)
            return float(loss), self._join(grads)
        loss, gradient = 0.0, None
        for rows in self._batches:
            if solver._stopping:  # a long evaluation is left at once
                raise _Ended
            part, grads = self._gradients(rows)
            grads = self._join(grads)
            if len(self._batches) > 1:
                share = len(rows) / len(solver.train_samples)
                part, grads = part * share, np.multiply(grads, share, out=grads)
            loss += part
            gradient = grads if gradient is None else np.add(gradient, grads, out=gradient)
        if self._reg:
            weights = point[self._penalized]
            loss += 0.5 * self._reg * float(weights @ weights)
            gradient[self._penalized] += self._reg * weights
        return loss, gradient

    def _gradients(self, rows):
        return self._solver._gradients(rows) if self._recorded is None else self._recorded(rows)

    def _join(self, arrays):
        """Return arrays as one vector."""
        joined = np.empty(self._size)
        np.concatenate([arrays[name].reshape(-1) for name in self._names], out=joined)
        return joined


class RecordedGradients:
    """Loss and gradients of minibatches; for the second of a size, what the first has called is called again.

    Parameters
    ----------
    solver : Solver
        One that `has_recordable_gradients`.
    """

    def __init__(self, solver):
        self._solver = solver
        self._programs = {}  # of each size, with the gradients and what it was recorded with
        self._loss = np.empty((1, 1))

    def __call__(self, rows):
        """Return what the solver's ``_gradients(rows)`` does."""
        solver = self._solver
        program, grads, recorded_with = self._programs.get(len(rows), (None, None, None))
        # Nothing but a watcher can change them while training.
        if program is None or (solver.watchers and not are_same(self._ingredients(), recorded_with)):
            return self._record(rows)
        program.run(rows, self._loss, n_threads=n_threads())
        return float(self._loss[0, 0]), grads

    def _ingredients(self):
        return ingredients(self._solver.net, self._solver.train_samples)

    def _record(self, rows):
        solver = self._solver
        program = _ext.Program()
        with program:
            loss, grads = solver._gradients(rows)
        if not program.spoiled:
            program.finish(rows)
            self._programs[len(rows)] = program, grads, self._ingredients()
        return loss, grads
