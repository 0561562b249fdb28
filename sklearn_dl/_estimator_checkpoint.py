"""The file of an estimator's `checkpoint`: which fit may go on from it, and what it says of the one that writes it."""

import numbers
import os

import numpy as np
from sklearn.utils import check_random_state

from sklearn_dl._atomic import check_replaceable
from sklearn_dl._estimator_state import copy_training
from sklearn_dl.training.checkpoints import (
    Checkpoints,
    about,
    check_same,
    read_checkpoint,
    text_of_data,
    text_of_net,
)
from sklearn_dl.training.state import copy_generator

# Parameters that do not decide on what is learned.
WITHOUT_EFFECT = ("verbose", "checkpoint", "checkpoint_interval", "warm_start")

ADVICE = " Give another path, or delete the file to train anew; in a search, each fit needs a file of its own."

# Endings that are not found out again by looking at the scores.
_BY_CALLBACK, _BY_LBFGS = ("stopped",), ("converged", "no_improvement")


class FitCheckpoint:
    """The file of one fit.

    Parameters
    ----------
    estimator : BaseNet
        The one that is fitted; with the net that there is, if this is to be trained further.
    checked : dict
        Its parameters, as `check_parameters` returns them.
    schedule : Schedule or None
        The one that `lr_schedule` stands for.
    data : dict of str to (ndarray, CSR or None)
        What it is given, by argument.
    continuing : bool
        Whether the net is trained further.

    Attributes
    ----------
    generator : RandomState
        What the fit draws from.
    files : Checkpoints
        What a `Solver` writes.

    Raises
    ------
    OSError
        If the file cannot be read or written.
    ValueError
        If it is there and is of another training than this fit would be.
    """

    def __init__(self, estimator, checked, schedule, data, *, continuing):
        path = self._path = os.fspath(checked["checkpoint"])
        check_replaceable(path, "checkpoint")
        given = self.generator = estimator._random_state if continuing else check_random_state(estimator.random_state)
        shape = getattr(estimator, "input_shape_", None)
        texts = {
            name: text_of_data(value, (value.shape[0], *shape) if shape and name.startswith("X") else None)
            for name, value in data.items()
            if value is not None
        }
        begun = text_of_net(estimator._state) if continuing else None
        # Made before the file is read: one that is replaced meanwhile is another training's.
        self.files = Checkpoints(path, interval=checked["checkpoint_interval"])
        ours = about(
            type(estimator).__qualname__,
            _settings(estimator, checked, schedule),
            {**dict.fromkeys(data), **texts},
            generator=copy_generator(given),
            begun=begun,
        )
        self._found = read_checkpoint(path, ours["checkpoint"]) if os.path.exists(path) else None
        if self._found is not None and begun is not None and self._found["ended"] == begun:
            self._found = None  # this fit goes on from where that of the file has ended, and replaces it
        if self._found is not None:
            self._check(ours)
            self.generator = self._restart(estimator, continuing)
            ours["generator"] = copy_generator(self._found["generator"])
        self.files.about = ours

    def _check(self, ours):
        found = self._found
        if found["begun"] != ours["begun"]:
            theirs, this = (tree["begun"] or "at its first weights" for tree in (found, ours))
            fresh = " A clone of this estimator (sklearn.base.clone) goes on from it." * (found["begun"] is None)
            raise ValueError(
                f"{self._path!r} is of a training that began {theirs:.300}; this one begins {this}.{fresh}{ADVICE}"
            )
        check_same(found, ours, self._path, ADVICE)
        if found["generator"] is None:
            raise ValueError(f"{self._path!r} is no valid checkpoint: generator must be a RandomState.")

    def _restart(self, estimator, continuing):
        """Return the generator, as it was when the training of the file began."""
        began, given = self._found["generator"], self.generator
        if isinstance(estimator.random_state, np.random.RandomState):
            if not _are_equal(began, given):
                raise ValueError(
                    f"{self._path!r} is of a training with a random_state that was in another state when that began:"
                    f" pass one that was made and used in the same way.{ADVICE}"
                )
        elif isinstance(estimator.random_state, numbers.Integral):
            given.set_state(began.get_state())
        else:  # NumPy's own generator is left alone
            given = copy_generator(began)
            if continuing:
                vars(estimator).update(copy_training(vars(estimator), estimator._score_name, given))
        return given

    def restore(self, solver):
        """Bring a solver, made as at the beginning, to where the file is, if there is one.

        Parameters
        ----------
        solver : Solver

        Raises
        ------
        ValueError
            If the file has trained for longer than the solver is to, or its state is not one of this net.
        """
        if self._found is None:
            return
        try:
            solver.restore(self._found, self._path)
            self._check_length(solver)
        except BaseException:
            self.generator.set_state(self.files.about["generator"].get_state())  # which a solver was made with
            raise
        reason = self._found["state"]["stop_reason"]
        if reason in (_BY_CALLBACK + _BY_LBFGS * solver.full_batch):
            solver.stop(reason)

    def _check_length(self, solver):
        if solver.num_iters is None and solver.epoch > solver.num_epochs:
            where, most = f"epoch {solver.epoch}", f"num_epochs={solver.num_epochs - solver.epochs_before}"
        elif solver.num_iters is not None and solver.num_updates > solver.num_iters:
            where, most = f"update {solver.num_updates}", f"num_iters={solver.num_iters - solver.updates_before}"
        else:
            return
        raise ValueError(f"{self._path!r} is at {where}, beyond {most}.{ADVICE}")


def _settings(estimator, checked, schedule):
    """Return the parameters that decide on what is learned."""
    given = estimator.get_params(deep=False)
    settings = {name: checked.get(name, value) for name, value in given.items() if name not in WITHOUT_EFFECT}
    if schedule is None or not schedule.needs_length:
        for name in ("num_epochs", "num_iters"):  # which a subclass may have left out of its constructor
            settings.pop(name, None)
        if checked["tol"] is not None and not checked["early_stopping"]:  # then `num_iters` leaves `tol` out
            settings["num_iters"] = None if checked["num_iters"] is None else "a number"
    return settings


def _are_equal(generator, other):
    """Return whether two generators will draw the same."""
    ours, theirs = (one.get_state(legacy=False) for one in (generator, other))
    same_kind = all(ours[name] == theirs[name] for name in ("bit_generator", "has_gauss", "gauss"))
    return same_kind and all(np.array_equal(value, theirs["state"][name]) for name, value in ours["state"].items())
