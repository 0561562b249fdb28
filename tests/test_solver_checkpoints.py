"""Checkpoints of the solver, and resuming from them."""

import dataclasses
import errno
import os
import signal
import subprocess
import sys

import numpy as np
import pytest

from sklearn_dl.augmentation import RandomCrop
from sklearn_dl.nets import FullyConnected, Net
from sklearn_dl.nets.heads import SoftmaxHead
from sklearn_dl.nets.layers import Affine
from sklearn_dl.persistence import read_archive, write_archive
from sklearn_dl.solver import Watcher
from sklearn_dl.training import checkpoints

from ._solvers import RULES, assert_same, assert_same_training, copies, dataset, make, restless


@pytest.mark.parametrize(
    ("net_options", "options"),
    [({}, {"update_rule": rule}) for rule in RULES]
    + [
        ({"normalization": "batchnorm"}, {"lr_decay": 0.7, "num_val_samples": 11}),
        ({"dropout_keep_ratio": 0.5}, {"update_rule": "adam"}),
        ({"normalization": "layernorm", "reg": 0.1}, {"num_iters": 22}),
        ({"dtype": np.float64}, {"tol": 1e9, "n_iter_no_change": 3}),
        ({}, {"tol": 9.0, "early_stopping": True, "n_iter_no_change": 3, "batch_size": 1}),
    ],
)
@pytest.mark.parametrize("epoch", [1, 3])
def test_resumed_training_has_the_same_bits(net_options, options, epoch, tmp_path):
    def solver(**more):
        net = FullyConnected([16], 8, 4, weight_scale="he", random_state=1, **net_options)
        return make(net, num_epochs=6, **options, **more)

    whole = solver(checkpoint=tmp_path / "run", keep_checkpoints=None)
    whole.train()
    last = whole.epoch
    assert epoch < last <= 6
    files = {path.name for path in tmp_path.iterdir()}
    assert files == {f"run_epoch_{k}.npz" for k in range(1, last + 1)}
    resumed = solver()
    resumed.resume(tmp_path / f"run_epoch_{epoch}.npz")
    assert resumed.epoch == epoch
    resumed.train()
    assert_same_training(resumed, whole)


def test_resume_from_the_end_restores_the_best_weights(tmp_path, monkeypatch):
    def net():
        return FullyConnected([16], 8, 4, normalization="batchnorm", random_state=0)

    accuracies = [0.1, 0.9, 0.4, 0.3]
    whole = restless(monkeypatch, accuracies, net=net(), checkpoint=str(tmp_path / "run"))
    whole.train()
    resumed = make(net())
    resumed.resume(str(tmp_path / "run_epoch_3.npz"))
    resumed.train()
    assert_same_training(resumed, whole)


def without_validation():
    return {name: value for name, value in dataset().items() if name.endswith("_train")}


