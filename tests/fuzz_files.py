"""Open many damaged and tampered files: each is refused with an error that names the file, or gives a valid object.

``python tests/fuzz_files.py --mutations 20000``
    Mutates models of every estimator, nets, checkpoints of solvers and fits, and CIFAR-10 in both versions, and opens
    each file within a limit of memory and time. Prints what came of them, the slowest, and each mutation that broke a
    rule; exits with 1 if there is one. ``--keep FOLDER`` keeps the files of these.

A file is broken in its bytes; or its tree is changed (another type, a huge number, a name of a method, a node of
another place), and the checksum made to fit, as somebody does who means harm.
"""

import argparse
import collections
import copy
import hashlib
import io
import json
import pickle
import random
import resource
import shutil
import signal
import sys
import tempfile
import time
import traceback
import warnings
import zipfile
from contextlib import contextmanager, suppress
from pathlib import Path

import numpy as np

if __package__ in (None, ""):  # run as a script
    sys.path.insert(0, str(Path(__file__).parent.parent))

import sklearn_dl
from sklearn_dl import FullyConnectedNet, FullyConnectedRegressor
from sklearn_dl._archive import _dump
from sklearn_dl.datasets import load_cifar10
from sklearn_dl.nets import FullyConnected, Net, ThreeLayerConv
from sklearn_dl.nets.layers import Affine, BatchNorm, Conv, Dropout, GroupNorm, LayerNorm, MaxPool, ReLU
from sklearn_dl.solver import Solver
from tests import _cifar10, _saved_models

SECONDS = 5.0  # for one file, on a busy machine
MEGABYTES = 400  # beyond what the process has mapped before, which BLAS and NumPy need some of
# What code of the library, or what it calls, may raise for values that a caller may have set.
ERRORS = (TypeError, ValueError)


class Failure(Exception):
    """A mutation broke a rule."""


# --------------------------------------------------------------- what is opened


class Subject:
    """A file, or a folder of files, and how it is opened and used.

    Parameters
    ----------
    name : str
    files : dict of str to bytes
        The files by name; the first is opened unless `open` takes the folder.
    open : callable
        Takes the path; returns an object, or raises ValueError.
    use : callable
        Takes the object. May raise ERRORS only where it trains.
    """

    def __init__(self, name, files, open, use, *, is_folder=False):
        self.name, self.files, self.open, self.use, self.is_folder = name, files, open, use, is_folder


def use_estimator(estimator):
    repr(estimator)
    copy.deepcopy(estimator)
    if not hasattr(estimator, "params_"):
        return
    X = np.zeros((2, estimator.n_features_in_))
    try:
        answers = estimator.predict(X)
    except ValueError as error:  # of weights that are finite, but large
        if "too large for the net" not in str(error):
            raise
        return
    if len(answers) != 2:
        raise Failure(f"predict returned {answers!r}")
    for method in ("decision_function", "predict_proba", "score"):
        if hasattr(estimator, method):
            getattr(estimator, method)(X, *([answers] if method == "score" else []))
    if hasattr(estimator, "partial_fit"):
        with suppress(*ERRORS):
            estimator.partial_fit(X, answers)


def use_net(net):
    repr(net.layers)
    net.loss(np.zeros((2, *net.input_shape), net.dtype))


def make_solver(epochs=2, checkpoint=None):
    X = np.random.RandomState(0).randn(24, 5)
    data = {"X_train": X, "y_train": np.arange(24) % 3, "X_val": X[:6], "y_val": np.arange(6) % 3}
    net = FullyConnected([4], 5, 3, normalization="batchnorm", random_state=0)
    return Solver(
        net,
        data,
        update_rule="adam",
        lr_schedule="reduce_on_plateau",
        num_epochs=epochs,
        batch_size=8,
        verbose=False,
        random_state=0,
        checkpoint=checkpoint,
    )


def resume(path):
    solver = make_solver(epochs=5)
    before = pickle.dumps((solver.net.params, solver.net.statistics, solver.state.to_archive()))
    try:
        solver.resume(path)
    except BaseException:
        if pickle.dumps((solver.net.params, solver.net.statistics, solver.state.to_archive())) != before:
            raise Failure("a refused checkpoint has changed the solver") from None
        raise
    return solver


def use_solver(solver):
    with suppress(*ERRORS):
        solver.train()


class Reached(Exception):
    """A fit has read its checkpoint, and would train."""


FIT_DATA = np.random.RandomState(1).randn(24, 5), np.arange(24) % 3


def make_fit(path, epochs=2):
    return FullyConnectedNet(
        hidden_dims=4,
        normalization="batchnorm",
        dropout_keep_ratio=0.5,
        lr_schedule="reduce_on_plateau",
        early_stopping=True,
        num_epochs=epochs,
        batch_size=8,
        random_state=0,
        checkpoint=path,
    )


