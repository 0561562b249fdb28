import copy
import hashlib
import io
import json
import os
import pickle
import stat
import struct
import warnings
import zipfile

import joblib
import numpy as np
import pandas as pd
import pytest
import sklearn
from numpy.testing import assert_array_equal
from sklearn.base import clone
from sklearn.datasets import load_iris
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import GridSearchCV
from sklearn.pipeline import make_pipeline

from sklearn_dl import (
    FullyConnectedNet,
    FullyConnectedRegressor,
    Softmax,
    ThreeLayerConvNet,
    TwoLayerNet,
    _archive,
    load,
)
from sklearn_dl.persistence import read_archive, save, write_archive

RNG = np.random.RandomState(0)


def assert_same(a, b):
    """Equal in type, dtype, layout and bits, all the way down."""
    assert type(a) is type(b)
    if isinstance(a, dict):
        assert list(a) == list(b)
        assert [type(key) for key in a] == [type(key) for key in b]
        for key in a:
            assert_same(a[key], b[key])
    elif isinstance(a, list | tuple):
        assert len(a) == len(b)
        for x, y in zip(a, b, strict=True):
            assert_same(x, y)
    elif isinstance(a, np.ndarray) and a.dtype == object:
        assert a.shape == b.shape
        assert_same(a.ravel().tolist(), b.ravel().tolist())
    elif isinstance(a, np.ndarray | np.generic):
        assert a.dtype.str == b.dtype.str
        assert a.shape == b.shape
        assert a.tobytes() == b.tobytes()
        assert a.flags.f_contiguous == b.flags.f_contiguous or not a.flags.contiguous
    elif isinstance(a, float):
        assert struct.pack("d", a) == struct.pack("d", b)
    elif isinstance(a, np.random.RandomState):
        assert_same(a.get_state(), b.get_state())
    else:
        assert a == b


def used_random_state():
    random_state = np.random.RandomState(7)
    random_state.randn(1001)  # an odd number: the second half of a pair is waiting
    return random_state


NAN_WITH_PAYLOAD = struct.unpack("d", struct.pack("Q", 0xFFF8_0000_0000_1234))[0]
TREES = {
    "none": None,
    "bools": [True, False, np.True_],
    "ints": [0, -1, 2**63 - 1, -(2**63), 2**63, -(10**5000)],
    "floats": [0.0, -0.0, 0.1, 5e-324, 1.7e308, np.inf, -np.inf, np.nan, NAN_WITH_PAYLOAD],
    "strs": ["", "a", "é√\u0000\n\"'", "\ud800", "array", np.str_("x"), np.str_("")],
    "scalars": [t(3) for t in (np.int8, np.uint64, np.float16, np.float32, np.longdouble)]
    + [np.float64(NAN_WITH_PAYLOAD), np.complex64(1 - 2j)],
    "dtypes": [np.dtype(np.float32), np.dtype(">i2"), np.dtype("<U7"), np.float32, np.int64],
    "empty": [[], (), {}, np.empty((0, 3)), np.empty((2, 0), dtype=object)],
    "nested": {"a": ({"b": [(1,), [2]]}, None), "": {}, "../x/é\n": 1},
    "keys": {0: 1.0, "0": 2.0, np.int64(5): 3.0, -1.5: 4.0, True: 5.0, np.str_("s"): 6.0},
    "tags": {"dict": [["array", 0]], "tuple": [1], "array": 0, "float": "7ff8000000000000"},
    "depth": [[[[[[[[[[[[[[[[[[[[1]]]]]]]]]]]]]]]]]]]],
    **{
        f"array {dtype}": RNG.randint(0, 2, (3, 4)).astype(dtype)
        for dtype in (
            "?",
            "i1",
            "u1",
            "<i8",
            ">i8",
            "f2",
            "<f4",
            ">f4",
            "f8",
            "g",
            "c8",
            "c16",
            "<U3",
        )
    },
    "array nan": np.array([np.nan, NAN_WITH_PAYLOAD, -0.0, np.inf]),
    "array 0-d": np.array(3.5),
    "array Fortran": np.asfortranarray(RNG.rand(3, 4)),
    "array strided": RNG.rand(8, 6)[::2, ::-1],
    "array str": np.array(["", "cat", "straße", "\U0001f40e"]),
    "array objects": np.array(["cat", 1, True, 2.5, None, np.int64(3)], dtype=object).reshape(2, 3),
    "random state": {"rng": used_random_state()},
    "same names": {"a": {"b": np.ones(2)}, "a.b": np.zeros(2), "a/b": np.full(2, 2.0)},
}


