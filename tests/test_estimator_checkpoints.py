"""`checkpoint`: a fit that was interrupted goes on to the same bits, from a file of the same settings and data only."""

import errno
import os
import shutil
import signal
import warnings

import numpy as np
import pytest
import scipy.sparse
from sklearn.base import clone
from sklearn.exceptions import ConvergenceWarning, FitFailedWarning
from sklearn.model_selection import GridSearchCV
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from sklearn_dl import FullyConnectedNet, Softmax, ThreeLayerConvNet, TwoLayerNet, _base, load
from sklearn_dl.persistence import read_archive, write_archive
from sklearn_dl.solver import Solver, Watcher
from sklearn_dl.training import checkpoints
from sklearn_dl.training.checkpoints import Checkpoints

from ._estimators import blobs, each_of_all, small

X, y = blobs()


class Killed(BaseException):
    """Stands for the end of the process."""


@pytest.fixture
def kill(monkeypatch):
    """Return a function that has the process end after so many checkpoints, and with None no more."""
    write, left = Checkpoints.write, None

    def counted(self, tree):
        nonlocal left
        write(self, tree)
        if left is not None:
            left -= 1
            if left == 0:
                raise Killed

    def after(count):
        nonlocal left
        left = count

    monkeypatch.setattr(Checkpoints, "write", counted)
    return after


def interrupted(kill, net, *data, after=1, **options):
    """Train until so many checkpoints are written."""
    kill(after)
    with pytest.raises(Killed):
        net.fit(*data, **options)
    kill(None)


def learned(net):
    """Return what a fit leaves, but for the seconds."""
    state = net.__getstate__()
    names = [name for name in state if name.endswith("_") and not name.startswith("_")]
    kept = {name: state[name] for name in names}
    kept["history_"] = {**kept["history_"], "seconds": None}
    kept["state"] = {name: value for name, value in state["_state"].items() if "random_state" not in name}
    return kept


def assert_same(net, other):
    np.testing.assert_equal(learned(net), learned(other))
    ours, theirs = (one._random_state.get_state() for one in (net, other))
    np.testing.assert_equal(ours, theirs)


def is_trained_from(net, path, *data, **options):
    """Return how many updates a fit with this file makes, the net it leaves aside."""
    made = []

    class Counts(Watcher):
        def on_update(self, solver):
            made.append(solver.num_updates)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(_base, "make_displays", lambda *_, **__: [Counts()])
        net.set_params(checkpoint=path).fit(*data, **options)
    return len(made)


CASES = {
    "plain": ({}, {}),
    "decay, clipping": ({"lr_decay": 0.9, "clip_norm": 1.0}, {}),
    "updates": ({"num_iters": 11}, {}),
    "tol": ({"tol": 10.0, "n_iter_no_change": 3}, {}),
    "schedule": ({"lr_schedule": "cosine"}, {}),
    "plateau": ({"lr_schedule": "reduce_on_plateau"}, {"X_val": X[:20], "y_val": y[:20]}),
    "held out": ({"early_stopping": True}, {}),
    "held out of one minibatch": ({"early_stopping": True, "batch_size": 64, "num_epochs": 7}, {}),
    "weights": ({"batch_size": 8}, {"sample_weight": np.arange(50) % 4}),
    "validated": ({"monitor": "loss"}, {"X_val": X[:20], "y_val": y[:20], "sample_weight_val": np.arange(20)}),
}


@pytest.mark.parametrize("seed", ["int", "instance", None], ids=str)
@pytest.mark.parametrize("case", CASES)
def test_a_fit_goes_on_to_the_same_bits(case, seed, kill, tmp_path):
    def net():
        given = {"int": 4, "instance": np.random.RandomState(4), None: None}[seed]
        np.random.seed(4)
        cls = Softmax if case == "plain" else TwoLayerNet
        return small(cls, **{"num_epochs": 6, **options}).set_params(random_state=given)

    options, data = CASES[case]
    whole = net().fit(X, y, **data)
    ended = whole._random_state.get_state()
    for after in (1, 3):
        path = tmp_path / f"run {after}"
        interrupted(kill, net().set_params(checkpoint=path), X, y, after=after, **data)
        done, resumed = updates(path), net()
        assert done > 0
        np.random.seed(9)
        assert is_trained_from(resumed, path, X, y, **data) == len(whole.loss_history_) - done
        np.testing.assert_equal(learned(resumed), learned(whole))
        generator = resumed.random_state if seed == "instance" else resumed._random_state
        np.testing.assert_equal(generator.get_state(), ended)
        assert np.random.rand() == np.random.RandomState(9).rand()  # NumPy's own generator was left alone


