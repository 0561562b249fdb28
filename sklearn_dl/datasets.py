"""CIFAR-10: read it from disk, fetch it once, and split it as the published accuracies do.

Files are read as untrusted ones. The distributed batches are pickles, and a pickle can call whatever its author chose;
here its calls are recorded and not made, and an array is built only from a record of uint8, a shape, and as many bytes
as that shape has.
"""

import gzip
import hashlib
import http.client
import pickletools
import struct
import tarfile
import tempfile
import time
import urllib.error
import urllib.request
import warnings
import zlib
from pathlib import Path, PurePosixPath
from shutil import copyfileobj
from typing import NamedTuple

import numpy as np
from sklearn.datasets import get_data_home
from sklearn.utils import Bunch

from ._checks import check_bool, check_dtype, check_int, check_real
from .preprocessing import MeanSubtractor

__all__ = ["CIFAR10", "RemoteFile", "cifar10_splits", "fetch_cifar10", "load_cifar10"]


class RemoteFile(NamedTuple):
    """A file to download, with its size and checksum.

    Parameters
    ----------
    url : str
        Where it is.
    sha256 : str
        SHA-256 of its bytes, in hexadecimal.
    size : int, default=None
        Number of its bytes: a download that goes on ends there, with an error. None is what the server says.

    Examples
    --------
    >>> from sklearn_dl.datasets import CIFAR10, RemoteFile
    >>> mirror = RemoteFile("https://example.org/cifar-10-python.tar.gz", CIFAR10.sha256)
    >>> mirror.sha256[:8]
    '6d958be0'
    """

    url: str
    sha256: str
    size: int | None = None


CIFAR10 = RemoteFile(
    "https://www.cs.toronto.edu/~kriz/cifar-10-python.tar.gz",
    "6d958be074577803d12ecdefd02955f39262c83c16fe9348329d7fe0b5c001ce",
    170_498_071,
)

_IMAGE_SHAPE = (3, 32, 32)
_PIXELS = 3 * 32 * 32
_N_CLASSES = 10
_BATCHES = ("data_batch_1", "data_batch_2", "data_batch_3", "data_batch_4", "data_batch_5")
_PYTHON_FOLDER, _PYTHON_META = "cifar-10-batches-py", "batches.meta"
_PYTHON_FILES = (*_BATCHES, "test_batch", _PYTHON_META)
_BINARY_FOLDER, _BINARY_META = "cifar-10-batches-bin", "batches.meta.txt"
_BINARY_FILES = (*(f"{name}.bin" for name in (*_BATCHES, "test_batch")), _BINARY_META)
_LARGEST_META, _LONGEST_NAME = 2**16, 1000
_TIMEOUT = 60.0  # without a byte

_DESCR = """\
CIFAR-10
--------

Colour photographs of 32 x 32 pixels in ten classes: airplane, automobile, bird, cat, deer, dog,
frog, horse, ship and truck, equally frequent. 50,000 images are for training, in random order, and
10,000 for testing.

==================   ==========================================
Classes              10
Samples              50,000 for training, 10,000 for testing
Features             3 x 32 x 32: red, green and blue, 0 to 255
==================   ==========================================

Collected by Alex Krizhevsky, Vinod Nair and Geoffrey Hinton:
https://www.cs.toronto.edu/~kriz/cifar.html

Alex Krizhevsky. Learning Multiple Layers of Features from Tiny Images. Technical report,
University of Toronto, 2009.
"""


