"""Solver: trains a net on minibatches.

It knows parameters, gradients and minibatches, and neither scikit-learn's estimators nor layers:
anything with ``params`` and ``loss(X, y)`` can be trained, and a `sklearn_dl.nets.Net` is trained
without allocating anything in a step.

The loop, from the outside in: `Solver.train` -> `_run_epoch` -> `_step` (gather a minibatch,
gradients, update). What happens between epochs (accuracies, best weights, early stopping,
checkpoint) is in `_end_epoch`. Whoever wants to look on or to end it early is a `Watcher`.
"""

import math
import os
import time
from collections.abc import Mapping
from contextlib import nullcontext

import numpy as np
from sklearn.utils import check_random_state

from sklearn_dl import optim
from sklearn_dl._checks import check_bool, check_choice, check_int, check_real
from sklearn_dl._ext import gather_items, gather_rows
from sklearn_dl._threads import ThreadTuner, hold_threads, n_threads
from sklearn_dl.augmentation import check_augmentation
from sklearn_dl.nets.net import Net
from sklearn_dl.persistence import read_archive, write_archive
from sklearn_dl.schedules import check_schedule
from sklearn_dl.training._program import RecordedSteps

__all__ = ["Solver", "Watcher"]

# The update rules and their constants; what else an optim config holds is state.
UPDATE_RULES = {
    "sgd": ("learning_rate",),
    "sgd_momentum": ("learning_rate", "momentum"),
    "adagrad": ("learning_rate", "epsilon"),
    "rmsprop": ("learning_rate", "decay_rate", "epsilon"),
    "adam": ("learning_rate", "beta1", "beta2", "epsilon"),
}

# Epochs that early stopping waits for at least where an epoch is a single update: accuracy on the few
# validation samples of so small a set does not move in a few updates.
MIN_PATIENCE = 50

# Difference of accuracies that is none.
TIE = 1e-6

# Rows in one forward pass when nothing is learned from them.
EVALUATION_BATCH = 256

# The columns of Solver.history.
HISTORY = ("epoch", "loss", "train_accuracy", "val_accuracy", "learning_rate", "seconds")


class Samples:
    """Rows of X with their classes and weights, of which some, in some order, can be gathered.

    X stays what the caller has (uint8 images, a memory map): only a minibatch at a time is
    converted to the net's dtype.

    Parameters
    ----------
    X : ndarray of shape (n, …)
    y : ndarray of int of shape (n,)
    sample_weight : ndarray of shape (n,), default=None
    rows : ndarray of int, default=None
        The rows that count; all of them if None. Rows of weight zero never do: a minibatch of
        nothing else has no mean.
    dtype : dtype
        What a minibatch is converted to.
    """

    def __init__(self, X, y, sample_weight=None, rows=None, *, dtype):
        if X.dtype not in (np.uint8, np.float32, np.float64):
            X = X.astype(dtype)
        self.shape = X.shape[1:]
        self.X = np.require(X.reshape(len(X), -1), requirements=["C", "A"])
        self.y = np.ascontiguousarray(y, dtype=np.int64)
        self.sample_weight = sample_weight
        self.rows = np.arange(len(X)) if rows is None else rows
        self.dtype = dtype
        self.mean_weight = None
        if sample_weight is not None:
            self.rows = self.rows[sample_weight[self.rows] > 0]
            self.mean_weight = float(sample_weight[self.rows].mean())
        self._buffers = {}

    def __len__(self):
        return len(self.rows)

    def gather(self, rows):
        """Return X, y and weights of some rows, in buffers that the next call overwrites."""
        size = len(rows)
        X = self._buffer("X", (size, self.X.shape[1]), self.dtype)
        gather_rows(self.X, rows, X, None, n_threads())
        return X if len(self.shape) == 1 else X.reshape(size, *self.shape), *self.gather_labels(rows)

    def gather_labels(self, rows):
        """Return y and weights of some rows, in buffers that the next call overwrites."""
        size = len(rows)
        y = self._buffer("y", (size,), np.int64)
        gather_items(self.y, rows, y)
        weight = None
        if self.sample_weight is not None:
            weight = self._buffer("weight", (size,), np.float64)
            gather_items(self.sample_weight, rows, weight)
        return y, weight

    def _buffer(self, name, shape, dtype):
        held = self._buffers.get(name)
        if held is None or len(held) < shape[0]:
            held = self._buffers[name] = np.empty(shape, dtype)
        return held if len(held) == shape[0] else held[: shape[0]]


