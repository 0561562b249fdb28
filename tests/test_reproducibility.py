"""What is the same to the bit, and what is not: for each row of the documentation's table a test, and for no other."""

import copy
import json
import os
import pickle
import platform
import re
import subprocess
import sys
import warnings
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import joblib
import numpy as np
import pandas as pd
import pytest
from scipy.sparse import csr_array
from sklearn.base import clone
from sklearn.model_selection import GridSearchCV
from threadpoolctl import threadpool_limits

import sklearn_dl
from sklearn_dl import _ext
from sklearn_dl.nets import FullyConnected
from sklearn_dl.solver import Solver
from sklearn_dl.training import _program

from . import _reproducible
from ._reproducible import NETS, answers, bits, digits
from ._saved_models import check, stored

PAGE = Path(__file__).resolve().parent.parent / "docs" / "user_guide" / "reproducibility.rst"
# Of x86-64 Linux with glibc, on the baseline instruction set.
STORED = Path(__file__).parent / "data" / "trainings.json"

ROW = re.compile(r"^   \* - (.+)\n     - (yes|no)\n     - (.+(?:\n       .+)*)", re.MULTILINE)
each_net = pytest.mark.parametrize("name", NETS)
has_page = pytest.mark.skipif(not PAGE.exists(), reason="the documentation's files are not part of an installation")
pytestmark = pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")  # of short trainings

TESTED = {}


def row(name):
    """Enter a test as that of a row."""

    def enter(test):
        assert name not in TESTED
        TESTED[name] = test
        return test

    return enter


def rows():
    """Return ('yes' or 'no', remarks) of each row of the page."""
    return {name: (same, " ".join(text.split())) for name, same, text in ROW.findall(PAGE.read_text(encoding="utf-8"))}


@has_page
def test_each_row_has_a_test():
    assert list(rows()) == list(TESTED)
    assert PAGE.read_text(encoding="utf-8").count("\n   * - ") == len(TESTED) + 1  # all were read, and the header


@has_page
def test_a_row_that_is_not_the_same_says_how_far_it_is():
    unbounded = {name for name, (same, text) in rows().items() if same == "no" and not re.search(r"\d\.\d", text)}
    assert unbounded == {"Order of the rows, in several minibatches", "``random_state=None``"}


def bound(name):
    """Return the difference that a row of the page admits; 0.02 where there is no page."""
    return float(re.search(r"(?:by up to|within) (\d\.\d+)", rows()[name][1])[1]) if PAGE.exists() else 0.02


def fitted(name, X=None, y=None, **params):
    """Return a net of `NETS`, trained on the digits or on others."""
    data = digits()
    return clone(NETS[name]).set_params(**params).fit(data[0] if X is None else X, data[1] if y is None else y)