def go_on(path):
    """Return the solver of a fit that goes on from a file; the fit ends where it would train."""
    reached, content = [], Path(path).read_bytes()

    def train(solver):
        reached.append(solver)
        raise Reached

    estimator = make_fit(path, epochs=4)
    trained, Solver.train = Solver.train, train
    try:
        with suppress(Reached):
            estimator.fit(*FIT_DATA)
    finally:
        Solver.train = trained
        if Path(path).read_bytes() != content or hasattr(estimator, "params_"):
            raise Failure("a fit that read a checkpoint has changed the file or the estimator")
    reached[0]._checkpoints = None  # the next mutation is written to the same file
    return reached[0]


def use_images(data):
    if data.X_train.shape[1:] != (3, 32, 32) or len(data.X_train) != len(data.y_train) or len(data.target_names) != 10:
        raise Failure("images, labels or names do not fit together")


def make_subjects(folder):
    """Return what is mutated."""

    def saved(thing):
        thing.save(folder / "saved")
        return {"model": (folder / "saved").read_bytes()}

    subjects = []
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        fitted = {name: estimator for name, (estimator, _) in _saved_models._fitted().items()}
        options = {"random_state": 0, "num_epochs": 2}
        X = np.random.RandomState(0).randn(24, 5)
        y = np.arange(24) % 3
        fitted["schedule"] = FullyConnectedNet(hidden_dims=4, lr_schedule="reduce_on_plateau", **options).fit(X, y)
        fitted["lbfgs"] = FullyConnectedRegressor(hidden_dims=4, update_rule="lbfgs", **options).fit(X, y)
        fitted["unfitted"] = FullyConnectedNet(hidden_dims=(4, 3), class_weight={0: 1, 1: 2.0}, lr_schedule="one_cycle")
        make_solver(checkpoint=folder / "run").train()
        make_fit(folder / "fit").fit(*FIT_DATA)
    for name, estimator in fitted.items():
        subjects.append(Subject(f"model {name}", saved(estimator), sklearn_dl.load, use_estimator))
    layers = [Conv(4, 3), GroupNorm(2), ReLU(), MaxPool(), Affine(4), BatchNorm(), Dropout(0.5, seed=1)]
    nets = {
        "fully connected": FullyConnected([4, 3], 5, 3, normalization="layernorm", random_state=0),
        "convolution": ThreeLayerConv((1, 4, 4), 4, 3, 3, 3, normalization="batchnorm", random_state=0),
        "layers": Net([*layers, LayerNorm(), Affine(2)], (2, 4, 4), head="huber", dtype=np.float64, random_state=0),
    }
    for name, net in nets.items():
        subjects.append(Subject(f"net {name}", saved(net), sklearn_dl.load, use_net))
    checkpoint = sorted(folder.glob("run*"))[-1]
    subjects.append(Subject("checkpoint", {"model": checkpoint.read_bytes()}, resume, use_solver))
    subjects.append(Subject("checkpoint of a fit", {"model": (folder / "fit").read_bytes()}, go_on, use_solver))
    batches = _cifar10.make_images(n_train=2, n_test=2)
    for version, write in (("python", _cifar10.write_python), ("binary", _cifar10.write_binary)):
        written = write(folder, batches)
        files = {path.name: path.read_bytes() for path in sorted(written.iterdir())}
        subjects.append(Subject(f"CIFAR-10 {version}", files, load_cifar10, use_images, is_folder=True))
    return subjects


# -------------------------------------------------------------------- mutations

NUMBERS = [0, -1, 1, 2, 7, 15_000_000, 2**31, 2**62, -(2**63), 10**30, 1e308, 0.5, -0.0]
NAMES = ["predict", "__class__", "params_", "W1", "", "é", "x" * 5000, "_net", "fit", "get_params", "history_"]
NODES = [
    None,
    True,
    False,
    *NUMBERS,
    *NAMES,
    [],
    [[]],
    [0] * 50,
    {"dict": []},
    {"dict": [["a", 1]]},
    {"tuple": []},
    {"tuple": [1, 2]},
    {"float": "7ff8000000000000"},
    {"float": "7ff0000000000000"},
    {"int": hex(2**70)},
    {"int": hex(7**5000)},
    {"array": 0},
    {"array": 1},
    {"array": -1},
    {"random_state": 0},
    {"dtype": "<f4"},
    {"type": "<f8"},
    {"type": "float"},
    {"str": "x"},
    {"scalar": ["<f4", "0000c07f"]},
    {"scalar": ["|b1", "02"]},
    {"scalar": ["<U1", "ffffffff"]},
    {"scalar": ["<c8", "0000000000000000"]},
    {"objects": [[2], ["a", 1]]},
    {"objects": [[0], []]},
    {"setting": ["Cosine", {"dict": [["warmup", 0.0], ["final", 0.0]]}]},
    {"dict": [[k * (2**61 - 1), 0] for k in range(3000)]},
]
# Opcodes with a number of bytes, of a place in the memo, of a frame; calls; and what holds itself.
PICKLES = [
    b"\x80\x02r\xff\xff\xff\x0f.",
    b"\x80\x04\x8e\xff\xff\xff\x7f\x00\x00\x00\x00.",
    b"\x80\x05\x96\xff\xff\xff\x7f\x00\x00\x00\x00.",
    b"\x80\x04\x95\xff\xff\xff\x7f\x00\x00\x00\x00.",
    b"\x80\x02X\xff\xff\xff\x7f.",
    b"\x80\x02\x8b\xff\xff\xff\x7f.",
    b"cos\nsystem\n(S'true'\ntR.",
    b"}(" + b")q\0" + b"h\0\x86q\0" * 60 + b"K\x01u.",
    b"}(U\x04data" + b")q\0" + b"h\0h\0\x86q\0" * 60 + b"U\x06labels]u.",
    b"}(U\x04data" + b"]q\0h\0a" + b"U\x06labels]u.",
    b"}(U\x0blabel_names(" + b"U\xff" + b"x" * 255 + b"U\x01a" * 9 + b"lu.",
]


