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
from sklearn_dl.training.archives import check_checkpoint, check_drawn, check_fields

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


def put(name, value, *, where=None):
    """Return a change of an attribute, or of one of its items, whose value may be made of the one before."""

    def change(state):
        held = state if where is None else state[where]
        held[name] = value(held[name]) if callable(value) else value

    return change


def with_nan(array):
    changed = array.copy()
    changed.flat[0] = np.nan
    return changed


def labels_of_several():
    return np.eye(3, dtype=int)[Y]


@pytest.mark.parametrize(
    ("make", "change", "message"),
    [
        (fitted, put("n_features_in_", 6), "n_features_in_ must be"),
        (fitted, put("W1", with_nan, where="params_"), "W1 must be finite"),
        (fitted, put("_class_totals", np.array([1.0, 2.0])), "_class_totals must be"),
        (fitted, put("_class_totals", np.array([1.0, 2.0, -3.0])), "_class_totals must be"),
        (fitted, put("_class_totals", np.array([1.0, 2.0, np.inf])), "_class_totals must be"),
        (fitted, put("_is_multilabel", True), "head must be logistic"),
        (fitted, put("_is_multilabel", 1), "_is_multilabel must be True or False"),
        (fitted, put("feature_names_in_", np.array(list("abcd"), object)), "feature_names_in_ must be"),
        (fitted, put("feature_names_in_", np.array(["a", "b", "c", "d", 1], object)), "feature_names_in_ must be"),
        (lambda: fitted(FullyConnectedRegressor), put("y_scale_", -np.ones(1)), "y_scale_ must be at least 0"),
        (lambda: fitted(FullyConnectedRegressor), put("y_mean_", np.array([np.inf])), "y_mean_ must be"),
        (lambda: fitted(FullyConnectedRegressor), put("y_mean_", np.ones(1, np.float32)), "y_mean_ must be"),
        (lambda: fitted(FullyConnectedRegressor), put("_takes_exp", True), "_takes_exp and head must be"),
        (lambda: fitted(FullyConnectedRegressor), put("_y_is_flat", 1), "_y_is_flat must be"),
        (
            lambda: FullyConnectedRegressor(hidden_dims=(4,), **QUICK).fit(X, X[:, :2]),
            put("_y_is_flat", True),
            "_y_is_flat must",
        ),
        (
            lambda: FullyConnectedNet(hidden_dims=(4,), **QUICK).fit(X, labels_of_several()),
            put("classes_", np.arange(1, 4)),
            "classes_",
        ),
        (FullyConnectedNet, lambda state: state.update(classes_=np.arange(3)), "classes_ must be absent"),
    ],
)
def test_attributes_that_no_fit_leaves(make, change, message, path):
    assert message in refused(tampered(path, make(), change))


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


def reordered(keys):
    return {"trained": np.array(keys, np.uint64), "validated": np.zeros(1, np.uint64)}


FIELDS = {
    "epoch": [True, 2**63, np.int64(1), 1.0],
    "initial_n_classes": [False, -1],
    "best_epoch": [False, -1, 2**63],
    "initial_loss": [True, 1j],
    "stop_score": [np.True_, None],
    "validated": [1, None],
    "loss_history": [[0.5, True], np.zeros(2), [0.5], [None]],
    "learning_rate_history": [[0.1] * 99],
    "random_state": [np.random.default_rng(0), type("Own", (np.random.RandomState,), {})(0), None],
    "net_random_state": [type("Own", (np.random.RandomState,), {})(0)],
    "update_rule": ["sg", ["adam"]],
    "schedule_began": [(0, 1.0), (0, -1), (0, 0, 0), [0, 0]],
    "schedule_length": [(1, -1), (1,), [1, 1]],
    "held_out": [
        reordered([2, 1]),
        {name: keys.astype(np.int64) for name, keys in reordered([1, 2]).items()},
        {"trained": np.zeros(1, np.uint64)},
        {name: keys[None] for name, keys in reordered([1, 2]).items()},
    ],
}


def restored(state, change):
    """Check a state, of which a change has been made to a copy."""
    changed = copy.deepcopy(vars(state))
    change(changed)
    check_fields(changed, columns=state.history)


