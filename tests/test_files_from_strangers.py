"""Files that were made to do harm: time and memory stay in proportion to their size, and errors name the file."""

import copy
import gc
import hashlib
import json
import os
import pickle
import time
import tracemalloc
import zipfile

import numpy as np
import pytest

import sklearn_dl
from sklearn_dl import FullyConnectedNet, FullyConnectedRegressor, ThreeLayerConvNet, TwoLayerNet, datasets
from sklearn_dl._archive import _dump
from sklearn_dl.layers._layer import Initializer
from sklearn_dl.nets import FullyConnected, Net
from sklearn_dl.nets.layers import Affine, BatchNorm
from sklearn_dl.persistence import _estimator_from_tree, _estimator_to_tree, read_archive, write_archive
from sklearn_dl.training.archives import check_fields

from ._cifar10 import NAMES, dictionary, make_images, string, write_binary, write_python
from .fuzz_files import FIT_DATA, PICKLES, go_on, make_fit, make_solver

X, Y = np.random.RandomState(0).randn(24, 5), np.arange(24) % 3
QUICK = {"num_epochs": 1, "random_state": 0}


@pytest.fixture
def path(tmp_path):
    return str(tmp_path / "model")


def fitted(cls=FullyConnectedNet, **options):
    return cls(**{"hidden_dims": (4,), "normalization": "batchnorm", **QUICK, **options}).fit(X, Y)


def tampered(path, estimator, change):
    """Save an estimator, its state changed in place."""
    estimator.save(path)
    tree = read_archive(path)
    change(tree["state"])
    write_archive(path, tree)
    return path


def refused(path, function=sklearn_dl.load, *, seconds=2.0, factor=60, megabytes=4):
    """Return the message of the error, which comes soon, takes memory by the file's size, and names the file."""
    gc.collect()
    tracemalloc.start()
    began = time.process_time()
    try:
        with pytest.raises(ValueError, match=os.path.basename(path)) as info:
            function(path)
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert time.process_time() - began < seconds * 5  # tracing takes time
    assert peak < factor * os.path.getsize(path) + megabytes * 1e6
    assert len(str(info.value)) < 4000
    return str(info.value)


# ------------------------------------------------------------------- archives


def sign(path, change):
    """Change the header of a file, and make the checksum fit."""
    with zipfile.ZipFile(path) as archive:
        members = {name: archive.read(name) for name in archive.namelist()}
    header = json.loads(members["header.json"])
    del header["sha256"]
    change(header)
    header["sha256"] = hashlib.sha256(_dump(header)).hexdigest()
    members["header.json"] = json.dumps(header).encode()
    with zipfile.ZipFile(path, "w") as archive:
        for name, content in members.items():
            archive.writestr(name, content)


def test_an_array_that_is_listed_many_times_is_read_once(path):
    write_archive(path, {"a": np.zeros(20_000)})
    sign(path, lambda header: header.update(arrays=header["arrays"] * 20_000))
    assert "not those that the header lists" in refused(path, read_archive)


def test_one_array_for_many_parameters(path):
    def change(state):
        W = state["params_"]["W1"]
        state["params_"] = {f"W{i}": W for i in range(5_000)}

    assert "one array stands for several" in refused(tampered(path, fitted(), change))


def test_keys_of_one_hash(path):
    write_archive(path, {})
    sign(path, lambda header: header.update(tree={"dict": [[k * (2**61 - 1), 0] for k in range(20_000)]}))
    assert "one hash" in refused(path, read_archive)
    weights = {-1: 1.0, -2: 2.0, 2**61 - 1: 3.0, 0: 4.0}
    write_archive(path, weights)
    assert read_archive(path) == weights