@pytest.fixture(scope="module")
def expected():
    """Return the bits of each net, trained here."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return {name: bits(fitted(name)) for name in NETS}


def in_a_process(**environment):
    """Return what each net learns and predicts in a process of its own."""
    script = Path(_reproducible.__file__)
    run = subprocess.run(
        [sys.executable, script], env={**os.environ, **environment}, capture_output=True, text=True, check=True
    )
    return json.loads(run.stdout)


def bits_of(results):
    return {name: result["bits"] for name, result in results.items()}


def difference(results, others, names=NETS):
    """Return the largest difference of what nets predict."""
    return max(np.abs(np.subtract(results[name]["answers"], others[name]["answers"])).max() for name in names)


# --------------------------------------------------------------------------------------------------- the same


@row("The run")
def test_run(expected):
    with ThreadPoolExecutor(4) as pool:
        assert list(pool.map(lambda name: bits(fitted(name)), NETS)) == list(expected.values())


@row("The process")
def test_process(expected):
    assert bits_of(in_a_process(PYTHONHASHSEED="123")) == expected


@row("The number of threads")
@each_net
def test_threads(name, expected):
    for limit in (1, 3):
        with threadpool_limits(limit, user_api="openmp"):
            assert bits(fitted(name)) == expected[name]


@row("``n_jobs``")
def test_n_jobs():
    X, y = digits()
    found = []
    for n_jobs, backend in ((1, "loky"), (2, "loky"), (2, "threading")):
        search = GridSearchCV(NETS["TwoLayerNet"], {"hidden_dim": [5, 10]}, cv=2, n_jobs=n_jobs)
        with joblib.parallel_config(backend):
            search.fit(X, y)
        found.append((bits(search.best_estimator_), search.cv_results_["mean_test_score"].tolist()))
    assert found[0] == found[1] == found[2]


@row("``verbose`` and callbacks")
@each_net
def test_verbose(name, expected, capsys):
    assert bits(fitted(name, verbose=2)) == expected[name]
    assert "loss" in capsys.readouterr().out
    if not hasattr(NETS[name], "set_callbacks"):  # scikit-learn 1.9 is the first with them
        return
    ends = []

    class Looks:
        def setup(self, estimator, context):
            pass

        teardown = on_fit_task_begin = setup

        def on_fit_task_end(self, estimator, context):
            ends.append(answers(estimator, digits()[0]))

    assert bits(clone(NETS[name]).set_callbacks(Looks()).fit(*digits())) == expected[name]
    assert len(ends) > 1


@row("Recorded or step by step")
@each_net
def test_recorded(name, expected, monkeypatch):
    assert _program.enabled
    monkeypatch.setattr(_program, "enabled", False)
    assert bits(fitted(name)) == expected[name]


def layouts(X, folder):
    """Yield X in other layouts."""
    yield np.asfortranarray(X)
    yield np.repeat(X, 2, axis=0)[::2]
    yield np.hstack([X, X])[:, : X.shape[1]]
    yield X[::-1].copy()[::-1]
    yield X.astype(X.dtype.newbyteorder())
    yield X.reshape(-1, 1, 8, 8)
    yield pd.DataFrame(X)
    np.save(folder / "X.npy", X)
    yield np.load(folder / "X.npy", mmap_mode="r")


@row("Memory layout of X")
@pytest.mark.parametrize("name", ["Softmax", "TwoLayerNet", "FullyConnectedRegressor"])
def test_layout(name, expected, tmp_path):
    X, _ = digits()
    for other in layouts(X, tmp_path):
        net = fitted(name, other)
        assert bits(net) == expected[name]
        np.testing.assert_array_equal(answers(net, other), answers(net, X))


@row("dtype of X")
@pytest.mark.parametrize("asked", ["float32", "float64"])
@pytest.mark.parametrize("name", ["Softmax", "TwoLayerNet", "ThreeLayerConvNet", "FullyConnectedRegressor"])
def test_dtype(name, asked, expected):
    X, _ = digits()
    X = 16 * X
    of_converted = bits(fitted(name, X.astype(asked)))
    for dtype in "bHihe":
        assert bits(fitted(name, X.astype(dtype), dtype=asked)) == of_converted
    assert bits(fitted(name, X.astype(np.float64) / 3, dtype=asked)) == bits(
        fitted(name, (X.astype(np.float64) / 3).astype(asked))
    )
    assert bits(fitted(name, (X / 16).astype(np.float16))) == expected[name]


@row("Rows predicted alone or together")
@each_net
@pytest.mark.parametrize("size", [1, 7, 300])
def test_batches_of_predictions(name, size):
    X, _ = digits()
    net = fitted(name)
    together = answers(net, X)
    parts = [answers(net, X[start : start + size]) for start in range(0, len(X), size)]
    np.testing.assert_array_equal(np.concatenate(parts), together)


@row("Copies and files")
@each_net
def test_copies(name, expected, tmp_path):
    X, y = digits()
    net = fitted(name)
    net.save(tmp_path / "net")
    assert bits(clone(net).fit(X, y)) == expected[name]
    copies = [copy.deepcopy(net), pickle.loads(pickle.dumps(net)), sklearn_dl.load(tmp_path / "net")]
    for other in copies:
        np.testing.assert_array_equal(answers(other, X), answers(net, X))
    trained_on = bits(net.partial_fit(X[:100], y[:100]))
    assert trained_on != expected[name]
    assert [bits(other.partial_fit(X[:100], y[:100])) for other in copies] == [trained_on] * 3


@row("Interrupted and resumed")
def test_resumed(tmp_path):
    X, y = digits()

    def solver(num_epochs, **options):
        net = FullyConnected([20], 64, 10, normalization="batchnorm", dropout_keep_ratio=0.7, random_state=0)
        data = {"X_train": X[:500], "y_train": y[:500], "X_val": X[500:], "y_val": y[500:]}
        return Solver(net, data, update_rule="adam", num_epochs=num_epochs, verbose=False, random_state=0, **options)

    whole = solver(4)
    whole.train()
    solver(2, checkpoint=tmp_path / "run").train()
    resumed = solver(4, checkpoint=tmp_path / "run")
    resumed.resume(tmp_path / "run_epoch_2.npz")
    resumed.train()
    assert resumed.loss_history == whole.loss_history
    for param, value in whole.net.params.items():
        np.testing.assert_array_equal(resumed.net.params[param], value)


@pytest.mark.parametrize("name", ["TwoLayerNet", "FullyConnectedRegressor"])
def test_a_fit_is_resumed(name, tmp_path):
    X, y = digits()
    whole = fitted(name, X, y, num_epochs=4, lr_schedule=None, early_stopping=True)
    options = {"lr_schedule": None, "early_stopping": True, "checkpoint": tmp_path / "run"}
    fitted(name, X, y, num_epochs=2, **options)
    assert bits(fitted(name, X, y, num_epochs=4, **options)) == bits(whole)


@pytest.fixture(scope="module")
def baseline():
    """Return what is learned and predicted on the baseline instruction set."""
    return in_a_process(SKLEARN_DL_ISA="baseline")


@row("Python, NumPy, SciPy, scikit-learn")
@pytest.mark.skipif(
    (platform.system(), platform.machine(), platform.libc_ver()[0]) != ("Linux", "x86_64", "glibc"),
    reason="the bits are stored of x86-64 Linux with glibc",
)
def test_versions(baseline):
    """Each version that the tests are run with has to find the bits that one has stored."""
    assert bits_of(baseline) == bits_of(json.loads(STORED.read_text()))


@row("Order of the rows, in one minibatch")
@pytest.mark.parametrize("name", ["Softmax", "TwoLayerNet", "FullyConnectedRegressor"])
def test_order_in_one_minibatch(name):
    X, y = digits()
    shuffled = np.random.RandomState(0).permutation(len(X))
    nets = [fitted(name, X[order], y[order], batch_size=len(X)) for order in (np.arange(len(X)), shuffled)]
    assert bits(nets[0]) == bits(nets[1])


# ----------------------------------------------------------------------------------------------- not the same


@row("Order of the rows, in several minibatches")
@pytest.mark.parametrize("name", ["Softmax", "TwoLayerNet"])
def test_order_in_several_minibatches(name, expected):
    X, y = digits()
    shuffled = np.random.RandomState(0).permutation(len(X))
    assert bits(fitted(name, X[shuffled], y[shuffled])) != expected[name]


@row("``random_state=None``")
@each_net
def test_no_random_state(name):
    found = []
    for seed in (0, 0, 1):
        np.random.seed(seed)
        found.append(bits(fitted(name, random_state=None)))
    assert found[0] == found[1] != found[2]


@row("Instruction set")
@pytest.mark.skipif(len(_ext.isas) < 2, reason="this CPU and build have one instruction set")
def test_instruction_set(baseline):
    found = {isa: in_a_process(SKLEARN_DL_ISA=isa) for isa in _ext.isas if isa != "baseline"}
    for results in found.values():
        assert bits_of(results) != bits_of(baseline)
        assert 0 < difference(results, baseline) < bound("Instruction set")
        assert difference(results, baseline, ["Softmax", "TwoLayerNet", "ThreeLayerConvNet"]) < 1e-6  # most


@row("Platform")
def test_platform():
    """What is stored was learned elsewhere, on whatever platform these tests run."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        assert difference(_reproducible.results(), json.loads(STORED.read_text())) < bound("Platform")


@row("Sparse X or dense")
@pytest.mark.parametrize("name", ["Softmax", "TwoLayerNet", "FullyConnectedRegressor", "wide"])
def test_sparse(name):
    X, y = digits()
    if name == "wide":  # of few columns, the sums are the same
        name, X = "TwoLayerNet", np.ascontiguousarray(np.tile(X, 40))
    nets = [fitted(name, data, y) for data in (X, csr_array(X))]
    assert np.abs(answers(nets[0], X) - answers(nets[1], X)).max() < bound("Sparse X or dense")
    assert X.shape[1] < 100 or bits(nets[0]) != bits(nets[1])


@row("float32 or float64")
@each_net
def test_precision(name):
    X, _ = digits()
    nets = [fitted(name, dtype=dtype) for dtype in ("float32", "float64")]
    assert 0 < np.abs(answers(nets[0], X) - answers(nets[1], X)).max() < bound("float32 or float64")


@row("Release of sklearn_dl")
def test_release():
    assert bound("Release of sklearn_dl") == 1e-6 or not PAGE.exists()
    earlier = [path for path in stored() if path.parent.name != sklearn_dl.__version__]
    for path in earlier or stored():
        check(path)  # to within a millionth of the largest value