def mutate_bytes(data, rng):
    """Return bytes with some of them changed."""
    data = bytearray(data)
    for _ in range(rng.choice((1, 1, 1, 2, 5))):
        at, length = rng.randrange(len(data) + 1), rng.choice((1, 1, 2, 4, 8, 40))
        kind = rng.randrange(6)
        if kind == 0 and at < len(data):
            data[at] ^= 1 << rng.randrange(8)
        elif kind == 1:
            data[at : at + length] = rng.randbytes(length)
        elif kind == 2:
            del data[at : at + length]
        elif kind == 3:
            data[at:at] = rng.randbytes(length)
        elif kind == 4:
            data[at : at + length] = rng.choice((b"\0", b"\xff", b"\x7f")) * length
        else:
            start = rng.randrange(len(data) + 1)
            data[at : at + length] = data[start : start + length]
        if rng.random() < 0.05:
            del data[at:]
        if not data:
            break
    return bytes(data)


def places(node, path=()):
    """Yield the path of each node of a JSON value."""
    yield path
    items = node.items() if isinstance(node, dict) else enumerate(node) if isinstance(node, list) else ()
    for key, value in items:
        yield from places(value, (*path, key))


def get(node, path):
    for key in path:
        node = node[key]
    return node


def mutate_tree(header, rng):
    """Change nodes of a header, in place."""
    for _ in range(rng.choice((1, 1, 1, 2, 3))):
        every = [path for path in places({key: header[key] for key in ("tree", "arrays", "random_states")}) if path]
        path = rng.choice(every)
        parent, key = get(header, path[:-1]), path[-1]
        kind = rng.randrange(6)
        if kind == 0:
            del parent[key]
        elif kind == 1:
            parent[key] = copy.deepcopy(get(header, rng.choice(every)))
        elif kind == 2 and isinstance(parent, list):
            parent.insert(key, copy.deepcopy(rng.choice([*parent, *NODES])))
        elif kind == 3 and isinstance(parent[key], (int, float)):
            parent[key] = rng.choice(NUMBERS)
        elif kind == 3 and isinstance(parent[key], str):
            parent[key] = rng.choice(NAMES)
        else:
            parent[key] = copy.deepcopy(rng.choice(NODES))
        if not all(name in header for name in ("tree", "arrays", "random_states")):
            return


def mutate_array(data, rng):
    """Return the bytes of an array of another shape, dtype or contents."""
    array = np.lib.format.read_array(io.BytesIO(data), allow_pickle=False)
    kind = rng.randrange(5)
    if kind == 0 and array.dtype.kind != "U":
        array = array.astype(rng.choice(["f4", "f8", ">f4", "i8", "u1", "?", "U3", "c16"]))
    elif kind == 1:
        array = rng.choice([array.T, array[None], array.ravel(), array[:0], array[..., :1]])
    elif kind == 2 and array.dtype.kind == "f":
        array = np.full_like(array, rng.choice([np.nan, np.inf, -1e30, 0]))
    else:
        return mutate_bytes(data, rng)
    file = io.BytesIO()
    np.lib.format.write_array(file, np.asarray(array), version=(1, 0), allow_pickle=False)
    return file.getvalue()