class Watcher:
    """Looks on while a `Solver` trains. Subclasses override what they care for.

    An error that a watcher raises ends the training, as any other error does.

    Examples
    --------
    >>> from sklearn.datasets import load_digits
    >>> from sklearn_dl.nets import FullyConnected
    >>> from sklearn_dl.solver import Solver, Watcher
    >>> class UntilGoodEnough(Watcher):
    ...     def on_epoch_end(self, solver):
    ...         return solver.train_acc_history[-1] > 0.8
    >>> X, y = load_digits(return_X_y=True)
    >>> net = FullyConnected([50], 64, 10, weight_scale="he", random_state=0)
    >>> options = {"update_rule": "adam", "num_epochs": 50, "verbose": False, "random_state": 0}
    >>> solver = Solver(net, {"X_train": X, "y_train": y}, watchers=[UntilGoodEnough()], **options)
    >>> solver.train()
    >>> solver.epoch < 50, solver.train_acc_history[-1] > 0.8
    (True, True)
    """

    @property
    def each_update(self):
        """Whether `on_update` must run after each update, one by one: if the class has one of its own.

        A subclass may set it to False. The solver then makes updates without Python between them where it can, and runs
        `on_update` every few hundredths of a second, after one update or several.
        """
        return type(self).on_update is not Watcher.on_update

    def on_train_begin(self, solver):
        """Run before the first epoch; the accuracies before training are recorded."""

    def on_epoch_begin(self, solver):
        """Run before the first update of an epoch."""

    def on_update(self, solver):
        """Run after each update, in the innermost loop: be quick."""

    def on_epoch_end(self, solver):
        """Run after each epoch, which is recorded; a true answer ends the training."""

    def close(self):
        """Run when no epoch is left, and after an error."""

    def on_train_end(self, solver):
        """Run last, unless there was an error; the net holds its best validation weights."""