def checkpoint(path, **changes):
    """Write a checkpoint of a solver with these differences."""
    options = {name: changes.pop(name) for name in ("dtype", "head", "reg", "dropout_keep_ratio") if name in changes}
    net = changes.pop("net", None) or FullyConnected(changes.pop("hidden", [16]), 8, 4, **options)
    make(net, checkpoint=path / "c", num_epochs=1, **changes).train()
    return path / "c_epoch_1.npz"


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"hidden": [16, 16]}, "another net.*W3"),
        ({"hidden": [17]}, r"another net.*\(8, 17\).*\(8, 16\)"),
        ({"dtype": "float64"}, "another net.*float64.*float32"),
        ({"update_rule": "adam"}, "update_rule 'adam', not 'sgd'"),
        ({"batch_size": 8, "shuffle": False}, "with batch_size 8, not 16, shuffle False, not True"),
        ({"lr_decay": 0.5}, "with lr_decay 0.5, not 1"),
        ({"optim_config": {"learning_rate": 0.5}}, r"with optim_config\['learning_rate'\] 0\.5, not 0\.1"),
        ({"clip_norm": 2.0, "monitor": "loss"}, "with clip_norm 2, not None, monitor 'loss', not 'accuracy'"),
        ({"tol": 0.1}, "with tol 0.1, not None"),
        ({"tol": 0.1, "early_stopping": True}, "with early_stopping True, not False, tol 0.1, not None"),
        ({"num_train_samples": 5, "num_val_samples": 4}, "num_train_samples 5, not None, num_val_samples 4, not None"),
        ({"reg": 0.1}, "with reg 0.1, not 0"),
        ({"dropout_keep_ratio": 0.5}, r"with layers \(.*Dropout\(0\.5\).*\), not \("),
        ({"data": dataset(seed=1)}, "on other data: X_train had other values, y_train had other values, X_val had"),
        ({"data": dataset(n_train=59)}, r"X_train was float64 of shape \(59, 8\), not float64 of shape \(60, 8\)"),
        ({"data": without_validation()}, "on other data: without X_val, without y_val"),
        ({"data": {**dataset(), "rows_train": [1, 2]}}, "on other data: with rows_train too"),
        ({"data": {**dataset(), "rows_train": range(59, -1, -1)}}, "on other data: with rows_train too"),
        ({"data": {**dataset(), "sample_weight_val": [2.0] * 20}}, "on other data: with sample_weight_val too"),
        ({"head": "hinge"}, r"head HingeHead\(\), not SoftmaxHead\(label_smoothing=0.0\)"),
        ({"head": SoftmaxHead(0.1)}, r"head SoftmaxHead\(label_smoothing=0.1\), not"),
        ("tree", "no checkpoint of a Solver"),
        ("list", "no checkpoint of a Solver"),
        ("text", "not a file written by"),
    ],
)
def test_resume_refuses_what_does_not_fit(changes, message, tmp_path):
    path = tmp_path / "c_epoch_1.npz"
    if changes == "text":
        path.write_text("no archive")
    elif isinstance(changes, str):
        write_archive(path, {"params": {}} if changes == "tree" else [1, {}])
    else:
        checkpoint(tmp_path, **changes)
    solver = make()
    before = copies(solver.net.params)
    with pytest.raises(ValueError, match=message):
        solver.resume(path)
    assert_same(solver.net.params, before)
    assert (solver.epoch, solver.loss_history) == (0, [])
    with pytest.raises(FileNotFoundError):
        solver.resume(tmp_path / "nothing.npz")


SETTINGS = """net layers head update_rule reg clip_norm lr_decay batch_size shuffle n_iter_no_change early_stopping
monitor lr_schedule augmentation tol num_train_samples num_val_samples"""


@pytest.mark.parametrize("schedule", [None, "reduce_on_plateau", "cosine"])
def test_all_settings_that_decide_on_the_training_are_in_the_file(schedule, tmp_path):
    net = Net([Affine(4)], (1, 2, 4), random_state=0)
    data = {name: values.reshape(-1, 1, 2, 4) if name.startswith("X") else values for name, values in dataset().items()}
    options = {"augmentation": RandomCrop(1), "tol": 0.0, "monitor": "loss", "n_iter_no_change": 7, "clip_norm": 2.5}
    path = checkpoint(
        tmp_path, net=net, data=data, num_train_samples=9, lr_schedule=schedule, update_rule="adam", **options
    )
    settings = read_archive(path)["settings"]
    constants = {name for name in settings if name.startswith("optim_config")}
    assert constants == {f"optim_config[{name!r}]" for name in ("learning_rate", "beta1", "beta2", "epsilon")}
    length = {"num_epochs", "num_iters"} if schedule == "cosine" else set()
    assert settings.keys() - constants == {*SETTINGS.split(), "generators of solver and net", *length}
    for name, value in options.items():
        assert settings[name] == checkpoints.text_of((value,) if name == "augmentation" else value), name
    assert settings["num_train_samples"] == "9"