def load_cifar10(path, *, return_X_y=False):
    """Read CIFAR-10 from its unpacked files, in the Python or in the binary version.

    Nothing that is pickled in the Python version is executed: files of unknown origin are safe to
    read.

    Parameters
    ----------
    path : str or path-like
        The folder ``cifar-10-batches-py`` or ``cifar-10-batches-bin`` (under any name), or the
        folder that holds it. Where both are there, the Python version is read.
    return_X_y : bool, default=False
        Return the four arrays instead of a Bunch.

    Returns
    -------
    data : :class:`~sklearn.utils.Bunch`
        Dictionary-like object with the attributes

        X_train : ndarray of shape (50000, 3, 32, 32), uint8
            Training images, NCHW: red, green and blue planes, rows from the top.
        y_train : ndarray of shape (50000,), int64
            Their classes, 0 to 9.
        X_test : ndarray of shape (10000, 3, 32, 32), uint8
            Test images.
        y_test : ndarray of shape (10000,), int64
            Their classes.
        target_names : ndarray of shape (10,), str
            Names of the classes.
        DESCR : str
            What the data set is.
    (X_train, y_train, X_test, y_test) : tuple
        If `return_X_y` is True. Training and test data stay apart, so these are four arrays, not
        the two of the data sets in scikit-learn that come without a split.

    Raises
    ------
    TypeError
        If `path` is no path, or `return_X_y` no bool.
    FileNotFoundError
        If there is no such folder, or a file is missing from it.
    ValueError
        If a file is damaged, truncated, or not of CIFAR-10; the message names the file.

    Notes
    -----
    Files may hold fewer images than the distributed ones, as long as the five training batches
    hold equally many.

    References
    ----------
    The formats are described at https://www.cs.toronto.edu/~kriz/cifar.html

    Examples
    --------
    >>> from sklearn_dl.datasets import load_cifar10
    >>> data = load_cifar10("~/data/cifar-10-batches-py")  # doctest: +SKIP
    >>> data.X_train.shape  # doctest: +SKIP
    (50000, 3, 32, 32)
    """
    check_bool("return_X_y", return_X_y)
    folder, read_batch, batch_files, read_names = _find_version(path)
    names = read_names(folder)
    *train_files, test_file = (folder / name for name in batch_files)
    train = [read_batch(file) for file in train_files]
    for file, (images, _) in zip(train_files, train, strict=True):
        if len(images) != len(train[0][0]):
            raise ValueError(
                f"{file}: truncated or not of one set: it holds {len(images)} images, "
                f"{train_files[0].name} holds {len(train[0][0])}."
            )
    X_test, y_test = read_batch(test_file)
    data = Bunch(
        X_train=np.concatenate([images for images, _ in train]).reshape(-1, *_IMAGE_SHAPE),
        y_train=np.concatenate([labels for _, labels in train]),
        X_test=np.concatenate([X_test]).reshape(-1, *_IMAGE_SHAPE),
        y_test=y_test,
        target_names=names,
        DESCR=_DESCR,
    )
    if return_X_y:
        return data.X_train, data.y_train, data.X_test, data.y_test
    return data


def fetch_cifar10(
    data_home=None, *, download_if_missing=True, return_X_y=False, n_retries=3, delay=1.0, timeout=3600.0
):
    """Load CIFAR-10, downloading it (170 MB) the first time.

    The archive is verified by its SHA-256 before it is opened, only the files that belong to
    CIFAR-10 are taken from it, and they are moved into place when all of them are there and have
    been read. A failure leaves `data_home` as it was.

    Parameters
    ----------
    data_home : str or path-like, default=None
        Where data sets are kept. By default scikit-learn's :func:`~sklearn.datasets.get_data_home`,
        usually ``~/scikit_learn_data``. The files go to its subfolder ``cifar-10-batches-py``, and
        are read from there ever after.
    download_if_missing : bool, default=True
        If False, raise an error instead of downloading.
    return_X_y : bool, default=False
        Return the four arrays instead of a Bunch; see :func:`load_cifar10`.
    n_retries : int, default=3
        How often a failed download is tried again.
    delay : float, default=1.0
        Seconds between tries.
    timeout : float, default=3600.0
        Seconds after which a try ends, even if bytes still come.

    Returns
    -------
    data : :class:`~sklearn.utils.Bunch`
        As :func:`load_cifar10` returns it.
    (X_train, y_train, X_test, y_test) : tuple
        If `return_X_y` is True.

    Raises
    ------
    TypeError
        If a parameter is not of the type described.
    FileNotFoundError
        If the data is not there and `download_if_missing` is False.
    OSError
        If the download fails, or its checksum is wrong.
    ValueError
        If a number is out of range, or a file in `data_home` is damaged.

    See Also
    --------
    load_cifar10 : Read files that are already unpacked.

    Examples
    --------
    >>> from sklearn_dl.datasets import fetch_cifar10
    >>> data = fetch_cifar10()  # doctest: +SKIP
    >>> data.target_names[data.y_test[0]]  # doctest: +SKIP
    'cat'
    """
    check_bool("download_if_missing", download_if_missing)
    check_bool("return_X_y", return_X_y)
    n_retries = check_int("n_retries", n_retries, low=0)
    delay = check_real("delay", delay, low=0)
    timeout = check_real("timeout", timeout, low=0, boundaries="neither")
    if data_home is not None:
        data_home = _as_path("data_home", data_home)
    data_home = Path(get_data_home(data_home))
    folder = data_home / _PYTHON_FOLDER
    if folder.exists():
        return load_cifar10(folder, return_X_y=return_X_y)
    if not download_if_missing:
        raise FileNotFoundError(f"CIFAR-10 is not in {folder}, and download_if_missing is False.")
    # In data_home, not in the system's temporary folder: only there is the rename atomic.
    with tempfile.TemporaryDirectory(prefix=".cifar-10-", dir=data_home) as temporary:
        archive = Path(temporary, "archive")
        _download(CIFAR10, archive, n_retries=n_retries, delay=delay, timeout=timeout)
        unpacked = _unpack(archive, Path(temporary))
        data = load_cifar10(unpacked, return_X_y=return_X_y)
        try:
            unpacked.rename(folder)
        except OSError:
            # Another process may have finished first; it has verified its files, too.
            if not folder.exists():
                raise
    return data