class Solver:
    """Train a net by minibatch gradient descent.

    Parameters
    ----------
    net : Net
        Anything with a dict ``params`` and ``loss(X, y)``, as the nets of `sklearn_dl.nets`.
    data : dict
        ``X_train``, ``y_train`` and, if there is a validation set, ``X_val``, ``y_val``; optionally
        ``sample_weight_train`` and ``sample_weight_val`` (0 is as good as absent), ``rows_train``
        and ``rows_val`` (the rows of X to use, where it is not all). y are integers from 0.
    update_rule : {'sgd', 'sgd_momentum', 'adagrad', 'rmsprop', 'adam'}, default='sgd'
        A function of `sklearn_dl.optim`.
    optim_config : dict, default=None
        The rule's constants, ``learning_rate`` (1e-2 if absent) among them.
    lr_decay : float, default=1.0
        Factor on the learning rate after each epoch.
    batch_size : int, default=100
        Minibatch size; the last one of an epoch may be smaller.
    num_epochs : int, default=10
        Passes over the data. Each visits each sample once, in a fresh random order.
    num_train_samples : int, default=1000
        Training samples, drawn once, that the training accuracy is taken on; None for all.
    num_val_samples : int, default=None
        Validation samples, drawn once, that the validation accuracy is taken on; None for all.
    checkpoint : str or path, default=None
        After each epoch k, all that `resume` needs is saved as ``{checkpoint}_epoch_{k}.npz``.
    print_every : int, default=10
        With `verbose`, the loss is printed every so many updates; 0 for epochs only.
    verbose : bool, default=True
        Print losses and accuracies.
    random_state : int, RandomState or None, default=None
        Orders the samples. None is NumPy's global generator.
    num_iters : int, default=None
        Exact number of updates, in place of `num_epochs`.
    shuffle : bool, default=True
        Whether each epoch has a fresh random order. An epoch of one minibatch keeps its order.
    tol, n_iter_no_change : float, int, default=None, 10
        Stop when more than `n_iter_no_change` epochs in a row did not better the training loss
        (with `early_stopping`: the validation accuracy) by more than `tol`. None: no such stop.
    early_stopping : bool, default=False
        Watch the validation accuracy. Where an epoch is a single update, at least 50 epochs are waited.
    lr_schedule : None, 'cosine', 'linear', 'one_cycle', 'reduce_on_plateau' or Schedule, default=None
        Multiplies the learning rate; see `sklearn_dl.schedules`. Its length is that of the whole training, `num_iters`
        or `num_epochs`. `lr_decay` counts as well.
    augmentation : None, 'flip', 'crop', 'cutout', Augmentation or sequence of these, default=None
        Random changes to the images of each minibatch, in this order; see `sklearn_dl.augmentation`. Accuracies are
        taken on the images as they are.
    watchers : sequence of Watcher, default=()
        Told of each epoch and update, in this order; any of them can end the training.

    Attributes
    ----------
    loss_history : list of float
        The loss, penalty included, of each update's minibatch.
    learning_rate_history : list of float
        The learning rate of each update.
    learning_rate : float
        That of the last update; before the first, the one of `optim_config`.
    train_acc_history, val_acc_history : list of float
        Accuracies before training and after each epoch; the latter empty without a validation set.
    history : dict of str to list
        Columns with one row for each epoch: ``epoch`` (from 1), ``loss`` (mean over its updates, penalty included),
        ``train_accuracy``, ``val_accuracy`` (nan without a validation set), ``learning_rate``, ``seconds`` (the
        accuracies' share included).
    best_val_acc : float
        The best validation accuracy.
    best_params : dict of str to ndarray
        The parameters that reached it; empty where there is no validation set or no accuracy beat
        zero.
    epoch : int
        Epochs done.
    optim_configs : dict of str to dict
        Constants and state of the update rule for each parameter.

    Examples
    --------
    >>> from sklearn.datasets import load_digits
    >>> from sklearn_dl.nets import FullyConnected
    >>> from sklearn_dl.solver import Solver
    >>> X, y = load_digits(return_X_y=True)
    >>> data = {"X_train": X[:1500], "y_train": y[:1500], "X_val": X[1500:], "y_val": y[1500:]}
    >>> net = FullyConnected([50], 64, 10, weight_scale="he", random_state=0)
    >>> solver = Solver(net, data, update_rule="adam", num_epochs=5, verbose=False, random_state=0)
    >>> solver.train()
    >>> len(solver.loss_history), len(solver.val_acc_history)
    (75, 6)
    >>> solver.best_val_acc > 0.8
    True
    """

    def __init__(
        self,
        net,
        data,
        *,
        update_rule="sgd",
        optim_config=None,
        lr_decay=1.0,
        batch_size=100,
        num_epochs=10,
        num_train_samples=1000,
        num_val_samples=None,
        checkpoint=None,
        print_every=10,
        verbose=True,
        random_state=None,
        num_iters=None,
        shuffle=True,
        tol=None,
        n_iter_no_change=10,
        early_stopping=False,
        lr_schedule=None,
        augmentation=None,
        watchers=(),
    ):
        self.net = net
        self._dtype = getattr(net, "dtype", np.result_type(*net.params.values(), np.float32))
        self.update_rule = check_choice("update_rule", update_rule, tuple(UPDATE_RULES))
        self.optim_config = _check_optim_config(update_rule, optim_config)
        self.lr_decay = check_real("lr_decay", lr_decay, low=0, boundaries="neither")
        self.batch_size = check_int("batch_size", batch_size, low=1)
        self.num_epochs = check_int("num_epochs", num_epochs, low=0)
        self.num_iters = None if num_iters is None else check_int("num_iters", num_iters, low=0)
        self.checkpoint = None if checkpoint is None else os.fspath(checkpoint)
        self.print_every = check_int("print_every", print_every, low=0)
        self.verbose = check_bool("verbose", verbose)
        self.shuffle = check_bool("shuffle", shuffle)
        self.tol = None if tol is None else check_real("tol", tol, low=0)
        self.n_iter_no_change = check_int("n_iter_no_change", n_iter_no_change, low=1)
        self.early_stopping = check_bool("early_stopping", early_stopping)
        self.random_state = check_random_state(random_state)
        self.lr_schedule = check_schedule("lr_schedule", lr_schedule)
        self.augmentation = check_augmentation("augmentation", augmentation)
        if not (np.iterable(watchers) and all(isinstance(watcher, Watcher) for watcher in watchers)):
            raise TypeError(f"watchers must be a sequence of Watcher instances, got {watchers!r}.")
        self.watchers = tuple(watchers)

        if not isinstance(data, Mapping):
            raise TypeError(f"data must be a dict, got {type(data).__name__}.")
        self._train = self._samples(data, "train")
        self._val = self._samples(data, "val") if data.get("X_val") is not None else None
        if self.early_stopping and self._val is None:
            raise ValueError("early_stopping needs a validation set: data has no 'X_val'.")
        if self._train.sample_weight is not None and not hasattr(net, "backprop"):
            raise ValueError(f"data['sample_weight_train'] needs a net with backprop, {type(net).__name__} has none.")
        self._train_rows = self._subset("num_train_samples", num_train_samples, self._train)
        self._val_rows = self._subset("num_val_samples", num_val_samples, self._val)
        self._image_shape = self._check_augmentation() if self.augmentation else None
        self._augmentation_work = {}

        self.epoch = 0
        self.loss_history = []
        self.learning_rate_history = []
        self.train_acc_history = []
        self.val_acc_history = []
        self.history = {name: [] for name in HISTORY}
        self.best_val_acc = 0.0
        self.best_params = {}
        self._best_statistics = {}
        self.optim_configs = {name: dict(self.optim_config) for name in net.params}
        self._squares = None  # of the weights that the last update left, for the penalty of the next loss
        self._stop_score = -math.inf  # the best that `tol` is measured from
        self._epochs_without_gain = 0
        # What a part of a longer training says of the schedule that spans all of it: the epochs and updates done when
        # it began, and its length, (num_epochs, num_iters), where that is not the rest of this training.
        self.schedule_began = (0, 0)
        self.schedule_length = None
        self.schedule_state = {} if self.lr_schedule is None else self.lr_schedule.begin()
        self._stopping = False
        self._recorded = None  # while training: what makes updates without Python, if these can be

    # ------------------------------------------------------------------ data

    def _samples(self, data, part):
        """Return the training or validation part of `data`, checked."""
        names = f"X_{part}", f"y_{part}"
        for name in names:
            if data.get(name) is None:
                held = ", ".join(map(repr, data)) or "nothing"
                raise ValueError(f"data must hold {name!r}, it holds {held}.")
        X, y = _check_samples(*(data[name] for name in names), *(f"data[{n!r}]" for n in names))
        num_classes = getattr(self.net, "num_classes", None)
        if num_classes is not None and not (y.min() >= 0 and y.max() < num_classes):
            raise ValueError(
                f"data[{names[1]!r}] must hold classes from 0 to {num_classes - 1}, those of the net,"
                f" got {y.min()} to {y.max()}."
            )
        rows, weight = data.get(f"rows_{part}"), data.get(f"sample_weight_{part}")
        if rows is not None:
            rows = _check_rows(f"data['rows_{part}']", rows, len(X))
        if weight is not None:
            weight = _check_weight(f"data['sample_weight_{part}']", weight, y.shape, rows)
        return Samples(X, y, weight, rows, dtype=self._dtype)

    def _subset(self, name, size, samples):
        """Return the rows that an accuracy is taken on."""
        if size is not None:
            size = check_int(name, size, low=1)
        if samples is None or size is None or size >= len(samples):
            return None if samples is None else samples.rows
        return self.random_state.choice(samples.rows, size, replace=False)

    def _check_augmentation(self):
        """Return the shape (C, H, W) of the images that are augmented."""
        shapes = self._train.shape, getattr(self.net, "input_shape", ())
        shape = next((shape for shape in shapes if len(shape) == 3), None)
        if shape is None:
            raise ValueError(
                "augmentation needs images (n, C, H, W) in data['X_train'], or a net of such an input_shape, got"
                f" samples of shape {shapes[0]}."
            )
        for augmentation in self.augmentation:
            augmentation.check_shape(shape)
        return shape

    # -------------------------------------------------------------- training

    def train(self):
        """Train; afterwards the net holds its best validation weights, if there are any.

        A second call, or a call after `resume`, goes on where the last one ended, up to the number
        of epochs or updates.

        Raises
        ------
        ValueError
            If the loss is no longer a finite number. The net then holds its best validation weights
            so far, if any.
        """
        # Numbers that overflow raise an error, which says what to do: no warnings before it.
        with hold_threads(), np.errstate(over="ignore", invalid="ignore"):
            self._squares = None
            try:
                if not self.train_acc_history:
                    self._record_accuracies()
                elif self._val is not None and not self.best_params:
                    self._keep_best(self._accuracy(self._val, self._val_rows))
                for watcher in self.watchers:
                    watcher.on_train_begin(self)
                tuner = ThreadTuner()
                self._recorded = RecordedSteps(self) if RecordedSteps.can_stand_for(self) else None
                while not self._finished():
                    self._run_epoch(tuner)
            finally:
                self._stopping = False
                self._recorded = None
                self.write_best(self.net)
                for watcher in self.watchers:
                    watcher.close()
            for watcher in self.watchers:
                watcher.on_train_end(self)

    def stop(self):
        """Let `train` end after the update that is under way.

        The epoch ends there, too: it is recorded as any other. A later call of `train` goes on.
        """
        self._stopping = True

    def remaining(self):
        """Count what is left to do, at most. Between epochs only.

        Returns
        -------
        num_epochs, num_updates : int
        """
        per_epoch = math.ceil(len(self._train) / self.batch_size)
        if self.num_iters is None:
            epochs = max(self.num_epochs - self.epoch, 0)
            return epochs, epochs * per_epoch
        updates = max(self.num_iters - self.num_updates, 0)
        return math.ceil(updates / per_epoch), updates

    @property
    def validates(self):
        """Whether there is a validation set."""
        return self._val is not None

    @property
    def num_updates(self):
        """Updates done."""
        return len(self.loss_history)

    @property
    def learning_rate(self):
        """Learning rate of the last update; before the first, the one of `optim_config`."""
        return self.learning_rate_history[-1] if self.learning_rate_history else self.optim_config["learning_rate"]

    @property
    def _patience(self):
        """Epochs without gain that are borne."""
        if self.early_stopping and len(self._train) <= self.batch_size:
            return max(self.n_iter_no_change, MIN_PATIENCE)
        return self.n_iter_no_change

    def _finished(self):
        if self._stopping:
            return True
        if self._epochs_without_gain > self._patience:
            return True
        if self.num_iters is None:
            return self.epoch >= self.num_epochs
        return self.num_updates >= self.num_iters

    def _run_epoch(self, tuner):
        for watcher in self.watchers:
            watcher.on_epoch_begin(self)
        self._epoch_began = time.perf_counter()
        rows = self._epoch_rows()
        starts = range(0, len(rows), self.batch_size)
        rates = self._learning_rates(len(starts))
        before = self.num_updates
        i = 0
        while i < len(starts):
            began = time.perf_counter()
            if self._recorded is None:
                self._begin_update(float(rates[i]))
                self._step(rows[starts[i] : starts[i] + self.batch_size])
            else:
                self._recorded.run(rows[starts[i] :], rates[i:])
            done = self.num_updates - before - i
            tuner.note(began, min(len(rows) - starts[i], done * self.batch_size), done)
            for watcher in self.watchers:
                watcher.on_update(self)
            if self._stopping:
                break
            i += done
        self._end_epoch(self._mean_loss(before, len(rows)))
        for watcher in self.watchers:
            if watcher.on_epoch_end(self):
                self.stop()

    def _begin_update(self, learning_rate):
        self.learning_rate_history.append(learning_rate)
        for config in self.optim_configs.values():
            config["learning_rate"] = learning_rate

    def _mean_loss(self, before, n_rows):
        """Return the mean over the rows of the losses of this epoch's updates, those from number `before` on."""
        total = weight = 0
        for i, loss in enumerate(self.loss_history[before:]):
            size = min(self.batch_size, n_rows - i * self.batch_size)
            total += loss * size
            weight += size
        return total / weight

    def _learning_rates(self, count):
        """Return the learning rates of the first `count` updates of this epoch."""
        rates = np.full(count, self.optim_config["learning_rate"] * self.lr_decay**self.epoch)
        if self.lr_schedule is not None:
            position, length = self.schedule_position()
            multiplier = self.lr_schedule.multiplier
            rates *= [multiplier(position + i, length, self.schedule_state) for i in range(count)]
        return rates

    def schedule_position(self, i=0):
        """Return which update of the schedule the i-th of this epoch is, and how many the schedule has."""
        epoch, update = self.schedule_began
        num_epochs, num_iters = self.schedule_length or (
            self.num_epochs - epoch,
            None if self.num_iters is None else self.num_iters - update,
        )
        if num_iters is not None:
            return self.num_updates - update, num_iters
        updates = math.ceil(len(self._train) / self.batch_size)
        return (self.epoch - epoch) * updates + i, num_epochs * updates

    def _epoch_rows(self):
        """Return the rows of one epoch's minibatches, in their order, and no more than are left to do."""
        rows = self._train.rows
        if self.shuffle and len(rows) > self.batch_size:
            rows = self.random_state.permutation(rows)
        if self.num_iters is not None:
            rows = rows[: (self.num_iters - self.num_updates) * self.batch_size]
        return rows

    def _step(self, rows, program=None):
        """Update the parameters once; a program records it."""
        if not hasattr(self.net, "backprop"):
            self._plain_step(rows)
            return
        with program or nullcontext():
            loss, grads = self._gradients(rows)
        self._record_losses([float(loss + self.net.penalty(self._squares))])
        with program.updates() if program else nullcontext():
            squares = self._update(grads)
        self._squares = None if self.watchers else squares  # a watcher may change the weights

    def _gradients(self, rows):
        """Return loss and gradients of a minibatch, both without the penalty."""
        net = self.net
        options = {}
        if isinstance(net, Net) and net.takes_rows and not self.augmentation:
            X, options["rows"] = self._train.X, rows
            y, weight = self._train.gather_labels(rows)
        else:
            X, y, weight = self._train.gather(rows)
        self._augment(X)
        total = None if weight is None else len(rows) * self._train.mean_weight
        return net.backprop(X, y, weight, total_weight=total, **options)

    def _update(self, grads):
        """Apply the update rule to each parameter; return the sum of squares of each."""
        net, update = self.net, optim.in_place[self.update_rule]
        return {
            name: update(w, grads[name], self.optim_configs[name], net.reg if name in net.weight_names else 0.0)
            for name, w in net.params.items()
        }

    def _plain_step(self, rows):
        """Update the parameters of a net that has ``loss`` and no ``backprop``."""
        X, y, _ = self._train.gather(rows)
        self._augment(X)
        loss, grads = self.net.loss(X, y)
        self._record_losses([float(loss)])
        rule = getattr(optim, self.update_rule)
        for name, w in self.net.params.items():
            rule(w, grads[name], self.optim_configs[name], out=w)

    def _augment(self, X):
        for augment in self.augmentation:
            augment(X.reshape(-1, *self._image_shape), self.random_state, self._augmentation_work)

    def _record_losses(self, losses):
        """Take note of the losses of as many updates; at most the last is not finite."""
        done = self.num_updates
        self.loss_history += losses
        if self.verbose and self.print_every:
            for i in range(-done % self.print_every, len(losses), self.print_every):
                if math.isfinite(losses[i]):
                    print(f"(Iteration {done + i + 1}) loss: {losses[i]:f}")
        if not math.isfinite(losses[-1]):
            raise self._divergence(f"The loss became {losses[-1]} at update {self.num_updates}")

    def _divergence(self, what):
        return ValueError(
            f"{what} (epoch {self.epoch + 1}): learning_rate {self.optim_config['learning_rate']}"
            " is too large for this data and net, or X holds nan or very large values."
            " Lower it, or scale X."
        )

    def _end_epoch(self, train_loss):
        self.epoch += 1
        self._record_accuracies()
        self._record_epoch(train_loss)
        self._watch(self.val_acc_history[-1] if self.early_stopping else -train_loss)
        if self.lr_schedule is not None:
            scores = (-train_loss, "training loss") if self._val is None else (self.val_acc_history[-1], "val accuracy")
            self.lr_schedule.watch(self.schedule_state, *scores)
        if self.checkpoint is not None:
            write_archive(f"{self.checkpoint}_epoch_{self.epoch}.npz", self._state())

    def _record_epoch(self, train_loss):
        row = (
            self.epoch,
            float(train_loss),
            self.train_acc_history[-1],
            self.val_acc_history[-1] if self.validates else math.nan,
            self.learning_rate,
            time.perf_counter() - self._epoch_began,
        )
        for name, value in zip(HISTORY, row, strict=True):
            self.history[name].append(value)

    def _watch(self, score):
        """Count the epochs in which the score did not get better by more than tol."""
        if self.tol is None or (self.num_iters is not None and not self.early_stopping):
            return
        if score > self._stop_score + self.tol:
            self._epochs_without_gain = 0
        else:
            self._epochs_without_gain += 1
        self._stop_score = max(self._stop_score, score)

    # -------------------------------------------------------------- accuracy

    def check_accuracy(self, X, y, num_samples=None, batch_size=100):
        """Accuracy of the net on the given data.

        Parameters
        ----------
        X : ndarray of shape (n, …)
        y : ndarray of int of shape (n,)
        num_samples : int, default=None
            Take it on so many samples, drawn at random.
        batch_size : int, default=100
            Samples in one forward pass.

        Returns
        -------
        accuracy : float
        """
        samples = Samples(*_check_samples(X, y, "X", "y"), dtype=self._dtype)
        rows = self._subset("num_samples", num_samples, samples)
        return self._accuracy(samples, rows, check_int("batch_size", batch_size, low=1))

    def _accuracy(self, samples, rows, batch_size=EVALUATION_BATCH):
        correct = np.empty(len(rows), dtype=bool)
        for start in range(0, len(rows), batch_size):
            X, y, _ = samples.gather(rows[start : start + batch_size])
            scores = self.net.loss(X)
            if not np.isfinite(scores).all():
                # argmax would call nan the best score, and a net that has diverged a good one.
                raise self._divergence(f"Scores became nan or infinite by update {self.num_updates}")
            np.equal(scores.argmax(axis=1), y, out=correct[start : start + batch_size])
        if samples.sample_weight is None:
            return float(correct.mean())
        return float(np.average(correct, weights=samples.sample_weight[rows]))

    def _record_accuracies(self):
        self.train_acc_history.append(self._accuracy(self._train, self._train_rows))
        line = f"(Epoch {self.epoch}) train acc: {self.train_acc_history[-1]:f}"
        if self._val is not None:
            self.val_acc_history.append(self._accuracy(self._val, self._val_rows))
            line += f"; val_acc: {self.val_acc_history[-1]:f}"
            self._keep_best(self.val_acc_history[-1])
        if self.verbose:
            print(line)

    # ---------------------------------------------------------- best weights

    def _keep_best(self, accuracy):
        # Of equal accuracies the later: it has seen more of the data. Equal but for samples of next to no weight.
        if accuracy > 0 and accuracy >= self.best_val_acc - TIE:
            self.best_val_acc = max(self.best_val_acc, accuracy)
            _copy_into(self.best_params, self.net.params)
            _copy_into(self._best_statistics, getattr(self.net, "statistics", {}))

    def write_best(self, net):
        """Write the best validation weights so far, if there are any, into a net like the solver's.

        Parameters
        ----------
        net : Net
        """
        for name, value in self.best_params.items():
            net.params[name][...] = value
        for name, value in self._best_statistics.items():
            net.statistics[name][...] = value

    # ----------------------------------------------------------- checkpoints

    _STATE = (
        "epoch",
        "loss_history",
        "learning_rate_history",
        "train_acc_history",
        "val_acc_history",
        "history",
        "best_val_acc",
        "best_params",
        "optim_configs",
        "_best_statistics",
        "_stop_score",
        "_epochs_without_gain",
        "schedule_state",
    )

    def _state(self):
        return {
            "params": dict(self.net.params),
            "statistics": dict(getattr(self.net, "statistics", {})),
            "update_rule": self.update_rule,
            "lr_schedule": repr(self.lr_schedule),
            "random_state": self.random_state,
            "net_random_state": getattr(self.net, "random_state", None),
            **{name.lstrip("_"): getattr(self, name) for name in self._STATE},
        }

    def resume(self, path):
        """Go back to a checkpoint; `train` then goes on from there, to the same bits.

        Parameters
        ----------
        path : str or path
            A file that a solver with the same net, data and settings wrote.

        Raises
        ------
        ValueError
            If the file is no checkpoint, or of another net, update rule or schedule. The solver and the
            net are then unchanged.
        """
        state = read_archive(path)
        expected = self._state()
        if not isinstance(state, dict) or state.keys() != expected.keys():
            raise ValueError(f"{path} is no checkpoint of a Solver.")
        theirs, ours = _describe(state["params"]), _describe(self.net.params)
        if theirs != ours:
            raise ValueError(f"{path} is of another net: its parameters are {theirs}, here {ours}.")
        if state["update_rule"] != self.update_rule:
            raise ValueError(f"{path} was trained with update_rule {state['update_rule']!r}, not {self.update_rule!r}.")
        if state["lr_schedule"] != repr(self.lr_schedule):
            raise ValueError(f"{path} was trained with lr_schedule {state['lr_schedule']}, not {self.lr_schedule!r}.")
        for name, value in state["params"].items():
            self.net.params[name][...] = value
        for name, value in state["statistics"].items():
            self.net.statistics[name][...] = value
        self.random_state.set_state(state["random_state"].get_state())
        if state["net_random_state"] is not None:
            self.net.random_state.set_state(state["net_random_state"].get_state())
        for name in self._STATE:
            setattr(self, name, state[name.lstrip("_")])