def updates(path):
    """Return how many updates were made until the end of the epoch that a file is of."""
    return len(read_archive(path)["state"]["loss_history"])


@each_of_all
@pytest.mark.parametrize("options", [{}, {"dropout_keep_ratio": 0.5, "normalization": "batchnorm"}], ids=["", "draws"])
def test_every_estimator_goes_on(cls, options, kill, tmp_path):
    options = {name: value for name, value in options.items() if name in cls().get_params()}
    if cls is ThreeLayerConvNet:
        options["augmentation"] = "flip"
    whole = small(cls, **options).fit(X, y)
    net = small(cls, checkpoint=tmp_path / "run", **options)
    interrupted(kill, net, X, y)
    assert not hasattr(net, "params_")
    assert_same(net.fit(X, y), whole)


@pytest.mark.parametrize("convert", [scipy.sparse.csr_matrix, lambda X: (40 * X + 100).astype(np.uint8)])
def test_data_of_other_kinds(convert, kill, tmp_path):
    given = convert(X)
    whole = small(TwoLayerNet).fit(given, y)
    net = small(TwoLayerNet, checkpoint=tmp_path / "run")
    interrupted(kill, net, given, y)
    other = given.copy()
    other[3, 1] += 1
    with pytest.raises(ValueError, match="on other data: X had other values"):
        net.fit(other, y)
    assert_same(net.fit(given, y), whole)


def test_a_memory_map_is_digested_a_part_at_a_time(kill, tmp_path, monkeypatch):
    monkeypatch.setattr(checkpoints, "BLOCK_BYTES", 200)
    mapped = np.memmap(tmp_path / "X", np.float32, "w+", shape=X.shape)
    mapped[:] = X
    path = tmp_path / "run"
    interrupted(kill, small(TwoLayerNet, checkpoint=path), mapped, y)
    monkeypatch.undo()
    assert small(TwoLayerNet, checkpoint=path).fit(X, y).n_iter_ == 3
    strided = np.asfortranarray(np.hstack([X, X]))[:, :16]
    assert small(TwoLayerNet, checkpoint=path).fit(strided, y).n_iter_ == 3


# --------------------------------------------------------------- after the end


@pytest.mark.parametrize("options", [{}, {"tol": 10.0, "n_iter_no_change": 2, "num_epochs": 9}, {"num_iters": 6}])
def test_a_fit_that_has_ended_gives_the_net_at_once(options, tmp_path):
    path = tmp_path / "run"
    first = small(TwoLayerNet, checkpoint=path, **options).fit(X, y)
    before = path.read_bytes()
    second = small(TwoLayerNet, **options)
    assert is_trained_from(second, path, X, y) == 0
    assert_same(second, first)
    assert path.read_bytes() == before


@pytest.mark.parametrize("length", ["num_epochs", "num_iters"])
def test_a_fit_that_has_ended_can_be_lengthened(length, tmp_path):
    path, per_epoch = tmp_path / "run", 1 if length == "num_epochs" else 4
    small(TwoLayerNet, checkpoint=path, **{length: 2 * per_epoch}).fit(X, y)
    longer = small(TwoLayerNet, **{length: 5 * per_epoch})
    assert is_trained_from(longer, path, X, y) == 12
    assert_same(longer, small(TwoLayerNet, **{length: 5 * per_epoch}).fit(X, y))
    with pytest.raises(ValueError, match=rf"'.*run' is at .*, beyond {length}="):
        small(TwoLayerNet, checkpoint=path, **{length: 2 * per_epoch}).fit(X, y)


