"""Errors of a training whose numbers are no longer finite, and the checks that find them."""

import math

import numpy as np

from sklearn_dl import optim
from sklearn_dl._arrays import all_finite

# How many parameters an error about large numbers names.
SHOWN = 4


def divergence(solver, what, updates):
    """Return the error for numbers that are not finite after so many updates."""
    if updates == solver.updates_before:
        return ValueError(
            f"{what}, before this training changed a weight: X holds nan or very large values, or the first weights"
            f" are very large ({_largest_values(solver)}). Scale X, or lower weight_scale."
        )
    if solver.full_batch:
        return ValueError(f"{what} (epoch {solver.epoch + 1}): X holds nan or very large values. Scale X.")
    return ValueError(
        f"{what} (epoch {solver.epoch + 1}): learning_rate {solver.optim_config['learning_rate']}"
        " is too large for this data and net, or X holds nan or very large values."
        " Lower it, or scale X."
    )


def check_finite(solver, squares):
    """Raise if what was learned is not finite, which finite scores can hide.

    A unit with a weight of minus infinity is zero after relu, and a net that divides by an infinite running variance
    scores all samples alike.

    Parameters
    ----------
    solver : Solver
    squares : dict of str to float, or None
        The sum of squares of each parameter, where it is known: updates sum up to nan where their state is not finite.
    """
    for name, values in solver.state.statistics.items():
        if not all_finite(values):
            raise _overflow(solver, f"{name} of batch normalization", values.dtype)
    if squares is not None and math.isfinite(sum(squares.values())):
        return
    check_rule_state(solver)
    for name, values in solver.state.params.items():
        if not all_finite(values):
            what = f"{name} became nan or infinite by update {solver.num_updates}"
            raise divergence(solver, what, solver.num_updates)


def check_rule_state(solver):
    """Raise if the update rule's state is not finite: weights whose squared gradients overflowed do not move."""
    name, array = optim.overflowed_state(solver.update_rule, solver.optim_configs)
    if name is not None:
        what = f"The state {array!r} that update_rule {solver.update_rule!r} has for {name}"
        raise _overflow(solver, what, solver.state.params[name].dtype)


def _overflow(solver, what, dtype):
    """Return the error for a number made of activations or gradients that is not finite."""
    what = f"{what} became nan or infinite in {dtype} by update {solver.num_updates}"
    sizes = _magnitudes(solver)
    if max(sizes, key=sizes.get) != "X":
        return divergence(solver, what, solver.num_updates)
    return ValueError(
        f"{what}: activations or gradients are too large, because X is ({_largest_values(solver)}). Scale X; another"
        " learning_rate does not help."
    )


def _largest_values(solver):
    """Say how large the values of X and of the largest parameters are."""
    sizes = _magnitudes(solver)
    of_X = sizes.pop("X")
    largest = sorted(sizes, key=sizes.get, reverse=True)[:SHOWN]  # a deep net has many
    shown = [f"{name} {size:.3g}" for name, size in sizes.items() if name in largest]
    return f"the largest magnitudes are {', '.join([f'X {of_X:.3g}', *shown])}"


def _magnitudes(solver):
    """Return the largest magnitude among the values of X, and of each parameter."""
    samples = solver.train_samples
    X = samples.X[samples.rows[:1000]]
    sizes = {"X": X.compact().data if samples.is_sparse else X, **solver.state.params}
    return {name: np.abs(values.astype(np.float64)).max(initial=0) for name, values in sizes.items()}