def cifar10_splits(
    path_or_bunch=None,
    *,
    num_training=49_000,
    num_validation=1_000,
    num_test=1_000,
    subtract_mean=True,
    dtype=np.float32,
):
    """Return CIFAR-10 split and centred as for the published accuracies, ready for a Solver.

    Parameters
    ----------
    path_or_bunch : path-like, dict or Bunch, default=None
        A folder for :func:`load_cifar10`; or what it returned (any dict with X_train, y_train,
        X_test, y_test, images being NCHW), which is not modified; or None for
        :func:`fetch_cifar10`.
    num_training : int, default=49000
        Size of the training set: the first images of X_train.
    num_validation : int, default=1000
        Size of the validation set: the images that follow those. May be 0.
    num_test : int, default=1000
        Size of the test set: the first images of X_test. May be 0.
    subtract_mean : bool, default=True
        Subtract the mean image of the training set from all three.
    dtype : {np.float32, np.float64}, default=np.float32
        Type of the images. 51,000 of them are 0.6 GB of float32.

    Returns
    -------
    splits : dict
        X_train, X_val, X_test : ndarray of shape (n, 3, 32, 32)
            Images, NCHW, of type `dtype`.
        y_train, y_val, y_test : ndarray of shape (n,), int64
            Their classes.
        mean_image : ndarray of shape (3, 32, 32)
            Mean of the training images before it was subtracted, of type `dtype`.

    Raises
    ------
    TypeError
        If a parameter is not of the type described.
    FileNotFoundError
        If `path_or_bunch` is a folder where files are missing.
    ValueError
        If there are fewer images than asked for, or `path_or_bunch` does not hold images and
        labels, or a number is out of range.

    Examples
    --------
    >>> from sklearn_dl.datasets import cifar10_splits
    >>> data = cifar10_splits("~/data/cifar-10-batches-py")  # doctest: +SKIP
    >>> data["X_train"].shape, data["X_val"].shape, data["X_test"].shape  # doctest: +SKIP
    ((49000, 3, 32, 32), (1000, 3, 32, 32), (1000, 3, 32, 32))
    """
    n_train = check_int("num_training", num_training, low=1)
    n_val = check_int("num_validation", num_validation, low=0)
    n_test = check_int("num_test", num_test, low=0)
    check_bool("subtract_mean", subtract_mean)
    dtype = check_dtype("dtype", dtype)
    if path_or_bunch is None:
        data = fetch_cifar10()
    elif isinstance(path_or_bunch, dict):
        data = path_or_bunch
    else:
        data = load_cifar10(_as_path("path_or_bunch", path_or_bunch, "a dict, "))
    X, y = _images_and_labels(data, "train")
    X_test, y_test = _images_and_labels(data, "test")
    if X.shape[1:] != X_test.shape[1:]:
        raise ValueError(
            f"path_or_bunch must hold training and test images of one shape, got {X.shape[1:]} and {X_test.shape[1:]}."
        )
    if n_train + n_val > len(X):
        raise ValueError(
            f"num_training={n_train} and num_validation={n_val} need {n_train + n_val} training "
            f"images, the data has {len(X)}."
        )
    if n_test > len(X_test):
        raise ValueError(f"num_test={n_test} needs more test images than the {len(X_test)} there.")

    mean = MeanSubtractor().fit(X[:n_train]).mean_.reshape(X.shape[1:]).astype(dtype)
    shift = mean if subtract_mean else dtype.type(0)
    parts = {
        "train": (X[:n_train], y[:n_train]),
        "val": (X[n_train : n_train + n_val], y[n_train : n_train + n_val]),
        "test": (X_test[:n_test], y_test[:n_test]),
    }
    splits = {"mean_image": mean}
    for part, (images, labels) in parts.items():
        splits[f"X_{part}"] = np.subtract(images, shift, dtype=dtype, casting="same_kind", order="C")
        splits[f"y_{part}"] = labels.astype(np.int64)
    return splits