@pytest.fixture
def path(tmp_path):
    return str(tmp_path / "model")


@pytest.mark.parametrize("name", TREES)
def test_round_trip(path, name):
    write_archive(path, TREES[name])
    assert_same(read_archive(path), TREES[name])


def test_generator_continues_where_it_was(path):
    random_state = used_random_state()
    write_archive(path, random_state)
    assert_array_equal(read_archive(path).randn(99), random_state.randn(99))


def test_shared_objects_stay_shared(path):
    array, random_state = np.ones(3), used_random_state()
    write_archive(path, [array, random_state, array, random_state, array.copy()])
    a, r, b, s, c = read_archive(path)
    assert a is b
    assert r is s
    assert a is not c


def test_memory_maps_are_read(path, tmp_path):
    mapped = np.memmap(tmp_path / "map", np.float32, "w+", shape=(3,))
    mapped[:] = [1, 2, 3]
    write_archive(path, mapped)
    assert_same(read_archive(path), np.array([1, 2, 3], np.float32))


def test_loaded_arrays_are_writable(path):
    write_archive(path, np.broadcast_to(1.0, (2, 2)))
    read_archive(path)[:] = 0


def test_bytes_depend_on_the_tree_alone(tmp_path):
    for name in "ab":
        write_archive(tmp_path / name, TREES["nested"] | {"W": np.ones(3)})
    assert (tmp_path / "a").read_bytes() == (tmp_path / "b").read_bytes()


def test_numpy_reads_the_arrays(path):
    write_archive(path, {"params_": {"W1": np.eye(3)}})
    with np.load(path) as archive:
        assert_array_equal(archive["params_.W1"], np.eye(3))


class Point(tuple):
    pass


CYCLE = []
CYCLE.append(CYCLE)


@pytest.mark.parametrize(
    ("tree", "error", "match"),
    [
        (print, TypeError, r"^tree cannot be saved: <built-in function print> of type builtin"),
        ({"a": [0, {1: {2}}]}, TypeError, r"^tree\['a'\]\[1\]\[1\] .* \{2\} of type set"),
        ([b"x"], TypeError, r"^tree\[0\] .* b'x' of type bytes"),
        ([1j], TypeError, r"of type complex"),
        (Point([1]), TypeError, r"of type Point"),
        ({(1, 2): 3}, TypeError, r"^tree .* the dict has the key \(1, 2\) of type tuple"),
        (np.ma.masked_array([1], [True]), TypeError, "of type MaskedArray"),
        ({"d": np.zeros(2, "datetime64[s]")}, TypeError, r"^tree\['d'\] .* dtype datetime64"),
        (np.zeros(2, "i4,f4"), TypeError, "an array of dtype"),
        (np.zeros(2, "S3"), TypeError, "an array of dtype"),
        (np.dtype("U"), TypeError, "of type"),
        (np.dtype("O"), TypeError, "of type"),
        (np.datetime64(0, "s"), TypeError, "of type datetime64"),
        (np.object_, TypeError, "of type type"),
        (int, TypeError, "of type type"),
        (np.array([[1], "a"], dtype=object), TypeError, r"an array of objects with \[1\] in it"),
        (np.random.default_rng(0), TypeError, r"of type Generator. Accepted are None, bool"),
        (np.random.RandomState(np.random.PCG64(0)), TypeError, "a RandomState on PCG64"),
        (CYCLE, ValueError, "more than 64 levels deep, or contains itself"),
    ],
)
def test_what_cannot_be_saved_is_named(tmp_path, path, tree, error, match):
    with pytest.raises(error, match=match):
        write_archive(path, tree)
    assert os.listdir(tmp_path) == []


