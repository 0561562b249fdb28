"""verbose: a bar, lines or nothing; history_."""

import io
import os
import pty
import re
import subprocess
import sys
import termios
import types

import joblib
import numpy as np
import pandas as pd
import polars as pl
import pytest
from sklearn.model_selection import GridSearchCV

from sklearn_dl import TwoLayerNet

from ._estimators import ESTIMATORS, assert_same, blobs, each_of_all, small

tqdm = pytest.importorskip("tqdm.auto", reason="tqdm is an extra")

has_callbacks = hasattr(TwoLayerNet, "set_callbacks")

NUMBER = r"\d\.\d{6}"


class Terminal(io.StringIO):
    def isatty(self):
        return True


@pytest.fixture
def open_terminal(monkeypatch):
    """Return a function that puts a terminal in place of standard error, for the rest of the test."""

    def open_it():
        stream = Terminal()
        monkeypatch.setattr(sys, "stderr", stream)
        return stream

    return open_it


# ---------------------------------------------------------------------------------------- bar


@each_of_all
def test_bar(cls, open_terminal, capsys):
    terminal = open_terminal()
    X, y = blobs()
    net = small(cls, verbose=1).fit(X, y, X_val=X, y_val=y)
    last = terminal.getvalue().split("\r")[-1]
    assert last.startswith("Epoch 3/3: 100%|")
    assert " 12/12 [" in last
    score, short = ("accuracy", "acc") if cls in ESTIMATORS else ("r2", "r2")
    numbers = {"loss": "loss", f"train {short}": f"train_{score}", f"val_{short}": f"val_{score}"}
    for shown, column in numbers.items():
        assert f"{shown} {net.history_[column][-1]:.3f}" in last
    assert capsys.readouterr().out == ""
    assert_same(net, small(cls).fit(X, y, X_val=X, y_val=y))


def test_bar_of_num_iters_and_of_a_warm_start(open_terminal):
    terminal = open_terminal()
    X, y = blobs()
    net = small(TwoLayerNet, verbose=1, warm_start=True, num_iters=6).fit(X, y)
    assert re.search(r"Epoch 2/2: 100%.* 6/6 \[", terminal.getvalue())
    net.fit(X, y)
    assert re.search(r"Epoch 4/4: 100%.* 6/6 \[", terminal.getvalue())


def test_bar_is_closed_after_an_error(open_terminal):
    terminal = open_terminal()
    X, y = blobs()
    with pytest.raises(ValueError, match="too large") as error:  # which keeps what training held alive
        small(TwoLayerNet, verbose=1, learning_rate=1e40).fit(X, y)
    assert terminal.getvalue().endswith("\n")
    assert not tqdm.tqdm._instances
    assert error


def test_a_bar_that_ends_early_is_full_and_says_why(open_terminal):
    terminal = open_terminal()
    X, y = blobs()
    net = small(TwoLayerNet, verbose=1, num_epochs=50, tol=100.0, n_iter_no_change=2).fit(X, y, X_val=X, y_val=y)
    bar, ending, rest = terminal.getvalue().split("\n")
    assert "100%|" in bar.split("\r")[-1]
    assert ending == (
        f"Training ended after epoch {net.n_iter_}: the training loss did not improve by more than tol=100 for 2"
        f" epochs. Kept the weights of epoch {net.best_epoch_}, the best by validation accuracy."
    )
    assert rest == ""


def without_tqdm(monkeypatch):
    monkeypatch.setitem(sys.modules, "tqdm.auto", None)


def without_terminal(monkeypatch):
    monkeypatch.setattr(sys, "stderr", io.StringIO())


def without_stderr(monkeypatch):  # as under pythonw
    monkeypatch.setattr(sys, "stderr", None)


def in_child_process(monkeypatch):
    monkeypatch.setattr("multiprocessing.parent_process", object)