@pytest.mark.parametrize(
    ("tree", "message"),
    [
        ({"dict": [["a", 1], ["a", 2]]}, "two keys"),
        ({"dict": [[{"tuple": [1]}, 1]]}, "str or numbers"),
        ({"dict": [[{"array": 0}, 1]]}, "str or numbers"),
        ({"scalar": ["|b1", "02"]}, "bool"),
        ({"scalar": ["<U1", "00001100"]}, "no character"),
        ({"scalar": [">U1", "00110000"]}, "no character"),
        ({"objects": [[1], [{"dict": []}]]}, "str and numbers only"),
        ({"objects": [[1] * 33, [1]]}, "cannot have the shape"),
        ({"objects": [[10**4000] * 30, []]}, "cannot have the shape"),
    ],
)
def test_trees_that_nobody_writes(tree, message, path):
    write_archive(path, {"a": np.zeros(1)})
    sign(path, lambda header: header.update(tree=tree))
    assert message in refused(path, read_archive)


@pytest.mark.parametrize(
    "tree",
    [
        [[]] * 20_000,
        [json.loads("[" * 60 + "]" * 60)] * 1000,
        [{"dict": []}] * 20_000,
        [{"objects": [[0], []]}] * 10_000,
        {"dict": [[i, 0] for i in range(20_000)]},
    ],
    ids=["lists", "nested", "dicts", "objects", "keys"],
)
def test_what_is_read_takes_memory_by_the_size_of_the_file(tree, path):
    write_archive(path, {})
    sign(path, lambda header: header.update(tree=tree))
    gc.collect()
    tracemalloc.start()
    try:
        read_archive(path)
        assert tracemalloc.get_traced_memory()[1] < 100 * os.path.getsize(path)
    finally:
        tracemalloc.stop()


def test_nesting_that_nobody_writes(path):
    tree = 1
    for _ in range(70):
        tree = [tree]
    write_archive(path, {})
    sign(path, lambda header: header.update(tree=tree))
    assert "levels deep" in refused(path, read_archive)


def test_a_long_version_is_not_repeated(path):
    write_archive(path, {})
    sign(path, lambda header: header["versions"].update(sklearn_dl="1" * 10**6))
    assert "writer's version" in refused(path)


# ----------------------------------------------------------------- estimators


def set_args(**args):
    return lambda state: state["_net_args"].update(args)


@pytest.mark.parametrize(
    ("cls", "options", "change"),
    [
        (FullyConnectedNet, {}, set_args(hidden_dims=(15_000_000,))),
        (FullyConnectedNet, {}, set_args(hidden_dims=(4,) * 20_000)),
        (FullyConnectedNet, {}, set_args(hidden_dims=np.ones(20_000, np.int8))),
        (FullyConnectedNet, {}, set_args(hidden_dims=(10,))),
        (FullyConnectedNet, {}, set_args(input_dim=10**9)),
        (FullyConnectedNet, {}, set_args(num_classes=2**62)),
        (FullyConnectedNet, {}, set_args(activation="tanh" * 10**6)),
        (TwoLayerNet, {"hidden_dim": 4}, set_args(hidden_dims=(2**31,))),
        (ThreeLayerConvNet, {}, set_args(num_filters=4 * (10**15 + 37))),
        (ThreeLayerConvNet, {}, set_args(num_filters=np.int64(4 * (10**15 + 37)))),
        (ThreeLayerConvNet, {}, set_args(filter_size=10**9 + 1)),
        (ThreeLayerConvNet, {}, set_args(input_dim=(1, 10**9, 10**9))),
    ],
)
def test_sizes_that_the_file_does_not_hold(cls, options, change, path):
    if cls is ThreeLayerConvNet:
        options = {"num_filters": 4, "filter_size": 3, "hidden_dim": 4, "normalization": "groupnorm"}
    if cls is not FullyConnectedNet:
        options["hidden_dims"] = None
    options = {name: value for name, value in {"hidden_dims": (4,), **QUICK, **options}.items() if value is not None}
    refused(tampered(path, cls(**options).fit(X, Y), change), factor=20)


def test_loading_draws_no_weights(path, monkeypatch):
    estimator = fitted()
    estimator.save(path)

    def draw(self, *args, **kwargs):
        raise AssertionError("weights are drawn")

    monkeypatch.setattr(Initializer, "weights", draw)
    with pytest.raises(AssertionError, match="weights are drawn"):
        FullyConnected([4], 5, 3)
    for twin in (sklearn_dl.load(path), copy.deepcopy(estimator)):
        np.testing.assert_array_equal(twin.predict_proba(X), estimator.predict_proba(X))


