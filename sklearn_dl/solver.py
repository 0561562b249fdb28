"""Solver: trains a net on minibatches.

It knows parameters, gradients and minibatches, and neither scikit-learn's estimators nor layers: anything with
``params`` and ``loss(X, y)`` can be trained, and a `sklearn_dl.nets.Net` is trained without allocating anything in a
step.

The loop, from the outside in: `Solver.train` -> `_run_epoch` -> `_step` (gather a minibatch, gradients, update). What
happens between epochs (evaluation, best weights, early stopping, checkpoint) is in `_end_epoch`. All that training
changes is in a `TrainingState`; a `Watcher` follows it and can end it early.
"""

import math
import os
import sys
import time
from collections.abc import Mapping
from contextlib import nullcontext

import numpy as np
from sklearn.utils import check_random_state

from sklearn_dl import optim
from sklearn_dl._archive import read_archive, write_archive
from sklearn_dl._arrays import FLOAT32, FLOAT64, all_finite
from sklearn_dl._checks import check_bool, check_choice, check_int, check_real
from sklearn_dl._csr import CSR, as_given
from sklearn_dl._threads import ThreadTuner, hold_threads
from sklearn_dl.augmentation import check_augmentation
from sklearn_dl.nets.net import Net, loss_takes_weights, trains_on_softmax, trains_through_loss
from sklearn_dl.optim import UPDATE_RULES
from sklearn_dl.schedules import check_schedule
from sklearn_dl.training import lbfgs
from sklearn_dl.training._program import RecordedSteps, is_own, make_evaluator
from sklearn_dl.training.evaluation import EVALUATION_BATCH, Evaluation, NotFiniteError
from sklearn_dl.training.samples import Samples, check_rows, check_samples, check_weight, permutation
from sklearn_dl.training.state import HISTORY, TrainingState
from sklearn_dl.training.watchers import Watcher

__all__ = ["Solver", "Watcher"]

# The least number of epochs that early stopping waits for where an epoch is a single update: accuracy on the few
# validation samples of so small a set does not move in a few updates.
MIN_PATIENCE = 50

# For the same reason, 'reduce_on_plateau' is told the score on a validation set after each so many of such epochs.
EPOCHS_A_LOOK = 10

# Accuracies that differ by less are equal.
TIE = 1e-6

# How many parameters an error about large numbers names.
SHOWN = 4

MONITORS = ("accuracy", "loss")


def _of_state(name):
    """Return a property: a field of the solver's `TrainingState`."""
    return property(lambda self: getattr(self.state, name))