def test_a_last_epoch_that_num_iters_cut_short_is_not_lengthened(tmp_path):
    small(TwoLayerNet, checkpoint=tmp_path / "run", num_iters=6).fit(X, y)
    with pytest.raises(ValueError, match="num_iters 6, not 9, and its last epoch is cut short"):
        small(TwoLayerNet, checkpoint=tmp_path / "run", num_iters=9).fit(X, y)


def test_lbfgs_goes_on_with_the_weights(kill, tmp_path):
    path = tmp_path / "run"
    options = {"update_rule": "lbfgs", "num_epochs": 300, "reg": 1.0, "tol": 1e-3, "learning_rate": "auto"}
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        interrupted(kill, small(Softmax, checkpoint=path, **options), X, y, after=2)
        resumed = small(Softmax, checkpoint=path, **options).fit(X, y)
        assert resumed.stop_reason_ == "converged"
        again = small(Softmax, **options)
        assert is_trained_from(again, path, X, y) == 0
    assert_same(again, resumed)


class Stops(Watcher):
    def __init__(self, epoch):
        self.epoch = epoch

    def on_epoch_end(self, solver):
        return solver.epoch == self.epoch


def test_an_ending_by_a_callback_is_one(tmp_path, monkeypatch):
    monkeypatch.setattr(_base, "make_displays", lambda *_, **__: [Stops(2)])
    first = small(TwoLayerNet, checkpoint=tmp_path / "run").fit(X, y)
    assert (first.n_iter_, first.stop_reason_) == (2, "stopped")
    monkeypatch.undo()
    second = small(TwoLayerNet)
    assert is_trained_from(second, tmp_path / "run", X, y) == 0
    assert_same(second, first)


@pytest.mark.parametrize("after", [1, 2, None])
def test_warnings_are_those_of_the_whole_training(after, kill, tmp_path):
    def net():
        return small(TwoLayerNet, num_epochs=4, tol=1e-9, checkpoint=tmp_path / "run")

    if after is None:
        with pytest.warns(ConvergenceWarning):
            net().fit(X, y)
    else:
        interrupted(kill, net(), X, y, after=after)
    with pytest.warns(ConvergenceWarning, match="Training ended at num_epochs=4 before"):
        net().fit(X, y)


# ------------------------------------------------------------------ refusals


@pytest.fixture
def path(tmp_path):
    """Return a file of a fit that has ended."""
    path = tmp_path / "run"
    small(TwoLayerNet, checkpoint=path).fit(X, y, sample_weight=np.ones(50))
    return path


def refused(path, net, *data, **options):
    """Return the error of a fit that must change nothing."""
    before, seen = path.read_bytes(), os.stat(path).st_mtime_ns
    state = np.random.get_state()[1].copy()
    with pytest.raises(ValueError, match=r"run'") as info:
        net.set_params(checkpoint=path).fit(*data, **options)
    assert (path.read_bytes(), os.stat(path).st_mtime_ns) == (before, seen)
    assert not hasattr(net, "params_")
    np.testing.assert_array_equal(np.random.get_state()[1], state)
    assert [found.name for found in path.parent.iterdir()] == [path.name]
    return str(info.value)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"batch_size": 32}, "trained with batch_size 16, not 32. Give another path, or delete the file"),
        ({"learning_rate": 0.5, "lr_decay": 0.5}, "learning_rate 'auto', not 0.5, lr_decay 1, not 0.5"),
        ({"reg": 0.25}, "reg 0, not 0.25"),
        ({"beta1": 0.5}, "beta1 None, not 0.5"),
        ({"optim_config": {"beta1": 0.5}}, "optim_config {}, not {'beta1': 0.5}"),
        ({"hidden_dim": 9}, "hidden_dim 8, not 9"),
        ({"random_state": 1}, "random_state 0, not 1"),
        ({"random_state": None}, "random_state 0, not None"),
        ({"random_state": np.random.RandomState(0)}, "random_state 0, not a RandomState"),
        ({"early_stopping": True}, "early_stopping False, not True"),
        ({"num_iters": 12, "tol": 1.0}, "tol None, not 1"),
        ({"lr_schedule": "cosine"}, "lr_schedule None, not Cosine"),
        ({"class_weight": {0: 2.0}}, "class_weight None, not {0: 2}"),
        ({"dtype": "float64"}, "dtype 'auto', not 'float64'"),
        ({"activation": "tanh"}, "activation 'relu', not 'tanh'"),
        ({"dropout_keep_ratio": 0.5}, "dropout_keep_ratio 1, not 0.5"),
    ],
)
def test_other_settings_are_refused_and_named(path, changes, message):
    assert message in refused(path, small(TwoLayerNet, **changes), X, y, sample_weight=np.ones(50))