@pytest.mark.parametrize("name", FIELDS)
def test_values_that_no_training_leaves(name):
    solver = make_solver()
    solver.train()
    restored(solver.state, lambda fields: fields.update(held_out=reordered([1, 1, 2])))
    for wrong in FIELDS[name]:
        with pytest.raises(ValueError, match=name):
            restored(solver.state, lambda fields, wrong=wrong: fields.update({name: wrong}))


def set_item(*names, value):
    """Return a change that sets an item of nested dicts, whose value may be made of the one before."""

    def change(fields):
        *path, last = names
        for name in path:
            fields = fields[name]
        fields[last] = value(fields.get(last)) if callable(value) else value

    return change


def float64(array):
    return array.astype(np.float64)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (set_item("history", "loss", value=lambda column: column[1:]), "history must be lists of one length"),
        (set_item("history", "seconds", value=lambda column: [-1.0, 1.0]), "seconds'.* at least 0"),
        (set_item("history", "seconds", value=lambda column: [1.0, np.nan]), "seconds'.* finite"),
        (set_item("history", "seconds", value=lambda column: [np.inf, 1.0]), "seconds'.* finite"),
        (set_item("history", "more", value=[1.0, 1.0]), "history must be a dict of"),
        (set_item("optim_configs", "W1", "m", value=lambda m: m[1:]), "'m'.* array of shape"),
        (set_item("optim_configs", "W1", "m", value=float64), "'m'.* of float32"),
        (set_item("optim_configs", "W1", "t", value=-1), "'t'.* an integer"),
        (set_item("optim_configs", "W1", "t", value=True), "'t'.* an integer"),
        (set_item("optim_configs", "W1", "beta1", value=1.5), "beta1"),
        (set_item("optim_configs", "W1", "velocity", value=1.5), "velocity'.* is nothing that the update rule 'adam'"),
        (set_item("optim_configs", "W3", value={}), "optim_configs must be a dict with a key for each"),
        (set_item("best_params", "W1", value=lambda W: W[1:]), "best_params.* array of shape"),
        (set_item("best_params", "W1", value=float64), "best_params.* of float32"),
        (set_item("best_params", "W3", value=np.zeros(1)), "best_params must be a dict like the net's"),
        (set_item("last_statistics", value=lambda _: {"mean": np.zeros(4)}), "last_statistics must be a dict like"),
        (set_item("schedule_state", "more", value=1.0), "schedule_state must be a dict of"),
        (set_item("schedule_state", value={}), "schedule_state must be a dict of"),
        (set_item("schedule_state", "multiplier", value=np.nan), "multiplier'.* a number"),
        (set_item("schedule_state", "multiplier", value="1"), "multiplier'.* a number"),
    ],
)
def test_parts_of_fields_that_no_training_leaves(change, message):
    solver = make_solver()
    solver.train()
    with pytest.raises((TypeError, ValueError), match=message):
        restored(solver.state, change)


ROWS = np.arange(10, 20)


@pytest.mark.parametrize("drawn", [[10, 11, 12, 13], [10, 11], [10, 11, 11], [9, 10, 11], [10, 11, 20], None])
def test_rows_of_scores_are_as_many_as_ours_and_there(drawn):
    check_drawn("rows", ROWS[[4, 2, 9]], ROWS, ROWS[:3])
    with pytest.raises(ValueError, match="rows must be different rows of the 10 samples, as many as here"):
        check_drawn("rows", drawn if drawn is None else np.array(drawn), ROWS, ROWS[:3])
    with pytest.raises(ValueError, match="rows must be"):
        check_drawn("rows", ROWS[:3], ROWS, None)


def test_parts_of_a_checkpoint_that_nobody_writes(checkpoint):
    tree = read_archive(checkpoint)
    check_checkpoint(tree)
    rows = np.arange(3)
    for changes in (
        {"more": 1},
        {"version": "1" * 41},
        {"version": "1\n"},
        {"version": ""},
        {"cut": True},
        {"rows": {"train": rows.astype(np.int32), "val": None}},
        {"rows": {"train": rows[None], "val": None}},
        {"rows": {"train": None}},
        {"settings": {1: "x"}},
        {"data": {"X": 1}},
        {"generator": type("Own", (np.random.RandomState,), {})(0)},
        {"ended": b""},
    ):
        with pytest.raises(ValueError, match=f"{next(iter(changes))}|keys"):
            check_checkpoint({**tree, **changes})


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
