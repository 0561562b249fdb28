"""Epochs without Python: of the minibatches of a size, the first runs step by step while its kernel calls are recorded.

The record is then replayed in compiled code, without the GIL, for the others, in training and in evaluation. Every few
hundredths of a second Python looks at what may have happened meanwhile: Ctrl-C, other threads, a watcher that shows
progress. To the last bit, the results are those of the step-by-step run, which stays for all that is Python: layers,
augmentation, losses and update rules that are not the library's, and watchers of each update.
"""

import operator
import os

import numpy as np

from sklearn_dl import _ext, optim
from sklearn_dl._threads import n_threads
from sklearn_dl.nets.net import Net, predicts_through_loss, trains_on_softmax
from sklearn_dl.training.evaluation import Evaluator

# SKLEARN_DL_RECORD=0 has all training run step by step, to compare.
enabled = os.environ.get("SKLEARN_DL_RECORD", "1") != "0"

# Seconds without Python at most.
CHUNK = 0.025

# What a step calls: a subclass's, or one put in the place of the library's, may do more than a recording knows.
_OF_SOLVER = ("_step", "_gradients", "_update", "_record_losses")
_OF_NET = ("backprop", "_backprop", "penalty", "_forward", "_linear_backprop")
_OF_NET_IN_EVALUATION = ("loss", "scores", "_forward", "_check_X")
_OF_LAYER = ("forward", "backward")