def _as_path(name, value, also=""):
    try:
        return Path(value).expanduser()
    except TypeError:
        raise TypeError(f"{name} must be {also}a str or a path-like object, got {value!r}.") from None


def _images_and_labels(data, part):
    missing = [key for key in (f"X_{part}", f"y_{part}") if key not in data]
    if missing:
        raise ValueError(f"path_or_bunch must hold {missing[0]!r}, got only {sorted(data)}.")
    X, y = np.asarray(data[f"X_{part}"]), np.asarray(data[f"y_{part}"])
    if X.ndim != 4 or X.dtype.kind not in "uif":
        raise ValueError(
            f"path_or_bunch['X_{part}'] must hold images (n, channels, height, width) of a real "
            f"dtype, got shape {X.shape} of {X.dtype}."
        )
    if y.shape != (len(X),) or y.dtype.kind not in "ui":
        raise ValueError(f"path_or_bunch['y_{part}'] must hold {len(X)} integers, got shape {y.shape} of {y.dtype}.")
    return X, y


# --- the two versions on disk ------------------------------------------------------------------


def _find_version(path):
    """Return the folder, and how to read it: (folder, read_batch, batch_files, read_names)."""
    path = _as_path("path", path)
    if not path.exists():
        raise FileNotFoundError(f"path does not exist: {path}.")
    if not path.is_dir():
        raise ValueError(f"path must be a folder with the unpacked CIFAR-10 files, got {path}.")
    python = (_PYTHON_FOLDER, _PYTHON_FILES, _read_python_batch, _read_python_names)
    binary = (_BINARY_FOLDER, _BINARY_FILES, _read_binary_batch, _read_binary_names)
    for name, files, read_batch, read_names in (python, binary):
        for folder in (path, path / name):
            # The folder's name decides too, so that the error for an empty one lists its missing files.
            named = folder.name == name and folder.is_dir()
            if named or any((folder / file).exists() for file in files):
                for file in files:
                    if not (folder / file).is_file():
                        raise FileNotFoundError(f"{folder / file}: missing from CIFAR-10.")
                return folder, read_batch, files[:-1], read_names
    raise FileNotFoundError(
        f"No CIFAR-10 in {path}: it should hold {', '.join(_PYTHON_FILES)} (or the binary version, "
        f"{_BINARY_FILES[0]} ...), or a folder {_PYTHON_FOLDER} or {_BINARY_FOLDER} with them."
    )


# What the pickle of an array names: NumPy 1 and NumPy 2 call the first by different modules.
_ARRAY_GLOBALS = {
    ("numpy.core.multiarray", "_reconstruct"),
    ("numpy._core.multiarray", "_reconstruct"),
    ("numpy", "ndarray"),
    ("numpy", "dtype"),
}


class _Recorded:
    """A call that a pickle asks for, recorded and not made."""

    def __init__(self, args=()):
        self.args, self.state = args, None


class _Mark:
    """Where on the stack of a pickle a container begins."""


_MARK = _Mark()


