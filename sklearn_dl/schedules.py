"""Schedules of the learning rate: from the update, or the course of the scores, to a factor on it.

A schedule is an immutable value: two with the same settings are equal, and none keeps state.
The state, a dict of numbers that `Schedule.begin` makes, is kept by the solver.
"""

import math
from dataclasses import dataclass

from sklearn_dl._checks import check_fields, check_int, check_real, name_here

__all__ = ["Cosine", "InverseScaling", "Linear", "OneCycle", "ReduceOnPlateau", "Schedule"]


@dataclass(frozen=True)
class Schedule:
    """Base of the schedules; a subclass is a frozen dataclass with a `multiplier`.

    Examples
    --------
    >>> from dataclasses import dataclass
    >>> from sklearn_dl.schedules import Schedule
    >>> @dataclass(frozen=True)
    ... class Halving(Schedule):
    ...     every: int = 100
    ...     needs_length = False
    ...     def multiplier(self, update, num_updates, state=None):
    ...         return 0.5 ** (update // self.every)
    >>> [Halving(every=2).multiplier(update, 6) for update in range(6)]
    [1.0, 1.0, 0.5, 0.5, 0.25, 0.25]
    """

    # Whether the multiplier depends on how many updates there will be.
    needs_length = True

    def begin(self):
        """Return the state to begin with.

        Returns
        -------
        state : dict
            Plain values, which `watch` changes.
        """
        return {}

    def multiplier(self, update, num_updates, state=None):
        """Return the factor on the learning rate.

        Parameters
        ----------
        update : int
            Which update is next, from 0. From `num_updates` on, the schedule stays at its end.
        num_updates : int
            How many there are in all.
        state : dict, default=None
            What `begin` returned and `watch` has changed since.

        Returns
        -------
        multiplier : float
            What the learning rate is multiplied by.
        """
        raise NotImplementedError

    def watch(self, state, score, of):
        """Use the score of an epoch; does nothing unless the schedule depends on scores.

        Parameters
        ----------
        state : dict
            Changed in place.
        score : float
            The higher the better.
        of : str
            What the score is of. Scores of different things are not compared.
        """

    def scores_ahead(self, state):
        """Return after how many more scores the multiplier may change at the earliest.

        So many epochs may be made before `watch` is told of them, one after the other.

        Parameters
        ----------
        state : dict
            What `begin` returned and `watch` has changed since.

        Returns
        -------
        count : int or inf
            At least 1. Infinity where the schedule does not depend on scores; 1 of a class with a `watch` of its own,
            which may say more.
        """
        return math.inf if type(self).watch is Schedule.watch else 1


@dataclass(frozen=True)
class _Fall(Schedule):
    """Linear warm-up, then a fall from 1 to `final`."""

    warmup: float = 0.0
    final: float = 0.0

    def __post_init__(self):
        check_fields(self, check_real, "warmup", low=0, high=1, boundaries="left")
        check_fields(self, check_real, "final", low=0, high=1)

    def multiplier(self, update, num_updates, state=None):
        """Return the factor on the learning rate; see `Schedule.multiplier`."""
        warm = round(self.warmup * num_updates)
        if update < warm:
            return (update + 1) / (warm + 1)
        if update >= num_updates:
            return self.final
        left = self._left((update - warm) / (num_updates - warm))
        return self.final + (1 - self.final) * left


@dataclass(frozen=True)
class Cosine(_Fall):
    """Half a cosine from the full learning rate to a share of it, update by update.

    The multiplier of update t of T is ``final + (1 - final) * (1 + cos(pi * t / T)) / 2``. With a
    warm-up of ``W = round(warmup * T)`` updates, these have ``(t + 1) / (W + 1)``, and the cosine
    spans the rest.

    Parameters
    ----------
    warmup : float in [0, 1), default=0.0
        Share of the updates in which the learning rate rises linearly.
    final : float in [0, 1], default=0.0
        What it falls to, as a share of the learning rate.

    Raises
    ------
    TypeError, ValueError
        If a setting is no number or out of range.

    Notes
    -----
    Loshchilov & Hutter, "SGDR: stochastic gradient descent with warm restarts", ICLR 2017, equation
    5. The restarts are those of `warm_start`: each `fit` starts the schedule over. Warm-up: Goyal et
    al., "Accurate, large minibatch SGD: training ImageNet in 1 hour", 2017, section 2.2.

    Examples
    --------
    >>> from sklearn_dl.schedules import Cosine
    >>> [round(Cosine().multiplier(t, 4), 3) for t in range(4)]
    [1.0, 0.854, 0.5, 0.146]
    """

    def _left(self, progress):
        return (1 + math.cos(math.pi * progress)) / 2


