"""Errors of a training whose numbers are no longer finite, and the checks that find them."""

import math

from sklearn_dl import optim
from sklearn_dl._arrays import all_finite
from sklearn_dl.training.causes import LARGE_X, describe, magnitudes, what_stands_out


def divergence(solver, what, updates):
    """Return the error for numbers that are not finite after so many updates."""
    if updates == solver.updates_before:
        return ValueError(f"{what}, before this training changed a weight: {_large_from_the_start(solver)}")
    what = f"{what} (epoch {solver.epoch + 1})"
    stands_out = what_stands_out(solver)
    if stands_out is not None:
        return ValueError(f"{what}: {stands_out}")
    if solver.full_batch:
        return ValueError(f"{what}: values of X or the first weights are too large. Scale X, or lower weight_scale.")
    return ValueError(
        f"{what}: learning_rate {solver.optim_config['learning_rate']} is too large for this data and net. Lower it, or"
        " scale X."
    )


def _large_from_the_start(solver):
    """Say which of X, X of the validation set and the weights are so large that scores or losses are not finite."""
    sizes = magnitudes(solver)
    weights = max((size for name, size in sizes.items() if name != "X"), default=0.0)
    if sizes["X"] <= LARGE_X and weights > LARGE_X:
        return f"the weights that it began with are very large ({describe(sizes)}). Lower weight_scale."
    if sizes["X"] <= LARGE_X and solver.validates:
        return "X of the validation set holds nan or very large values, X of the training set does not. Scale both."
    remedy = "Scale X, or lower weight_scale." if weights > 1 else "Scale X."
    return f"X holds nan or very large values ({describe(sizes)}). {remedy}"


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
    sizes = magnitudes(solver)
    if max(sizes, key=sizes.get) != "X" or sizes["X"] <= LARGE_X:
        return divergence(solver, what, solver.num_updates)
    return ValueError(
        f"{what}: activations or gradients are too large, because X is ({describe(sizes)}). Scale X; another"
        " learning_rate does not help."
    )
