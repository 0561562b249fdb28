"""Solver: trains a net on minibatches.

It knows parameters, gradients and minibatches, and neither scikit-learn's estimators nor layers: anything with
``params`` and ``loss(X, y)`` can be trained, and a `sklearn_dl.nets.Net` is trained without allocating anything in a
step.

The loop, from the outside in: `Solver.train` -> `_run_epoch` -> `_step` (gather a minibatch, gradients, update). What
happens between epochs (evaluation, best weights, early stopping, checkpoint) is in `_end_epoch`. Where nobody looks
into them, compiled code makes several short epochs at once: `_run_whole_epochs`. All that training changes is in a
`TrainingState`; a `Watcher` follows it and can end it early.
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
from sklearn_dl._claims import claimed
from sklearn_dl._csr import as_given
from sklearn_dl._interrupts import stopping_at_interrupt
from sklearn_dl._threads import ThreadTuner, hold_threads
from sklearn_dl.augmentation import check_augmentation
from sklearn_dl.optim import UPDATE_RULES
from sklearn_dl.schedules import check_schedule
from sklearn_dl.training import lbfgs
from sklearn_dl.training._epochs import CHUNK
from sklearn_dl.training._program import RecordedSteps, make_evaluator
from sklearn_dl.training.archives import check_drawn, check_progress
from sklearn_dl.training.checkpoints import (
    Checkpoints,
    about,
    check_same,
    read_checkpoint,
    text_of_data,
    text_of_net,
    warn_of_other_release,
)
from sklearn_dl.training.evaluation import EVALUATION_BATCH, NO_EVALUATION, Evaluation, NotFiniteError
from sklearn_dl.training.minibatches import check_minibatches
from sklearn_dl.training.overflow import check_finite, check_rule_state, divergence
from sklearn_dl.training.rules import check_optim_config, check_rule_fits, decayed_rates
from sklearn_dl.training.samples import Samples, check_images, check_samples, draw_rows, permutation, samples_of
from sklearn_dl.training.state import SHORT_NAMES, TrainingState
from sklearn_dl.training.trainee import Trainee
from sklearn_dl.training.watchers import Watcher

__all__ = ["Solver", "Watcher"]

# The least number of epochs that early stopping waits for where an epoch is a single update: accuracy on the few
# validation samples of so small a set does not move in a few updates.
MIN_PATIENCE = 50

# For the same reason, 'reduce_on_plateau' is told the score on a validation set after each so many of such epochs.
EPOCHS_A_LOOK = 10

# The time of the next epochs is that of the fastest of so many: others may have lost their CPU.
RECENT = 8
SHORTEST = 1e-6  # A clock may say 0.

# Accuracies that differ by less are equal.
TIE = 1e-6


def _of_state(name):
    """Return a property: a field of the solver's `TrainingState`."""
    return property(lambda self: getattr(self.state, name))