@each_of_all
def test_all_parameters_that_decide_on_what_is_learned_are_in_the_file(cls, tmp_path):
    """Those of the length only where a schedule needs it: else a fit may be made longer."""
    length, others = {"num_epochs", "num_iters"}, {"verbose", "checkpoint", "checkpoint_interval", "warm_start"}
    for options, left_out in (({}, others | length), ({"lr_schedule": "cosine"}, others)):
        path = tmp_path / f"run with {len(left_out)} left out"
        net = small(cls, num_epochs=1, checkpoint=path, **options).fit(X, y)
        settings = read_archive(path)["settings"]
        assert settings.keys() == net.get_params().keys() - left_out
        assert (settings["reg"], settings["batch_size"]) == ("0", "16")


def test_parameters_without_effect_may_be_others(path):
    net = small(TwoLayerNet, verbose=True, checkpoint_interval=7.0, warm_start=True)
    assert is_trained_from(net, path, X, y, sample_weight=np.ones(50)) == 0


OTHER_X, OTHER_Y = X.copy(), y.copy()
OTHER_X[49, 15], OTHER_Y[0] = 0, 1
ONES = np.ones(50)


@pytest.mark.parametrize(
    ("data", "options", "message"),
    [
        ((OTHER_X, y), {}, "on other data: X had other values. Give"),
        ((X, OTHER_Y), {}, "on other data: y had other values"),
        ((X, y.astype(str)), {}, "y was int64 of shape (50,), not str of shape (50,)"),
        ((X[:40], y[:40], ONES[:40]), {}, "X was float32 of shape (50, 16), not float32 of shape (40, 16)"),
        ((X.astype(np.float64), y), {}, "X was float32 of shape (50, 16), not float64 of shape (50, 16)"),
        ((X, y, None), {}, "with sample_weight too"),
        ((X, y, 2 * ONES), {}, "sample_weight had other values"),
        ((X, y), {"X_val": X[:9], "y_val": y[:9]}, "without X_val, without y_val"),
    ],
)
def test_other_data_are_refused_and_named(path, data, options, message):
    data = data if len(data) == 3 else (*data, ONES)
    assert message in refused(path, small(TwoLayerNet), *data, **options)


def test_a_validation_set_that_is_missing_is_named(tmp_path):
    small(TwoLayerNet, checkpoint=tmp_path / "run").fit(X, y, X_val=X[:9], y_val=y[:9])
    assert "with X_val too, with y_val too" in refused(tmp_path / "run", small(TwoLayerNet), X, y)


def test_images_of_another_shape_are_other_data(tmp_path):
    net = small(ThreeLayerConvNet, checkpoint=tmp_path / "run", input_shape=(1, 4, 4))
    net.fit(X, y)
    message = refused(tmp_path / "run", clone(net).set_params(input_shape=(1, 2, 8)), X, y)
    assert "X was float32 of shape (50, 1, 4, 4), not float32 of shape (50, 1, 2, 8)" in message


def test_another_state_of_a_generator_is_refused(tmp_path):
    path = tmp_path / "run"
    small(TwoLayerNet, checkpoint=path).set_params(random_state=np.random.RandomState(0)).fit(X, y)
    used = np.random.RandomState(0)
    used.rand()
    message = refused(path, small(TwoLayerNet).set_params(random_state=used), X, y)
    assert "random_state that was in another state" in message