class Solver:
    """Train a net by minibatch gradient descent.

    Parameters
    ----------
    net : Net
        Anything with a dict ``params`` and ``loss(X, y)``, as the nets of `sklearn_dl.nets`.
    data : dict
        ``X_train``, ``y_train`` and, if there is a validation set, ``X_val``, ``y_val``; optionally
        ``sample_weight_train`` and ``sample_weight_val`` (samples of weight 0 are left out), ``rows_train``
        and ``rows_val`` (the rows of X to use, where it is not all). X are arrays, or sparse matrices for a net whose
        first layer is affine; y are integers from 0.
    update_rule : {'sgd', 'sgd_momentum', 'nesterov', 'adagrad', 'rmsprop', 'adam', 'adamw', 'lbfgs'}, default='sgd'
        A function of `sklearn_dl.optim`, or 'lbfgs': SciPy's L-BFGS on the loss of all samples, of which each iteration
        is an epoch and an update. 'adamw' takes ``net.reg`` for its decay, and the losses are then without a penalty.
    optim_config : dict, default=None
        The rule's constants, ``learning_rate`` (1e-2 if absent) among them; 'lbfgs' has none.
    clip_norm : float, default=None
        Gradients of a larger Euclidean norm, all parameters' taken as one vector and without the penalty's, are scaled
        to it: see `sklearn_dl.optim.clip_gradients`.
    lr_decay : float, default=1.0
        Factor on the learning rate after each epoch.
    batch_size : int, default=100
        Minibatch size; the last one of an epoch may be smaller. 'lbfgs' takes all samples.
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
        Stop when more than `n_iter_no_change` epochs in a row did not improve the training loss (with `early_stopping`:
        what `monitor` names, on the validation set) by more than `tol`. None: no such stop. 'lbfgs' without
        `early_stopping` stops when no element of the gradient is larger than `tol`, or the loss hardly falls
        any more.
    early_stopping : bool, default=False
        Watch the validation set. Where an epoch is a single update, at least 50 epochs are waited.
    monitor : {'accuracy', 'loss'}, default='accuracy'
        What decides on the validation set which epoch is the best one, for `early_stopping`, for the weights that are
        kept and for 'reduce_on_plateau'. The loss is without the penalty.
    lr_schedule : None, 'cosine', 'linear', 'one_cycle', 'inverse_scaling', 'reduce_on_plateau', Schedule, default=None
        Multiplies the learning rate; see `sklearn_dl.schedules`. Its length is that of the whole training, `num_iters`
        or `num_epochs`. `lr_decay` counts as well. Where an epoch is a single update, a schedule is told every tenth
        score on a validation set.
    augmentation : None, 'flip', 'crop', 'cutout', Augmentation or sequence of these, default=None
        Random changes to the images of each minibatch, in this order; see `sklearn_dl.augmentation`. Accuracies are
        taken on the images as they are.
    watchers : sequence of Watcher, default=()
        Told of each epoch and update, in this order; any of them can end the training.
    state : TrainingState, default=None
        That of an earlier training of this net, to go on from: histories, the rule's state and the schedule continue;
        `num_epochs` and `num_iters` include what was done before.
    schedule_length : tuple (num_epochs, num_iters), default=None
        The length of `lr_schedule` where this training is a part of what it spans.

    Attributes
    ----------
    loss_history : list of float
        The loss, penalty included, of each update's minibatch; with 'lbfgs', of all samples after the update.
    learning_rate_history : list of float
        The learning rate of each update; nan with 'lbfgs', which has none.
    learning_rate : float
        That of the last update; before the first, the one of `optim_config`.
    train_acc_history, val_acc_history : list of float
        Accuracies before training and after each epoch; the latter empty without a validation set.
    history : dict of str to list
        Columns with one row for each epoch: ``epoch`` (from 1), ``loss`` (mean over its updates, penalty included),
        ``train_accuracy``, ``val_accuracy`` and ``val_loss`` (nan without a validation set; the latter without penalty,
        and nan for a net with a loss of its own), ``learning_rate``, ``seconds`` (the evaluation's share included).
    best_val_acc : float
        The validation accuracy of the best epoch.
    best_epoch : int or None
        The best epoch, 0 for the weights before training; None without a validation set.
    best_params : dict of str to ndarray
        The parameters of the best epoch; empty where there is no validation set or no accuracy was above zero.
    stop_reason : str or None
        Why the last training ended: 'num_epochs', 'num_iters', 'no_improvement' (see `tol`; with 'lbfgs', also that no
        lower loss was found), 'converged' ('lbfgs' by `tol`), 'stopped' (by `stop` or a watcher) or 'interrupted' (by
        Ctrl-C). None before.
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

    epoch = _of_state("epoch")
    loss_history = _of_state("loss_history")
    learning_rate_history = _of_state("learning_rate_history")
    train_acc_history = _of_state("train_acc_history")
    val_acc_history = _of_state("val_acc_history")
    history = _of_state("history")
    best_val_acc = _of_state("best_val_acc")
    best_epoch = _of_state("best_epoch")
    best_params = _of_state("best_params")
    stop_reason = _of_state("stop_reason")
    optim_configs = _of_state("optim_configs")

    def __init__(
        self,
        net,
        data,
        *,
        update_rule="sgd",
        optim_config=None,
        clip_norm=None,
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
        monitor="accuracy",
        lr_schedule=None,
        augmentation=None,
        watchers=(),
        state=None,
        schedule_length=None,
    ):
        self.net = net
        self._dtype = getattr(net, "dtype", np.result_type(*net.params.values(), np.float32))
        self.update_rule = check_choice("update_rule", update_rule, tuple(UPDATE_RULES))
        self.optim_config = _check_optim_config(update_rule, optim_config, net.params)
        self.clip_norm = None if clip_norm is None else optim.CLIP_NORM.check(clip_norm, str)
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
        self.monitor = check_choice("monitor", monitor, MONITORS)
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
        self.through_loss = trains_through_loss(net)
        if self._train.sample_weight is not None and self.through_loss and not loss_takes_weights(net):
            raise ValueError(
                "data['sample_weight_train'] needs a net with backprop, or with an argument sample_weight of its loss:"
                f" {type(net).__name__} has none."
            )
        self._knows_loss = trains_on_softmax(net)
        if self.monitor == "loss" and self._val is not None and not self._knows_loss:
            raise ValueError(
                f"monitor='loss' needs a net with the library's loss, {type(net).__name__} has one of its own."
            )
        self._train_rows = self._subset("num_train_samples", num_train_samples, self._train)
        self._val_rows = self._subset("num_val_samples", num_val_samples, self._val)
        self._image_shape = self._check_augmentation() if self.augmentation else None
        self._augmentation_work = {}

        self.state = TrainingState.of_net(net, self.random_state) if state is None else state
        self.state.begin(self.update_rule, self.optim_config, validates=self.validates)
        self.state.begin_schedule(self.lr_schedule, schedule_length)
        self._check_rule_fits()
        if self._rule.full_batch:
            self.batch_size = len(self._train)
        self._squares = None  # of the weights that the last update left, for the penalty of the next loss
        self._stopping = None  # the reason, once `stop` was called
        self._evaluators = {}  # of the training and the validation samples
        self._recorded = None  # while training: what makes updates without Python, if these can be
        self._begin()

    def __getstate__(self):
        """Leave out what holds recordings of compiled calls, which training and evaluation make again."""
        return {**vars(self), "_recorded": None, "_evaluators": {}}

    # ------------------------------------------------------------------ data

    def _samples(self, data, part):
        """Return the training or validation part of `data`, checked."""
        names = f"X_{part}", f"y_{part}"
        for name in names:
            if data.get(name) is None:
                held = ", ".join(map(repr, data)) or "nothing"
                raise ValueError(f"data must hold {name!r}, it holds {held}.")
        X, y = check_samples(*(data[name] for name in names), *(f"data[{n!r}]" for n in names))
        if type(X) is CSR and isinstance(self.net, Net):
            self.net.check_takes_csr()
        num_classes = getattr(self.net, "num_classes", None)
        if num_classes is not None and not (y.min() >= 0 and y.max() < num_classes):
            raise ValueError(
                f"data[{names[1]!r}] must hold classes from 0 to {num_classes - 1}, those of the net,"
                f" got {y.min()} to {y.max()}."
            )
        rows, weight = data.get(f"rows_{part}"), data.get(f"sample_weight_{part}")
        if rows is not None:
            rows = check_rows(f"data['rows_{part}']", rows, len(X))
        if weight is not None:
            weight = check_weight(f"data['sample_weight_{part}']", weight, y.shape, rows)
        return Samples(X, y, weight, rows, dtype=self._dtype)

    def _check_rule_fits(self):
        """Raise if the update rule cannot do what it is asked to with this net."""
        name, net = self.update_rule, self.net
        if self._rule.decoupled and self.through_loss and getattr(net, "reg", 0):
            raise ValueError(
                f"update_rule={name!r} decays weights beside the loss, but {type(net).__name__} has a loss of its own,"
                f" which may hold a penalty of reg={net.reg:g} already: set reg=0 or use another rule."
            )
        if not self._rule.full_batch:
            return
        for option in ("lr_schedule", "clip_norm", "augmentation"):
            if getattr(self, option):
                raise ValueError(f"update_rule={name!r} chooses its steps itself, on all samples: set {option}=None.")
        layers = getattr(net, "varying_layers", ())
        if layers:
            raise ValueError(
                f"update_rule={name!r} minimizes a function of the parameters alone, which the loss is not with"
                f" {layers[0]!r}, of draws or of the minibatch: leave it out or use another rule."
            )

    def _subset(self, name, size, samples):
        """Return the rows that an accuracy is taken on."""
        if size is not None:
            size = check_int(name, size, low=1)
        if samples is None or size is None or size >= len(samples):
            return None if samples is None else samples.rows
        return self.random_state.choice(samples.rows, size, replace=False)

    def _check_augmentation(self):
        """Return the shape (C, H, W) of the images that are augmented."""
        if self._train.is_sparse:
            raise ValueError("augmentation needs images as an array, got a sparse matrix: give X.toarray().")
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
            self._begin()
            try:
                if not self.train_acc_history:
                    self._record_evaluation()
                elif self.validates and not self.best_params:
                    self._keep_best(self._evaluate(self._val, self._val_rows))
                for watcher in self.watchers:
                    watcher.on_train_begin(self)
                tuner = ThreadTuner()
                self._recorded = RecordedSteps(self) if RecordedSteps.can_stand_for(self) else None
                if self._rule.full_batch:
                    reason = lbfgs.train(self, tuner)
                else:
                    while not (reason := self._reason_to_stop()):
                        self._run_epoch(tuner)
                self.state.stop_reason = reason
            finally:
                self._stopping = self._recorded = None
                self._evaluators.clear()
                self.write_best(self.net)
                for watcher in self.watchers:
                    watcher.close()
            for watcher in self.watchers:
                watcher.on_train_end(self)

    def _begin(self):
        """Note where a training begins, and where it will end."""
        self.epochs_before, self._updates_before = self.epoch, self.num_updates
        epochs, updates = self.remaining()
        self._last_epoch, self._last_update = self.epoch + epochs, self.num_updates + updates

    def stop(self, reason="stopped"):
        """Let `train` end after the update that is under way.

        The epoch ends there, too: it is recorded as any other. A later call of `train` goes on.

        Parameters
        ----------
        reason : str, default='stopped'
            What `stop_reason` will be.
        """
        self._stopping = reason

    def remaining(self):
        """Count what is left to do, at most. Between epochs only.

        Returns
        -------
        num_epochs, num_updates : int
            Epochs begun and updates to do, if nothing ends training earlier.
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
        return self.state.num_updates

    @property
    def learning_rate(self):
        """Learning rate of the last update; before the first, the one of `optim_config`."""
        if self.learning_rate_history:
            return self.learning_rate_history[-1]
        return self.optim_config.get("learning_rate", math.nan)

    @property
    def _rule(self):
        return UPDATE_RULES[self.update_rule]

    @property
    def penalty_strength(self):
        """The net's `reg`, where it is that of a penalty and not a decay beside the loss."""
        return 0.0 if self._rule.decoupled else self.net.reg

    @property
    def full_batch(self):
        """Whether the update rule takes all samples at once."""
        return self._rule.full_batch

    @property
    def patience(self):
        """Epochs in a row without improvement before stopping, see `tol`."""
        if self.early_stopping and len(self._train) <= self.batch_size:
            return max(self.n_iter_no_change, MIN_PATIENCE)
        return self.n_iter_no_change

    @property
    def _epochs_a_look(self):
        """After how many epochs the schedule is told the score."""
        return EPOCHS_A_LOOK if self.validates and len(self._train) <= self.batch_size else 1

    @property
    def train_samples(self):
        """The training `Samples`."""
        return self._train

    @property
    def train_rows(self):
        """The rows of `train_samples` that accuracy is taken on."""
        return self._train_rows

    @property
    def watches_tol(self):
        """Whether `tol` can end training."""
        return self.tol is not None and (self.num_iters is None or self.early_stopping)

    @property
    def watches_gradient(self):
        """Whether `tol` is for the gradient, not for scores."""
        return self.watches_tol and self.full_batch and not self.early_stopping

    def _reason_to_stop(self):
        """Return why training is over, None if it is not."""
        if self._stopping:
            return self._stopping
        if self.state.epochs_without_gain > self.patience:
            return "no_improvement"
        if self.num_iters is None:
            return "num_epochs" if self.epoch >= self.num_epochs else None
        return "num_iters" if self.num_updates >= self.num_iters else None

    def _begin_epoch(self):
        for watcher in self.watchers:
            watcher.on_epoch_begin(self)
        self._epoch_began = time.perf_counter()

    def _run_epoch(self, tuner):
        self._begin_epoch()
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

    def _begin_update(self, learning_rate):
        self.learning_rate_history.append(learning_rate)
        for config in self.optim_configs.values():
            config["learning_rate"] = learning_rate

    def _mean_loss(self, before, n_rows):
        """Return the mean over the rows of the losses of this epoch's updates, those from number `before` on."""
        losses = self.loss_history[before:]
        total = 0.0
        for loss in losses[:-1]:
            total += loss * self.batch_size
        whole = (len(losses) - 1) * self.batch_size
        last = min(self.batch_size, n_rows - whole)
        return (total + losses[-1] * last) / (whole + last)

    def _learning_rates(self, count):
        """Return the learning rates of the first `count` updates of this epoch."""
        try:
            decay = self.lr_decay**self.epoch
        except OverflowError:  # not infinity, which makes nan of a rate of zero
            decay = sys.float_info.max
        rates = np.full(count, self.optim_config["learning_rate"] * decay)
        if self.lr_schedule is not None:
            position, length = self.schedule_position()
            multiplier, state = self.lr_schedule.multiplier, self.state.schedule_state
            rates *= [multiplier(position + i, length, state) for i in range(count)]
        return rates

    def schedule_position(self, i=0):
        """Return which update of the schedule the i-th of this epoch is, and how many the schedule has.

        Parameters
        ----------
        i : int, default=0
            Which update of the epoch, from 0.

        Returns
        -------
        update, num_updates : int
            What `Schedule.multiplier` is given.
        """
        epoch, update = self.state.schedule_began
        num_epochs, num_iters = self.state.schedule_length or (
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
            rows = permutation(rows, self.random_state)
        if self.num_iters is not None:
            rows = rows[: (self.num_iters - self.num_updates) * self.batch_size]
        return rows

    def _step(self, rows, program=None):
        """Update the parameters once; a program records it."""
        if self.through_loss:
            self._plain_step(rows)
            return
        with program or nullcontext():
            loss, grads = self._gradients(rows)
        penalty = 0.0 if self._rule.decoupled else self.net.penalty(self._squares)
        self._record_losses([float(loss + penalty)])
        with program.updates() if program else nullcontext():
            squares = self._update(grads)
        self._squares = None if self.watchers else squares  # a watcher may change the weights

    def _gradients(self, rows):
        """Return loss and gradients of a minibatch, both without the penalty."""
        net = self.net
        options = {}
        if isinstance(net, Net) and net.takes_rows and not (self.augmentation or self._train.is_sparse):
            X, options["rows"] = self._train.X, rows
            y, weight = self._train.gather_labels(rows)
        else:
            X, y, weight = self._train.gather(rows)
        self._augment(X)
        if weight is not None:
            options.update(sample_weight=weight, total_weight=len(rows) * self._train.mean_weight)
        # An update writes no gradients, and clipping leaves zeros as they are.
        backprop = net._backprop if isinstance(net, Net) and is_own(net, "backprop") else net.backprop
        return backprop(X, y, **options)

    def _update(self, grads):
        """Apply the update rule to each parameter; return the sum of squares of each."""
        net, update, configs = self.net, optim.in_place[self.update_rule], self.optim_configs
        if self.clip_norm is not None:
            optim.clip_gradients(grads, self.clip_norm)
        return {
            name: update(w, grads[name], configs[name], net.reg if name in net.weight_names else 0.0)
            for name, w in net.params.items()
        }

    def _plain_step(self, rows):
        """Update the parameters of a net that is trained on its ``loss``."""
        X, y, weight = self._train.gather(rows)
        self._augment(X)
        X = as_given(X)
        loss, grads = self.net.loss(X, y) if weight is None else self.net.loss(X, y, sample_weight=weight)
        self._record_losses([float(loss)])
        if self.clip_norm is not None:
            grads = {name: np.array(grads[name], self._dtype, order="C") for name in self.net.params}
            optim.clip_gradients(grads, self.clip_norm)
        rule = getattr(optim, self.update_rule)
        for name, w in self.net.params.items():
            rule(w, grads[name], self.optim_configs[name], out=w)

    def _augment(self, X):
        for augment in self.augmentation:
            augment(X.reshape(-1, *self._image_shape), self.random_state, self._augmentation_work)

    def _record_losses(self, losses):
        """Take note of the losses of as many updates; at most the last is not finite."""
        done = self.num_updates
        self.loss_history.extend(losses)
        if self.verbose and self.print_every:
            for i in range(-done % self.print_every, len(losses), self.print_every):
                if math.isfinite(losses[i]):
                    print(f"(Iteration {done + i + 1} / {self._last_update}) loss: {losses[i]:f}")
        if not math.isfinite(losses[-1]):
            self._check_rule_state()
            raise self._divergence(f"The loss became {losses[-1]} at update {self.num_updates}", self.num_updates - 1)

    def _divergence(self, what, updates):
        """Return the error for numbers that are not finite after so many updates."""
        if updates == self._updates_before:
            return ValueError(
                f"{what}, before this training changed a weight: X holds nan or very large values, or the first weights"
                f" are very large ({self._largest_values()}). Scale X, or lower weight_scale."
            )
        if self.full_batch:
            return ValueError(f"{what} (epoch {self.epoch + 1}): X holds nan or very large values. Scale X.")
        return ValueError(
            f"{what} (epoch {self.epoch + 1}): learning_rate {self.optim_config['learning_rate']}"
            " is too large for this data and net, or X holds nan or very large values."
            " Lower it, or scale X."
        )

    def _magnitudes(self):
        """Return the largest magnitude among the values of X, and of each parameter."""
        X = self._train.X[self._train.rows[:1000]]
        sizes = {"X": X.compact().data if self._train.is_sparse else X, **self.state.params}
        return {name: np.abs(values.astype(np.float64)).max(initial=0) for name, values in sizes.items()}

    def _largest_values(self):
        """Say how large the values of X and of the largest parameters are."""
        sizes = self._magnitudes()
        of_X = sizes.pop("X")
        largest = sorted(sizes, key=sizes.get, reverse=True)[:SHOWN]  # a deep net has many
        shown = [f"{name} {size:.3g}" for name, size in sizes.items() if name in largest]
        return f"the largest magnitudes are {', '.join([f'X {of_X:.3g}', *shown])}"

    def _end_epoch(self, train_loss):
        state = self.state
        state.epoch += 1
        self._check_finite()
        evaluation = self._record_evaluation()
        self._record_epoch(train_loss, evaluation)
        self._watch(self._score(evaluation) if self.early_stopping else -train_loss)
        if self.lr_schedule is not None and state.epoch % self._epochs_a_look == 0:
            scores = (
                (self._score(evaluation), f"val {self.monitor}") if self.validates else (-train_loss, "training loss")
            )
            self.lr_schedule.watch(state.schedule_state, *scores)
        if self.checkpoint is not None:
            write_archive(f"{self.checkpoint}_epoch_{self.epoch}.npz", self._archive())
        for watcher in self.watchers:
            if watcher.on_epoch_end(self):
                self.stop()

    def _check_finite(self):
        """Raise if what was learned is not finite, which finite scores can hide.

        A unit with a weight of minus infinity is zero after relu, and a net that divides by an infinite running
        variance scores all samples alike.
        """
        for name, values in self.state.statistics.items():
            if not all_finite(values):
                raise self._overflow(f"{name} of batch normalization", values.dtype)
        # The updates have summed up the squares of the parameters, to nan where their state is not finite.
        if self._squares is not None and math.isfinite(sum(self._squares.values())):
            return
        self._check_rule_state()
        for name, values in self.state.params.items():
            if not all_finite(values):
                raise self._divergence(f"{name} became nan or infinite by update {self.num_updates}", self.num_updates)

    def _check_rule_state(self):
        """Raise if the update rule's state is not finite: weights whose squared gradients overflowed do not move."""
        name, array = optim.overflowed_state(self.update_rule, self.optim_configs)
        if name is not None:
            what = f"The state {array!r} that update_rule {self.update_rule!r} has for {name}"
            raise self._overflow(what, self.state.params[name].dtype)

    def _overflow(self, what, dtype):
        """Return the error for a number made of activations or gradients that is not finite."""
        what = f"{what} became nan or infinite in {dtype} by update {self.num_updates}"
        sizes = self._magnitudes()
        if max(sizes, key=sizes.get) != "X":
            return self._divergence(what, self.num_updates)
        return ValueError(
            f"{what}: activations or gradients are too large, because X is ({self._largest_values()}). Scale X; another"
            " learning_rate does not help."
        )

    def _record_epoch(self, train_loss, evaluation):
        row = (
            self.epoch,
            float(train_loss),
            self.train_acc_history[-1],
            evaluation.accuracy,
            evaluation.loss,
            self.learning_rate,
            time.perf_counter() - self._epoch_began,
        )
        for name, value in zip(HISTORY, row, strict=True):
            self.history[name].append(value)

    def _score(self, evaluation):
        """Return the score of a validation, the higher the better."""
        return evaluation.accuracy if self.monitor == "accuracy" else -evaluation.loss

    def _watch(self, score):
        """Count the epochs in which the score did not improve by more than tol."""
        if not self.watches_tol or self.watches_gradient:
            return
        state = self.state
        if score > state.stop_score + self.tol:
            state.epochs_without_gain = 0
        else:
            state.epochs_without_gain += 1
        state.stop_score = max(state.stop_score, score)

    # ------------------------------------------------------------ evaluation

    def check_accuracy(self, X, y, num_samples=None, batch_size=100):
        """Return the accuracy of the net on the given data.

        Parameters
        ----------
        X : ndarray of shape (n, …)
            Samples, as in the solver's data.
        y : ndarray of int of shape (n,)
            Classes, integers from 0.
        num_samples : int, default=None
            Take it on so many samples, drawn at random.
        batch_size : int, default=100
            Samples in one forward pass.

        Returns
        -------
        accuracy : float
            Share of the samples whose class has the highest score.
        """
        samples = Samples(*check_samples(X, y, "X", "y"), dtype=self._dtype)
        rows = self._subset("num_samples", num_samples, samples)
        return self._evaluate(samples, rows, check_int("batch_size", batch_size, low=1), with_loss=False).accuracy

    def evaluate_training_samples(self):
        """Evaluate the net, as it is, on the training samples that accuracy is taken on.

        Returns
        -------
        evaluation : Evaluation
            Accuracy and loss, the loss without the penalty.
        """
        with hold_threads(), np.errstate(over="ignore", invalid="ignore"):
            return self._evaluate(self._train, self._train_rows)

    def _evaluate(self, samples, rows, batch_size=EVALUATION_BATCH, *, with_loss=True):
        with_loss = with_loss and self._knows_loss
        evaluator = self._evaluators.get((id(samples), with_loss))
        if evaluator is None:
            evaluator = make_evaluator(self.net, samples, with_loss=with_loss)
            if samples is self._train or samples is self._val:
                self._evaluators[id(samples), with_loss] = evaluator
        try:
            return evaluator.evaluate(rows, batch_size)
        except NotFiniteError:
            raise self._divergence(
                f"Scores became nan or infinite by update {self.num_updates}", self.num_updates
            ) from None

    def _record_evaluation(self):
        """Record accuracies, and the best weights; return the evaluation on the validation set (nan without one)."""
        state, before_training = self.state, not self.train_acc_history
        train = self._evaluate(self._train, self._train_rows, with_loss=before_training)
        state.train_acc_history.append(train.accuracy)
        if before_training:
            state.initial_loss, state.initial_n_classes = train.loss, train.n_classes
        line = f"(Epoch {self.epoch} / {self._last_epoch}) train acc: {train.accuracy:f}"
        evaluation = Evaluation(math.nan, math.nan, 0)
        if self.validates:
            evaluation = self._evaluate(self._val, self._val_rows)
            state.val_acc_history.append(evaluation.accuracy)
            line += f"; val_acc: {evaluation.accuracy:f}"
            self._keep_best(evaluation)
        elif state.val_acc_history:
            state.val_acc_history.append(math.nan)  # of an earlier training with a validation set
        if self.verbose:
            print(line)
        return evaluation

    # ---------------------------------------------------------- best weights

    def _keep_best(self, evaluation):
        state, score = self.state, self._score(evaluation)
        tie = TIE if self.monitor == "accuracy" else 0.0
        # Of equal ones the later: it has seen more of the data.
        if score < state.best_score - tie or (self.monitor == "accuracy" and evaluation.accuracy == 0):
            return
        state.best_score = max(state.best_score, score)
        state.best_val_acc = state.best_score if self.monitor == "accuracy" else evaluation.accuracy
        state.best_epoch = self.epoch
        _copy_into(state.best_params, self.net.params)
        _copy_into(state.best_statistics, state.statistics)

    def write_best(self, net):
        """Write the best validation weights so far, if there are any, into a net like the solver's.

        Parameters
        ----------
        net : Net
            Of the same parameters.
        """
        for name, value in self.best_params.items():
            net.params[name][...] = value
        for name, value in self.state.best_statistics.items():
            net.statistics[name][...] = value

    # ----------------------------------------------------------- checkpoints

    def _archive(self):
        return {"lr_schedule": repr(self.lr_schedule), "state": self.state.to_archive()}

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
        archive = read_archive(path)
        try:
            state = archive["state"]
            settings = {"update_rule": repr(state["update_rule"]), "lr_schedule": archive["lr_schedule"]}
        except (LookupError, TypeError):
            raise ValueError(f"{path} is no checkpoint of a Solver.") from None
        for name, theirs in settings.items():
            ours = repr(getattr(self, name))
            if theirs != ours:
                raise ValueError(f"{path} was trained with {name} {theirs}, not {ours}.")
        try:
            self.state.restore(state)
        except (AttributeError, LookupError, TypeError, ValueError) as error:
            raise ValueError(f"{path} does not fit this Solver: {error}") from error


def _check_optim_config(update_rule, optim_config, params):
    """Return all constants of an update rule, in range for updates of these parameters."""
    if not (optim_config is None or isinstance(optim_config, Mapping)):
        raise TypeError(f"optim_config must be a dict or None, got {optim_config!r}.")
    dtype = FLOAT32 if any(w.dtype == FLOAT32 for w in params.values()) else FLOAT64
    return UPDATE_RULES[update_rule].check(optim_config or {}, optim.in_optim_config, dtype)


def _copy_into(copies, arrays):
    """Copy arrays into those that `copies` holds under the same names, made on first use."""
    for name, array in arrays.items():
        if name in copies:
            np.copyto(copies[name], array)
        else:
            copies[name] = array.copy()