def _check_optim_config(update_rule, optim_config):
    """Return an update rule's constants, with a learning rate; raise if one is not the rule's."""
    if not (optim_config is None or isinstance(optim_config, Mapping)):
        raise TypeError(f"optim_config must be a dict or None, got {optim_config!r}.")
    config = {"learning_rate": 1e-2, **(optim_config or {})}
    known = UPDATE_RULES[update_rule]
    for name, value in config.items():
        if name not in known:
            raise ValueError(
                f"optim_config[{name!r}] is no constant of update_rule {update_rule!r}, which has {', '.join(known)}."
            )
        config[name] = check_real(f"optim_config[{name!r}]", value, low=0)
    # The rule knows the ranges of its constants: better here than after a first evaluation.
    getattr(optim, update_rule)(np.zeros(1), np.zeros(1), dict(config))
    return config


def _check_samples(X, y, X_name, y_name):
    X, y = np.asarray(X), np.asarray(y)
    if X.ndim < 2 or X.dtype.kind not in "biuf":
        raise ValueError(f"{X_name} must be numbers of shape (n, …), got {X.dtype} of shape {X.shape}.")
    if X.size == 0:
        raise ValueError(f"{X_name} must hold at least one sample, got shape {X.shape}.")
    if y.shape != (len(X),) or y.dtype.kind not in "iu":
        raise ValueError(
            f"{y_name} must be {len(X)} integers, one for each row of {X_name}, got {y.dtype} of shape {y.shape}."
        )
    return X, y