def test_a_refused_file_leaves_the_generator_of_the_caller(tmp_path):
    path, generator = tmp_path / "run", np.random.RandomState(0)
    small(TwoLayerNet, checkpoint=path).set_params(random_state=np.random.RandomState(0)).fit(X, y)
    message = refused(path, small(TwoLayerNet, num_epochs=2).set_params(random_state=generator), X, y)
    assert "is at epoch 3, beyond num_epochs=2" in message
    assert generator.rand() == np.random.RandomState(0).rand()


def test_another_class_and_other_files_are_refused(path, tmp_path):
    assert "no checkpoint of a Softmax: it is one of a TwoLayerNet" in refused(path, small(Softmax), X, y)
    other = small(TwoLayerNet).fit(X, y)
    other.save(path)
    assert "no checkpoint of a TwoLayerNet: it holds something else" in refused(path, small(TwoLayerNet), X, y)
    path.write_bytes(b"something")
    assert "not a file written by sklearn_dl" in refused(path, small(TwoLayerNet), X, y)
    small(TwoLayerNet, checkpoint=tmp_path / "second").fit(X, y)
    path.write_bytes((tmp_path / "second").read_bytes()[:3000])
    (tmp_path / "second").unlink()
    assert "damaged" in refused(path, small(TwoLayerNet), X, y)


def test_where_nothing_can_be_written(tmp_path):
    before = small(TwoLayerNet).fit(X, y)
    kept = learned(before)
    (tmp_path / "circle").symlink_to(tmp_path / "circle")
    for path, error, message in (
        (tmp_path, IsADirectoryError, "checkpoint '.*' is a directory"),
        (tmp_path / "no" / "run", FileNotFoundError, "checkpoint '.*' there is no folder|there is no folder"),
        ("/proc/run", OSError, "checkpoint '/proc/run' cannot be written"),
        ("/dev/null", ValueError, "checkpoint '/dev/null' is not a regular file"),
        (f"{tmp_path}/run/", IsADirectoryError, "checkpoint '.*/run/' is a directory"),
        (tmp_path / ("x" * 256), OSError, "checkpoint '.*' cannot be written: File name too long"),
        (tmp_path / "circle", OSError, "checkpoint '.*' cannot be written: Too many levels of symbolic links"),
    ):
        with pytest.raises(error, match=message):
            before.set_params(checkpoint=path).fit(X, y)
    np.testing.assert_equal(learned(before), kept)


def test_a_relative_path_stays_where_it_was(kill, tmp_path, monkeypatch):
    """Also where somebody changes the current folder while the fit runs."""
    (tmp_path / "other").mkdir()
    monkeypatch.chdir(tmp_path)
    write = Checkpoints.write

    def write_and_leave(self, tree):
        write(self, tree)
        os.chdir(tmp_path / "other")

    monkeypatch.setattr(Checkpoints, "write", write_and_leave)
    interrupted(kill, small(TwoLayerNet, checkpoint="run"), X, y)
    os.chdir(tmp_path)
    interrupted(kill, small(TwoLayerNet, checkpoint="run"), X, y, after=2)
    assert os.listdir(tmp_path / "other") == []
    assert len(read_archive(tmp_path / "run")["state"]["train_acc_history"]) == 4


def test_dtypes_of_sparse_indices_do_not_matter(tmp_path):
    """Which SciPy chooses by the way that a matrix was made."""
    path, rows = tmp_path / "run", scipy.sparse.csr_array(X)
    small(TwoLayerNet, checkpoint=path).fit(rows, y)
    wide = scipy.sparse.csr_array(rows)
    wide.indices, wide.indptr = wide.indices.astype(np.int64), wide.indptr.astype(np.int64)
    assert small(TwoLayerNet, num_epochs=5, checkpoint=path).fit(wide, y).n_iter_ == 5
    wide.indices = wide.indices[::-1].copy()
    assert "X had other values" in refused(path, small(TwoLayerNet, num_epochs=5), wide, y)


def test_a_subclass_with_fewer_parameters(tmp_path):
    class Short(TwoLayerNet):
        def __init__(self, *, num_epochs=3, lr_schedule=None, tol=None, random_state=0, checkpoint=None):
            given = {"num_epochs": num_epochs, "lr_schedule": lr_schedule, "tol": tol, "random_state": random_state}
            super().__init__(checkpoint=checkpoint, **given)

    path = tmp_path / "run"
    Short(checkpoint=path).fit(X, y)
    assert Short(checkpoint=path, num_epochs=4).fit(X, y).n_iter_ == 4