class _BatchReader:
    """Read a pickle of dicts, lists, numbers, strings and arrays; call nothing.

    Not `pickle.Unpickler`, which allocates what a number in the file asks for, before it reads as much: nine bytes are
    enough for gigabytes. Here each opcode takes what is there, and keys are strings: a tuple that holds itself twice,
    and so on sixty times, would never be hashed. Python 2 wrote the batches; strings are read as bytes.
    """

    def __init__(self):
        self.stack, self.memo = [], {}

    def read(self, data):
        """Return the object that is pickled in bytes."""
        for opcode, argument, _ in pickletools.genops(data):
            name = opcode.name
            if name == "STOP":
                [value] = self.stack
                return value
            if name in _VALUES:
                self.stack.append(_VALUES[name])
            elif name in _LITERALS:
                self.stack.append(_LITERALS[name](argument))
            elif name in _SHORT_TUPLES:
                self.stack.append(tuple(self._pop(_SHORT_TUPLES[name])))
            elif name not in _IGNORED:
                step = getattr(self, f"_do_{name.lower()}", None)
                if step is None:
                    raise ValueError(f"it has the opcode {name}, which no batch needs.")
                step(argument)
        raise ValueError("it does not end.")

    def _pop(self, count):
        if count > len(self.stack) or _MARK in self.stack[len(self.stack) - count :]:
            raise ValueError("its stack is too short.")
        values = self.stack[len(self.stack) - count :]
        del self.stack[len(self.stack) - count :]
        return values

    def _pop_to_mark(self):
        values = []
        while (value := self.stack.pop()) is not _MARK:
            values.append(value)
        return values[::-1]

    def _top(self, kind):
        if not (self.stack and type(self.stack[-1]) is kind):
            raise ValueError(f"it fills a {kind.__name__} where there is none.")
        return self.stack[-1]

    def _do_mark(self, _):
        self.stack.append(_MARK)

    def _do_empty_list(self, _):
        self.stack.append([])

    def _do_list(self, _):
        self.stack.append(self._pop_to_mark())

    def _do_append(self, _):
        [value] = self._pop(1)
        self._top(list).append(value)

    def _do_appends(self, _):
        values = self._pop_to_mark()
        self._top(list).extend(values)

    def _do_tuple(self, _):
        self.stack.append(tuple(self._pop_to_mark()))

    def _do_empty_dict(self, _):
        self.stack.append({})

    def _do_dict(self, _):
        values = self._pop_to_mark()
        self.stack.append({})
        self._fill(values)

    def _do_setitem(self, _):
        self._fill(self._pop(2))

    def _do_setitems(self, _):
        self._fill(self._pop_to_mark())

    def _fill(self, values):
        target = self._top(dict)
        for key, value in zip(values[::2], values[1::2], strict=True):
            if not isinstance(key, (bytes, str)):
                raise ValueError(f"it has a {type(key).__name__} as the key of a dict.")
            target[key.decode() if isinstance(key, bytes) else key] = value

    def _do_put(self, index):
        if not self.stack or self.stack[-1] is _MARK:
            raise ValueError("its stack is too short.")
        self.memo[index] = self.stack[-1]

    _do_binput = _do_long_binput = _do_put

    def _do_memoize(self, _):
        self._do_put(len(self.memo))

    def _do_get(self, index):
        self.stack.append(self.memo[index])

    _do_binget = _do_long_binget = _do_get

    def _do_global(self, names):
        self._find(*names.split(" ", 1))

    def _do_stack_global(self, _):
        self._find(*self._pop(2))

    def _find(self, module, name):
        if not (isinstance(module, str) and isinstance(name, str) and (module, name) in _ARRAY_GLOBALS):
            raise ValueError(f"it asks for {module!s:.60}.{name!s:.60}, which no batch needs.")
        self.stack.append(_Recorded())

    def _do_reduce(self, _):
        function, args = self._pop(2)
        if not (type(function) is _Recorded and isinstance(args, tuple)):
            raise ValueError("it calls what is no function.")
        self.stack.append(_Recorded(args))

    def _do_build(self, _):
        [state] = self._pop(1)
        self._top(_Recorded).state = state


