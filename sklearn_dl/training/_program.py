"""Epochs without Python: of the minibatches of a size, the first runs step by step while its kernel calls are recorded.

The record is then replayed in compiled code, without the GIL, for the others, in training and in evaluation; short
epochs several at once, shuffling, evaluations and the choice of the best included. Every few hundredths of a second
Python looks at what may have happened meanwhile: Ctrl-C, other threads, a watcher that shows
progress. To the last bit, the results are those of the step-by-step run, which stays for all that is Python: layers,
augmentation, losses and update rules that are not the library's, and watchers of each update.
"""

import operator
import os

import numpy as np

from sklearn_dl import _ext, optim
from sklearn_dl._threads import n_threads
from sklearn_dl.nets.net import Net, predicts_through_loss, trains_on_head
from sklearn_dl.training._epochs import CHUNK, RecordedEpochs
from sklearn_dl.training.evaluation import EVALUATION_BATCH, Evaluator
from sklearn_dl.training.trainee import is_own

# SKLEARN_DL_RECORD=0 has all training run step by step, to compare.
enabled = os.environ.get("SKLEARN_DL_RECORD", "1") != "0"

# What a step calls: a subclass's, or one put in the place of the library's, may do more than a recording knows.
_OF_SOLVER = ("_step", "_gradients", "_update", "_record_losses")
_OF_EPOCHS = (
    "_run_epoch",
    "_epoch_rows",
    "_learning_rates",
    "_end_epoch",
    "_evaluate",
    "_score",
    "_keep_best",
    "_watch",
)
_OF_NET = ("backprop", "_backprop", "penalty", "_forward", "_linear_backprop")
_OF_NET_IN_EVALUATION = ("loss", "scores", "_forward", "_check_X")
_OF_LAYER = ("forward", "backward")
_OF_HEAD = ("loss", "judge")


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
        names = solver.trainee.penalized
        self._names = [*names, *(name for name in solver.net.params if name not in names)]  # those with a penalty first
        self._squares = np.zeros(len(self._names))
        self._spoiled = False
        self._epochs = None

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
            program.finish(rows, params, self._squares, len(solver.trainee.penalized))
            self._programs[len(rows)] = program, self._ingredients()

    def _replay(self, program, rows, rates):
        solver = self._solver
        count = self.begin_replay()
        losses = np.empty((1, len(rates)))
        done, finite = program.run(rows, losses, rates, count, solver.penalty_strength, CHUNK, n_threads())
        self.end_replay(rates[:done].tolist(), finite)
        solver._record_losses(losses[0, :done].tolist())

    # ---------------------------------------------------------- whole epochs

    def whole_epochs(self, evaluators, score=None, copies=()):
        """Return what makes whole epochs, evaluations included, or None where not all of it is recorded.

        Parameters
        ----------
        evaluators : list of tuple (Evaluator, ndarray)
            Evaluations at the end of each epoch, and their rows. The last one makes its score, if there is one.
        score : tuple or None
            As `_ext.Epochs` takes it.
        copies : list of tuple (ndarray, ndarray)
            What is copied (to, from) after an epoch that is the best so far.
        """
        if self._epochs is None and not self._spoiled:
            self._epochs = self._make_epochs(evaluators, score, copies)
        return self._epochs if len(self._counts()) <= 1 else None

    def _make_epochs(self, evaluators, score, copies):
        solver = self._solver
        rows, size = solver._train.rows, min(solver.batch_size, len(solver._train))
        if not (rows.dtype == np.intp and rows.flags.c_contiguous and all(is_own(solver, n) for n in _OF_EPOCHS)):
            return None
        shuffles = solver.shuffle and len(rows) > size
        if shuffles and type(solver.random_state) is not np.random.RandomState:
            return None
        training = [(size, len(rows) // size), (len(rows) % size, 1)]
        training = [(self._programs.get(batch, (None,))[0], steps) for batch, steps in training if batch]
        evaluations = [evaluator.passes(its_rows) for evaluator, its_rows in evaluators]
        if None in evaluations or any(program is None for program, _ in training):
            return None
        bit_generator = solver.random_state._bit_generator if shuffles else None
        return RecordedEpochs(self, bit_generator, training, evaluators, evaluations, score, copies)

    def begin_replay(self):
        """Return the number of the next update, from 1; the penalties of the weights as they are, are written."""
        penalized = self._current_squares()
        self._squares[: len(penalized)] = penalized
        return next(iter(self._counts()), 0) + 1

    def end_replay(self, rates, finite):
        """Take note of updates made at these learning rates; the last one was not if its loss is not finite."""
        solver = self._solver
        counts = self._rule_counts()
        for config in solver.optim_configs.values():
            config["learning_rate"] = rates[-1]
            if counts:
                config["t"] += len(rates) if finite else len(rates) - 1
        if not solver.watchers:
            solver._squares = dict(zip(self._names, self._squares.tolist(), strict=True))
        solver.learning_rate_history.extend(rates)

    def _current_squares(self):
        """Return the sum of squares of each weight, if the penalty is made of them."""
        solver = self._solver
        names = solver.trainee.penalized
        if solver.penalty_strength == 0:
            return [0.0] * len(names)
        if solver._squares is not None:
            return [solver._squares[name] for name in names]
        return [_ext.sum_of_squares(solver.net.params[name], n_threads()) for name in names]


def has_recordable_gradients(solver):
    """Return whether a solver's loss and gradients are the library's own code from one end to the other."""
    return (
        _is_recordable_net(solver.net, _OF_NET)
        and trains_on_head(solver.net)
        and not (solver.trainee.through_loss or solver.augmentation)
        and all(is_own(solver, name) for name in _OF_SOLVER)
    )


class RecordedEvaluator(Evaluator):
    """An `Evaluator` of a net that `can_evaluate` accepts; it replays recordings."""

    def __init__(self, net, head, samples, *, with_loss):
        super().__init__(net, head, samples, with_loss=with_loss)
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

    def passes(self, rows, batch_size=EVALUATION_BATCH):
        """Return programs that evaluate rows, with those of each and the number of its steps; None: not recorded."""
        if self._spoiled:
            return None
        found, whole = [], len(rows) // batch_size
        for start, size, steps in ((0, batch_size, whole), (whole * batch_size, len(rows) % batch_size, 1)):
            if size * steps == 0:
                continue
            if size not in self._programs:
                return None
            found.append((self._programs[size], rows[start:], steps))
        return found

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


def make_evaluator(net, head, samples, *, with_loss):
    """Return the `Evaluator` that is fastest for a net and the head that judges its scores."""
    kind = RecordedEvaluator if RecordedEvaluator.can_evaluate(net) else Evaluator
    return kind(net, head, samples, with_loss=with_loss)


def ingredients(net, samples):
    """Return the objects that a recording of a net on samples was made with."""
    found = [*vars(samples).values(), *vars(net).values(), *vars(net.head).values()]
    found += [*net.params.values(), *net.statistics.values()]
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
        and all(_is_recordable(layer, _OF_LAYER) for layer in net._steps)
        and _is_recordable(net.head, _OF_HEAD)
    )


def _is_recordable(thing, methods):
    """Return whether a layer or a head says so itself, and these methods are the library's."""
    return vars(type(thing)).get("recordable", False) and all(is_own(thing, name) for name in methods)