@pytest.mark.parametrize("hindrance", [without_tqdm, without_terminal, without_stderr, in_child_process])
def test_lines_where_there_can_be_no_bar(hindrance, monkeypatch, open_terminal, capsys):
    terminal = open_terminal()
    hindrance(monkeypatch)
    X, y = blobs()
    net = small(TwoLayerNet, verbose=1).fit(X, y, X_val=X, y_val=y)
    lines = capsys.readouterr().out.splitlines()
    assert re.fullmatch(rf"\(Epoch 0/3\) train acc: {NUMBER}; val_acc: {NUMBER}", lines[0])
    for k in (1, 2, 3):
        assert re.fullmatch(rf"\(Epoch {k}/3\) loss: {NUMBER}; train acc: {NUMBER}; val_acc: {NUMBER}", lines[k])
    assert lines[4] == (
        f"Training ended after epoch 3: all epochs are done. Kept the weights of epoch {net.best_epoch_}, the best by"
        " validation accuracy."
    )
    assert len(lines) == 5
    assert terminal.getvalue() == ""


def test_lines_tell_the_time_left(monkeypatch, capsys):
    clock = iter(np.arange(0, 10_000, 50.0))
    monkeypatch.setattr("sklearn_dl._progress.time", types.SimpleNamespace(perf_counter=lambda: next(clock)))
    X, y = blobs()
    small(TwoLayerNet, verbose=1).fit(X, y)
    left = [line.split("; ")[-1] for line in capsys.readouterr().out.splitlines() if "left" in line]
    # 50 s for the first of three epochs, 100 s for two
    assert left == ["at most 0:01:40 left", "at most 0:00:50 left"]


def test_more_verbose_is_lines(open_terminal, capsys):
    terminal = open_terminal()
    X, y = blobs()
    net = small(TwoLayerNet, verbose=2).fit(X, y)
    out = capsys.readouterr().out
    assert re.findall(r"\(Iteration (\d+)/12\) loss: \S+", out) == ["1", "11"]
    assert f"(Iteration 11/12) loss: {net.loss_history_[10]:f}" in out
    assert len(re.findall(r"\(Epoch \d/3\)", out)) == 4
    assert terminal.getvalue() == ""


def test_partial_fit_has_lines(open_terminal, capsys):
    terminal = open_terminal()
    X, y = blobs()
    net = small(TwoLayerNet, verbose=1)
    for _ in range(2):
        net.partial_fit(X, y, classes=[0, 1, 2])
    out = capsys.readouterr().out
    assert re.findall(r"\(Epoch (\d/\d)\)", out) == ["0/1", "1/1", "2/2"]
    assert terminal.getvalue() == ""


def test_notebooks_have_bars(monkeypatch):
    stream = io.StringIO()
    monkeypatch.setattr(sys, "stderr", stream)
    shell = types.SimpleNamespace(config={"IPKernelApp": {}})
    monkeypatch.setitem(sys.modules, "IPython", types.SimpleNamespace(get_ipython=lambda: shell))
    X, y = blobs()
    small(TwoLayerNet, verbose=1).fit(X, y)
    assert "Epoch 3/3: 100%|" in stream.getvalue()


# ------------------------------------------------------------------------------------ silence


@pytest.mark.parametrize("verbose", [0, False])
def test_silence(verbose, open_terminal, capsys):
    terminal = open_terminal()
    X, y = blobs()
    small(TwoLayerNet, verbose=verbose).fit(X, y)
    assert terminal.getvalue() == ""
    assert capsys.readouterr() == ("", "")


def test_workers_that_are_threads_are_silent(open_terminal, capsys):
    terminal = open_terminal()
    X, y = blobs()
    with joblib.parallel_config(backend="threading"):
        GridSearchCV(small(TwoLayerNet, verbose=1), {}, cv=2, n_jobs=2, refit=False).fit(X, y)
    assert terminal.getvalue() == ""
    assert capsys.readouterr() == ("", "")