@pytest.mark.parametrize(
    "name", ["predict", "fit", "_net_class", "__class__", "_task", "_net", "a b", "loss_", "_private", "__dict__"]
)
def test_attributes_that_would_hide_something(name, path):
    assert "cannot be an attribute" in refused(tampered(path, fitted(), lambda state: state.update({name: 1})))


def test_attributes_of_the_user_come_back(path):
    estimator = fitted()
    estimator.note = "of Tuesday"
    estimator.save(path)
    assert sklearn_dl.load(path).note == "of Tuesday"


CLASSES = [
    np.array([0, 1]),
    np.array([0, 1, 2, 3]),
    np.array([[0, 1, 2]]),
    np.array([2, 1, 0]),
    np.array([0, 1, 1]),
    np.array([0, 1, "2"], object),
    [0, 1, 2],
    None,
    "abc",
]


@pytest.mark.parametrize("classes", CLASSES, ids=str)
def test_classes_that_do_not_fit(classes, path):
    refused(tampered(path, fitted(), lambda state: state.update(classes_=classes)))


WRONG = [None, [], {}, "x", -1, 2**70, 0.5, (), np.zeros(2), np.array(["a"]), {"W1": None}, [None], True]


@pytest.mark.parametrize("make", [fitted, lambda: fitted(FullyConnectedRegressor)], ids=["classifier", "regressor"])
def test_each_attribute_is_checked(make):
    """Another value is refused with an error that names the file, or is one that the estimator works with."""
    estimator = make()
    tree, _ = _estimator_to_tree(estimator)
    learned = tree["state"].keys() - estimator.get_params().keys()
    messages = []
    for where in (tree["state"], tree["state"]["_state"], tree["state"]["_net_args"]):
        for name in list(where):
            if where is tree["state"] and name not in learned:
                continue
            value = where.pop(name)
            for wrong in (*WRONG, KeyError):
                if wrong is not KeyError:
                    where[name] = wrong
                try:
                    loaded = _estimator_from_tree(tree, None, "'model'", "written by nobody")
                except ValueError as error:
                    messages.append(str(error))
                else:
                    loaded.predict(X)
                where.pop(name, None)
            where[name] = value
    _estimator_from_tree(tree, None, "'model'", "written by nobody").predict(X)
    assert len(messages) > 400
    assert all(message.startswith("'model' does not hold a valid") for message in messages)


# ----------------------------------------------------------------------- nets


def test_names_of_many_layers_take_time_by_their_number(path):
    Net([BatchNorm(), Affine(2)], 3).save(path)
    tree = read_archive(path)
    tree["layers"] = [tree["layers"][0]] * 5_000 + tree["layers"][1:]
    write_archive(path, tree)
    refused(path)


def test_names_of_layers_are_as_they_were():
    net = Net([BatchNorm(), BatchNorm(), Affine(2), BatchNorm(), BatchNorm(), BatchNorm()], 3)
    gammas = [name for name in net.params if name.startswith("gamma")]
    assert gammas == ["gamma0", "gamma0_2", "gamma1", "gamma1_2", "gamma1_3"]


def test_an_input_shape_of_many_axes(path):
    net = FullyConnected([4], 5, 3)
    net.save(path)
    tree = read_archive(path)
    tree["input_shape"] = (2**40,) * 100_000
    write_archive(path, tree)
    assert "at most 31" in refused(path)


# ---------------------------------------------------------------- checkpoints


@pytest.fixture
def checkpoint(tmp_path):
    make_solver(epochs=1, checkpoint=tmp_path / "c").train()
    [path] = tmp_path.glob("c*")
    return str(path)


