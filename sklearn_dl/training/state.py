"""TrainingState: everything that training changes, in one object.

Going on after a fit, putting things back after an error, checkpoints and pickles all work on the fields declared here,
each by its kind; no other module lists them.

========== =========================================== ============================== ==============================
kind       what it is                                  after an error                 in an archive
========== =========================================== ============================== ==============================
value      a number, a string, None, a tuple, a dict   assigned                       as it is
history    a list, or a dict of lists, appended to     cut to its length before       float64 or int64 arrays
arrays     a dict (of dicts) of arrays and numbers     written into the same arrays   copies
generator  a RandomState                               set back                       as it is
========== =========================================== ============================== ==============================
"""

import copy
import dataclasses
import math
from dataclasses import dataclass, field

import numpy as np

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
        """Drop the copies of the best weights, which the net holds by now."""
        self.best_params, self.best_statistics = {}, {}

    # ------------------------------------------------------- marks, archives

    def mark(self, *, generators=True):
        """Return what `roll_back` needs to undo all that happens from now on, draws from the generators if asked to."""
        return {
            name: None if kind == "generator" and not generators else _MARK[kind](getattr(self, name))
            for name, kind in _kinds()
        }

    def roll_back(self, mark):
        """Undo what happened since a `mark`."""
        for name, kind in _kinds():
            setattr(self, name, _ROLL_BACK[kind](getattr(self, name), mark[name]))

    def to_archive(self, *, histories=np.array):
        """Return the state as a dict of plain values, arrays and generators that shares nothing but the generators.

        Parameters
        ----------
        histories : callable, default=numpy.array
            What the lists become.
        """
        return {name: _pack(kind, getattr(self, name), histories) for name, kind in _kinds()}

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
        for name in ("params", "statistics"):
            theirs, ours = describe(unpacked[name]), describe(getattr(self, name))
            if theirs != ours:
                raise ValueError(f"it is of another net: its {name} are {theirs}, here {ours}.")
        check_fields(unpacked, columns=self.history)
        for name, kind in _kinds():
            setattr(self, name, _ASSIGN[kind](getattr(self, name), unpacked[name]))


def copy_field(name, value):
    """Return a copy of a value that is a field's, or was put in its place."""
    return _pack(dict(_kinds())[name], value, list)


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


def _pack(kind, node, histories):
    if kind == "generator":
        return node
    return _map_lists(histories, node) if kind == "history" else _MARK[kind](node)


def _set_generator(generator, state):
    if state is not None and generator is not None:
        generator.set_state(state)
    return generator


def _get_generator(generator):
    return None if generator is None else generator.get_state()


_MARK = {
    "value": copy.deepcopy,
    "history": lambda node: _map_lists(len, node),
    "arrays": _copy_arrays,
    "generator": _get_generator,
}
_ROLL_BACK = {
    "value": lambda node, mark: mark,
    "history": lambda node, mark: _map_lists(_cut, node, mark),
    "arrays": _write_arrays,
    "generator": _set_generator,
}
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