def test_a_checkpoint_with_a_validation_set_needs_one(tmp_path):
    """Else training would end with the best weights of a validation set that there is no more."""
    make(checkpoint=tmp_path / "run").train()
    other = make(data=without_validation(), num_epochs=40)
    with pytest.raises(ValueError, match="on other data: with X_val too, with y_val too"):
        other.resume(tmp_path / "run_epoch_3.npz")


@pytest.mark.parametrize("schedule", ["cosine", None])
def test_the_length_counts_where_a_schedule_needs_it(schedule, tmp_path):
    make(checkpoint=tmp_path / "run", lr_schedule=schedule).train()
    longer = make(num_epochs=5, lr_schedule=schedule)
    if schedule:
        with pytest.raises(ValueError, match="trained with num_epochs 3, not 5"):
            longer.resume(tmp_path / "run_epoch_2.npz")
        without = make(num_epochs=5)
        with pytest.raises(ValueError, match=r"with lr_schedule Cosine\(.*\), not None\.$"):
            without.resume(tmp_path / "run_epoch_2.npz")
        return
    longer.resume(tmp_path / "run_epoch_2.npz")
    longer.train()
    whole = make(num_epochs=5)
    whole.train()
    assert_same_training(longer, whole)


def test_an_epoch_that_num_iters_cut_short_is_not_gone_on_from(tmp_path):
    make(checkpoint=tmp_path / "run", num_iters=6).train()
    with pytest.raises(ValueError, match="num_iters 6, not 9, and its last epoch is cut short"):
        make(num_iters=9).resume(tmp_path / "run_epoch_2.npz")
    resumed = make(num_iters=9)
    resumed.resume(tmp_path / "run_epoch_1.npz")
    resumed.train()
    whole = make(num_iters=9)
    whole.train()
    assert_same_training(resumed, whole)


@pytest.mark.parametrize("seed", [None, 5])
def test_samples_of_the_scores_are_in_the_file(seed, tmp_path):
    """With random_state=None, nobody could draw them again."""
    options = {"num_train_samples": 7, "num_val_samples": 5}
    np.random.seed(0)
    whole = make(random_state=seed, checkpoint=tmp_path / "run", **options)
    whole.train()
    np.random.seed(1)
    resumed = make(random_state=None, **options)
    resumed.resume(tmp_path / "run_epoch_1.npz")
    resumed.train()
    assert_same_training(resumed, whole)


@pytest.mark.parametrize("keep", [1, 3, None])
def test_so_many_are_kept(keep, tmp_path):
    (tmp_path / "run_epoch_9.npz").write_text("of somebody else")
    options = {"checkpoint": tmp_path / "run", "keep_checkpoints": keep}
    make(num_epochs=4, **options).train()
    resumed = make(num_epochs=6, **options)
    resumed.resume(tmp_path / "run_epoch_4.npz")
    resumed.train()
    kept = range(1 if keep is None else 7 - keep, 7)
    assert {path.name for path in tmp_path.iterdir()} == {f"run_epoch_{epoch}.npz" for epoch in (*kept, 9)}


def test_files_of_another_training_are_not_removed(tmp_path):
    make(num_epochs=2, checkpoint=tmp_path / "other", optim_config={"learning_rate": 0.5}).train()
    make(num_epochs=2, checkpoint=tmp_path / "run").train()
    resumed = make(num_epochs=4, checkpoint=tmp_path / "other", keep_checkpoints=1)
    resumed.resume(tmp_path / "run_epoch_2.npz")
    resumed.train()
    others = sorted(path.name for path in tmp_path.glob("other*"))
    assert others == [f"other_epoch_{epoch}.npz" for epoch in (1, 2, 4)]


def test_what_a_killed_process_has_not_removed_goes_with_the_next_training(tmp_path):
    make(num_epochs=4, checkpoint=tmp_path / "run", keep_checkpoints=None).train()
    resumed = make(num_epochs=4, checkpoint=tmp_path / "run", keep_checkpoints=2)
    resumed.resume(tmp_path / "run_epoch_4.npz")
    resumed.train()
    assert sorted(path.name for path in tmp_path.iterdir()) == ["run_epoch_3.npz", "run_epoch_4.npz"]