@pytest.mark.skipif(not has_callbacks, reason="scikit-learn 1.9 is the first with callbacks")
def test_fits_of_any_search_are_silent(open_terminal):
    """From scikit-learn 1.9 on, with one worker, too. The refit is not one of them."""
    terminal = open_terminal()
    X, y = blobs()
    GridSearchCV(small(TwoLayerNet, verbose=1), {"reg": [0, 1]}, cv=2).fit(X, y)
    assert terminal.getvalue().count("\n") == 1


PREAMBLE = """
import numpy as np
from sklearn.model_selection import GridSearchCV
from sklearn_dl import TwoLayerNet
X, y = np.random.RandomState(0).randn(60, 4), np.arange(60) % 3
net = TwoLayerNet(num_epochs=2, tol=None, verbose=1)
"""


def seen_in_a_terminal(code):
    """Run code in a terminal of 100 columns; return what is to be seen."""
    ours, theirs = pty.openpty()
    termios.tcsetwinsize(theirs, (30, 100))
    process = subprocess.Popen([sys.executable, "-c", PREAMBLE + code], stdin=theirs, stdout=theirs, stderr=theirs)
    os.close(theirs)
    seen = b""
    while True:
        try:
            part = os.read(ours, 4096)
        except OSError:  # Linux says so that the other side is closed
            part = b""
        if not part:
            break
        seen += part
    os.close(ours)
    assert process.wait() == 0, seen.decode()
    return seen.decode()


def test_real_terminal():
    seen = seen_in_a_terminal("net.fit(X, y)")
    assert re.search(r"Epoch 2/2: 100%\|█+\| 2/2 \[.*train acc \d\.\d{3}\]\r\n$", seen)


def test_workers_of_a_search_in_a_real_terminal_are_silent():
    """The refit, in the one process that has the terminal, draws the one bar."""
    seen = seen_in_a_terminal("GridSearchCV(net, {'reg': [0, 0.1]}, cv=2, n_jobs=2).fit(X, y)")
    assert seen.count(" 0%|") == seen.count("100%|") == seen.count("\n") == 1


# -------------------------------------------------------------------------------------- history


@each_of_all
@pytest.mark.parametrize("frame", [pd.DataFrame, pl.DataFrame], ids=["pandas", "polars"])
def test_history_is_a_data_frame(cls, frame):
    X, y = blobs(64)
    net = small(cls, lr_decay=0.5, learning_rate=0.01).fit(X, y, X_val=X[:20], y_val=y[:20])
    table = frame(net.history_)
    score, short = ("accuracy", "acc") if cls in ESTIMATORS else ("r2", "r2")
    columns = ["epoch", "loss", f"train_{score}", f"val_{score}", "val_loss", "learning_rate", "seconds"]
    assert list(table.columns) == columns
    assert table.shape == (3, 7)
    assert list(table["epoch"]) == [1, 2, 3]
    np.testing.assert_allclose(table["loss"], np.reshape(net.loss_history_, (3, 4)).mean(axis=1))
    for part in ("train", "val"):
        np.testing.assert_array_equal(table[f"{part}_{score}"], getattr(net, f"{part}_{short}_history_")[1:])
    np.testing.assert_allclose(table["learning_rate"], [0.01, 0.005, 0.0025])
    assert (np.asarray(table["seconds"]) > 0).all()


def test_history_goes_on():
    X, y = blobs()
    net = small(TwoLayerNet, warm_start=True).fit(X, y)
    first = {name: list(column) for name, column in net.history_.items()}
    net.fit(X, y, X_val=X, y_val=y).partial_fit(X, y)
    assert net.history_["epoch"] == [1, 2, 3, 4, 5, 6, 7]
    assert np.isnan(net.history_["val_accuracy"]).tolist() == [True] * 3 + [False] * 3 + [True]
    assert {len(column) for column in net.history_.values()} == {7}
    grown = {name: column[:3] for name, column in net.history_.items()}
    for name in ("epoch", "loss", "train_accuracy", "learning_rate", "seconds"):
        assert grown[name] == first[name]
    assert net.set_params(warm_start=False).fit(X, y).history_["epoch"] == [1, 2, 3]