@dataclass(frozen=True)
class Linear(_Fall):
    """A straight line from the full learning rate to a share of it, update by update.

    The multiplier of update t of T is ``1 - (1 - final) * t / T``. With a warm-up of ``W =
    round(warmup * T)`` updates, these have ``(t + 1) / (W + 1)``, and the line spans the rest.
    ``Linear(warmup=0.1, final=1)`` is a warm-up alone.

    Parameters
    ----------
    warmup : float in [0, 1), default=0.0
        Share of the updates in which the learning rate rises linearly.
    final : float in [0, 1], default=0.0
        What it falls to, as a share of the learning rate.

    Raises
    ------
    TypeError, ValueError
        If a setting is no number or out of range.

    Notes
    -----
    Goyal et al., "Accurate, large minibatch SGD: training ImageNet in 1 hour", 2017 (warm-up);
    Defazio et al., "Optimal linear decay learning rate schedules and further refinements", 2023.

    Examples
    --------
    >>> from sklearn_dl.schedules import Linear
    >>> [round(Linear(warmup=0.5).multiplier(t, 6), 3) for t in range(6)]
    [0.25, 0.5, 0.75, 1.0, 0.667, 0.333]
    """

    def _left(self, progress):
        return 1 - progress


@dataclass(frozen=True)
class OneCycle(Schedule):
    """Up from a small learning rate to the full one, then down to nearly zero, update by update.

    Both ways are half cosines. The learning rate given to the solver is the peak, and may be
    larger than one that stays. Momentum is constant; in the paper, it moves the other way.

    Parameters
    ----------
    warmup : float in [0, 1), default=0.3
        Share of the updates until the peak: it is ``warmup * num_updates - 1``, or the first.
    start : float in [0, 1], default=0.04
        What the first update has, as a share of the peak.
    final : float in [0, 1], default=4e-6
        What the last update has, as a share of the peak.

    Raises
    ------
    TypeError, ValueError
        If a setting is no number or out of range.

    Notes
    -----
    Smith, "A disciplined approach to neural network hyper-parameters: part 1", 2018; Smith & Topin,
    "Super-convergence", 2017. Cosines in place of straight lines, and the defaults, are those of
    PyTorch's OneCycleLR.

    Examples
    --------
    >>> from sklearn_dl.schedules import OneCycle
    >>> [round(OneCycle().multiplier(t, 10), 3) for t in range(0, 10, 2)]
    [0.04, 1.0, 0.812, 0.389, 0.05]
    """

    warmup: float = 0.3
    start: float = 0.04
    final: float = 4e-6

    def __post_init__(self):
        check_fields(self, check_real, "warmup", low=0, high=1, boundaries="left")
        check_fields(self, check_real, "start", "final", low=0, high=1)

    def multiplier(self, update, num_updates, state=None):
        """Return the factor on the learning rate; see `Schedule.multiplier`."""
        peak, last = max(self.warmup * num_updates - 1, 0), num_updates - 1
        if update < peak:
            return _cosine(self.start, 1, update / peak)
        if last <= peak:
            return 1.0
        return _cosine(1, self.final, min((update - peak) / (last - peak), 1))


def _cosine(start, end, progress):
    return end + (start - end) * (1 + math.cos(math.pi * progress)) / 2


@dataclass(frozen=True)
class InverseScaling(Schedule):
    """Down with a power of the number of updates, without an end.

    The multiplier of update t, from 0, is ``1 / (1 + rate * t) ** power``, where t is rounded down to a multiple of
    `every`.

    Parameters
    ----------
    power : float, default=0.5
        How fast the learning rate falls.
    rate : float, default=1.0
        What an update counts.
    every : int, default=1
        Updates for which the learning rate stays.

    Raises
    ------
    TypeError, ValueError
        If a setting is no number or out of range.

    Notes
    -----
    Robbins & Monro, "A stochastic approximation method", Annals of Mathematical Statistics 22 (1951), has powers above
    0.5 and up to 1. MLPClassifier's ``learning_rate='invscaling'`` counts samples, and falls after each epoch: that is
    ``every`` the updates and ``rate * every`` the samples of an epoch. Its learning rates are far smaller, therefore.

    Examples
    --------
    >>> from sklearn_dl.schedules import InverseScaling
    >>> [round(InverseScaling().multiplier(t, 10), 3) for t in range(4)]
    [1.0, 0.707, 0.577, 0.5]
    >>> [round(InverseScaling(power=1, rate=0.5, every=2).multiplier(t, 10), 3) for t in range(6)]
    [1.0, 1.0, 0.5, 0.5, 0.333, 0.333]
    """

    needs_length = False

    power: float = 0.5
    rate: float = 1.0
    every: int = 1

    def __post_init__(self):
        check_fields(self, check_real, "power", "rate", low=0)
        check_fields(self, check_int, "every", low=1)

    def multiplier(self, update, num_updates, state=None):
        """Return the factor on the learning rate; see `Schedule.multiplier`."""
        return (1 + self.rate * (update - update % self.every)) ** -self.power