def test_another_release_is_warned_of(path):
    tree = read_archive(path)
    write_archive(path, {**tree, "version": "0.0.9"})
    with pytest.warns(UserWarning, match=r"run' was written by sklearn_dl 0\.0\.9, this is") as caught:
        small(TwoLayerNet, checkpoint=path).fit(X, y, sample_weight=np.ones(50))
    assert caught[0].filename == __file__
    write_archive(path, {**tree, "layout": 2, "version": "9.0"})
    assert "checkpoint of a newer release, 9.0; update" in refused(path, small(TwoLayerNet), X, y)


@pytest.mark.filterwarnings("ignore:.*non-finite")
def test_a_search_is_told_that_each_fit_needs_a_file(tmp_path):
    search = GridSearchCV(small(Softmax, checkpoint=tmp_path / "run"), {"reg": [0.0, 1.0]}, cv=2, refit=False)
    with pytest.warns(FitFailedWarning, match="in a search, each fit needs a file of its own"):
        search.fit(X, y)


# ----------------------------------------------------- interruptions of all kinds


def test_a_half_epoch_is_not_written(tmp_path, monkeypatch, hears_ctrl_c):
    """After Ctrl-C the estimator has it; the file, and who goes on from that, do not."""

    class Presses(Watcher):
        def on_update(self, solver):
            if solver.num_updates == 6:  # of four in an epoch
                signal.raise_signal(signal.SIGINT)

    path = tmp_path / "run"
    monkeypatch.setattr(_base, "make_displays", lambda *_, **__: [Presses()])
    net = small(TwoLayerNet, checkpoint=path)
    with pytest.warns(UserWarning, match="interrupted in epoch 2"):
        net.fit(X, y)
    monkeypatch.undo()
    assert len(net.loss_history_) == 6
    assert updates(path) == 4
    assert is_trained_from(net, path, X, y) == 8
    assert_same(net, small(TwoLayerNet).fit(X, y))


def test_an_error_leaves_the_last_file(tmp_path, monkeypatch):
    class Fails(Watcher):
        def on_epoch_end(self, solver):
            if solver.epoch == 2:
                raise ArithmeticError

    monkeypatch.setattr(_base, "make_displays", lambda *_, **__: [Fails()])
    with pytest.raises(ArithmeticError):
        small(TwoLayerNet, checkpoint=tmp_path / "run").fit(X, y)
    assert updates(tmp_path / "run") == 4
    monkeypatch.undo()
    net = small(TwoLayerNet)
    assert is_trained_from(net, tmp_path / "run", X, y) == 8
    assert_same(net, small(TwoLayerNet).fit(X, y))


@pytest.mark.parametrize("number", [errno.ENOSPC, errno.EROFS, errno.EACCES])
def test_a_write_that_fails_ends_nothing(number, tmp_path, monkeypatch):
    path, calls = tmp_path / "run", []
    fails = {2, 3}

    def write(target, tree):
        calls.append(tree["state"]["epoch"])
        if calls[-1] in fails:
            raise OSError(number, os.strerror(number))
        write_archive(target, tree)

    monkeypatch.setattr(checkpoints, "write_archive", write)
    net = small(TwoLayerNet, num_epochs=5, checkpoint=path)
    with pytest.warns(UserWarning, match="could not be written, training goes on: '.*run': ") as caught:
        net.fit(X, y)
    assert len(caught) == 1
    assert calls == [1, 2, 3, 4, 5]
    fails.update((4, 5))
    path.unlink()
    with pytest.warns(UserWarning, match="could not be written") as caught:
        net.fit(X, y)
    assert ["last checkpoint of this" in str(warning.message) for warning in caught] == [False, True]
    assert updates(path) == 4
    fails.clear()
    with pytest.warns(UserWarning, match="The last checkpoint of an earlier training was not written: '.*run': "):
        net.fit(X, y)
    assert updates(path) == 20
    assert_same(net, small(TwoLayerNet, num_epochs=5).fit(X, y))
    with warnings.catch_warnings():
        warnings.simplefilter("error")  # it is told once
        net.fit(X, y)