def bad_paths(folder):
    os.mkfifo(folder / "fifo")
    (folder / "folder").mkdir()
    return [
        (None, TypeError, "path must be the name of a file .* got None"),
        (3, TypeError, "got 3"),
        (b"x", TypeError, "got b'x'"),
        (io.BytesIO(), TypeError, "path must be .* got <_io.BytesIO"),
        ("", ValueError, "path must be the name of a file, got ''"),
        ("a\0b", ValueError, "path must be"),
        (folder / "folder", IsADirectoryError, "folder' is a directory"),
        (folder / "fifo", ValueError, "fifo' is not a regular file"),
        (folder / "no" / "x", FileNotFoundError, "no"),
    ]


@pytest.mark.parametrize("function", [lambda path: write_archive(path, 1), read_archive])
def test_bad_paths(tmp_path, function):
    for path, error, match in bad_paths(tmp_path):
        with pytest.raises(error, match=match):
            function(path)


def test_read_names_a_missing_file(path):
    with pytest.raises(FileNotFoundError, match="model"):
        read_archive(path)


def test_path_in_the_working_directory(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    write_archive("here", [1])
    assert read_archive("here") == [1]


def test_permissions(tmp_path, path):
    old_mask = os.umask(0o027)
    try:
        write_archive(path, 1)
        assert stat.S_IMODE(os.stat(path).st_mode) == 0o640
        os.chmod(path, 0o604)
        write_archive(path, 2)
    finally:
        os.umask(old_mask)
    assert stat.S_IMODE(os.stat(path).st_mode) == 0o604
    assert read_archive(path) == 2


def test_symbolic_link_stays(tmp_path, path):
    (tmp_path / "sub").mkdir()
    target = tmp_path / "sub" / "target"
    os.symlink(target, path)
    for tree in (1, 2):  # the first creates what the link points to
        write_archive(path, tree)
        assert os.path.islink(path)
        assert read_archive(target) == tree
    assert os.listdir(tmp_path / "sub") == ["target"]


def fail(*args, **kwargs):
    raise OSError(28, "No space left on device")


def interrupt(*args, **kwargs):
    raise KeyboardInterrupt


@pytest.mark.parametrize("error", [fail, interrupt])
@pytest.mark.parametrize(
    "where",
    [
        (os, "replace"),
        (os, "fsync"),
        (np.lib.format, "write_array"),
        (zipfile.ZipFile, "writestr"),
    ],
)
def test_failed_write_leaves_the_old_file(tmp_path, path, monkeypatch, where, error):
    write_archive(path, "old")
    before = (tmp_path / "model").read_bytes()
    with monkeypatch.context() as patch:
        patch.setattr(*where, error)
        with pytest.raises((OSError, KeyboardInterrupt)):
            write_archive(path, {"W": np.ones(3)})
    assert os.listdir(tmp_path) == ["model"]
    assert (tmp_path / "model").read_bytes() == before


@pytest.mark.parametrize("size", [10, 5_000, 60_000, 80_700])
def test_full_disk_leaves_the_old_file(tmp_path, path, size):
    resource = pytest.importorskip("resource")
    write_archive(path, "old")
    limits = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, limits[1]))
    try:
        with pytest.raises(OSError, match="File too large"):
            write_archive(path, [np.ones(5_000), np.zeros(5_000)])
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limits)
    assert os.listdir(tmp_path) == ["model"]
    assert read_archive(path) == "old"


def test_write_protected_file_is_refused(path, monkeypatch):
    write_archive(path, "old")
    monkeypatch.setattr(os, "access", lambda *args: False)  # root may write to everything
    with pytest.raises(PermissionError, match=r"model' is write-protected"):
        write_archive(path, "new")
    assert read_archive(path) == "old"


def test_file_system_without_directory_sync(path, monkeypatch):
    real = os.open
    monkeypatch.setattr(os, "open", lambda name, *args: fail() if os.path.isdir(name) else real(name, *args))
    write_archive(path, 1)
    assert read_archive(path) == 1


# Damage and malice ------------------------------------------------------------------------------