@pytest.mark.filterwarnings("ignore:.*was written by sklearn_dl")
def test_each_field_of_a_checkpoint_is_checked(checkpoint, monkeypatch):
    """A refused file changes nothing."""
    tree = read_archive(checkpoint)
    monkeypatch.setattr("sklearn_dl.training.checkpoints.read_archive", lambda path: tree)
    messages, changed, solver = [], [], make_solver()
    before = pickle.dumps(solver.state.to_archive())
    for where in (tree, tree["state"], tree["state"]["optim_configs"]["W1"], tree["state"]["history"]):
        for name in list(where):
            value = where.pop(name)
            for wrong in (*WRONG, KeyError):
                if wrong is not KeyError:
                    where[name] = wrong
                try:
                    solver.resume(checkpoint)
                except ValueError as error:
                    messages.append(str(error))
                    changed.append(pickle.dumps(solver.state.to_archive()) != before)
                else:
                    solver = make_solver()
                where.pop(name, None)
            where[name] = value
    solver.resume(checkpoint)
    assert len(messages) > 300
    assert [message for message in messages if checkpoint not in message] == []
    assert not any(changed)


@pytest.mark.filterwarnings("ignore:.*was written by sklearn_dl")
def test_each_field_of_a_checkpoint_of_a_fit_is_checked(tmp_path, monkeypatch):
    """`go_on` looks that a refused file changes nothing."""
    path = tmp_path / "run"
    make_fit(path).fit(*FIT_DATA)
    tree, messages = read_archive(path), []
    monkeypatch.setattr("sklearn_dl.training.checkpoints.read_archive", lambda path: tree)
    for where in (tree, tree["settings"], tree["data"], tree["rows"]):
        for name in list(where):
            value = where.pop(name)
            for wrong in (*WRONG, KeyError):
                if wrong is not KeyError:
                    where[name] = wrong
                try:
                    go_on(path)
                except ValueError as error:
                    messages.append(str(error))
                where.pop(name, None)
            where[name] = value
    go_on(path)
    assert len(messages) > 300
    assert [message for message in messages if str(path) not in message] == []


def test_fields_of_a_training_pass():
    solver = make_solver()
    solver.train()
    state = solver.state
    check_fields(vars(state), columns=state.history)


# ------------------------------------------------------------------- CIFAR-10


@pytest.mark.parametrize("name", ["data_batch_2", "batches.meta"])
@pytest.mark.parametrize("content", PICKLES, ids=range(len(PICKLES)))
def test_pickles_that_ask_for_more_than_they_hold(name, content, tmp_path):
    folder = write_python(tmp_path, make_images())
    (folder / name).write_bytes(content)
    if name == "batches.meta" and content == PICKLES[-1]:  # names of 255 letters are names
        datasets.load_cifar10(folder)
        return
    message = refused(str(folder / name), lambda _: datasets.load_cifar10(folder))
    assert "label_names" in message or "CIFAR-10" in message or "data" in message


def test_long_names_of_classes(tmp_path):
    folder = write_binary(tmp_path, make_images())
    meta = folder / "batches.meta.txt"
    meta.write_text("\n".join([*NAMES[:9], "x" * 40_000]))
    assert "at most 1000 characters" in refused(str(meta), lambda _: datasets.load_cifar10(folder))
    meta.write_text("\n".join([*NAMES[:9], "x" * 40_000_000]))
    assert "take less than" in refused(str(meta), lambda _: datasets.load_cifar10(folder), factor=0)


def test_the_stack_of_a_pickle_is_checked(tmp_path):
    folder = write_python(tmp_path, make_images())
    good = (folder / "batches.meta").read_bytes()
    bad = [
        b".",
        b"(.",
        b"}(1.",
        b"a.",
        b"]a.",
        b"e.",
        b"(e.",
        b"}s.",
        b"]Ns.",
        b"b.",
        b"NNb.",
        b"R.",
        b"NNR.",
        b"\x94.",
    ]
    bad += [
        b"h\5.",
        b"\x85.",
        b"(\x85.",
        b"NN.",
        b"}(Nu.",
        b"}(K\1Nu.",
        good[:-1],
        dictionary(label_names=string(b"x")),
    ]
    for content in bad:
        (folder / "batches.meta").write_bytes(b"\x80\x02" + content)
        refused(str(folder / "batches.meta"), lambda _: datasets.load_cifar10(folder))