@dataclass(frozen=True)
class ReduceOnPlateau(Schedule):
    """Reduce the learning rate when the score has not improved for some epochs.

    The score is looked at after each epoch: the validation accuracy where there is a validation
    set, less the training loss otherwise.

    Parameters
    ----------
    factor : float in (0, 1), default=0.2
        What a reduction multiplies the learning rate by.
    patience : int, default=3
        Epochs in a row without improvement before the learning rate is reduced.
    min_gain : float, default=1e-4
        By how much a score must be better than the best one to count as gain.
    cooldown : int, default=0
        Epochs after a reduction in which nothing is counted.
    min_multiplier : float in [0, 1], default=0.0
        Share of the first learning rate below which it is not reduced.

    Raises
    ------
    TypeError, ValueError
        If a setting is no number or out of range.

    Notes
    -----
    The counting is that of PyTorch's ReduceLROnPlateau with ``threshold_mode='abs'``. Dividing the
    learning rate "when the error plateaus": He et al., "Deep residual learning for image
    recognition", CVPR 2016, section 3.4.

    Examples
    --------
    >>> from sklearn_dl.schedules import ReduceOnPlateau
    >>> schedule = ReduceOnPlateau(factor=0.5, patience=1)
    >>> state, multipliers = schedule.begin(), []
    >>> for accuracy in (0.7, 0.8, 0.8, 0.75, 0.85, 0.8):
    ...     schedule.watch(state, accuracy, "validation accuracy")
    ...     multipliers.append(schedule.multiplier(0, 0, state))
    >>> multipliers
    [1.0, 1.0, 1.0, 0.5, 0.5, 0.5]
    """

    needs_length = False

    factor: float = 0.2
    patience: int = 3
    min_gain: float = 1e-4
    cooldown: int = 0
    min_multiplier: float = 0.0

    def __post_init__(self):
        check_fields(self, check_real, "factor", low=0, high=1, boundaries="neither")
        check_fields(self, check_int, "patience", "cooldown", low=0)
        check_fields(self, check_real, "min_gain", low=0)
        check_fields(self, check_real, "min_multiplier", low=0, high=1)

    def begin(self):
        """Return the state to begin with; see `Schedule.begin`."""
        return {"multiplier": 1.0, "of": None, "best": -math.inf, "epochs_without_gain": 0, "cooldown": 0}

    def multiplier(self, update, num_updates, state):
        """Return the factor on the learning rate; see `Schedule.multiplier`."""
        return state["multiplier"]

    def watch(self, state, score, of):
        """Use the score of an epoch; see `Schedule.watch`."""
        if of != state["of"]:
            state.update(of=of, best=-math.inf, epochs_without_gain=0)
        if score > state["best"] + self.min_gain:
            state.update(best=score, epochs_without_gain=0)
        else:
            state["epochs_without_gain"] += 1
        if state["cooldown"] > 0:
            state["cooldown"] -= 1
            state["epochs_without_gain"] = 0
        if state["epochs_without_gain"] > self.patience:
            reduced = max(state["multiplier"] * self.factor, self.min_multiplier)
            state.update(multiplier=reduced, epochs_without_gain=0, cooldown=self.cooldown)

    def scores_ahead(self, state):
        """Return after how many more scores the learning rate may be reduced; see `Schedule.scores_ahead`."""
        if type(self).watch is not ReduceOnPlateau.watch:
            return super().scores_ahead(state)
        counted = 0 if state["cooldown"] else state["epochs_without_gain"]
        return state["cooldown"] + self.patience + 1 - counted


SCHEDULES = {
    "cosine": Cosine,
    "inverse_scaling": InverseScaling,
    "linear": Linear,
    "one_cycle": OneCycle,
    "reduce_on_plateau": ReduceOnPlateau,
}

# What other libraries call them, see `name_here`.
OTHER_NAMES = {
    "constant": None,
    "none": None,
    "invscaling": "inverse_scaling",
    "adaptive": "reduce_on_plateau",
    "plateau": "reduce_on_plateau",
    "reducelronplateau": "reduce_on_plateau",
    "onecyclelr": "one_cycle",
    "cosineannealing": "cosine",
    "cosineannealinglr": "cosine",
    "cosinedecay": "cosine",
    "linearlr": "linear",
}


def check_schedule(name, value):
    """Return `value`, a name or a schedule, as a schedule; None stays None."""
    if value is None or isinstance(value, Schedule):
        return value
    if isinstance(value, str) and value in SCHEDULES:
        return SCHEDULES[value]()
    wanted = f"{name} must be None, {', '.join(map(repr, SCHEDULES))} or a schedule such as Cosine(warmup=0.1)"
    kind = ValueError if isinstance(value, str) else TypeError
    spellings = {name.replace("_", ""): name for name in SCHEDULES}
    raise kind(f"{wanted}, got {value!r}.{name_here(value, {**spellings, **OTHER_NAMES})}")