def test_a_write_that_failed_is_told_wherever_the_path_begins(tmp_path, monkeypatch):
    def write(target, tree):
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.chdir(tmp_path)
    with monkeypatch.context() as patch:
        patch.setattr(checkpoints, "write_archive", write)
        with pytest.warns(UserWarning, match="could not be written"):
            small(TwoLayerNet, checkpoint="run").fit(X, y)
    with pytest.warns(UserWarning, match="The last checkpoint of an earlier training was not written: '.*run': "):
        small(TwoLayerNet, checkpoint=tmp_path / "run").fit(X, y)


def rewritten(path):
    """Write a file of the same size in its place."""
    path.write_bytes(path.read_bytes())
    os.utime(path, ns=(0, 10**18))


def exchanged(path):
    """Put another file of the same size and time there, as another training would."""
    copied = path.with_name("copied")
    shutil.copy2(path, copied)
    os.replace(copied, path)


@pytest.mark.parametrize("change", [lambda path: path.write_bytes(b"of another one"), rewritten, exchanged])
def test_two_fits_do_not_overwrite_one_file(change, tmp_path, monkeypatch):
    path, theirs = tmp_path / "run", []

    class Other(Watcher):
        def on_epoch_end(self, solver):
            if solver.epoch == 2:
                change(path)
                theirs.append(path.read_bytes())

    monkeypatch.setattr(_base, "make_displays", lambda *_, **__: [Other()])
    with pytest.warns(UserWarning, match="another training has written the file meanwhile"):
        small(TwoLayerNet, checkpoint=path).fit(X, y)
    assert [path.read_bytes()] == theirs
    checkpoints._failed.clear()


def test_a_file_that_was_deleted_meanwhile_is_written_again(tmp_path, monkeypatch):
    path = tmp_path / "run"

    class Deletes(Watcher):
        def on_epoch_end(self, solver):
            if solver.epoch == 2:
                path.unlink()

    monkeypatch.setattr(_base, "make_displays", lambda *_, **__: [Deletes()])
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        small(TwoLayerNet, checkpoint=path).fit(X, y)
    assert updates(path) == 12


@pytest.mark.parametrize("interval", [0, 1e9])
def test_the_interval_is_waited_for(interval, tmp_path, monkeypatch):
    written = []
    monkeypatch.setattr(Checkpoints, "write", lambda self, tree: written.append(tree["state"]["epoch"]))
    small(TwoLayerNet, num_epochs=4, checkpoint=tmp_path / "run", checkpoint_interval=interval).fit(X, y)
    assert written == ([4] if interval else [1, 2, 3, 4])


def test_epochs_without_a_look_go_with_an_interval(tmp_path, monkeypatch):
    """Compiled code makes several epochs at once; the file is written between."""
    made, written = [], []
    run, write = Solver._run_whole_epochs, Checkpoints.write
    monkeypatch.setattr(Solver, "_run_whole_epochs", lambda *args: made.append(run(*args)) or made[-1])
    monkeypatch.setattr(
        Checkpoints, "write", lambda self, tree: written.append(tree["state"]["epoch"]) or write(self, tree)
    )
    options = {"num_epochs": 400, "checkpoint": tmp_path / "run", "checkpoint_interval": 1e-9}
    net = small(TwoLayerNet, **options).fit(X, y)
    assert any(made)
    assert 1 < len(written) < 400
    monkeypatch.undo()
    assert_same(net, small(TwoLayerNet, num_epochs=400).fit(X, y))


# ------------------------------------------------------------------- going on


def grown(**options):
    return small(TwoLayerNet, warm_start=True, **options).fit(X, y)