def test_files_are_known_again_in_the_order_of_their_epochs(tmp_path):
    path = tmp_path / "run (1)+"
    make(num_epochs=11, checkpoint=path, keep_checkpoints=None).train()
    (tmp_path / "run (1)+_epoch_1.npz.bak").write_text("of the user")
    resumed = make(num_epochs=12, checkpoint=path, keep_checkpoints=2)
    resumed.resume(f"{path}_epoch_11.npz")
    resumed.train()
    kept = {f"run (1)+_epoch_{end}" for end in ("11.npz", "12.npz", "1.npz.bak")}
    assert {file.name for file in tmp_path.iterdir()} == kept


def test_the_oldest_goes_after_the_new_one_is_there(tmp_path, monkeypatch):
    there = []

    def write(path, tree):
        there.append(sorted(file.name for file in tmp_path.iterdir()))
        write_archive(path, tree)

    monkeypatch.setattr(checkpoints, "write_archive", write)
    make(checkpoint=tmp_path / "run", keep_checkpoints=1).train()
    assert there == [[], ["run_epoch_1.npz"], ["run_epoch_2.npz"]]


def test_the_interval_is_waited_for(tmp_path):
    make(checkpoint=tmp_path / "run", checkpoint_interval=1e9).train()
    assert [path.name for path in tmp_path.iterdir()] == ["run_epoch_3.npz"]


class Clock(Watcher):
    """Time that goes on by so much with each epoch, and not otherwise."""

    def __init__(self, step):
        self.now, self.step = 0.0, step

    def monotonic(self):
        return self.now

    def on_epoch_end(self, solver):
        self.now += self.step


@pytest.mark.parametrize(
    ("interval", "step", "epochs"), [(2, 1.0, [2, 4, 6, 7]), (0, 1.0, range(1, 8)), (0, 0.0, range(1, 8))]
)
def test_the_interval_is_from_one_write_to_the_next(interval, step, epochs, tmp_path, monkeypatch):
    """A clock need not have gone on since the last epoch."""
    clock = Clock(step)
    monkeypatch.setattr(checkpoints, "time", clock)
    options = {"checkpoint_interval": interval, "keep_checkpoints": None, "num_epochs": 7}
    make(checkpoint=tmp_path / "run", watchers=[clock], **options).train()
    assert {path.name for path in tmp_path.iterdir()} == {f"run_epoch_{epoch}.npz" for epoch in epochs}


class Stops(Watcher):
    def on_update(self, solver):
        if solver.num_updates == 6:
            solver.stop()


def test_a_half_epoch_is_not_written(tmp_path):
    solver = make(checkpoint=tmp_path / "run", watchers=[Stops()])
    solver.train()
    assert solver.epoch == 2
    assert [path.name for path in tmp_path.iterdir()] == ["run_epoch_1.npz"]


def test_a_training_that_was_interrupted_has_not_ended(tmp_path, hears_ctrl_c):
    class Presses(Watcher):
        def on_update(self, solver):
            if solver.num_updates == 8:  # the last of the second epoch
                signal.raise_signal(signal.SIGINT)

    solver = make(checkpoint=tmp_path / "run", watchers=[Presses()])
    with pytest.raises(KeyboardInterrupt):
        solver.train()
    assert solver.stop_reason == "interrupted"
    tree = read_archive(tmp_path / "run_epoch_2.npz")
    assert (tree["ended"], tree["state"]["stop_reason"]) == (None, None)


