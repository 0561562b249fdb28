"""TrainingState: everything that training changes, in one object.

Going on after a fit, checkpoints and pickles all work on the fields declared here, each by its kind; no other module
lists them.

========== =========================================== ============================== ==============================
kind       what it is                                  to go on with                  in an archive
========== =========================================== ============================== ==============================
value      a number, a string, None, a tuple, a dict   copied                         as it is
history    a list, or a dict of lists, appended to     the same list                  float64 or int64 arrays
arrays     a dict (of dicts) of arrays and numbers     copied                         copies
generator  a RandomState                               given                          as it is
========== =========================================== ============================== ==============================
"""

import copy
import dataclasses
import math
from dataclasses import dataclass, field

import numpy as np
from numpy.random.bit_generator import ISeedSequence

from sklearn_dl.training.archives import check_fields

# How a line of `verbose` and the names of histories call a score.
SHORT_NAMES = {"accuracy": "acc"}


def new_history(score_name):
    """Return the columns of `TrainingState.history`, empty, for a head whose score is called so."""
    names = "epoch", "loss", f"train_{score_name}", f"val_{score_name}", "val_loss", "learning_rate", "seconds"
    return {name: [] for name in names}


# The kinds of fields, see above.
VALUE, HISTORIES, ARRAYS, GENERATOR = ({"kind": kind} for kind in ("value", "history", "arrays", "generator"))


