"""Minibatches too small for what a net does with them."""

from sklearn_dl._warnings import warn_caller


def check_minibatches(solver):
    """Raise or warn where minibatches of a single sample are normalized over the minibatch.

    A value that is normalized with itself alone is zero, whatever it was.

    Parameters
    ----------
    solver : Solver

    Raises
    ------
    ValueError
        If all minibatches are of a single sample.

    Warns
    -----
    UserWarning
        If the last one of each epoch is.
    """
    n, size = len(solver.train_samples), solver.batch_size
    if n % size != 1 % size:
        return
    layer = next((layer for layer in solver.trainee.varying_layers if getattr(layer, "needs_two", False)), None)
    if layer is None:
        return
    if min(n, size) == 1:
        raise ValueError(
            f"{layer!r} needs minibatches of at least 2 different samples, got batch_size={size} and n_samples={n}: a"
            " single one is normalized to zero, and nothing is learned from it. Raise batch_size, give more samples, or"
            " normalize by LayerNorm (normalization='layernorm')."
        )
    updates = solver.remaining()[1]
    if updates >= n // size + 1:
        warn_caller(
            f"The last minibatch of each epoch is a single sample, of n_samples={n} at batch_size={size}: {layer!r}"
            " normalizes it to zero, nothing is learned from it, and the running variance gets too small. Choose"
            " another batch_size."
        )