def test_writes_that_fail(tmp_path, monkeypatch):
    fails = [2, 3]

    def write(path, tree):
        if tree["state"]["epoch"] in fails:
            raise OSError(errno.ENOSPC, "No space left on device")
        write_archive(path, tree)

    monkeypatch.setattr(checkpoints, "write_archive", write)
    solver = make(checkpoint=tmp_path / "run")
    with pytest.warns(UserWarning, match="No space left on device") as caught:
        solver.train()
    assert ["training goes on" in str(warning.message) for warning in caught] == [True, False]
    assert [path.name for path in tmp_path.iterdir()] == ["run_epoch_1.npz"]
    solver.num_epochs, fails[:] = 5, []
    with pytest.warns(UserWarning, match=r"of an earlier training was not written: '.*run_epoch_3\.npz'"):
        solver.train()
    assert len(list(tmp_path.iterdir())) == 3
    whole = make(num_epochs=5)
    whole.train()
    assert_same_training(solver, whole)


@pytest.mark.parametrize(
    ("place", "error", "message"),
    [
        ("no/run", FileNotFoundError, "there is no folder"),
        ("file/run", FileNotFoundError, "there is no folder"),
        ("x" * 250, OSError, "cannot be written: File name too long"),
        ("folder", IsADirectoryError, r"folder_epoch_1\.npz' is a directory"),
    ],
)
def test_where_no_file_can_be_is_found_before_training(place, error, message, tmp_path):
    (tmp_path / "file").write_text("")
    (tmp_path / "folder_epoch_1.npz").mkdir()
    solver = make(checkpoint=tmp_path / place)
    before = copies(solver.net.params)
    with pytest.raises(error, match=message):
        solver.train()
    assert (solver.epoch, solver.loss_history, solver.train_acc_history) == (0, [], [])
    assert_same(solver.net.params, before)


def test_a_schedule_that_the_file_has_not_is_named_alone(tmp_path):
    make(checkpoint=tmp_path / "run").train()
    with pytest.raises(ValueError, match=r"with lr_schedule None, not Cosine\([^)]*\)\.$"):
        make(lr_schedule="cosine").resume(tmp_path / "run_epoch_2.npz")


def test_a_relative_path_stays_where_it_was(tmp_path, monkeypatch):
    (tmp_path / "other").mkdir()
    monkeypatch.chdir(tmp_path)
    solver = make(checkpoint="run", keep_checkpoints=1)
    os.chdir("other")
    solver.train()
    assert os.listdir() == []
    assert sorted(os.listdir(tmp_path)) == ["other", "run_epoch_3.npz"]


def test_what_cannot_be_stored_is_found_before_training(tmp_path):
    solver = make(checkpoint=tmp_path / "run", random_state=np.random.RandomState(np.random.PCG64(0)))
    with pytest.raises(TypeError, match=r"tree\['state'\]\['random_state'\] cannot be saved: a RandomState on PCG64"):
        solver.train()
    assert solver.loss_history == []


def test_settings_that_mean_the_same(tmp_path):
    """Of other types, or objects of somebody's own that print their place in memory."""

    class Own(RandomCrop):
        __repr__ = object.__repr__

    for value in (0.5, np.float32(0.5), 1, 1.0, True, None, "text", [1, (2,)], {"b": 1, "a": 2}, Own(1), range(3)):
        assert "0x" not in checkpoints.text_of(value)
    assert checkpoints.text_of(np.int64(3)) == checkpoints.text_of(3.0) == "3"
    assert checkpoints.text_of({"b": 1, "a": 2}) == checkpoints.text_of({"a": 2, "b": 1})
    assert checkpoints.text_of([1, 2]) == checkpoints.text_of(np.array([1, 2])) == "(1, 2)"
    long = checkpoints.text_of("x" * 1000)
    assert len(long) < 300
    assert long != checkpoints.text_of("x" * 999 + "y")


def test_a_training_that_has_ended_says_so_in_its_last_file(tmp_path):
    make(checkpoint=tmp_path / "run").train()
    stored = [read_archive(tmp_path / f"run_epoch_{epoch}.npz") for epoch in (1, 2, 3)]
    assert [tree["state"]["stop_reason"] for tree in stored] == [None, None, "num_epochs"]
    assert [tree["ended"] is None for tree in stored] == [True, True, False]