class RecordedSteps:
    """Makes a solver's updates by recordings of them.

    Parameters
    ----------
    solver : Solver
        One that `can_stand_for` accepts.
    """

    def __init__(self, solver):
        self._solver = solver
        self._programs = {}  # of each minibatch size, with what it was recorded with
        names = solver.net.weight_names
        self._names = [*names, *(name for name in solver.net.params if name not in names)]  # those with a penalty first
        self._squares = np.zeros(len(self._names))
        self._spoiled = False

    @staticmethod
    def can_stand_for(solver):
        """Return whether the solver's updates are the library's own code from one end to the other."""
        rule = optim.UPDATE_RULES[solver.update_rule]
        return (
            has_recordable_gradients(solver)
            and not any(watcher.each_update for watcher in solver.watchers)
            and rule.recordable
            and optim.in_place[solver.update_rule] == rule.step_in_place
        )

    def run(self, rows, rates):
        """Make at least one update.

        Parameters
        ----------
        rows : ndarray of intp
            The rows of the minibatches left in this epoch, one after the other.
        rates : ndarray of float64
            The learning rate of each.
        """
        size = min(self._solver.batch_size, len(rows))
        program = self._recorded(size)
        if program is None:
            self._record(rows[:size], float(rates[0]))
        else:
            self._replay(program, rows, rates[: len(rows) // size])

    def _recorded(self, size):
        """Return the program for minibatches of this size, unless there is none that still holds."""
        program, recorded_with = self._programs.get(size, (None, None))
        if program is None or self._spoiled or len(self._counts()) > 1:
            return None
        # Nothing but a watcher can change them while training.
        if not self._solver.watchers or are_same(self._ingredients(), recorded_with):
            return program
        self._spoiled = not self.can_stand_for(self._solver)
        return None

    def _ingredients(self):
        """Return the objects that a recording was made with, or that say what it holds."""
        solver = self._solver
        found = [solver.update_rule, *ingredients(solver.net, solver._train)]
        for config in solver.optim_configs.values():
            found += [value for name, value in config.items() if name not in ("learning_rate", "t")]
        return found

    def _counts(self):
        """Return the numbers of updates that parameters have had, where the rule counts them."""
        return {config.get("t") for config in self._solver.optim_configs.values()} if self._rule_counts() else set()

    def _rule_counts(self):
        return optim.UPDATE_RULES[self._solver.update_rule].counts

    def _record(self, rows, rate):
        solver = self._solver
        solver._begin_update(rate)
        if self._spoiled:
            solver._step(rows)
            return
        program = _ext.Program()
        solver._step(rows, program)
        self._spoiled = program.spoiled
        if not self._spoiled:
            params = [solver.net.params[name] for name in self._names]
            program.finish(rows, params, self._squares, len(solver.net.weight_names))
            self._programs[len(rows)] = program, self._ingredients()

    def _replay(self, program, rows, rates):
        solver = self._solver
        count = next(iter(self._counts()), 0)
        penalized = self._current_squares()
        self._squares[: len(penalized)] = penalized
        losses = np.empty((1, len(rates)))
        done, finite = program.run(rows, losses, rates, count + 1, solver.penalty_strength, CHUNK, n_threads())
        counts = self._rule_counts()
        for config in solver.optim_configs.values():
            config["learning_rate"] = float(rates[done - 1])
            if counts:
                config["t"] += done if finite else done - 1
        if not solver.watchers:
            solver._squares = dict(zip(self._names, self._squares.tolist(), strict=True))
        solver.learning_rate_history.extend(rates[:done].tolist())
        solver._record_losses(losses[0, :done].tolist())

    def _current_squares(self):
        """Return the sum of squares of each weight, if the penalty is made of them."""
        solver = self._solver
        names = solver.net.weight_names
        if solver.penalty_strength == 0:
            return [0.0] * len(names)
        if solver._squares is not None:
            return [solver._squares[name] for name in names]
        return [_ext.sum_of_squares(solver.net.params[name], n_threads()) for name in names]


def has_recordable_gradients(solver):
    """Return whether a solver's loss and gradients are the library's own code from one end to the other."""
    return (
        _is_recordable_net(solver.net, _OF_NET)
        and trains_on_softmax(solver.net)
        and not (solver.through_loss or solver.augmentation)
        and all(is_own(solver, name) for name in _OF_SOLVER)
    )


class RecordedEvaluator(Evaluator):
    """An `Evaluator` of a net that `can_evaluate` accepts; it replays recordings."""

    def __init__(self, net, samples, *, with_loss):
        super().__init__(net, samples, with_loss=with_loss)
        self._work = net.workspace()
        self._programs = {}  # of each batch size
        self._recorded_with = []
        self._spoiled = False

    @staticmethod
    def can_evaluate(net):
        """Return whether the net's scores are the library's own code from one end to the other."""
        return _is_recordable_net(net, _OF_NET_IN_EVALUATION) and not predicts_through_loss(net)

    def _scores(self, X):
        return self.net.scores(self.net._check_X(X), self._work)

    def _numbers(self, rows, batch_size):
        now = ingredients(self.net, self.samples)
        if not are_same(now, self._recorded_with):
            self._programs, self._recorded_with = {}, now
            self._spoiled = not self.can_evaluate(self.net)
        done = 0
        while done < len(rows):
            size = min(batch_size, len(rows) - done)
            if size in self._programs:
                numbers = self._replay(self._programs[size], rows[done:], (len(rows) - done) // size)
            else:
                numbers = [self._record(rows[done : done + size])]
            yield from numbers
            done += size * len(numbers)

    def _record(self, rows):
        if self._spoiled:
            return self._batch(rows)
        program = _ext.Program()
        with program:
            numbers = self._batch(rows)
        self._spoiled = program.spoiled
        if not self._spoiled:
            program.finish(rows)
            self._programs[len(rows)] = program
        return numbers

    def _replay(self, program, rows, count):
        numbers = np.empty((program.n_numbers, count))
        done, _ = program.run(rows, numbers, seconds=CHUNK, n_threads=n_threads())
        return numbers[:, :done].T.tolist()


def make_evaluator(net, samples, *, with_loss):
    """Return the `Evaluator` that is fastest for a net."""
    kind = RecordedEvaluator if RecordedEvaluator.can_evaluate(net) else Evaluator
    return kind(net, samples, with_loss=with_loss)


def ingredients(net, samples):
    """Return the objects that a recording of a net on samples was made with."""
    found = [*vars(samples).values(), *vars(net).values(), *net.params.values(), *net.statistics.values()]
    for layer in net._steps:
        found += vars(layer).values()
    # `numpy.random.set_bit_generator` exchanges what the global generator draws from.
    found += [thing._bit_generator for thing in found if isinstance(thing, np.random.RandomState)]
    return found


def are_same(objects, others):
    """Return whether two lists hold the same objects."""
    return len(objects) == len(others) and all(map(operator.is_, objects, others))


def _is_recordable_net(net, methods):
    """Return whether these methods and all layers of a net are the library's, which leave arithmetic to kernels."""
    return (
        enabled
        and isinstance(net, Net)
        and all(is_own(net, name) for name in methods)
        and all(_is_recordable(layer) for layer in net._steps)
    )


def _is_library_function(function):
    module = getattr(function, "__module__", None) or ""
    return module.startswith("sklearn_dl.") and not hasattr(function, "__wrapped__")


def is_own(thing, name):
    """Return whether a method is the library's, not a subclass's or one that was put in its place."""
    return name not in vars(thing) and _is_library_function(getattr(type(thing), name))


def _is_recordable(layer):
    return vars(type(layer)).get("recordable", False) and all(is_own(layer, name) for name in _OF_LAYER)
