"""Whole epochs in compiled code: a new order of the samples, recorded updates and evaluations, the best weights."""

from typing import NamedTuple

import numpy as np

from sklearn_dl import _ext
from sklearn_dl._threads import n_threads

# After so many seconds without Python nothing more is begun: with an epoch as long, that is well below a tenth.
CHUNK = 0.04


class WholeEpochs(NamedTuple):
    """What a run of `RecordedEpochs` made.

    Parameters
    ----------
    losses : ndarray of shape (epochs, updates of an epoch)
    evaluations : list of tuple (scores, losses)
        For each evaluator, both of shape (epochs,).
    ended : list of float
        Seconds from the beginning to the end of each epoch.
    rest : list of float
        Losses of an epoch more, which ended where something was not finite.
    """

    losses: np.ndarray
    evaluations: list
    ended: list
    rest: list


class RecordedEpochs:
    """Makes whole epochs of a solver by recordings: a new order of the samples, updates, evaluations."""

    def __init__(self, steps, bit_generator, training, evaluators, evaluations, score, copies):
        self._steps, self._solver, self._evaluators = steps, steps._solver, evaluators
        passes = [(*item, found is evaluations[-1]) for found in evaluations for item in found]
        # Where the numbers of each evaluation are among those of an epoch, pass by pass.
        self._updates = sum(count for _, count in training)
        ends = self._updates + np.cumsum([program.n_numbers * count for program, _, count, _ in passes], dtype=int)
        places = iter([slice(end - p.n_numbers * n, end) for end, (p, _, n, _) in zip(ends, passes, strict=True)])
        self._places = [[(next(places), program.n_numbers) for program, _, _ in found] for found in evaluations]
        rows, statistics = self._solver._train.rows, list(self._solver.net.statistics.values())
        self._epochs = _ext.Epochs(rows, bit_generator, training, passes, statistics, score, list(copies))

    def run(self, rates):
        """Make epochs, no more than have learning rates, and none after that with which `tol` ends training.

        Parameters
        ----------
        rates : ndarray of float64 of shape (epochs, updates of an epoch)

        Returns
        -------
        made : WholeEpochs
        """
        count, solver = self._steps.begin_replay(), self._solver
        numbers, ended, done, updates, finite = self._epochs.run(
            rates, count, solver.penalty_strength, solver.state.best_score, CHUNK, n_threads(), solver.watched_gain()
        )
        made = done * self._updates + updates
        self._steps.end_replay(rates.ravel()[:made].tolist(), finite)
        evaluations = []
        for (evaluator, rows), places in zip(self._evaluators, self._places, strict=True):
            parts = [numbers[:done, place].reshape(done, n, (place.stop - place.start) // n) for place, n in places]
            evaluations.append(evaluator.judge(np.concatenate(parts, axis=2), rows))
        rest = numbers[done, :updates].tolist() if updates else []
        return WholeEpochs(numbers[:done, : self._updates], evaluations, ended[:done].tolist(), rest)