def mutate_archive(data, rng):
    """Return a file with another tree or other arrays, and a checksum that fits."""
    with zipfile.ZipFile(io.BytesIO(data)) as archive:
        members = {name: archive.read(name) for name in archive.namelist()}
    header = json.loads(members["header.json"])
    del header["sha256"]
    arrays = [name for name in members if name != "header.json"]
    if arrays and rng.random() < 0.25:
        name = rng.choice(arrays)
        members[name] = mutate_array(members[name], rng)
    else:
        mutate_tree(header, rng)
    header["sha256"] = hashlib.sha256(_dump(header)).hexdigest()
    members["header.json"] = json.dumps(header).encode()
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w") as archive:
        for name, content in members.items():
            archive.writestr(zipfile.ZipInfo(name), content)
    return file.getvalue()


def mutate(subject, rng):
    """Return the files of a subject, one of them changed."""
    name = rng.choice(list(subject.files))
    data = subject.files[name]
    if subject.is_folder:
        if "python" in subject.name and rng.random() < 0.1:
            data = rng.choice(PICKLES)
        # Most bytes of a batch are pixels: what is around them is changed as often.
        near = data[:400], data[400:-400], data[-400:]
        part = rng.randrange(3)
        if len(data) > 1200:
            data = b"".join(mutate_bytes(piece, rng) if i == part else piece for i, piece in enumerate(near))
        elif rng.random() < 0.8:
            data = mutate_bytes(data, rng)
    else:
        data = mutate_bytes(data, rng) if rng.random() < 0.3 else mutate_archive(data, rng)
    return {**subject.files, name: data}


# ----------------------------------------------------------------------- rules


@contextmanager
def limited(seconds):
    """Raise Failure after some seconds; kill the process if that does not end it."""

    def stop(signum, frame):
        raise Failure(f"it takes more than {seconds} seconds")

    before = signal.signal(signal.SIGALRM, stop)
    signal.setitimer(signal.ITIMER_REAL, seconds)
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, before)


def limit_memory(megabytes):
    """Let the process map no more than it has mapped, and so much: more is a MemoryError."""
    with open("/proc/self/statm") as file:
        mapped = int(file.read().split()[0]) * resource.getpagesize()
    resource.setrlimit(resource.RLIMIT_AS, (mapped + megabytes * 2**20, resource.RLIM_INFINITY))


def run_one(subject, files, folder):
    """Open a mutated file and use what comes of it; return what happened, or raise."""
    for name, data in files.items():
        path = folder / name
        if not path.exists() or path.read_bytes() != data:
            path.write_bytes(data)
    target = folder if subject.is_folder else folder / "model"
    with limited(SECONDS):
        try:
            thing = subject.open(target)
        except ValueError as error:
            if str(folder) not in str(error):
                raise Failure(f"the error does not name the file: {error}") from error
            if len(str(error)) > 4000:
                raise Failure(f"an error of {len(str(error))} characters") from error
            return "refused"
        subject.use(thing)
    return "valid"


def run(n_mutations, seed=0, keep=None, out=sys.stdout):
    """Open mutated files, print what came of them; return the number of failures."""
    counts, slowest, failures = collections.Counter(), collections.defaultdict(float), []
    with tempfile.TemporaryDirectory() as folder, warnings.catch_warnings(), np.errstate(all="ignore"):
        warnings.simplefilter("ignore")
        folder = Path(folder)
        subjects = make_subjects(folder)
        places = {subject.name: folder / f"subject {i}" for i, subject in enumerate(subjects)}
        for subject in subjects:
            places[subject.name].mkdir()
            if run_one(subject, subject.files, places[subject.name]) != "valid":
                raise AssertionError(f"{subject.name} is not valid before it is changed.")
        if sys.platform == "linux":
            limit_memory(MEGABYTES)
        for i in range(n_mutations):
            subject, rng = subjects[i % len(subjects)], random.Random(f"{seed} {i}")
            files = mutate(subject, rng)
            began = time.perf_counter()
            try:
                outcome = run_one(subject, files, places[subject.name])
            except Exception as error:
                outcome = "failed"
                failures.append((i, subject.name, error))
                print(f"mutation {i} of {subject.name}: {type(error).__name__}: {error!s:.300}", file=out)
                traceback.print_tb(error.__traceback__, limit=-3, file=out)
                if keep is not None:
                    shutil.copytree(places[subject.name], Path(keep) / str(i), dirs_exist_ok=True)
            counts[subject.name, outcome] += 1
            slowest[subject.name] = max(slowest[subject.name], time.perf_counter() - began)
        for subject in subjects:
            found = ", ".join(f"{counts[subject.name, what]} {what}" for what in ("refused", "valid", "failed"))
            print(f"{subject.name:30} {found}; slowest {slowest[subject.name]:.2f} s", file=out)
        peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**10
        print(f"{n_mutations} mutations, {len(failures)} failures, peak {peak:.0f} MB", file=out)
    return len(failures)


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--mutations", type=int, default=20_000)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--keep", help="folder for the files that broke a rule")
    options = parser.parse_args()
    sys.exit(1 if run(options.mutations, options.seed, options.keep) else 0)
