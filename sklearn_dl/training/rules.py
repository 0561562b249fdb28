"""What goes with an update rule: its constants, nets it can train, learning rates."""

import sys
from collections.abc import Mapping

import numpy as np

from sklearn_dl import optim
from sklearn_dl._arrays import FLOAT32, FLOAT64


def check_optim_config(update_rule, optim_config, params):
    """Return all constants of an update rule, in range for updates of these parameters."""
    if not (optim_config is None or isinstance(optim_config, Mapping)):
        raise TypeError(f"optim_config must be a dict or None, got {optim_config!r}.")
    dtype = FLOAT32 if any(w.dtype == FLOAT32 for w in params.values()) else FLOAT64
    return optim.UPDATE_RULES[update_rule].check(optim_config or {}, optim.in_optim_config, dtype)


def check_rule_fits(rule, trainee, **options):
    """Raise ValueError if an update rule cannot do what it is asked to with a net.

    Parameters
    ----------
    rule : UpdateRule
    trainee : Trainee
    options : object
        Parameters of `Solver`, by name, that a rule which chooses its steps itself has no use for.
    """
    if rule.decoupled and trainee.through_loss and trainee.reg:
        raise ValueError(
            f"update_rule={rule.name!r} decays weights beside the loss, but {type(trainee.net).__name__} has a loss of"
            f" its own, which may hold a penalty of reg={trainee.reg:g} already: set reg=0 or use another rule."
        )
    if not rule.full_batch:
        return
    for option, value in options.items():
        if value:
            raise ValueError(f"update_rule={rule.name!r} chooses its steps itself, on all samples: set {option}=None.")
    layers = trainee.varying_layers
    if layers:
        raise ValueError(
            f"update_rule={rule.name!r} minimizes a function of the parameters alone, which the loss is not with"
            f" {layers[0]!r}, of draws or of the minibatch: leave it out or use another rule."
        )


def decayed_rates(rate, decay, epochs):
    """Return ``rate * decay**epoch`` of each epoch, finite whatever the decay.

    Parameters
    ----------
    rate, decay : float
    epochs : sequence of int

    Returns
    -------
    rates : ndarray of float64 of shape (len(epochs),)
    """
    powers = np.empty(len(epochs))
    for i, epoch in enumerate(epochs):
        try:
            powers[i] = decay**epoch
        except OverflowError:  # not infinity, which makes nan of a rate of zero
            powers[i] = sys.float_info.max
    return rate * powers
