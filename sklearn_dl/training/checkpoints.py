"""Checkpoints: what is written of a training and when, and which files a training may go on from.

Solver and estimators write files of one layout, a dict:

============= =========================================================================================================
key           what it is
============= =========================================================================================================
checkpoint    whose training it is of: 'Solver', or the class of an estimator
layout        number of this table
version       that of the package which wrote it
settings      what decides on the course of the training: text by name
data          what it trains and validates on: dtype, shape and digest by name, None for what there is not
generator     the random generator as it was before the training, of an estimator; else None
begun, ended  the net before an estimator's training and, once that is over, after it, as text; else None
cut           `num_iters`, where it ended the last epoch before all samples were visited; else None
rows          of which training and validation samples the score is taken, where they are drawn
state         the `TrainingState`
============= =========================================================================================================

Who goes on from a file states its own settings and data, and they must be the same. They are compared as text: a file
can only agree or not.
"""

import errno
import hashlib
import numbers
import os
import re
import sys
import time
from collections.abc import Mapping

import numpy as np

from sklearn_dl._archive import check_storable, read_archive, write_archive
from sklearn_dl._atomic import check_replaceable
from sklearn_dl._csr import CSR
from sklearn_dl._version import __version__
from sklearn_dl._warnings import warn_caller
from sklearn_dl.training.archives import check_checkpoint

__all__ = [
    "Checkpoints",
    "about",
    "check_same",
    "digest_of",
    "read_checkpoint",
    "text_of_data",
    "warn_of_other_release",
]

LAYOUT = 1
# So much of an array is read at once, to be digested.
BLOCK_BYTES = 2**24
# A longer text of a setting is cut, and a digest of it all added.
LONGEST_TEXT = 200

# Where an object is in memory, as its repr tells: another place in each process.
_PLACE = re.compile(r" at 0x[0-9A-Fa-f]+")

# What could not be written, by the path, until the next training that writes there has reported it.
_failed: dict[str, str] = {}


# ------------------------------------------------------------------ fingerprints