def _check_rows(name, rows, n_samples):
    rows = np.asarray(rows)
    if rows.ndim != 1 or rows.dtype.kind not in "iu" or len(rows) == 0:
        raise ValueError(f"{name} must be a list of integers, got {rows.dtype} of shape {rows.shape}.")
    if rows.min() < 0 or rows.max() >= n_samples:
        raise ValueError(f"{name} must be rows from 0 to {n_samples - 1}, got {rows.min()} to {rows.max()}.")
    return np.ascontiguousarray(rows, dtype=np.intp)


def _check_weight(name, weight, shape, rows):
    weight = np.ascontiguousarray(weight, dtype=np.float64)
    if weight.shape != shape:
        raise ValueError(f"{name} must have shape {shape}, got {weight.shape}.")
    used = weight if rows is None else weight[rows]
    if not (used.min() >= 0 and 0 < used.sum() < math.inf):
        raise ValueError(
            f"{name} must be finite, not negative and not all zero, got values from {used.min()} to {used.max()}."
        )
    return weight


def _describe(params):
    return {name: (value.shape, str(value.dtype)) for name, value in params.items()}


def _copy_into(copies, arrays):
    """Copy arrays into those that `copies` holds under the same names, made on first use."""
    for name, array in arrays.items():
        if name in copies:
            np.copyto(copies[name], array)
        else:
            copies[name] = array.copy()