@dataclass
class TrainingState:
    """What training changes.

    Histories are lists that only grow, so that going on costs the same after a million updates as after one.

    Parameters
    ----------
    params, statistics : dict of str to ndarray
        The net's own arrays, written in place.
    optim_configs : dict of str to dict
        Constants and state of the update rule for each parameter.
    random_state : RandomState
        Orders the samples.
    net_random_state : RandomState or None
        Draws dropout masks; may be the same object.
    """

    params: dict = field(metadata=ARRAYS)
    statistics: dict = field(metadata=ARRAYS)
    optim_configs: dict = field(metadata=ARRAYS)
    random_state: np.random.RandomState = field(metadata=GENERATOR)
    net_random_state: np.random.RandomState | None = field(metadata=GENERATOR, default=None)
    update_rule: str | None = field(metadata=VALUE, default=None)
    epoch: int = field(metadata=VALUE, default=0)
    loss_history: list = field(metadata=HISTORIES, default_factory=list)
    learning_rate_history: list = field(metadata=HISTORIES, default_factory=list)
    train_acc_history: list = field(metadata=HISTORIES, default_factory=list)
    val_acc_history: list = field(metadata=HISTORIES, default_factory=list)
    history: dict = field(metadata=HISTORIES, default_factory=lambda: new_history("accuracy"))
    # Before any update, on the training samples that accuracy is taken on: loss, and number of classes predicted.
    initial_loss: float = field(metadata=VALUE, default=math.nan)
    initial_n_classes: int = field(metadata=VALUE, default=0)
    # The best epoch of this training; a training with a validation set starts over.
    validated: bool = field(metadata=VALUE, default=False)
    best_epoch: int | None = field(metadata=VALUE, default=None)
    best_val_acc: float = field(metadata=VALUE, default=0.0)
    best_score: float = field(metadata=VALUE, default=-math.inf)
    best_params: dict = field(metadata=ARRAYS, default_factory=dict)
    best_statistics: dict = field(metadata=ARRAYS, default_factory=dict)
    # The weights that training ended with, where the net got the best ones in their place.
    last_params: dict = field(metadata=ARRAYS, default_factory=dict)
    last_statistics: dict = field(metadata=ARRAYS, default_factory=dict)
    # Of which samples an estimator set some aside, by content: `sklearn_dl._holdout.Sides`.
    held_out: dict = field(metadata=ARRAYS, default_factory=dict)
    # The best score that `tol` is measured from, and the epochs in a row that did not improve on it.
    stop_score: float = field(metadata=VALUE, default=-math.inf)
    epochs_without_gain: int = field(metadata=VALUE, default=0)
    stop_reason: str | None = field(metadata=VALUE, default=None)
    # The schedule (its repr) and its state; the epochs and updates done when it began; its length, (num_epochs,
    # num_iters), where it spans several trainings, as successive calls of partial_fit do.
    schedule: str = field(metadata=VALUE, default="None")
    schedule_state: dict = field(metadata=VALUE, default_factory=dict)
    schedule_began: tuple = field(metadata=VALUE, default=(0, 0))
    schedule_length: tuple | None = field(metadata=VALUE, default=None)

    # How long its histories are, where a successor appends to the same lists.
    _lengths = None

    @classmethod
    def of_net(cls, trainee, random_state):
        """Return the state before any training of a `Trainee`."""
        return cls(
            params=trainee.net.params,
            statistics=trainee.statistics,
            optim_configs={name: {} for name in trainee.net.params},
            random_state=random_state,
            net_random_state=trainee.random_state,
            history=new_history(trainee.head.score_name),
        )

    @property
    def num_updates(self):
        """Updates done."""
        return len(self.loss_history)

    # ------------------------------------------------------------- beginning

    def begin(self, update_rule, constants, *, validates):
        """Prepare for another training with these constants; the rule's state stays if the rule does.

        Parameters
        ----------
        update_rule : str
        constants : dict
            Its constants.
        validates : bool
            Whether there is a validation set.
        """
        for name, config in self.optim_configs.items():
            kept = config if update_rule == self.update_rule else {}
            self.optim_configs[name] = {**kept, **constants}
        self.update_rule = update_rule
        self.stop_score, self.epochs_without_gain, self.stop_reason = -math.inf, 0, None
        self.best_epoch = None
        if validates:
            self.validated = True
            self.best_val_acc, self.best_score = 0.0, -math.inf
            self.best_params, self.best_statistics = {}, {}
            # Epochs that had no validation set: the two histories stay in step.
            missing = len(self.train_acc_history) - len(self.val_acc_history)
            self.val_acc_history.extend([math.nan] * missing)

    def begin_schedule(self, schedule, length):
        """Say which schedule comes, and its length where it spans several trainings (else None).

        A schedule begins with the training, unless it spans several and this is not the first, or has no length; what
        it has seen of the scores stays.
        """
        same = self.schedule == repr(schedule)
        if not same:
            self.schedule, self.schedule_state = repr(schedule), {} if schedule is None else schedule.begin()
        spans_both = length is not None and self.schedule_length is not None
        endless = schedule is not None and not schedule.needs_length
        if not (same and (spans_both or endless)):
            self.schedule_began = self.epoch, self.num_updates
        self.schedule_length = length

    def forget_best(self):
        """Drop the copies of the best weights, which the net holds by now and goes on from."""
        self.best_params, self.best_statistics = {}, {}
        self.last_params, self.last_statistics = {}, {}

    def keep_last(self):
        """Copy the weights before the best ones, if there are any, take their place."""
        if self.best_params:
            self.last_params, self.last_statistics = _copy_arrays(self.params), _copy_arrays(self.statistics)

    def put_back_last(self):
        """Write the weights that training ended with into the net, unless it has other ones than the best by now."""
        pairs = [(self.params, self.best_params), (self.statistics, self.best_statistics)]
        if self.last_params and all(_are_equal(now, best) for now, best in pairs):
            _write_arrays(self.params, self.last_params)
            _write_arrays(self.statistics, self.last_statistics)
        self.last_params, self.last_statistics = {}, {}

    def even_out(self):
        """Cut the histories to one length, which an exception between two of them may have left uneven."""
        updates = min(len(self.loss_history), len(self.learning_rate_history))
        scores = [self.train_acc_history, self.val_acc_history] if self.validated else [self.train_acc_history]
        n_scores = min(map(len, scores))
        epochs = min(max(n_scores - 1, 0), *map(len, self.history.values()))
        for values in (self.loss_history, self.learning_rate_history):
            _cut(values, updates)
        for values in scores:
            _cut(values, min(n_scores, epochs + 1))
        for values in self.history.values():
            _cut(values, epochs)
        self.epoch = min(self.epoch, epochs)

    # ------------------------------------------------------ copies, archives

    def successor(self, trainee, random_state):
        """Return a copy to train on, which leaves this state as it is.

        The lists of the histories belong to both, so that going on costs the same however long they are; this state
        has no more of them than what they hold now.

        Parameters
        ----------
        trainee : Trainee
            Of a copy of the net.
        random_state : RandomState
            Orders the samples from now on.

        Returns
        -------
        state : TrainingState
        """
        self.take_back()  # in a process forked during a training, which has come to nothing there
        self._lengths = {name: _map_lists(len, getattr(self, name)) for name, kind in _kinds() if kind == "history"}
        given = {
            "params": trainee.net.params,
            "statistics": trainee.statistics,
            "random_state": random_state,
            "net_random_state": trainee.random_state,
        }
        for name, kind in _kinds():
            if name not in given:
                value = getattr(self, name)
                given[name] = value if kind == "history" else _COPY[kind](value)
        return TrainingState(**given)

    def take_back(self):
        """Cut the histories to where a `successor` began that has come to nothing."""
        for name, length in (self._lengths or {}).items():
            _map_lists(_cut, getattr(self, name), length)
        self._lengths = None

    def to_archive(self, *, histories=np.array):
        """Return the state as a dict of plain values, arrays and generators that shares nothing but the generators.

        Parameters
        ----------
        histories : callable, default=numpy.array
            What the lists become.
        """
        return {name: self.copy_field(name, getattr(self, name), histories) for name, _ in _kinds()}

    def copy_field(self, name, value, histories=list):
        """Return a copy of a value that is a field's, or was put in its place.

        Parameters
        ----------
        name : str
            The field.
        value : object
        histories : callable, default=list
            As in `to_archive`.
        """
        kind = dict(_kinds())[name]
        if kind != "history":
            return value if kind == "generator" else _COPY[kind](value)
        if self._lengths is not None:
            value = _map_lists(lambda values, length: values[:length], value, self._lengths[name])
        return _map_lists(histories, value)

    def check_net(self, archive):
        """Raise ValueError if what `to_archive` returned is of a net with other parameters or statistics.

        Parameters
        ----------
        archive : dict
        """
        for name in ("params", "statistics"):
            found = archive.get(name) if isinstance(archive, dict) else None
            if not isinstance(found, dict):
                raise ValueError(f"the state of a training must be a dict with a dict {name}.")
            theirs, ours = describe(found), describe(getattr(self, name))
            if theirs != ours:
                raise ValueError(f"it is of another net: its {name} are {theirs}, here {ours}.")

    def restore(self, archive):
        """Take over what `to_archive` returned, arrays and generators in place.

        Raises
        ------
        TypeError, ValueError
            If the archive is of other fields, or of another net, or a field cannot be what a training has left. Nothing
            has changed then.
        """
        names = [name for name, _ in _kinds()]
        if not isinstance(archive, dict) or archive.keys() != set(names):
            raise ValueError(f"the state of a training must be a dict with the keys {', '.join(names)}.")
        unpacked = {name: _UNPACK[kind](archive[name]) for name, kind in _kinds()}
        self.check_net(archive)
        check_fields(unpacked, columns=self.history)
        for name, kind in _kinds():
            setattr(self, name, _ASSIGN[kind](getattr(self, name), unpacked[name]))


