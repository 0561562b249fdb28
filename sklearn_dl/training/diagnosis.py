"""What a user would notice too late of a training that has ended."""

import math

import numpy as np
from scipy.sparse import issparse

from sklearn_dl._csr import as_given
from sklearn_dl._threads import hold_threads
from sklearn_dl.training.batches import batches
from sklearn_dl.training.causes import SAME, what_holds_back, what_stands_out, what_was_too_large
from sklearn_dl.training.evaluation import EVALUATION_BATCH

# By which share the loss must have grown to be called worse; less is noise.
WORSE = 0.02
# How many times its beginning the mean loss of an epoch must have been to be a leap.
LEAP = 2
# After fewer updates, an honest training may be worse than its beginning by chance, but not by a leap.
FEW_UPDATES = 32
# How many times the loss of a constant prediction that of the first weights is at least where X is not scaled.
FAR = 20
# A loss that is better by less, after a leap, is no success.
BARELY = 0.1
# Below this share of another loss, the loss of the last epoch's minibatches is less for sure.
CLEARLY_LESS = 0.8
# Samples of which most often two differ already.
FIRST_LOOK = 4


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
    num_epochs = solver.num_epochs - solver.epochs_before
    if solver.watches_gradient:
        return (
            f"Training ended at num_epochs={num_epochs} before all elements of the gradient were below"
            f" tol={solver.tol:g}: raise num_epochs, or set tol=None to train for just as many."
        )
    watched = f"validation {solver.monitor}" if solver.early_stopping else "training loss"
    return (
        f"Training ended at num_epochs={num_epochs} before the {watched} had stopped improving by more than"
        f" tol={solver.tol:g} for {solver.patience} epochs: raise num_epochs, or set tol=None to train for just as"
        " many."
    )


def _learned_nothing(solver):
    """Say that the loss on the training samples grew, or that the net is no better than a constant prediction."""
    if not solver.history["loss"]:
        return None
    if solver.trainee.head.takes_labels:
        shares = _class_shares(solver)
        of_shares = solver.trainee.head.constant_loss(shares)
        if not math.isnan(of_shares):
            return _learned_no_classes(solver, shares, of_shares)
    return _learned_no_numbers(solver)


def _learned_no_numbers(solver):
    """Say so where only the loss of the first weights is known to compare with."""
    if solver.trainee.head.score_name == "r2" and _targets_are_equal(solver):
        return None
    began, final = solver.state.initial_loss, None
    # First weights may be worse than a constant prediction, whose R² is 0.
    as_constant = solver.trainee.head.score_name == "r2" and not solver.train_acc_history[-1] > 1 - CLEARLY_LESS
    if as_constant or not solver.history["loss"][-1] < began - (1 - CLEARLY_LESS) * abs(began):
        final = solver.evaluate_trained()
        if _rows_are_equal(solver):
            return "X is constant: all training samples have the same values, and nothing tells their targets apart."
        much = WORSE if solver.num_updates >= FEW_UPDATES else LEAP - 1
        if final.loss > began + much * abs(began):
            return (
                f"The loss on the training samples ended at {final.loss:.4g}, above the {began:.4g} of the first"
                f" weights: {what_was_too_large(solver)}"
            )
        if _scores_are_equal(solver):
            cause = what_holds_back(solver) or what_was_too_large(solver)
            return f"The net predicts the same for all training samples: {cause}"
    if as_constant and final.score < 0:
        worse = _worse_than_constant(solver, final, _loss_of_mean(solver), "the mean of their targets does")
        if worse is not None:
            return worse
    if final is not None and (final.score < BARELY if as_constant else final.loss > began - BARELY * abs(began)):
        return _held_back(solver, final, f"the {began:.4g} of the first weights")
    return None


def _held_back(solver, final, compared):
    """Say so of a net that has learned next to nothing where something is so far from usual that it must be why."""
    cause = what_holds_back(solver) if _is_long(solver) else None
    if cause is None:
        return None
    return f"The net has learned next to nothing, its loss of {final.loss:.4g} is about {compared}: {cause}"


def _is_long(solver):
    """Return whether there were updates enough to learn something; those of all samples go further."""
    return solver.num_updates >= FEW_UPDATES or solver.full_batch


def _worse_than_constant(solver, final, of_constant, what):
    """Say so if the net is far worse than a constant prediction, because X or weights made it begin too far off.

    First weights suit X of about unit variance, of which the scores, and so the loss, are of about the size of one.
    """
    began = solver.state.initial_loss
    far = _is_long(solver) and final.loss > of_constant + (LEAP - 1) * abs(of_constant)
    if not (far and began > FAR * abs(of_constant)):
        return None
    stands_out = what_stands_out(solver)
    ending = ". Scale X, or train for longer." if stands_out is None else f": {stands_out}"
    return (
        f"The net predicts the training samples worse than {what}: its loss has come down from {began:.4g} to"
        f" {final.loss:.4g} only, where that of a constant prediction is {of_constant:.4g}{ending}"
    )


def _loss_of_mean(solver):
    """Return the loss of a net that predicts the mean of the targets of the samples that the score is taken on."""
    samples, rows, head = solver.train_samples, solver.train_rows, solver.trainee.head
    targets = np.ascontiguousarray(samples.y[rows])
    weights = None if samples.sample_weight is None else np.ascontiguousarray(samples.sample_weight[rows])
    mean = np.average(targets, axis=0, weights=weights)
    with np.errstate(divide="ignore"):
        score = np.log(mean) if head.link == "exp" else mean
    return head.loss(np.full(targets.shape, score, targets.dtype), targets, weights, None)