class Solver:
    """Train a net by minibatch gradient descent.

    Parameters
    ----------
    net : Net
        Anything with a dict ``params`` and ``loss(X, y)``, as the nets of `sklearn_dl.nets`. Its head, if it has one,
        says what y are and how predictions are scored; without one, y are classes.
    data : dict
        ``X_train``, ``y_train`` and, if there is a validation set, ``X_val``, ``y_val``; optionally
        ``sample_weight_train`` and ``sample_weight_val`` (samples of weight 0 are left out), ``rows_train``
        and ``rows_val`` (the rows of X to use, where it is not all). X are arrays, or sparse matrices for a net whose
        first layer is affine; y are what the net's head takes: integers from 0 for 'softmax' and 'hinge', numbers for
        others.
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
        After each epoch k, all that `resume` needs is saved as ``{checkpoint}_epoch_{k}.npz``; not after one that
        `stop` or Ctrl-C has cut short. A write that fails is warned of and does not end training: the next epoch
        tries again. A relative path is one of the folder that is the current one when the solver is made.
    checkpoint_interval : float, default=0
        Seconds that pass at least from one of these files to the next, but for the one at the end.
    keep_checkpoints : int, default=5
        How many of these files are kept: those of the last epochs. None for all.
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
    monitor : {'accuracy', 'r2', 'loss'}, default=None
        What decides on the validation set which epoch is the best one, for `early_stopping`, for the weights that are
        kept and for 'reduce_on_plateau'. None is the score of the net's head: 'accuracy' of classes, 'r2' (R², the
        mean of all outputs') of other numbers. The loss is without the penalty.
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
        Accuracies, or R² where that is the head's score, before training and after each epoch; the latter empty without
        a validation set.
    history : dict of str to list
        Columns with one row for each epoch: ``epoch`` (from 1), ``loss`` (mean over its updates, penalty included),
        ``train_accuracy``, ``val_accuracy`` (``train_r2``, ``val_r2`` where that is the score) and ``val_loss`` (nan
        without a validation set; the latter without penalty, and nan for a net with a loss of its own),
        ``learning_rate``, ``seconds`` (the evaluation's share included).
    best_val_acc : float
        The validation accuracy, or R², of the best epoch.
    best_epoch : int or None
        The best epoch, 0 for the weights before training; None without a validation set.
    best_params : dict of str to ndarray
        The parameters of the best epoch; empty where there is no validation set or no accuracy was above zero.
    trainee : Trainee
        What the solver has found out of the net.
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
        checkpoint_interval=0,
        keep_checkpoints=5,
        print_every=10,
        verbose=True,
        random_state=None,
        num_iters=None,
        shuffle=True,
        tol=None,
        n_iter_no_change=10,
        early_stopping=False,
        monitor=None,
        lr_schedule=None,
        augmentation=None,
        watchers=(),
        state=None,
        schedule_length=None,
    ):
        self.net = net
        self.trainee = Trainee(net)
        self.update_rule = check_choice("update_rule", update_rule, tuple(UPDATE_RULES))
        self.optim_config = check_optim_config(update_rule, optim_config, net.params)
        self.clip_norm = None if clip_norm is None else optim.CLIP_NORM.check(clip_norm, str)
        self.lr_decay = check_real("lr_decay", lr_decay, low=0, boundaries="neither")
        self.batch_size = check_int("batch_size", batch_size, low=1)
        self.num_epochs = check_int("num_epochs", num_epochs, low=0)
        self.num_iters = None if num_iters is None else check_int("num_iters", num_iters, low=0)
        interval = check_real("checkpoint_interval", checkpoint_interval, low=0)
        keep = None if keep_checkpoints is None else check_int("keep_checkpoints", keep_checkpoints, low=1)
        self._checkpoints = checkpoint  # an estimator brings its own
        if not (checkpoint is None or isinstance(checkpoint, Checkpoints)):
            self._checkpoints = Checkpoints(os.fsdecode(checkpoint), interval=interval, numbered=True, keep=keep)
        self.print_every = check_int("print_every", print_every, low=0)
        self.verbose = check_bool("verbose", verbose)
        self.shuffle = check_bool("shuffle", shuffle)
        self.tol = None if tol is None else check_real("tol", tol, low=0)
        self.n_iter_no_change = check_int("n_iter_no_change", n_iter_no_change, low=1)
        self.early_stopping = check_bool("early_stopping", early_stopping)
        self.monitor = check_choice(
            "monitor", self._score_name if monitor is None else monitor, (self._score_name, "loss")
        )
        self.random_state = check_random_state(random_state)
        self.lr_schedule = check_schedule("lr_schedule", lr_schedule)
        self.augmentation = check_augmentation("augmentation", augmentation)
        if not (np.iterable(watchers) and all(isinstance(watcher, Watcher) for watcher in watchers)):
            raise TypeError(f"watchers must be a sequence of Watcher instances, got {watchers!r}.")
        self.watchers = tuple(watchers)

        if not isinstance(data, Mapping):
            raise TypeError(f"data must be a dict, got {type(data).__name__}.")
        self._train = samples_of(data, "train", self.trainee)
        self._val = samples_of(data, "val", self.trainee) if data.get("X_val") is not None else None
        if self.early_stopping and self._val is None:
            raise ValueError("early_stopping needs a validation set: data has no 'X_val'.")
        if self._train.sample_weight is not None and not self.trainee.takes_weights:
            raise ValueError(
                "data['sample_weight_train'] needs a net with backprop, or with an argument sample_weight of its loss:"
                f" {type(net).__name__} has none."
            )
        if self.monitor == "loss" and self._val is not None and not self.trainee.knows_loss:
            raise ValueError(
                f"monitor='loss' needs a net with the library's loss, {type(net).__name__} has one of its own."
            )
        self._train_rows = draw_rows("num_train_samples", num_train_samples, self._train, self.random_state)
        self._val_rows = draw_rows("num_val_samples", num_val_samples, self._val, self.random_state)
        if self.monitor == "r2" and self._val is not None and len(self._val_rows) < 2:
            raise ValueError(
                f"monitor='r2' needs at least 2 validation samples, got {len(self._val_rows)}: give more, or set"
                " monitor='loss'."
            )
        self._image_shape = None
        if self.augmentation:
            self._image_shape = check_images(self._train, self.trainee.input_shape, self.augmentation)
        self._augmentation_work = {}

        self.state = TrainingState.of_net(self.trainee, self.random_state) if state is None else state
        self.state.begin(self.update_rule, self.optim_config, validates=self.validates)
        self.state.begin_schedule(self.lr_schedule, schedule_length)
        check_rule_fits(
            self._rule,
            self.trainee,
            lr_schedule=self.lr_schedule,
            clip_norm=self.clip_norm,
            augmentation=self.augmentation,
        )
        if self._rule.full_batch:
            self.batch_size = len(self._train)
        check_minibatches(self)
        self._squares = None  # of the weights that the last update left, for the penalty of the next loss
        self._stopping = None  # the reason, once `stop` was called
        self._evaluation_of_last = None  # of the training samples after the last epoch, with their loss
        self._at_whole_epoch = True  # not after one that was stopped
        self._cut_at = None  # `num_iters`, if the last epoch had fewer samples for that
        self._stored_reason = None  # why training had ended, in the last checkpoint
        self._began_at = None  # epochs and updates before a training that goes on from a checkpoint
        self._evaluators = {}  # of the training and the validation samples
        self._recorded = None  # while training: what makes updates without Python, if these can be
        self._begin()

    def __getstate__(self):
        """Leave out recordings of compiled calls, which training and evaluation make again."""
        return {**vars(self), "_recorded": None, "_evaluators": {}}

    # -------------------------------------------------------------- training

    def train(self):
        """Train; afterwards the net holds its best validation weights, if there are any.

        A second call, or a call after `resume`, goes on where the last one ended, up to the number
        of epochs or updates: from the last weights, not from the best ones, unless the net was given
        other ones meanwhile or the last call ended with an error.

        Raises
        ------
        KeyboardInterrupt
            After Ctrl-C, once the update under way is done and its epoch is recorded, as by `stop`; a second
            Ctrl-C does not wait for them. All histories have one length; a later call goes on.
        ValueError
            If the loss is no longer a finite number. The net then holds its best validation weights
            so far, if any.
        RuntimeError
            If the net is being trained already: by this solver or by another one, in another thread or
            in a watcher.
        """
        name = type(self.net).__name__
        error = (
            f"this {name} is being trained already, in another thread or by the call of train whose watcher this is:"
            " wait until that has ended, or train a copy."
        )
        with claimed(self.net, error=error):
            with stopping_at_interrupt(self) as interrupts:
                self._train_to_the_end()
            if interrupts:
                self._stopping = None  # also if it came after the last update
                raise KeyboardInterrupt

    def _train_to_the_end(self):
        # Numbers that overflow raise an error, which says what to do: no warnings before it.
        with hold_threads(), np.errstate(over="ignore", invalid="ignore"):
            self._squares = self._evaluation_of_last = self.state.stop_reason = None
            if self._checkpoints is not None:
                self._begin_checkpoints()
            self._begin()
            self.state.put_back_last()
            try:
                if not self.train_acc_history:
                    self._record_first_evaluation()
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
                        if not self._run_whole_epochs(tuner):
                            self._run_epoch(tuner)
                self.state.stop_reason = reason
                self._write_last()
                self.state.keep_last()
            except BaseException as error:
                self.state.even_out()
                if isinstance(error, KeyboardInterrupt):
                    self.state.keep_last()
                raise
            finally:
                self._stopping = self._recorded = None
                self._evaluators.clear()
                self.write_best(self.net)
                for watcher in self.watchers:
                    watcher.close()
            if self._checkpoints is not None:
                self._checkpoints.end()
            for watcher in self.watchers:
                watcher.on_train_end(self)

    def _begin(self):
        """Note where a training begins, and where it will end."""
        self.epochs_before, self.updates_before = self._began_at or (self.epoch, self.num_updates)
        self._began_at, self._updates_there = None, self.num_updates
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
        per_epoch = self._updates_per_epoch
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
    def _score_name(self):
        return self.trainee.head.score_name

    @property
    def penalty_strength(self):
        """The net's `reg`, where it is that of a penalty and not a decay beside the loss."""
        return 0.0 if self._rule.decoupled else self.trainee.reg

    @property
    def full_batch(self):
        """Whether the update rule takes all samples at once."""
        return self._rule.full_batch

    @property
    def _updates_per_epoch(self):
        return math.ceil(len(self._train) / self.batch_size)

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
        rates = self._learning_rates(len(starts))[0]
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
            i += done
            if self._stopping:
                break
        self._at_whole_epoch = i >= len(starts)
        self._cut_at = self.num_iters if len(rows) < len(self._train) else None
        self._end_epoch(self._mean_losses([self.loss_history[before:]], len(rows))[0])

    def _run_whole_epochs(self, tuner):
        """Run several epochs, if nobody has to look into them but compiled code; return whether it did."""
        most = self._epochs_at_once()
        if most < 2:
            return False
        evaluators = [(self._evaluator(self._train, with_loss=False), self._train_rows)]
        score, copies = None, ()
        if self.validates:
            validation = self._evaluator(self._val, with_loss=True)
            if not validation.is_ready:
                return False
            evaluators.append((validation, self._val_rows))
            score = (*validation.score_of(self._val_rows, self.monitor), self._tie, self.monitor == "accuracy")
            copies = self._copies_of_best()
        whole = self._recorded.whole_epochs(evaluators, score, copies)
        if whole is None:
            return False
        began = time.perf_counter()
        rates = self._learning_rates(self._updates_per_epoch, most)
        made = whole.run(rates)
        tuner.note(began, len(made.ended) * len(self._train), made.losses.size)
        self._at_whole_epoch, self._cut_at = True, None
        self._record_losses(made.losses.ravel().tolist())
        self._record_whole_epochs(made, rates[:, -1].tolist())
        if made.rest:
            self._epoch_began = began + (made.ended[-1] if made.ended else 0.0)
            self._record_losses(made.rest)
            self._end_epoch(self._mean_losses([made.rest], len(self._train))[0])
        else:
            self._write_if_due()
        return True

    def _epochs_at_once(self):
        """Return how many epochs may pass before anything but compiled code looks at one."""
        seconds = self.history["seconds"]
        if (
            self._recorded is None
            or self.watchers
            or self.verbose
            or (self._checkpoints is not None and not self._checkpoints.interval)
            or not seconds
            or (self.validates and not self.best_params)
        ):
            return 1
        if self.num_iters is None:
            left = self.num_epochs - self.epoch
        else:
            left = (self.num_iters - self.num_updates) // self._updates_per_epoch
        if self.lr_schedule is not None:
            scores = self.lr_schedule.scores_ahead(self.state.schedule_state)
            left = min(left, scores * self._epochs_a_look - self.epoch % self._epochs_a_look)
        return min(left, int(CHUNK / max(min(seconds[-RECENT:]), SHORTEST)) + 1)  # the run has a limit of time, too

    def _record_whole_epochs(self, made, rates):
        """Take note of epochs that were run one after the other."""
        losses = self._mean_losses(made.losses, len(self._train)).tolist()
        validations = [NO_EVALUATION] * len(losses)
        if self.validates:
            pairs = zip(*(numbers.tolist() for numbers in made.evaluations[1]), strict=True)
            validations = [Evaluation(*pair, 0) for pair in pairs]
        seconds = [end - began for began, end in zip([0.0, *made.ended], made.ended, strict=False)]
        epochs, scores = range(self.epoch + 1, self.epoch + 1 + len(losses)), made.evaluations[0][0].tolist()
        self._note_epochs(epochs, losses, scores, validations, rates[: len(losses)], seconds, kept=True)

    def _begin_update(self, learning_rate):
        self.learning_rate_history.append(learning_rate)
        for config in self.optim_configs.values():
            config["learning_rate"] = learning_rate

    def _mean_losses(self, losses, n_rows):
        """Return the mean over at most so many rows of the losses of each epoch, given as (epochs, updates)."""
        losses = np.array(losses)
        whole = (losses.shape[1] - 1) * self.batch_size
        sizes = np.full(losses.shape[1], self.batch_size)
        sizes[-1] = min(self.batch_size, n_rows - whole)
        totals = np.add.accumulate(losses * sizes, axis=1)[:, -1]  # one after the other, however many there are
        return totals / (whole + sizes[-1])

    def _learning_rates(self, count, epochs=1):
        """Return the learning rates of the first `count` updates of this epoch, and of others that follow it."""
        rates = decayed_rates(self.optim_config["learning_rate"], self.lr_decay, range(self.epoch, self.epoch + epochs))
        rates = np.repeat(rates[:, None], count, axis=1)
        if self.lr_schedule is not None:
            position, length = self.schedule_position()
            multiplier, state = self.lr_schedule.multiplier, self.state.schedule_state
            multipliers = [multiplier(position + i, length, state) for i in range(rates.size)]
            rates *= np.reshape(multipliers, rates.shape)
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
            What `~sklearn_dl.schedules.Schedule.multiplier` is given.
        """
        epoch, update = self.state.schedule_began
        num_epochs, num_iters = self.state.schedule_length or (
            self.num_epochs - epoch,
            None if self.num_iters is None else self.num_iters - update,
        )
        if num_iters is not None:
            return self.num_updates - update, num_iters
        updates = self._updates_per_epoch
        if not self.lr_schedule.needs_length:  # whose parts, in partial_fit, may be of any size
            return self.num_updates - update + i, num_epochs * updates
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
        if self.trainee.through_loss:
            self._plain_step(rows)
            return
        with program or nullcontext():
            loss, grads = self._gradients(rows)
        penalty = 0.0 if self._rule.decoupled else self.trainee.penalty(self._squares)
        self._record_losses([float(loss + penalty)])
        with program.updates() if program else nullcontext():
            squares = self._update(grads)
        self._squares = None if self.watchers else squares  # a watcher may change the weights

    def _gradients(self, rows):
        """Return loss and gradients of a minibatch, both without the penalty."""
        options = {}
        if self.trainee.takes_rows and not (self.augmentation or self._train.is_sparse):
            X, options["rows"] = self._train.X, rows
            y, weight = self._train.gather_targets(rows)
        else:
            X, y, weight = self._train.gather(rows)
        self._augment(X)
        if weight is not None:
            options.update(sample_weight=weight, total_weight=len(rows) * self._train.mean_weight)
        # An update writes no gradients, and clipping leaves zeros as they are.
        return self.trainee.backprop(X, y, **options)

    def _update(self, grads):
        """Apply the update rule to each parameter; return the sum of squares of each."""
        update, configs, reg = optim.in_place[self.update_rule], self.optim_configs, self.trainee.reg
        if self.clip_norm is not None:
            optim.clip_gradients(grads, self.clip_norm)
        return {
            name: update(w, grads[name], configs[name], reg if name in self.trainee.penalized else 0.0)
            for name, w in self.net.params.items()
        }

    def _plain_step(self, rows):
        """Update the parameters of a net that is trained on its ``loss``."""
        X, y, weight = self._train.gather(rows)
        self._augment(X)
        X = as_given(X)
        loss, grads = self.net.loss(X, y) if weight is None else self.net.loss(X, y, sample_weight=weight)
        self._record_losses([float(loss)])
        if self.clip_norm is not None:
            grads = {name: np.array(grads[name], self.trainee.dtype, order="C") for name in self.net.params}
            optim.clip_gradients(grads, self.clip_norm)
        rule = getattr(optim, self.update_rule)
        for name, w in self.net.params.items():
            rule(w, grads[name], self.optim_configs[name], out=w)

    def _augment(self, X):
        for augment in self.augmentation:
            augment(X.reshape(-1, *self._image_shape), self.random_state, self._augmentation_work)

    def _record_losses(self, losses):
        """Take note of the losses of as many updates; at most the last is not finite."""
        if not losses:
            return
        done = self.num_updates
        self.loss_history.extend(losses)
        if self.verbose and self.print_every:
            for i in range(-done % self.print_every, len(losses), self.print_every):
                if math.isfinite(losses[i]):
                    print(f"(Iteration {done + i + 1} / {self._last_update}) loss: {losses[i]:f}")
        if not math.isfinite(losses[-1]):
            check_rule_state(self)
            raise divergence(self, f"The loss became {losses[-1]} at update {self.num_updates}", self.num_updates - 1)

    def _end_epoch(self, train_loss):
        self.state.epoch += 1
        check_finite(self, self._squares)
        # With the loss where this is the last epoch and its weights stay: `evaluate_trained` will ask for it.
        train, validation = self._evaluate_both(with_loss=self.epoch >= self._last_epoch and not self.validates)
        self._evaluation_of_last = train if math.isfinite(train.loss) else None
        seconds = time.perf_counter() - self._epoch_began
        self._note_epochs(
            [self.epoch], [float(train_loss)], [train.score], [validation], [self.learning_rate], [seconds]
        )
        for watcher in self.watchers:
            if watcher.on_epoch_end(self):
                self.stop()
        self._write_if_due()

    def _note_epochs(self, epochs, losses, scores, validations, rates, seconds, *, kept=False):
        """Take note of epochs that have ended; if one was the best, its weights may have been kept already."""
        state, schedule = self.state, self.lr_schedule
        val_scores, val_losses = [found.score for found in validations], [found.loss for found in validations]
        columns = epochs, losses, scores, val_scores, val_losses, rates, seconds
        for column, values in zip(state.history.values(), columns, strict=True):
            column.extend(values)
        for epoch, loss, score, validation in zip(epochs, losses, scores, validations, strict=True):
            state.epoch = epoch
            self._note_scores(score, validation, kept=kept)
            self._watch(self._score(validation) if self.early_stopping else -loss)
            if schedule is not None and epoch % self._epochs_a_look == 0:
                watched = (
                    (self._score(validation), f"val {self.monitor}") if self.validates else (-loss, "training loss")
                )
                schedule.watch(state.schedule_state, *watched)

    def _score(self, evaluation):
        """Return the score of a validation, the higher the better."""
        return -evaluation.loss if self.monitor == "loss" else evaluation.score

    def watched_gain(self):
        """Return what `tol` ends training by, for compiled code to decide alike.

        Returns
        -------
        watch : tuple (tol, best, patience, without_gain, by_score) or None
            The tolerance, the best score so far, after how many epochs without gain in a row training goes on, how many
            of them there were, whether the score is that on the validation set. None if `tol` is not for scores.
        """
        if not self.watches_tol or self.watches_gradient:
            return None
        return self.tol, self.state.stop_score, self.patience, self.state.epochs_without_gain, self.early_stopping

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
        """Return the accuracy of the net on the given data, or what else its head has for a score.

        Parameters
        ----------
        X : ndarray of shape (n, …)
            Samples, as in the solver's data.
        y : ndarray of shape (n,) or (n, n_outputs)
            Classes, integers from 0, or what else the head takes.
        num_samples : int, default=None
            Take it on so many samples, drawn at random.
        batch_size : int, default=100
            Samples in one forward pass.

        Returns
        -------
        accuracy : float
            Share of the samples whose class has the highest score; R² for a head of regression.
        """
        X = check_samples(X, "X")
        y = self.trainee.head.check_targets("y", y, len(X), self.trainee.n_scores)
        samples = Samples(X, y, dtype=self.trainee.dtype)
        rows = draw_rows("num_samples", num_samples, samples, self.random_state)
        return self._evaluate(samples, rows, check_int("batch_size", batch_size, low=1), with_loss=False).score

    def evaluate_training_samples(self):
        """Evaluate the net, as it is, on the training samples that the score is taken on.

        Returns
        -------
        evaluation : Evaluation
            Score and loss, the loss without the penalty.
        """
        with hold_threads(), np.errstate(over="ignore", invalid="ignore"):
            return self._evaluate(self._train, self._train_rows)

    def evaluate_trained(self):
        """Do what `evaluate_training_samples` does after `train`, with the evaluation of its last epoch if it serves.

        Returns
        -------
        evaluation : Evaluation
            Score and loss, the loss without the penalty.
        """
        return self._evaluation_of_last or self.evaluate_training_samples()

    def _evaluate(self, samples, rows, batch_size=EVALUATION_BATCH, *, with_loss=True):
        try:
            return self._evaluator(samples, with_loss=with_loss).evaluate(rows, batch_size)
        except NotFiniteError:
            raise divergence(
                self, f"Scores became nan or infinite by update {self.num_updates}", self.num_updates
            ) from None

    def _evaluator(self, samples, *, with_loss):
        """Return the evaluator of some samples, the same one while training."""
        with_loss = with_loss and self.trainee.knows_loss
        evaluator = self._evaluators.get((id(samples), with_loss))
        if evaluator is None:
            evaluator = make_evaluator(self.net, self.trainee.head, samples, with_loss=with_loss)
            if samples is self._train or samples is self._val:
                self._evaluators[id(samples), with_loss] = evaluator
        return evaluator

    def _record_first_evaluation(self):
        """Evaluate the net before training."""
        train, validation = self._evaluate_both(with_loss=True)
        self.state.initial_loss, self.state.initial_n_classes = train.loss, train.n_classes
        self._note_scores(train.score, validation)

    def _evaluate_both(self, *, with_loss=False):
        """Return the evaluations on the training set, with its loss if asked to, and on the validation set."""
        train = self._evaluate(self._train, self._train_rows, with_loss=with_loss)
        if not self.validates:
            return train, NO_EVALUATION
        return train, self._evaluate(self._val, self._val_rows)

    def _note_scores(self, train_score, validation, *, kept=False):
        """Take note of the scores, and of the best weights."""
        state = self.state
        state.train_acc_history.append(train_score)
        if self.validates:
            state.val_acc_history.append(validation.score)
            self._keep_best(validation, kept=kept)
        elif state.val_acc_history:
            state.val_acc_history.append(math.nan)  # of an earlier training with a validation set
        if self.verbose:
            name = SHORT_NAMES.get(self._score_name, self._score_name)
            line = f"(Epoch {self.epoch} / {self._last_epoch}) train {name}: {train_score:f}"
            print(f"{line}; val_{name}: {validation.score:f}" if self.validates else line)

    # ---------------------------------------------------------- best weights

    @property
    def _tie(self):
        return TIE if self.monitor == "accuracy" else 0.0

    def _keep_best(self, evaluation, *, kept=False):
        state, score = self.state, self._score(evaluation)
        # Of equal ones the later: it has seen more of the data.
        if score < state.best_score - self._tie or (self.monitor == "accuracy" and evaluation.score == 0):
            return
        state.best_score = max(state.best_score, score)
        state.best_val_acc = evaluation.score if self.monitor == "loss" else state.best_score
        state.best_epoch = self.epoch
        if not kept:
            _copy_into(state.best_params, self.net.params)
            _copy_into(state.best_statistics, state.statistics)

    def _copies_of_best(self):
        """Return pairs of arrays (to, from): what `_keep_best` copies from the second time on."""
        state = self.state
        params = [(state.best_params[name], value) for name, value in self.net.params.items()]
        return params + [(state.best_statistics[name], value) for name, value in state.statistics.items()]

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

    def _begin_checkpoints(self):
        if self._checkpoints.numbered:
            self._checkpoints.about = self._about()
        self._checkpoints.begin(self._checkpoint())

    def _write_if_due(self):
        """Write a checkpoint, unless training is over: then there will be one with what it has ended by."""
        writes = self._checkpoints is not None and self._at_whole_epoch and self._checkpoints.is_due()
        if writes and not self._reason_to_stop():
            self._checkpoints.write(self._checkpoint())

    def _write_last(self):
        """Write the checkpoint of a training that is over, unless the last one is the same."""
        if self._checkpoints is None or not self._at_whole_epoch:
            return
        tells_more = self.stop_reason not in ("interrupted", self._stored_reason) and not self._checkpoints.numbered
        if tells_more or self.num_updates > self._updates_there:
            self._checkpoints.write(self._checkpoint())
            self._stored_reason = self.stop_reason

    def _about(self):
        """Return what a checkpoint of this solver says of its settings and data."""
        net = self.net
        schedule, settings = self.lr_schedule, {"net": type(net).__qualname__}
        settings |= {"layers": net.layers} if self.trainee.is_net else {}
        settings |= {"head": self.trainee.head, "update_rule": self.update_rule, "reg": self.trainee.reg}
        settings |= {optim.in_optim_config(name): value for name, value in self.optim_config.items()}
        names = "clip_norm lr_decay batch_size shuffle n_iter_no_change early_stopping monitor"
        names += " lr_schedule augmentation"
        names += " num_epochs num_iters" if schedule is not None and schedule.needs_length else ""
        settings |= {name: getattr(self, name) for name in names.split()}
        settings["tol"] = self.tol if self.watches_tol else None
        shared = self.state.net_random_state is self.state.random_state
        settings["generators of solver and net"] = "one" if shared else "two"
        for part, rows in self._drawn_rows().items():
            settings[f"num_{part}_samples"] = None if rows is None else len(rows)
        data = {}
        for part, samples in (("train", self._train), ("val", self._val)):
            found = dict.fromkeys(("X", "y", "sample_weight", "rows"))
            if samples is not None:
                found |= {"X": samples.X, "y": samples.y, "sample_weight": samples.sample_weight}
                everything = len(samples.rows) == len(samples.X) and (np.diff(samples.rows) == 1).all()
                found["rows"] = None if everything else samples.rows
            data |= {f"{name}_{part}": text_of_data(value) for name, value in found.items()}
        return about("Solver", settings, data)

    def _drawn_rows(self):
        """Return the rows that scores are taken on, for each part of the data, None where they are all."""
        rows = {"train": (self._train, self._train_rows), "val": (self._val, self._val_rows)}
        return {
            part: None if samples is None or found is samples.rows else found for part, (samples, found) in rows.items()
        }

    def _checkpoint(self):
        """Return what is written after an epoch."""
        state = self.state.to_archive()
        if state["stop_reason"] == "interrupted":
            state["stop_reason"] = None
        return {
            **self._checkpoints.about,
            "ended": None if state["stop_reason"] is None else text_of_net(self.state, ended=True),
            "cut": self._cut_at,
            "rows": self._drawn_rows(),
            "state": state,
        }

    def resume(self, path):
        """Go back to a checkpoint; `train` then goes on from there, to the same bits as without the interruption.

        The samples that scores are taken on, and the random state, become those of the checkpoint. 'lbfgs' goes on with
        the same weights, and learns anew what it had found out of the curvature, so that the bits differ.

        Parameters
        ----------
        path : str or path
            A file that a solver with the same net, data and settings wrote. `num_epochs` and `num_iters` may be others,
            unless the schedule depends on them, or `num_iters` has cut the file's last epoch short.

        Raises
        ------
        ValueError
            If the file is no checkpoint of a Solver, or is of another net, settings or data; the message names those
            that differ. The solver and the net are then unchanged.

        Warns
        -----
        UserWarning
            If another release of this package wrote the file.
        """
        found = read_checkpoint(path, "Solver")
        self._check_restorable(found, path)
        check_same(found, self._about(), path)
        self.restore(found, path)
        if self._checkpoints is not None:
            self._checkpoints.adopt(self.epoch, path)

    def _check_restorable(self, found, path):
        try:
            self.state.check_net(found["state"])
        except ValueError as error:
            raise ValueError(f"{os.fspath(path)!r} does not fit this Solver: {error!s:.2000}") from error

    def restore(self, found, path):
        """Go back to a checkpoint whose settings and data are known to be the same.

        Parameters
        ----------
        found : dict
            What the file holds.
        path : str or path
            For error messages.

        Raises
        ------
        ValueError
            If the state is not one of a training of this net. Nothing has changed then.
        """
        file = repr(os.fspath(path))
        if found["cut"] is not None and found["cut"] != self.num_iters:
            raise ValueError(
                f"{file} was trained with num_iters {found['cut']}, not {self.num_iters}, and its last epoch is cut"
                " short there: a longer training would have gone another way."
            )
        try:
            rows = self._drawn_rows()
            for part, samples, drawn in (("train", self._train, rows["train"]), ("val", self._val, rows["val"])):
                theirs = found["rows"][part]
                if theirs is not None or drawn is not None:
                    check_drawn(f"rows[{part!r}]", theirs, () if samples is None else samples.rows, drawn)
                    rows[part] = theirs
            check_progress(found["state"])
            self.state.restore(found["state"])
        except (AttributeError, LookupError, OverflowError, TypeError, ValueError) as error:
            raise ValueError(f"{file} does not fit this Solver: {error!s:.2000}") from error
        if rows["train"] is not None:
            self._train_rows = rows["train"]
        if rows["val"] is not None:
            self._val_rows = rows["val"]
        self._at_whole_epoch, self._cut_at, self._stored_reason = True, found["cut"], self.stop_reason
        self._began_at = self.epochs_before, self.updates_before
        warn_of_other_release(found, path)


def _copy_into(copies, arrays):
    """Copy arrays into those that `copies` holds under the same names, made on first use."""
    for name, array in arrays.items():
        if name in copies:
            np.copyto(copies[name], array)
        else:
            copies[name] = array.copy()
