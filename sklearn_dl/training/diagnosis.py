"""What a user would notice too late of a training that has ended."""

import math

import numpy as np

# By which share the loss must have grown to be called worse.
WORSE = 1e-3


def diagnose(solver):
    """Return the texts of warnings about a training that has ended.

    Parameters
    ----------
    solver : Solver

    Returns
    -------
    texts : list of str
    """
    return [text for text in (_not_converged(solver), _learned_nothing(solver)) if text]


def _not_converged(solver):
    """Say that `num_epochs` ended training before `tol` did, unless a schedule has planned for it."""
    planned = solver.lr_schedule is not None and solver.lr_schedule.needs_length
    if solver.stop_reason != "num_epochs" or planned or not solver.watches_tol:
        return None
    watched = f"validation {solver.monitor}" if solver.early_stopping else "training loss"
    return (
        f"Training ended at num_epochs={solver.num_epochs} before the {watched} had stopped improving by more than"
        f" tol={solver.tol:g} for {solver.patience} epochs: raise num_epochs, or set tol=None to train for just as"
        " many."
    )


def _learned_nothing(solver):
    """Say that the loss on the training samples grew, or that the net gives all of them one class."""
    began, of_shares = solver.state.initial_loss, _loss_of_class_shares(solver.train_samples)
    # The minibatches' losses tell whether an evaluation is worth its time.
    if not solver.history["loss"] or math.isnan(began) or solver.history["loss"][-1] < min(began, of_shares):
        return None
    final = solver.evaluate_training_samples()
    rate = f"learning_rate={solver.optim_config['learning_rate']:g}"
    if final.loss > began + WORSE * abs(began):
        return (
            f"The loss on the training samples ended at {final.loss:.4g}, above the {began:.4g} of the first weights:"
            f" {rate} is too large for this data and net. Lower it, or scale X."
        )
    if final.n_classes == 1 < solver.state.initial_n_classes and final.loss >= of_shares:
        return (
            f"The net gives all training samples the same class by now, with a loss of {final.loss:.4g}, no better than"
            f" the {of_shares:.4g} of the classes' shares: {rate} is too large for this data and net. Lower it, or"
            " scale X."
        )
    return None


def _loss_of_class_shares(samples):
    """Return the cross-entropy of predicting each class with its share: what is reached without a look at X."""
    weights = None if samples.sample_weight is None else samples.sample_weight[samples.rows]
    shares = np.bincount(samples.y[samples.rows], weights)
    shares = shares[shares > 0] / shares.sum()
    return float(-(shares * np.log(shares)).sum())