class _NoSeed(ISeedSequence):
    """Seeds with zeros: where a state is written next, seeding would take four times as long as that."""

    def generate_state(self, n_words, dtype=np.uint32):
        return np.zeros(n_words, dtype)


def copy_generator(generator):
    """Return a copy of a RandomState."""
    if type(generator) is not np.random.RandomState or type(generator._bit_generator) is not np.random.MT19937:
        return copy.deepcopy(generator)
    copied = np.random.RandomState(np.random.MT19937(_NoSeed()))  # type: ignore[arg-type]
    copied.set_state(generator.get_state(legacy=False))
    return copied


def _kinds():
    """Return the name and kind of each field."""
    return [(item.name, item.metadata["kind"]) for item in dataclasses.fields(TrainingState)]


def describe(arrays):
    """Return the shape and dtype of each array by name."""
    return {name: (np.shape(value), str(getattr(value, "dtype", type(value)))) for name, value in arrays.items()}


def _copy_arrays(node):
    """Return a copy of a tree of dicts with arrays and numbers."""
    if isinstance(node, dict):
        return {name: _copy_arrays(value) for name, value in node.items()}
    return node.copy() if isinstance(node, np.ndarray) else node


def _are_equal(arrays, others):
    """Return whether two dicts hold equal arrays under the same names."""
    return arrays.keys() == others.keys() and all(np.array_equal(arrays[name], others[name]) for name in arrays)


def _write_arrays(node, source):
    """Return `source` with its arrays in the memory that `node` has for them, else in their own.

    Those of `source` may be of a file that is read as it is used, and must not, or cannot, be written to.
    """
    if isinstance(source, dict):
        held = node if isinstance(node, dict) else {}
        written = {name: _write_arrays(held.get(name), value) for name, value in source.items()}
        if isinstance(node, dict) and node.keys() == written.keys():
            return node if all(node[name] is value for name, value in written.items()) else written
        return written
    fits = isinstance(node, np.ndarray) and isinstance(source, np.ndarray)
    if fits and (node.shape, node.dtype) == (source.shape, source.dtype):
        node[...] = source
        return node
    return np.array(source) if isinstance(source, np.ndarray) else source


def _map_lists(function, node, *others):
    """Apply a function to a list, or to each list of a dict."""
    if isinstance(node, dict):
        return {name: function(value, *(other[name] for other in others)) for name, value in node.items()}
    return function(node, *others)


def _as_list(values):
    return values.tolist() if isinstance(values, np.ndarray) else list(values)


def _cut(values, length):
    del values[length:]
    return values


def _set_generator(generator, state):
    if state is not None and generator is not None:
        generator.set_state(state)
    return generator


def _get_generator(generator):
    return None if generator is None else generator.get_state()


_COPY = {"value": copy.deepcopy, "arrays": _copy_arrays}
_UNPACK = {
    "value": lambda value: value,
    "history": lambda value: _map_lists(_as_list, value),
    "arrays": lambda value: value,
    "generator": lambda value: value,
}
_ASSIGN = {
    "value": lambda node, value: value,
    "history": lambda node, value: value,
    "arrays": _write_arrays,
    "generator": lambda node, value: _set_generator(node, _get_generator(value)),
}