TREE = {"params_": {"W1": np.arange(6.0).reshape(2, 3)}, "rng": np.random.RandomState(0), "t": (3,)}


def refused(path):
    """The message of the ValueError, which must name the file."""
    with pytest.raises(ValueError, match="model'") as info:
        read_archive(path)
    return str(info.value)


@pytest.fixture
def raw(path):
    write_archive(path, TREE)
    with open(path, "rb") as file:
        return file.read()


def put(path, data):
    with open(path, "wb") as file:
        file.write(data)


def test_truncation(path, raw):
    for length in [*np.linspace(0, len(raw) - 1, 40).astype(int), 3, 4, 5, len(raw) - 22]:
        put(path, raw[:length])
        refused(path)


def test_flipped_bits_never_change_what_is_read(path):
    tree = {"W1": np.arange(6.0).reshape(2, 3), "t": (3, 0.5, "x")}
    write_archive(path, tree)
    with open(path, "rb") as file:
        raw = file.read()
    refusals = 0
    for i in range(0, len(raw), 2):
        damaged = bytearray(raw)
        damaged[i] ^= 1 << (i // 2 % 8)
        put(path, damaged)
        try:
            again = read_archive(path)
        except ValueError:
            refusals += 1
        else:  # zip keeps dates and the like that nobody reads
            assert_same(again, tree)
    assert refusals > len(raw) / 2 * 0.8


def test_other_files_are_refused(path):
    for data in (b"", b"PK", b"not ours", pickle.dumps(TREE)):
        put(path, data)
        assert "not a file written by sklearn_dl" in refused(path)
    np.savez(path, a=np.ones(3))
    os.replace(path + ".npz", path)
    assert "no header.json" in refused(path)
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("header.json", '{"format": "other"}')
    assert "something else" in refused(path)


def members_of(path):
    with zipfile.ZipFile(path) as archive:
        return {name: archive.read(name) for name in archive.namelist()}


def rebuild(path, change=None, *, members=(), arrays=None, sign=True, **zip_options):
    """Write the file again with a changed header and members, the checksum made to fit."""
    content = members_of(path)
    header = json.loads(content["header.json"])
    del header["sha256"]
    if arrays is not None:
        header["arrays"] = arrays
    if change is not None:
        change(header)
    if sign:
        header["sha256"] = hashlib.sha256(_archive._dump(header)).hexdigest()
    content["header.json"] = json.dumps(header).encode()
    content.update(members)
    with warnings.catch_warnings(), zipfile.ZipFile(path, "w", **zip_options) as archive:
        warnings.filterwarnings("ignore", "Duplicate name")
        for name, data in content.items():
            if data is not None:
                archive.writestr(name, data)


W1 = "params_.W1.npy"


def npy(shape="(2, 3)", descr="'<f8'", data=b"\0" * 48, version=b"\1\0"):
    header = f"{{'descr': {descr}, 'fortran_order': False, 'shape': {shape}, }}".encode()
    header += b" " * (117 - len(header)) + b"\n"
    return b"\x93NUMPY" + version + struct.pack("<H", len(header)) + header + data


def test_rebuild_alone_does_no_harm(path, raw):
    rebuild(path, members={W1: npy()})
    assert_array_equal(read_archive(path)["params_"]["W1"], np.zeros((2, 3)))


class Exploit:
    def __reduce__(self):
        return (os.mkdir, ("exploited",))


def pickled_array():
    file = io.BytesIO()
    np.save(file, np.array([Exploit()], dtype=object), allow_pickle=True)
    return file.getvalue()


@pytest.mark.parametrize(
    ("member", "match"),
    [
        (pickled_array(), "unknown dtype '|O'"),
        (npy("(1,)", "'|O'", pickle.dumps([Exploit()])), "unknown dtype '|O'"),
        (npy("(1,)", "'<O8'", pickle.dumps([Exploit()])), "unknown dtype"),
        (npy(descr="[('a', '<f8')]"), "not an array of numbers"),
        (npy(descr="'<M8[s]'"), "unknown dtype"),
        (npy("(1000000000, 1000000000)"), "does not have the size of its shape"),
        (npy("(1000000000000000,)", "'<U0'", b""), "unknown dtype"),
        (npy("(2, 4)"), "does not have the size"),
        (npy("(1, 3)"), "does not have the size"),
        (npy("(-2, -3)"), "not an array of numbers"),
        (npy("(True, 6)"), "not an array of numbers"),
        (npy("__import__('os').mkdir('exploited')"), "not an array of numbers"),
        (npy("(" * 60), "not an array of numbers"),
        (npy(version=b"\2\0"), "not an array of numbers"),
        (npy().replace(b"\n", b" "), "not an array of numbers"),
        (b"", "not an array of numbers"),
        (npy()[:9], "not an array of numbers"),
    ],
)
def test_hostile_arrays(tmp_path, path, raw, monkeypatch, member, match):
    monkeypatch.chdir(tmp_path)
    rebuild(path, members={W1: member})
    assert match in refused(path)
    assert os.listdir(tmp_path) == ["model"]


def test_hostile_archives(tmp_path, path, raw, monkeypatch):
    monkeypatch.chdir(tmp_path)
    bomb = npy("(1000000,)", data=bytes(8_000_000))
    rebuild(path, members={W1: bomb}, compression=zipfile.ZIP_DEFLATED)
    assert os.path.getsize(path) < 1e5
    assert "compressed" in refused(path)

    for change, match in [
        ({"members": {"../../evil": b"x"}}, "not those that the header lists"),
        ({"members": {"/tmp/evil.npy": npy()}}, "not those that the header lists"),
        ({"members": {W1: None}}, "not those that the header lists"),
        ({"members": {W1: None}, "arrays": []}, "list index"),
        ({"arrays": ["../model"]}, "not those that the header lists"),
        ({"arrays": [W1, "header.json"]}, ""),
        ({"arrays": 3}, ""),
        ({"sign": False}, "checksum"),
    ]:
        put(path, raw)
        rebuild(path, **change)
        assert match in refused(path)
    assert os.listdir(tmp_path) == ["model"]


def test_members_that_overlap_are_refused(path):
    """A quine-like bomb: many entries of the directory point to the same bytes."""
    write_archive(path, {"a": np.zeros(1000), "b": np.zeros(1000)})
    with zipfile.ZipFile(path, "a") as archive:
        archive.filelist += archive.filelist[-1:] * 50
        for i, info in enumerate(archive.filelist[3:]):
            archive.filelist[3 + i] = info = info_copy(info, f"b{i}.npy")
        archive._didModify = True
    assert "larger than the file" in refused(path)


def info_copy(info, name):
    new = zipfile.ZipInfo(name)
    for key in ("CRC", "compress_size", "file_size", "header_offset"):
        setattr(new, key, getattr(info, key))
    return new


def test_two_members_of_one_name_are_refused(path, raw):
    with warnings.catch_warnings(), zipfile.ZipFile(path, "a") as archive:
        warnings.filterwarnings("ignore", "Duplicate name")
        archive.writestr(W1, npy())
    assert "two members have one name" in refused(path)


def test_encrypted_member_is_refused(path, raw):
    data = bytearray(raw)
    at = raw.rindex(b"PK\1\2")
    data[at + 8] |= 1
    put(path, data)
    assert "encrypted" in refused(path)


@pytest.mark.parametrize(
    ("tree", "match"),
    [
        ({"code": "print()"}, "unknown tag 'code'"),
        ({}, ""),
        ({"tuple": [], "dict": []}, ""),
        ({"tuple": 5}, ""),
        ({"dict": [[{"tuple": [[]]}, 1]]}, "keys of a dict must be str or numbers"),
        ({"dict": [[1]]}, ""),
        ({"array": 9}, ""),
        ({"array": "W1"}, ""),
        ({"random_state": 1}, ""),
        ({"objects": [[2, 2], [1]]}, "do not fill an array of shape"),
        ({"objects": [[-1, -1], [1]]}, "cannot have the shape"),
        ({"objects": [[0, 2**62, 2**62], []]}, ""),
        ({"int": "ten"}, ""),
        ({"float": "00"}, ""),
        ({"float": 1}, ""),
        ({"scalar": ["<f8", "00"]}, "has 1 bytes"),
        ({"scalar": ["<U99999999999999", "00"]}, ""),
        ({"scalar": ["<U0", ""]}, "unknown dtype"),
        ({"dtype": "O"}, "unknown dtype 'O'"),
        ({"dtype": "(100000,100000)<f8"}, "unknown dtype"),
        ({"type": "<i4,O"}, "unknown dtype"),
        ({"setting": ["Schedule", {"dict": []}]}, "Schedule"),
        ({"setting": ["Cosine", {"dict": [["warmup", 7]]}]}, "warmup of Cosine == 7"),
        ({"setting": ["Cosine", {"dict": [["speed", 7]]}]}, "speed"),
        ({"setting": ["Cosine", [7]]}, ""),
        ({"setting": "Cosine"}, ""),
    ],
)
def test_hostile_trees(path, raw, tree, match):
    rebuild(path, lambda header: header.update(tree=tree))
    assert match in refused(path)


@pytest.mark.parametrize(
    "state",
    [
        {"pos": 10**6},  # NumPy itself would read past the end of its key
        {"pos": -1},
        {"pos": 1.5},
        {"key": "00" * 4},
        {"has_gauss": 7},
    ],
)
def test_impossible_generators_are_refused(path, raw, state):
    rebuild(path, lambda header: header["random_states"][0].update(state))
    assert "random generator is impossible" in refused(path)


def test_deep_nesting_is_refused(path, raw):
    content = members_of(path)
    content["header.json"] = b"[" * 100_000
    with zipfile.ZipFile(path, "w") as archive:
        for name, data in content.items():
            archive.writestr(name, data)
    assert "damaged" in refused(path)


@pytest.mark.parametrize("version", [0, "1", True, None, 1.0, [1]])
def test_impossible_versions(path, raw, version):
    rebuild(path, lambda header: header.update(format_version=version))
    assert "format_version is" in refused(path)


def test_newer_version_is_refused_with_its_writer(path, raw):
    def change(header):
        header.update(format_version=2, versions={"sklearn_dl": "9.8.7"}, tree={"new": 1})

    rebuild(path, change, sign=False)
    message = refused(path)
    assert "format version 2, newer than the version 1" in message
    assert "9.8.7" in message
    assert "Update sklearn_dl" in message


# Estimators -------------------------------------------------------------------------------------

X, y = load_iris(return_X_y=True)
IMAGES = np.random.RandomState(0).randint(0, 256, (30, 3, 8, 8)).astype(np.uint8)
ESTIMATORS = {
    "softmax": (Softmax(), X, y),
    "two layers": (TwoLayerNet(hidden_dim=8), X, np.array(["setosa", "b", "ü"], object)[y]),
    "momentum": (
        TwoLayerNet(
            update_rule="sgd_momentum",
            optim_config={"momentum": 0.5},
            class_weight={0: 1.0, 1: np.float32(2), 2: 3},
        ),
        X,
        y,
    ),
    "batchnorm": (
        FullyConnectedNet(hidden_dims=(8, 6), normalization="batchnorm", dropout_keep_ratio=0.8, reg=0.01),
        pd.DataFrame(X.astype(np.float32), columns=list("abcd")),
        y.astype(np.uint8),
    ),
    "float64": (FullyConnectedNet(hidden_dims=[5], dtype="float64", update_rule="rmsprop"), X, y),
    "conv": (
        ThreeLayerConvNet(num_filters=4, filter_size=3, hidden_dim=5, normalization="groupnorm"),
        IMAGES,
        np.arange(30) % 2 == 1,
    ),
    "several labels": (
        TwoLayerNet(hidden_dim=8, label_smoothing=0.1),
        X,
        np.array([[1, 0, 1], [0, 1, 1], [0, 0, 0]])[y],
    ),
    "hinge": (TwoLayerNet(hidden_dim=8, loss="hinge"), X, np.array(["a", "b", "c"])[y]),
    "regressor": (FullyConnectedRegressor(hidden_dims=(8, 6)), X[:, :3], X[:, 3]),
    "counts": (
        FullyConnectedRegressor(hidden_dims=(8,), loss="poisson", normalization="batchnorm"),
        pd.DataFrame(X[:, :3].astype(np.float32), columns=list("abc")),
        y,
    ),
    "several outputs": (
        FullyConnectedRegressor(hidden_dims=(8,), loss="huber", delta=0.5, early_stopping=True),
        X[:, :2],
        X[:, 2:] * [1e3, 1e-3],
    ),
}


def fit(name, **params):
    estimator, X, y = ESTIMATORS[name]
    params = {"num_epochs": 3, "batch_size": 10, "random_state": 3} | params
    return clone(estimator).set_params(**params).fit(X, y)


def through_joblib(estimator, path):
    joblib.dump(estimator, path)
    return joblib.load(path)


def through_file(estimator, path):
    estimator.save(path)
    return type(estimator).load(path)


WAYS = {
    "save": through_file,
    "pickle": lambda estimator, path: pickle.loads(pickle.dumps(estimator)),
    "joblib": through_joblib,
    "deepcopy": lambda estimator, path: copy.deepcopy(estimator),
}


@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize("name", ESTIMATORS)
def test_estimators_come_back_the_same(path, name, way):
    estimator, X = fit(name), ESTIMATORS[name][1]
    again = WAYS[way](estimator, path)
    assert type(again) is type(estimator)
    assert_same(again.get_params(), estimator.get_params())
    assert_same(again.__getstate__(), estimator.__getstate__())
    methods = [name for name in ("predict", "predict_proba", "decision_function") if hasattr(estimator, name)]
    assert [name for name in ("predict", "predict_proba", "decision_function") if hasattr(again, name)] == methods
    for method in methods:
        assert_same(getattr(again, method)(X), getattr(estimator, method)(X))


@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize("name", ESTIMATORS)
def test_training_goes_on_to_the_same_bits(path, name, way):
    _, X, y = ESTIMATORS[name]
    estimator = fit(name, warm_start=True, random_state=np.random.RandomState(5))
    again = WAYS[way](estimator, path)
    for est in (estimator, again):
        est.partial_fit(X, y).fit(X, y)
        del est.history_["seconds"]
    assert_same(again.__getstate__(), estimator.__getstate__())


def test_loaded_estimator_is_independent(path):
    estimator = fit("softmax")
    again = through_file(estimator, path)
    before = estimator.predict_proba(X)
    again.partial_fit(X, y)
    assert_array_equal(estimator.predict_proba(X), before)


@pytest.mark.parametrize("name", ESTIMATORS)
def test_unfitted_estimators(path, name):
    estimator = ESTIMATORS[name][0]
    save(estimator, path)
    assert_same(load(path).get_params(), estimator.get_params())
    assert_same(vars(load(path)), vars(estimator))


def test_load_finds_the_class(path):
    fit("conv").save(path)
    assert type(load(path)) is ThreeLayerConvNet
    with pytest.raises(ValueError, match=r"model' holds a ThreeLayerConvNet, not a Softmax; load"):
        Softmax.load(path)


def test_metadata_requests_are_kept(path):
    with sklearn.config_context(enable_metadata_routing=True):
        estimator = Softmax().set_fit_request(sample_weight=True)
        estimator.set_score_request(sample_weight="weight").save(path)
    routing = load(path).get_metadata_routing()
    assert routing.fit.requests["sample_weight"] is True
    assert routing.score.requests["sample_weight"] == "weight"
    assert str(routing) == str(estimator.get_metadata_routing())


def test_version_key_of_scikit_learn_is_kept(path, monkeypatch):
    state = Softmax().__getstate__() | {"_sklearn_version": "1.6.1"}
    monkeypatch.setattr(Softmax, "__getstate__", lambda self: state)
    save(Softmax(), path)
    assert vars(load(path))["_sklearn_version"] == "1.6.1"


def test_missing_parameters_have_their_defaults(path):
    """A parameter that a later version adds is not in the files of this one."""
    Softmax(reg=0.5).save(path)
    tree = read_archive(path)
    del tree["state"]["batch_size"]
    write_archive(path, tree)
    assert load(path).get_params() == Softmax(reg=0.5).get_params()


@pytest.mark.parametrize(
    ("estimator", "match"),
    [
        (Softmax(learning_rate=len), r"^parameter learning_rate of Softmax cannot be saved: <buil"),
        (
            TwoLayerNet(optim_config={"epsilon": [1, {2}]}),
            r"^parameter optim_config\['epsilon'\]\[1\] of TwoLayerNet cannot be saved: \{2\}",
        ),
        (Softmax(random_state=np.random.default_rng(0)), "^parameter random_state of .*Generator"),
        (
            Softmax(class_weight={(1, 2): 3}),
            r"^parameter class_weight of .* key \(1, 2\) of type tu",
        ),
        (
            LogisticRegression(),
            "estimator must be an instance of Softmax, .*LogisticRegression; us",
        ),
        (make_pipeline(Softmax()), "got Pipeline; use pickle or joblib"),
        (GridSearchCV(Softmax(), {}), "got GridSearchCV; use pickle or joblib"),
        (type("Softmax", (Softmax,), {})(), "itself, got Softmax"),
        (type("MyNet", (TwoLayerNet,), {})(), "itself, got MyNet"),
        (Softmax, "got type"),
        (None, "got NoneType"),
        ({"W1": 1}, "got dict"),
        ("model", "got str"),
    ],
)
def test_save_bad_estimators(tmp_path, path, estimator, match):
    with pytest.raises(TypeError, match=match):
        save(estimator, path)
    assert os.listdir(tmp_path) == []


def test_save_names_bad_attributes(path):
    estimator = fit("softmax")
    estimator.loss_history_ = [1.0, len]
    with pytest.raises(TypeError, match=r"^attribute loss_history_\[1\] of Softmax cannot be saved"):
        estimator.save(path)


@pytest.mark.parametrize("function", [lambda path: save(Softmax(), path), load, Softmax.load])
def test_estimator_bad_paths(tmp_path, function):
    for path, error, match in bad_paths(tmp_path):
        with pytest.raises(error, match=match):
            function(path)


@pytest.mark.parametrize("expected_class", ["Softmax", 1, Softmax()])
def test_load_bad_class(path, expected_class):
    with pytest.raises(TypeError, match="expected_class must be a class or None, got"):
        load(path, expected_class)


@pytest.mark.parametrize(
    ("tree", "match"),
    [
        (TREE, "model' holds no estimator"),
        ([1], "holds no estimator"),
        ("Softmax", "holds no estimator"),
        ({"estimator": "Softmax", "state": [], "requests": {}}, "holds no estimator"),
        ({"estimator": {}, "state": {}, "requests": {}}, "holds no estimator"),
        ({"estimator": "os", "state": {}, "requests": {}}, "of class 'os'; known are Softmax, Two"),
        ({"estimator": "SoftmaxV2", "state": {}, "requests": {}}, r"written by sklearn_dl \d"),
        (
            {"estimator": "Softmax", "state": {"params_": 1}, "requests": {}},
            "not hold a valid Softm",
        ),
        (
            {"estimator": "Softmax", "state": {}, "requests": {"fit": {"a b": 1}}},
            "not hold a valid",
        ),
        ({"estimator": "Softmax", "state": {}, "requests": {"fit": [1]}}, "not hold a valid"),
    ],
)
def test_load_refuses_what_is_no_estimator(path, tree, match):
    write_archive(path, tree)
    with pytest.raises(ValueError, match=match):
        load(path)


@pytest.mark.parametrize("change", [lambda W: W[:-1], lambda W: W.T, lambda W: W[None]])
def test_weights_that_do_not_fit_never_reach_the_kernels(path, change):
    fit("two layers").save(path)
    tree = read_archive(path)
    tree["state"]["params_"]["W1"] = change(tree["state"]["params_"]["W1"])
    write_archive(path, tree)
    with pytest.raises((TypeError, ValueError)):
        load(path).predict(X)


def test_a_pickle_is_called_one(path):
    joblib.dump(Softmax(), path)
    with pytest.raises(
        ValueError, match=r"is not a file written by sklearn_dl\. It seems to be a pickle: joblib\.load"
    ):
        load(path)