_VALUES = {"NONE": None, "NEWTRUE": True, "NEWFALSE": False, "EMPTY_TUPLE": ()}
_SHORT_TUPLES = {"TUPLE1": 1, "TUPLE2": 2, "TUPLE3": 3}
_IGNORED = ("PROTO", "FRAME")
# What pickletools makes of the strings of Python 2 is Latin-1. Numbers are of at most 255 bytes: longer ones cannot be
# printed.
_LITERALS = {
    **dict.fromkeys(["INT", "BININT", "BININT1", "BININT2", "LONG", "LONG1"], lambda value: value),
    **dict.fromkeys(["FLOAT", "BINFLOAT"], lambda value: value),
    **dict.fromkeys(["SHORT_BINBYTES", "BINBYTES", "BINBYTES8"], lambda value: value),
    **dict.fromkeys(["UNICODE", "SHORT_BINUNICODE", "BINUNICODE", "BINUNICODE8"], lambda value: value),
    **dict.fromkeys(["STRING", "SHORT_BINSTRING", "BINSTRING"], lambda value: value.encode("latin-1")),
}


def _unpickle(file):
    """Return the dict that is pickled in a file, its keys as str."""
    try:
        content = _BatchReader().read(file.read_bytes())
        if type(content) is not dict:
            raise TypeError(f"it holds a {type(content).__name__}, not a dict.")
    except (LookupError, TypeError, ValueError, struct.error) as error:  # a damaged pickle
        raise ValueError(f"{file}: not of CIFAR-10, or damaged: {error!s:.200}") from error
    return content


def _require(file, content, key):
    if key not in content:
        raise ValueError(f"{file}: not of CIFAR-10: it has no {key!r}, only {sorted(content)!s:.200}.")
    return content[key]


def _read_python_names(folder):
    file = folder / _PYTHON_META
    _check_size_of_names(file)
    names = _require(file, _unpickle(file), "label_names")
    if not isinstance(names, list) or not all(isinstance(name, (bytes, str)) for name in names):
        raise ValueError(f"{file}: label_names must be a list of strings.")
    return _as_names(file, [n.decode("ascii", "replace") if isinstance(n, bytes) else n for n in names])


def _read_python_batch(file):
    content = _unpickle(file)
    images = _recorded_images(file, _require(file, content, "data"))
    labels = _require(file, content, "labels")
    if not isinstance(labels, list) or not all(type(label) is int for label in labels):
        raise ValueError(f"{file}: labels must be a list of integers.")
    if len(labels) != len(images):
        raise ValueError(f"{file}: it holds {len(images)} images but {len(labels)} labels.")
    return images, _as_labels(file, labels)


def _recorded_images(file, array):
    """Build the array that a pickle asked for, if it is one of uint8 images."""
    state = array.state if type(array) is _Recorded else None
    if not (isinstance(state, tuple) and len(state) >= 4):
        raise ValueError(f"{file}: data must be an array.")
    *_, shape, dtype, fortran, pixels = state
    kind = dtype.args[0] if type(dtype) is _Recorded and dtype.args else None
    kind = kind.decode("latin-1") if isinstance(kind, bytes) else kind
    if not (isinstance(kind, str) and kind in ("u1", "|u1", "uint8")):
        got = f"dtype {kind!r:.40}" if isinstance(kind, str) else "none"
        raise ValueError(f"{file}: data must be an array of uint8, got {got}.")
    # Printed only where it is of integers: a tuple that holds itself twice over, many times, would take for ever.
    integers = isinstance(shape, tuple) and all(type(n) is int for n in shape)
    if not (integers and len(shape) == 2 and shape[0] >= 1 and shape[1] == _PIXELS):
        got = f"{shape!r:.80}" if integers else f"a {type(shape).__name__}"
        raise ValueError(f"{file}: data must have the shape (n_images, {_PIXELS}), got {got}.")
    if not isinstance(pixels, bytes) or len(pixels) != shape[0] * _PIXELS:
        raise ValueError(f"{file}: data of shape {shape} must hold {shape[0] * _PIXELS} bytes.")
    return np.frombuffer(pixels, np.uint8).reshape(shape, order="F" if fortran else "C")


def _read_binary_names(folder):
    file = folder / _BINARY_META
    _check_size_of_names(file)
    return _as_names(file, file.read_text(encoding="ascii", errors="replace").split())


def _read_binary_batch(file):
    records = np.fromfile(file, np.uint8)
    if len(records) == 0 or len(records) % (1 + _PIXELS):
        raise ValueError(
            f"{file}: truncated or not of CIFAR-10: it holds {len(records)} bytes, not a whole "
            f"number of records of {1 + _PIXELS} (and at least one)."
        )
    records = records.reshape(-1, 1 + _PIXELS)
    return records[:, 1:], _as_labels(file, records[:, 0])