def digest_of(*arrays):
    """Return a digest of the contents of arrays, a bounded part of each in memory at a time.

    Parameters
    ----------
    *arrays : ndarray
        Of any dtype and layout, memory maps included.

    Returns
    -------
    digest : str
    """
    digest = hashlib.blake2b(digest_size=16, usedforsecurity=False)
    for array in arrays:
        if array.dtype.kind == "O":
            array = np.array([f"{type(item).__name__} {item}" for item in array.flat])
        digest.update(f"{array.dtype.str} {array.shape}".encode())
        array = array.reshape(1) if array.ndim == 0 else array
        bytes_a_row = max(1, array.itemsize * array[:1].size)
        step = max(1, BLOCK_BYTES // bytes_a_row)
        for start in range(0, len(array) if array.size else 0, step):
            block = np.ascontiguousarray(array[start : start + step])
            digest.update(block.reshape(-1).view(np.uint8))
    return digest.hexdigest()


def text_of_data(array, shape=None):
    """Return dtype, shape and digest of what a training is given.

    Parameters
    ----------
    array : ndarray, CSR or None
    shape : tuple of int, default=None
        What to call its shape.

    Returns
    -------
    text : str or None
    """
    if array is None:
        return None
    if type(array) is CSR:
        rows = array.compact()
        kind, parts = f"sparse {array.dtype}", (_narrow(rows.indptr), _narrow(rows.indices), rows.data)
    else:
        kind, parts = ("str" if array.dtype.kind in "OU" else f"{array.dtype}"), (array,)
        if array.dtype.kind == "O" and all(isinstance(item, str) for item in array.flat):
            parts = (array.astype(str),)
    return f"{kind} of shape {tuple(array.shape if shape is None else shape)}, digest {digest_of(*parts)}"


def _narrow(indices):
    """Return indices as int32 if they are small enough, for a digest that does not go by the dtype that SciPy chose."""
    fits = indices.size == 0 or indices.max() <= np.iinfo(np.int32).max
    return indices.astype(np.int32, copy=False) if fits else indices


def text_of_net(state, *, ended=False):
    """Return how long a net was trained, and a digest of all that further training goes on from.

    Parameters
    ----------
    state : TrainingState
    ended : bool, default=False
        Whether to take the best weights, if there are any, as the net does when training has ended.

    Returns
    -------
    text : str
    """
    best = ended and state.best_params
    params, statistics = (state.best_params, state.best_statistics) if best else (state.params, state.statistics)
    values = _leaves([params, statistics, state.optim_configs, state.held_out])
    digest = digest_of(np.array([name for name, _ in values]), *(np.asarray(value) for _, value in values))
    return f"after {state.epoch} epochs and {state.num_updates} updates, at weights of digest {digest}"


def _leaves(node, name=""):
    """Return names and values of a tree of lists and dicts, in the order of the names."""
    if not isinstance(node, (dict, list)):
        return [(name, node)]
    items = sorted(node.items()) if isinstance(node, dict) else enumerate(node)
    return [leaf for key, value in items for leaf in _leaves(value, f"{name}.{key}")]


def text_of(value):
    """Return a setting as text, the same for values that mean the same.

    Parameters
    ----------
    value : object

    Returns
    -------
    text : str
    """
    text = _spell(value)
    if len(text) > LONGEST_TEXT:
        digest = hashlib.blake2b(text.encode(), digest_size=16, usedforsecurity=False).hexdigest()
        text = f"{text[:LONGEST_TEXT]}… (digest {digest})"
    return text


def _spell(value):
    if isinstance(value, (bool, np.bool_)):
        return repr(bool(value))
    if isinstance(value, numbers.Integral):
        return repr(int(value))
    if isinstance(value, numbers.Real):
        number = float(value)
        return repr(int(number) if number.is_integer() else number)
    if isinstance(value, str):
        return repr(str(value))
    if isinstance(value, Mapping):
        return "{" + ", ".join(sorted(f"{_spell(key)}: {_spell(item)}" for key, item in value.items())) + "}"
    if isinstance(value, (set, frozenset)):
        return "{" + ", ".join(sorted(map(_spell, value))) + "}"
    if isinstance(value, np.random.RandomState):
        return "a RandomState"
    if isinstance(value, np.ndarray):
        return _spell(value.tolist())
    if isinstance(value, (list, tuple, range)):
        return f"({', '.join(map(_spell, value))})"
    if type(value).__repr__ is object.__repr__:  # which tells a place in memory
        return f"{type(value).__qualname__}({_spell(vars(value)) if hasattr(value, '__dict__') else ''})"
    with np.printoptions(threshold=sys.maxsize, floatmode="unique"):  # else arrays are cut, their numbers rounded
        return _PLACE.sub("", repr(value))


# ------------------------------------------------------------------------- files


def about(who, settings, data, *, generator=None, begun=None):
    """Return the part of a checkpoint that stays the same throughout a training.

    Parameters
    ----------
    who : str
    settings : dict of str to object
    data : dict of str to (str or None)
        Texts of `text_of_data`.
    generator : RandomState, default=None
    begun : str, default=None

    Returns
    -------
    tree : dict
    """
    return {
        "checkpoint": who,
        "layout": LAYOUT,
        "version": __version__,
        "settings": {name: text_of(value) for name, value in settings.items()},
        "data": data,
        "generator": generator,
        "begun": begun,
    }


def read_checkpoint(path, who):
    """Return a checkpoint, of which all is checked but the state, which a net is needed for.

    Parameters
    ----------
    path : str or path
    who : str
        Whose training it must be of.

    Returns
    -------
    tree : dict

    Raises
    ------
    OSError, ValueError
        If the file cannot be read, or is no such checkpoint.
    """
    tree, file = read_archive(path), repr(os.fspath(path))
    holder = tree.get("checkpoint") if isinstance(tree, dict) else None
    if not (isinstance(holder, str) and holder == who):
        what = f"it is one of a {holder:.80}" if isinstance(holder, str) else "it holds something else"
        raise ValueError(f"{file} is no checkpoint of a {who}: {what}.")
    if type(tree.get("layout")) is int and tree["layout"] > LAYOUT:
        raise ValueError(f"{file} is a checkpoint of a newer release, {tree.get('version')!s:.40}; update sklearn_dl.")
    try:
        check_checkpoint(tree)
    except ValueError as error:
        raise ValueError(f"{file} is no valid checkpoint of a {who}: {error!s:.2000}") from error
    return tree


def check_same(tree, ours, path, advice=""):
    """Raise ValueError unless a checkpoint is of the same settings and data.

    Parameters
    ----------
    tree : dict
        The checkpoint.
    ours : dict
        What `about` returns.
    path : str or path
    advice : str, default=''
        What to do if it is not; ends the message.
    """
    found = _differences(tree["settings"], ours["settings"])
    shared = tree["settings"].keys() & ours["settings"].keys()
    found = [one for one in found if one[0] in shared] or found  # what only one of them has depends on those
    settings = ", ".join(f"{name:.40} {theirs!s:.300}, not {mine}" for name, theirs, mine in found)
    data = ", ".join(_say(*found) for found in _differences(tree["data"], ours["data"]))
    if settings or data:
        parts = [f"with {settings:.1500}"] * bool(settings) + [f"on other data: {data:.1500}"] * bool(data)
        raise ValueError(f"{os.fspath(path)!r} was trained {', and '.join(parts)}.{advice}")


def warn_of_other_release(tree, path):
    """Warn if another release has written a checkpoint, which training goes on from all the same.

    Parameters
    ----------
    tree : dict
    path : str or path
    """
    if tree["version"] != __version__:
        warn_caller(
            f"{os.fspath(path)!r} was written by sklearn_dl {tree['version']}, this is {__version__}: training goes on,"
            " but perhaps not to the bits that either release alone would give."
        )


def _differences(theirs, ours):
    """Return name, their text and ours of each entry that is not the same; None for what is missing."""
    names = [*ours, *(name for name in theirs if name not in ours)]
    return [(name, theirs.get(name), ours.get(name)) for name in names if theirs.get(name) != ours.get(name)]


def _say(name, theirs, ours):
    """Say how the data differ."""
    if theirs is None:
        return f"without {name}"
    if ours is None:
        return f"with {name:.40} too"
    (theirs, _, _), (ours, _, _) = (text.partition(", digest ") for text in (theirs, ours))
    return f"{name} had other values" if theirs == ours else f"{name} was {theirs}, not {ours}"


# ----------------------------------------------------------------------- writing


class Checkpoints:
    """Writes checkpoints of one training; a write that fails does not end it.

    Parameters
    ----------
    path : str
        The file, or with `numbered` what the names of files begin with. A relative one is one of the folder that is the
        current one now, also if that changes during training.
    interval : float, default=0.0
        Seconds that pass at least from one write to the next; 0 for one after each epoch.
    numbered : bool, default=False
        Whether each is a file of its own, ``{path}_epoch_{epoch}.npz``.
    keep : int, default=None
        How many numbered ones are kept; None for all.

    Attributes
    ----------
    about : dict or None
        What `about` returns: given before a training begins, but for numbered ones, where the solver makes it.
    """

    def __init__(self, path, *, interval=0.0, numbered=False, keep=None):
        self.path = path if os.path.isabs(path) else os.path.join(os.getcwd(), path)
        self.interval, self.numbered, self.keep, self.about = interval, numbered, keep, None
        self._files = []  # numbered ones that are there, the oldest first
        self._left = None if numbered else self._look()  # what the file is like that was read or written last
        self._written = self._error = None

    def file(self, epoch):
        """Return the path of an epoch's file.

        Parameters
        ----------
        epoch : int
        """
        return f"{self.path}_epoch_{epoch}.npz" if self.numbered else self.path

    def adopt(self, epoch, path):
        """Take the files of the training that this one goes on from, up to an epoch, for its own.

        Parameters
        ----------
        epoch : int
        path : str or path
            Its file. If it has another name than the next ones will, files of these names are another training's.
        """
        if os.path.realpath(path) != os.path.realpath(self.file(epoch)):
            return
        folder, name = os.path.split(self.path)
        pattern = re.compile(rf"{re.escape(name)}_epoch_(\d{{1,18}})\.npz", re.ASCII)
        there = os.listdir(folder or ".") if os.path.isdir(folder or ".") else []
        epochs = sorted(int(match[1]) for match in map(pattern.fullmatch, there) if match)
        self._files = [self.file(number) for number in epochs if number <= epoch]

    def begin(self, tree):
        """Prepare for a training: find out what can be wrong, and warn of a write that has failed before.

        Parameters
        ----------
        tree : dict
            A checkpoint, which is not written.

        Raises
        ------
        OSError, TypeError, ValueError
            If files cannot be written there, or the checkpoint cannot be stored.
        """
        check_replaceable(self.file(tree["state"]["epoch"] + 1), "checkpoint")
        check_storable(tree)
        self._drop_old()  # a process may have been killed before it did
        before = _failed.pop(self._key, None)
        if before is not None:
            warn_caller(f"The last checkpoint of an earlier training was not written: {before}.")
        self._written, self._error = time.monotonic(), None

    def is_due(self):
        """Return whether it is time for the next one."""
        return time.monotonic() - self._written >= self.interval

    def write(self, tree):
        """Write a checkpoint. If that fails, warn the first time; the file of the last one stays.

        Parameters
        ----------
        tree : dict
        """
        path = self.file(tree["state"]["epoch"])
        try:
            if not self.numbered and self._look() not in (None, self._left):
                raise FileExistsError(errno.EEXIST, "another training has written the file meanwhile", path)
            write_archive(path, tree)
        except OSError as error:
            first, self._error = self._error is None, f"{path!r}: {error.strerror or error!s}".rstrip(".")
            if first:
                warn_caller(f"A checkpoint could not be written, training goes on: {self._error}.")
            return
        self._error, self._left, self._written = None, self._look(), time.monotonic()
        if self.numbered:
            self._files = [*(file for file in self._files if file != path), path]
            self._drop_old()

    def end(self):
        """Warn if the last write of the training has failed."""
        if self._error is not None:
            _failed[self._key] = self._error
            warn_caller(f"The last checkpoint of this training could not be written: {self._error}.")

    @property
    def _key(self):
        return os.path.abspath(self.path)

    def _look(self):
        """Return what tells whether anybody has replaced the file."""
        try:
            found = os.stat(self.path)
        except OSError:
            return None
        return found.st_ino, found.st_size, found.st_mtime_ns

    def _drop_old(self):
        """Remove the oldest files beyond those that are kept."""
        while self.keep is not None and len(self._files) > self.keep:
            self._remove(self._files.pop(0))

    def _remove(self, path):
        try:
            os.unlink(path)
        except FileNotFoundError:
            pass  # somebody else has
        except OSError as error:
            warn_caller(f"An old checkpoint could not be removed: {path!r}: {error.strerror or error}.")