@pytest.mark.parametrize(
    "change",
    [
        {"epoch": 2},
        {"epoch": 10**6},
        {"train_acc_history": np.zeros(3)},
        {"val_acc_history": np.zeros(5)},
        {"best_epoch": 4},
        {"schedule_began": (4, 0)},
        {"schedule_began": (0, 13)},
    ],
    ids=str,
)
def test_a_state_that_counts_wrong_is_refused(change, tmp_path):
    make(checkpoint=tmp_path / "c").train()
    path = tmp_path / "c_epoch_3.npz"
    make().resume(path)
    tree = read_archive(path)
    tree["state"].update(change)
    write_archive(path, tree)
    solver = make()
    before = copies(solver.net.params)
    with pytest.raises(ValueError, match=f"does not fit this Solver: {next(iter(change))} must be"):
        solver.resume(path)
    assert solver.epoch == 0
    assert_same(solver.net.params, before)


class Doubled(FullyConnected):
    """A net with a loss of its own."""

    def loss(self, X, y=None):
        if y is None:
            return super().loss(X)
        loss, grads = super().loss(X, y)
        return 2 * loss, {name: 2 * grad for name, grad in grads.items()}


def test_a_net_with_another_loss_is_another_net(tmp_path):
    path = checkpoint(tmp_path)
    with pytest.raises(ValueError, match=r"was trained with net 'FullyConnected', not 'Doubled'\."):
        make(Doubled([16], 8, 4)).resume(path)


@pytest.mark.parametrize("one", [True, False])
def test_one_generator_of_solver_and_net_or_two(one, tmp_path):
    def solver(one, **options):
        generators = np.random.RandomState(0), np.random.RandomState(0)
        net = FullyConnected([16], 8, 4, dropout_keep_ratio=0.5, random_state=generators[0])
        return make(net, random_state=generators[0 if one else 1], **options)

    solver(one, checkpoint=tmp_path / "c").train()
    solver(one).resume(tmp_path / "c_epoch_3.npz")
    with pytest.raises(ValueError, match=r"with generators of solver and net '(one', not 'two|two', not 'one)'"):
        solver(not one).resume(tmp_path / "c_epoch_3.npz")


@dataclasses.dataclass
class Holding:
    value: object


def test_texts_of_settings_that_differ():
    zeros, others = np.zeros(2000), np.zeros(2000)
    others[1000] = 1
    values = [2**60, 2**60 + 1, 10**400, {1, 2}, {1}, "1", 1, 1.5, None, True, [1], [[1]], {"a": 1}, {"a": "1"}, "None"]
    values += [Holding(zeros), Holding(others), Holding(np.array([1.0])), Holding(np.array([1 + 2**-50])), "a" * 300]
    values += ["a" * 301, lambda: 0, RandomCrop(1), RandomCrop(2)]
    assert len({checkpoints.text_of(value) for value in values}) == len(values)


TEXTS = """
import functools, os
from sklearn_dl.augmentation import RandomCrop
from sklearn_dl.training.checkpoints import text_of

def f(x):
    return x

class A:
    def __init__(self):
        self.f, self.names = f, set("abcdefghij")

before = [object() for _ in range(int(os.environ["PYTHONHASHSEED"]))]
settings = A(), f, functools.partial(f, 1), A().__init__, frozenset("abcdefghij"), RandomCrop(1)
print([text_of(value) for value in settings])
"""


def test_texts_of_settings_that_are_the_same_in_each_process():
    """The order of a set and places in memory are not."""
    texts = {
        subprocess.run(
            [sys.executable, "-c", TEXTS],
            env={**os.environ, "PYTHONHASHSEED": seed},
            capture_output=True,
            text=True,
            check=True,
        ).stdout
        for seed in ("1", "5000")
    }
    assert len(texts) == 1
    assert "0x" not in texts.pop()