def _targets_are_equal(solver):
    targets = solver.train_samples.y[solver.train_rows]
    return bool((targets == targets[0]).all())


def _learned_no_classes(solver, shares, of_shares):
    """Say so of classes, given their shares and the loss of the best constant scores."""
    losses = solver.history["loss"]
    n_classes = np.count_nonzero(shares > SAME * shares.max())  # that weigh anything
    began, whose = solver.state.initial_loss, "first weights"
    if math.isnan(began):  # of a net that an earlier release has trained
        began, whose = of_shares, "best constant prediction"
    # The minibatches' losses tell whether an evaluation is worth its time.
    if losses[-1] < CLEARLY_LESS * min(began, of_shares):
        return _learned_minibatches_alone(solver, shares, of_shares)
    if n_classes > 1 and _rows_are_equal(solver):
        return "X is constant: all training samples have the same values, and nothing tells their classes apart."
    final = solver.evaluate_trained()
    if final.loss > (1 + WORSE if solver.num_updates >= FEW_UPDATES else LEAP) * began:
        return (
            f"The loss on the training samples ended at {final.loss:.4g}, above the {began:.4g} of the {whose}:"
            f" {what_was_too_large(solver)}"
        )
    by_chance = _chance(solver)
    if _has_leapt(solver):
        learned = final.loss < (1 - BARELY) * of_shares
    else:
        learned = final.loss < (1 - SAME) * of_shares or final.score > shares.max() + by_chance
        learned = learned or not _scores_are_equal(solver)
    if n_classes == 1:
        return None
    if learned:
        worse = _worse_than_constant(solver, final, of_shares, "their class frequencies do")
        if worse is None and final.loss > (1 - BARELY) * of_shares and final.score <= shares.max() + 2 * by_chance:
            return _held_back(solver, final, f"the {of_shares:.4g} of the best constant prediction")
        return worse
    predicts = "one class for all training samples" if final.n_classes == 1 else "classes by chance"
    return (
        f"The net predicts {predicts} (accuracy {final.score:.1%}); its loss of {final.loss:.4g} is no better than"
        f" the {of_shares:.4g} of the best constant prediction: {what_holds_back(solver) or what_was_too_large(solver)}"
    )


def _chance(solver):
    """Return two standard deviations of the accuracy at most."""
    return 1 / math.sqrt(len(solver.train_rows))


def _learned_minibatches_alone(solver, shares, of_shares):
    """Say so of a net whose running statistics are not those of its minibatches, as after a value that is far off."""
    if not (solver.state.statistics and _is_long(solver)):
        return None
    if solver.train_acc_history[-1] > shares.max() + _chance(solver):
        return None
    final = solver.evaluate_trained()
    if final.loss < (1 - BARELY) * of_shares:
        return None
    cause = what_stands_out(solver) or "minibatches are too small, or too unlike each other. Raise batch_size."
    return (
        f"The net has learned its minibatches, to a loss of {solver.history['loss'][-1]:.4g}, but not to predict: by"
        " the running mean and variance of batch normalization, the loss on the training samples is"
        f" {final.loss:.4g} (accuracy {final.score:.1%}): {cause}"
    )


def _has_leapt(solver):
    """Return whether the loss of an epoch was far above the beginning, as after too large a step."""
    # In the mode of training, with dropout and the penalty in it.
    began = np.nanmax([solver.state.initial_loss, solver.loss_history[0]])
    return max(solver.history["loss"]) > LEAP * began


def _scores_are_equal(solver):
    """Return whether all training samples get the same scores, as where no unit of a layer fires any more."""
    first = None
    with hold_threads(), np.errstate(over="ignore", invalid="ignore"):
        for X in _batches(solver):
            scores = solver.net.loss(as_given(X))
            first = scores[0].copy() if first is None else first
            if not (np.abs(scores - first) <= SAME * np.abs(first).max()).all():
                return False
    return True


def _rows_are_equal(solver):
    """Return whether X is the same for all training samples."""
    first = None
    for X in _batches(solver):
        lowest, highest = _column_range(X)
        first = lowest if first is None else first
        if not ((lowest == first) & (highest == first)).all():
            return False
    return True


def _column_range(X):
    """Return the least and the largest value of each column; those of a sparse X without making it dense."""
    X = as_given(X)
    ends = X.min(axis=0), X.max(axis=0)
    return [end.toarray() for end in ends] if issparse(X) else ends


def _batches(solver):
    """Yield X of the training samples that accuracy is taken on: of a few, then of all, a batch at a time."""
    for part in (slice(FIRST_LOOK), *batches(len(solver.train_rows), EVALUATION_BATCH)):
        yield solver.train_samples.gather(solver.train_rows[part])[0]


def _class_shares(solver):
    """Return the share of each class among the samples that accuracy is taken on, by weight."""
    samples, rows = solver.train_samples, solver.train_rows
    weights = None if samples.sample_weight is None else samples.sample_weight[rows]
    totals = np.bincount(samples.y[rows], weights, minlength=solver.trainee.n_scores or 0)
    return totals / totals.sum()