@pytest.mark.parametrize("seed", [0, None])
def test_warm_start_goes_on_from_where_the_file_began(seed, kill, tmp_path):
    path = tmp_path / "run"

    def net():
        np.random.seed(0)
        return small(TwoLayerNet, warm_start=True, dropout_keep_ratio=0.5).set_params(random_state=seed).fit(X, y)

    whole = net().fit(X, y)
    interrupted(kill, net().set_params(checkpoint=path), X, y, after=2)
    first = net()
    first.save(tmp_path / "first")
    resumed = load(tmp_path / "first") if seed == 0 else first
    assert is_trained_from(resumed, path, X, y) == 4
    np.testing.assert_equal(learned(resumed), learned(whole))
    assert first.n_iter_ == (3 if seed == 0 else 6)


def test_warm_start_replaces_the_file_where_that_has_ended(tmp_path):
    path = tmp_path / "run"
    net = small(TwoLayerNet, warm_start=True, checkpoint=path, early_stopping=True)
    for fits in (1, 2, 3):
        assert net.fit(X, y).n_iter_ == 3 * fits
        assert len(read_archive(path)["state"]["loss_history"]) == len(net.loss_history_)
    plain = small(TwoLayerNet, warm_start=True, early_stopping=True)
    assert_same(net, plain.fit(X, y).fit(X, y).fit(X, y))


def test_samples_keep_their_sides_after_a_fit_that_was_begun_without_warm_start(kill, tmp_path):
    path = tmp_path / "run"
    interrupted(kill, small(TwoLayerNet, early_stopping=True, checkpoint=path), X, y)
    net = small(TwoLayerNet, early_stopping=True, warm_start=True, checkpoint=path).fit(X, y)
    other = small(TwoLayerNet, early_stopping=True, warm_start=True).fit(X, y)
    np.testing.assert_equal(net._state.held_out, other._state.held_out)
    assert_same(net.fit(X, y), other.fit(X, y))


def test_warm_start_that_began_elsewhere_is_refused(tmp_path):
    path = tmp_path / "run"
    grown().set_params(checkpoint=path).fit(X, y)
    message = refused(path, small(TwoLayerNet, warm_start=True), X, y)
    assert "began after 3 epochs and 12 updates, at weights of digest" in message
    assert "; this one begins at its first weights" in message
    other = grown(learning_rate=0.1).set_params(learning_rate="auto", checkpoint=path)
    with pytest.raises(ValueError, match=r"began after 3 epochs .* this one begins after 3 epochs"):
        other.fit(X, y)
    assert other.n_iter_ == 3


def test_warm_start_after_ctrl_c_is_told_what_goes_on(tmp_path, monkeypatch, hears_ctrl_c):
    """The estimator has the weights of the update that was interrupted, the file those of the epoch before."""
    path, train, count = tmp_path / "run", Solver._end_epoch, 0

    def press_once(self, *args, **options):
        nonlocal count
        count += 1
        if count == 2:
            signal.raise_signal(signal.SIGINT)
        return train(self, *args, **options)

    monkeypatch.setattr(Solver, "_end_epoch", press_once)
    net = small(TwoLayerNet, warm_start=True, checkpoint=path)
    with pytest.warns(UserWarning, match="was interrupted"):
        net.fit(X, y)
    with pytest.raises(
        ValueError, match=r"began at its first weights; .* A clone of this estimator .* goes on from it\."
    ):
        net.fit(X, y)
    assert_same(clone(net).fit(X, y), small(TwoLayerNet).fit(X, y))


def test_partial_fit_leaves_the_file_alone(path):
    before = path.read_bytes()
    net = small(TwoLayerNet, checkpoint=path).partial_fit(X, y, classes=[0, 1, 2])
    assert net.partial_fit(X, y).n_iter_ == 2
    assert path.read_bytes() == before


def test_in_a_pipeline(kill, tmp_path):
    model = make_pipeline(StandardScaler(), small(FullyConnectedNet, checkpoint=str(tmp_path / "run")))
    interrupted(kill, model, X, y)
    resumed = clone(model).fit(X, y)
    whole = clone(model).set_params(fullyconnectednet__checkpoint=None).fit(X, y)
    assert_same(resumed[-1], whole[-1])


def test_a_path_is_saved_as_text(tmp_path):
    net = small(TwoLayerNet, checkpoint=tmp_path / "run").fit(X, y)
    net.save(tmp_path / "net")
    assert load(tmp_path / "net").checkpoint == str(tmp_path / "run")
