"""Searches on Dask workers: processes of their own, one of which dies in the middle."""

import contextlib
import itertools
import logging
import os
import signal
import time

import joblib
import numpy as np
import pytest
from sklearn.datasets import load_digits
from sklearn.model_selection import GridSearchCV, StratifiedKFold, cross_validate
from sklearn.pipeline import make_pipeline

from sklearn_dl import ThreeLayerConvNet, TwoLayerNet, _threads
from sklearn_dl._threads import n_threads
from sklearn_dl.preprocessing import MeanSubtractor

from ._estimators import assert_same, each_of_all, small

distributed = pytest.importorskip("distributed", reason="Dask is an extra, and not installed")


@contextlib.contextmanager
def local_cluster(**arguments):
    """Open a quiet cluster on this machine; give its client."""
    quiet = {"dashboard_address": ":0", "silence_logs": logging.CRITICAL}
    with distributed.LocalCluster(**quiet, **arguments) as cluster, distributed.Client(cluster) as client:
        # It would take the copies of broadcast data back to one, which a dying worker takes with it.
        client.amm.stop()
        yield client


@pytest.fixture(scope="module")
def client(tmp_path_factory):
    """Return a client of two worker processes of one thread, with a limit of two OpenMP threads each."""
    folder = str(tmp_path_factory.mktemp("dask"))
    with local_cluster(
        n_workers=2, threads_per_worker=1, local_directory=folder, env={"OMP_NUM_THREADS": "2"}
    ) as client:
        yield client


@pytest.fixture(scope="module")
def digits():
    """Return 300 digits as uint8 rows, and folds of them."""
    X, y = load_digits(return_X_y=True)
    X, y = X[:300].astype(np.uint8), y[:300]
    return X, y, list(StratifiedKFold(3).split(X, y))


@pytest.fixture(scope="module", autouse=True)
def held(client, digits):
    """Keep the arrays on the workers from test to test.

    Dask names broadcast data by content. The data of a search that has ended are let go while the next one, with the
    same arrays under the same names, begins; where the order is unlucky, its tasks lose them.
    """
    return client.scatter(arrays(*digits), broadcast=True)


def arrays(X, y, folds):
    """Return all arrays of a search."""
    return [X, y, *itertools.chain(*folds)]


def on_dask(X, y, folds):
    """Return joblib's context for Dask, every array held by every worker."""
    return joblib.parallel_config("dask", scatter=arrays(X, y, folds))


def scores(results):
    """Return everything in a search's or cross-validation's results but the times."""
    return {name: value for name, value in results.items() if "time" not in name and name != "estimator"}


@each_of_all
def test_cross_validate_is_the_same_on_dask(cls, client, digits):
    X, y, folds = digits
    model = make_pipeline(MeanSubtractor(), small(cls))
    arguments = {"cv": folds, "return_train_score": True, "return_estimator": True, "error_score": "raise"}
    here = cross_validate(model, X, y, n_jobs=1, **arguments)
    with on_dask(X, y, folds):
        there = cross_validate(model, X, y, **arguments)
    np.testing.assert_equal(scores(there), scores(here))
    for ours, theirs in zip(here["estimator"], there["estimator"], strict=True):
        assert_same(ours[-1], theirs[-1])


def test_a_worker_of_one_thread_has_the_limit_of_its_process(client, digits):
    X, y, folds = digits

    def threads(model, X, y):
        return n_threads()

    with on_dask(X, y, folds):
        results = cross_validate(small(TwoLayerNet), X, y, cv=folds, scoring=threads)
    np.testing.assert_array_equal(results["test_score"], min(2, joblib.cpu_count()))


@pytest.mark.parametrize(("limit", "expected"), [(8, 4), (3, 1), (1, 1)])
def test_threads_of_a_worker_share_its_limit(limit, expected, digits, monkeypatch):
    """In threads of this process, with as many OpenMP threads as CPUs: the limit is for all of them together."""
    X, y, folds = digits
    monkeypatch.setattr(_threads, "_cpus", limit)
    monkeypatch.setattr(_threads, "max_threads", lambda: limit)

    def threads(model, X, y):
        return n_threads()

    with local_cluster(n_workers=1, threads_per_worker=2, processes=False) as client:
        assert client.submit(n_threads, pure=False).result() == expected
        with joblib.parallel_config("dask"):
            results = cross_validate(small(TwoLayerNet), X, y, cv=folds, scoring=threads)
        np.testing.assert_array_equal(results["test_score"], expected)
    assert n_threads() == limit


def fatal_scorer(folder, at):
    """Return a scorer that kills its worker at evaluation number `at`, and leaves a file for each one before."""
    parent = os.getpid()

    # A closure, so that it travels by value: workers cannot import this module.
    def score(model, X, y):
        assert os.getpid() != parent
        number = len(os.listdir(folder))
        (folder / f"{time.time_ns()}-{os.getpid()}").touch()
        with contextlib.suppress(FileExistsError):
            if number >= at:
                (folder / "killed").touch(exist_ok=False)
                os.kill(os.getpid(), signal.SIGKILL)
        return model.score(X, y)

    return score


# Last in this module: the worker that takes the dead one's place may be long in coming.
def test_a_search_survives_the_death_of_a_worker(client, digits, tmp_path):
    X, y, folds = digits
    net = ThreeLayerConvNet(num_filters=4, filter_size=3, hidden_dim=8, num_epochs=2, random_state=0)
    model = make_pipeline(MeanSubtractor(), net)
    grid = {"threelayerconvnet__reg": [0, 0.01, 0.1], "threelayerconvnet__learning_rate": [1e-3, 1e-2]}

    def search(**arguments):
        return GridSearchCV(model, grid, cv=folds, error_score="raise", **arguments).fit(X, y)

    with on_dask(X, y, folds):
        survived = search(scoring=fatal_scorer(tmp_path, at=5))
    one, two = search(n_jobs=1), search(n_jobs=2)
    assert (tmp_path / "killed").exists()
    workers = {path.name.split("-")[1] for path in tmp_path.glob("*-*")}
    assert len(workers) >= 2
    for other in (two, survived):
        assert scores(other.cv_results_).keys() == scores(one.cv_results_).keys()
        np.testing.assert_equal(scores(other.cv_results_), scores(one.cv_results_))
        assert other.best_params_ == one.best_params_
        assert_same(other.best_estimator_[-1], one.best_estimator_[-1])