def _as_names(file, names):
    if len(names) != _N_CLASSES:
        raise ValueError(f"{file}: it must name {_N_CLASSES} classes, got {len(names)}.")
    longest = max(map(len, names))  # an array has room for it ten times
    if longest > _LONGEST_NAME:
        raise ValueError(f"{file}: names of classes have at most {_LONGEST_NAME} characters, got {longest}.")
    return np.array(names)


def _check_size_of_names(file):
    if file.stat().st_size > _LARGEST_META:
        raise ValueError(
            f"{file}: not of CIFAR-10: names of {_N_CLASSES} classes take less than {_LARGEST_META} bytes."
        )


def _as_labels(file, labels):
    # Checked before the conversion: integers in a list may be too large for any dtype.
    low, high = min(labels), max(labels)
    if low < 0 or high >= _N_CLASSES:
        raise ValueError(f"{file}: labels must be from 0 to {_N_CLASSES - 1}, got values from {low} to {high}.")
    return np.asarray(labels, dtype=np.int64)


# --- download ----------------------------------------------------------------------------------


def _download(remote, target, *, n_retries, delay, timeout):
    """Download a file and verify it, or raise OSError."""
    for retries_left in range(n_retries, -1, -1):
        try:
            checksum = _copy_from(remote, target, timeout)
            break
        except (OSError, http.client.HTTPException) as error:
            # The server would refuse it again.
            refused = isinstance(error, urllib.error.HTTPError) and error.code < 500
            if refused or not retries_left:
                raise OSError(f"Could not download {remote.url}: {error}.") from error
            warnings.warn(f"Downloading {remote.url} failed ({error}); trying again.", stacklevel=3)
            time.sleep(delay)
    if checksum != remote.sha256:
        raise OSError(
            f"The file at {remote.url} is not the one expected: its SHA-256 is {checksum}, not {remote.sha256}."
        )


def _copy_from(remote, target, timeout):
    """Write what is at a url to a file and return its SHA-256; end at its size, and in time."""
    deadline = time.monotonic() + timeout
    digest, received = hashlib.sha256(), 0
    with (
        urllib.request.urlopen(remote.url, timeout=min(_TIMEOUT, timeout)) as response,
        target.open("wb") as file,
    ):
        length = response.headers.get("Content-Length", "")
        size = (
            remote.size if remote.size is not None else int(length) if length.isdecimal() and len(length) < 20 else None
        )
        # read1: read waits for a whole block, however slowly it comes.
        while block := response.read1(2**16):
            file.write(block)
            digest.update(block)
            received += len(block)
            if size is not None and received > size:
                raise http.client.HTTPException(f"it is larger than {size} bytes")
            if time.monotonic() > deadline:
                raise TimeoutError(f"{received} bytes came in {timeout:g} seconds, which is the timeout")
    # http.client takes a connection that is closed early for the end of the file.
    if size is not None and received != size:
        raise http.client.HTTPException(f"the connection broke after {received} of {size} bytes")
    return digest.hexdigest()


def _unpack(archive, target):
    """Write the files of CIFAR-10 that an archive holds to target, and return their folder."""
    folder = target / _PYTHON_FOLDER
    folder.mkdir()
    try:
        with tarfile.open(archive, "r:gz") as tar:
            for member in tar:
                name = PurePosixPath(member.name)
                if member.isdir() and str(name) == _PYTHON_FOLDER:
                    continue
                if not member.isreg() or str(name.parent) != _PYTHON_FOLDER:
                    raise ValueError(f"it holds {member.name!r}, which is no file of CIFAR-10.")
                # The archive also has a readme, which is left out.
                if name.name in _PYTHON_FILES:
                    # Not tar.extract, which takes name, mode and owner from the archive.
                    with tar.extractfile(member) as source, (folder / name.name).open("wb") as file:
                        copyfileobj(source, file)
        missing = [name for name in _PYTHON_FILES if not (folder / name).exists()]
        if missing:
            raise ValueError(f"it lacks {', '.join(missing)}.")
    except (tarfile.TarError, gzip.BadGzipFile, zlib.error, EOFError, ValueError) as error:
        raise ValueError(f"The archive of CIFAR-10 cannot be unpacked: {error}") from error
    return folder
