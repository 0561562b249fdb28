"""scikit-learn's callbacks: its own, and users'."""

import copy
import pickle
import re

import numpy as np
import pytest
from sklearn.base import clone
from sklearn.exceptions import NotFittedError
from sklearn.model_selection import GridSearchCV
from sklearn.pipeline import Pipeline, make_pipeline
from sklearn.preprocessing import StandardScaler

from sklearn_dl import TwoLayerNet, load
from sklearn_dl.preprocessing import ImageReshaper, MeanSubtractor

from ._estimators import (
    ESTIMATORS,
    FRAMES,
    answers,
    assert_same,
    batchnorm,
    blobs,
    each_library,
    each_of_all,
    images,
    small,
)

callback = pytest.importorskip("sklearn.callback", reason="scikit-learn 1.9 is the first with callbacks")


class Recorder:
    """Records what it is told; asks to stop after some epoch; fails at some hook."""

    def __init__(self, stop_after=None, fail_at=None):
        self.stop_after = stop_after
        self.fail_at = fail_at
        self.seen = []

    def record(self, hook, estimator, context, **arguments):
        self.seen.append({"hook": hook, "task": context.task_name, "id": context.task_id, **arguments})
        if (hook, context.task_name) == self.fail_at:
            raise RuntimeError(f"failed in {hook} of {context.task_name}")

    def setup(self, estimator, context):
        self.record("setup", estimator, context)

    def teardown(self, estimator, context):
        self.record("teardown", estimator, context)

    def on_fit_task_begin(self, estimator, context, *, X=None, y=None, metadata=None):
        history = copy.deepcopy(getattr(estimator, "history_", None))
        given = {"X": X, "y": y, "metadata": metadata}
        self.record("begin", estimator, context, **given, max_subtasks=context.max_subtasks, history=history)

    def on_fit_task_end(self, estimator, context):
        self.record("end", estimator, context, history=copy.deepcopy(getattr(estimator, "history_", None)))
        return context.task_name == "epoch" and estimator.n_iter_ == self.stop_after

    def hooks(self):
        return [(event["hook"], event["task"], event["id"]) for event in self.seen]


class Collector:
    """Keeps the fitted estimator of every task's end."""

    def __init__(self):
        self.fitted = []

    def setup(self, estimator, context):
        pass

    def teardown(self, estimator, context):
        pass

    def on_fit_task_begin(self, estimator, context):
        pass

    def on_fit_task_end(self, estimator, context, *, fitted_estimator=None):
        self.fitted.append(fitted_estimator)


def epochs(*numbers):
    return [(hook, "epoch", number) for number in numbers for hook in ("begin", "end")]


# --------------------------------------------------------------------------------- what is told


@each_of_all
def test_hooks(cls):
    X, y = blobs()
    labels = np.array(["ant", "bee", "cat"] if cls in ESTIMATORS else [1e3, -2e3, 5e3])[y]
    weight = 1.0 + y
    recorder = Recorder()
    net = small(cls).set_callbacks(recorder).fit(X, labels, weight)
    assert recorder.hooks() == [
        ("setup", "fit", 0),
        ("begin", "fit", 0),
        *epochs(0, 1, 2),
        ("end", "fit", 0),
        ("teardown", "fit", 0),
    ]
    begin = recorder.seen[1]
    assert begin["max_subtasks"] == 3
    assert begin["X"] is X
    np.testing.assert_array_equal(begin["y"], labels)
    assert begin["metadata"] == {"sample_weight": weight}
    at_ends = [event["history"]["epoch"] for event in recorder.seen if event["hook"] == "end"]
    assert at_ends == [[1], [1, 2], [1, 2, 3], [1, 2, 3]]
    assert_same(net, small(cls).fit(X, labels, weight))
    assert not [name for name in vars(net) if "callback" in name and name != "_skl_callbacks"]


@pytest.mark.parametrize(
    ("params", "first", "second"), [({}, 3, 3), ({"num_iters": 6}, 2, 2), ({"num_iters": 4, "num_epochs": 9}, 1, 1)]
)
def test_number_of_epochs_with_warm_start(params, first, second):
    X, y = blobs()
    net = small(TwoLayerNet, warm_start=True, **params)
    for expected in (first, second):
        recorder = Recorder()
        net.set_callbacks(recorder).fit(X, y)
        assert recorder.seen[1]["max_subtasks"] == expected
        assert recorder.hooks()[2:-2] == epochs(*range(expected))


def test_a_second_fit_begins_anew():
    X, y = blobs()
    recorder = Recorder()
    small(TwoLayerNet).fit(X, y).set_callbacks(recorder).fit(X, y)
    at_begin = [event["history"]["epoch"] for event in recorder.seen if event["hook"] == "begin"]
    assert at_begin == [[], [], [1], [1, 2]]


@pytest.mark.parametrize("transformer", [MeanSubtractor(), ImageReshaper()])
def test_transformers_are_one_task(transformer):
    X, y = blobs()
    recorder = Recorder()
    fitted = clone(transformer).set_callbacks(recorder).fit(X, y)
    assert recorder.hooks() == [("setup", "fit", 0), ("begin", "fit", 0), ("end", "fit", 0), ("teardown", "fit", 0)]
    np.testing.assert_array_equal(fitted.transform(X), transformer.fit(X).transform(X))


def test_partial_fit_is_no_fit():
    X, y = blobs()
    recorder = Recorder()
    small(TwoLayerNet).set_callbacks(recorder).partial_fit(X, y, classes=[0, 1, 2])
    assert recorder.seen == []


# --------------------------------------------------------------------------------- the wish to stop


@each_of_all
@pytest.mark.parametrize("epoch", [1, 2])
def test_a_callback_can_stop_training(cls, epoch):
    X, y = blobs()
    recorder = Recorder(stop_after=epoch)
    net = small(cls).set_callbacks(recorder).fit(X, y)
    assert_same(net, small(cls, num_epochs=epoch).fit(X, y))
    assert net.history_["epoch"] == list(range(1, epoch + 1))
    assert recorder.hooks()[-2:] == [("end", "fit", 0), ("teardown", "fit", 0)]
    # The next fit is a new one.
    assert net.set_callbacks().fit(X, y).n_iter_ == 3


def test_best_weights_after_a_stop():
    X, y = blobs(90, spread=3.0)
    net = small(TwoLayerNet, num_epochs=30, learning_rate=0.3).set_callbacks(Recorder(stop_after=9))
    net.fit(X[:60], y[:60], X_val=X[60:], y_val=y[60:])
    assert net.n_iter_ == 9
    assert net.score(X[60:], y[60:]) == net.best_val_score_ == max(net.val_acc_history_)
    assert net.val_acc_history_[-1] < net.best_val_score_  # else this tests nothing


# --------------------------------------------------------------------------------- errors


HOOKS = [("setup", "fit"), ("begin", "fit"), ("begin", "epoch"), ("end", "epoch"), ("end", "fit"), ("teardown", "fit")]
each_hook = pytest.mark.parametrize("hook", HOOKS, ids=" ".join)


@each_hook
@pytest.mark.parametrize("warm_start", [False, True], ids=["fresh", "warm"])
@each_of_all
def test_after_an_error_the_estimator_is_as_it_was(cls, warm_start, hook):
    X, y = blobs()
    net = small(cls, warm_start=warm_start, **batchnorm(cls)).fit(X, y)
    untouched = copy.deepcopy(net)
    recorder = Recorder(fail_at=hook)
    with pytest.raises(RuntimeError, match=" of ".join(hook)):
        net.set_callbacks(recorder).fit(X + 1, y)
    assert recorder.hooks()[-1] == ("teardown", "fit", 0)
    assert vars(net).keys() - {"_skl_callbacks"} == vars(untouched).keys()
    np.testing.assert_array_equal(answers(net, X), answers(untouched, X))
    assert_same(net.partial_fit(X, y), untouched.partial_fit(X, y))


@each_hook
def test_after_an_error_in_the_first_fit_it_is_unfitted(hook):
    X, y = blobs()
    net = small(TwoLayerNet).set_callbacks(Recorder(fail_at=hook))
    with pytest.raises(RuntimeError):
        net.fit(X, y)
    assert vars(net).keys() == {*net.get_params(), "_skl_callbacks"}
    with pytest.raises(NotFittedError):
        net.predict(X)


def test_errors_of_training_tear_down():
    X, y = blobs()
    recorder = Recorder()
    net = small(TwoLayerNet, learning_rate=1e40).set_callbacks(recorder)
    with pytest.raises(ValueError, match="too large"):
        net.fit(X, y)
    assert recorder.hooks()[-1] == ("teardown", "fit", 0)
    assert ("end", "fit", 0) not in recorder.hooks()


# ------------------------------------------------------------------------------- fitted_estimator


@each_of_all
def test_fitted_estimators_are_as_if_training_had_ended(cls):
    X, y = blobs()
    collector = Collector()
    net = small(cls, **batchnorm(cls)).set_callbacks(collector).fit(X, y)
    assert_same(net, small(cls, **batchnorm(cls)).fit(X, y))
    assert len(collector.fitted) == 4
    for fitted, num_epochs in zip(collector.fitted, (1, 2, 3, 3), strict=True):
        expected = small(cls, num_epochs=num_epochs, **batchnorm(cls)).fit(X, y)
        assert_same(fitted, expected)
        assert fitted.history_["loss"] == expected.history_["loss"]
        np.testing.assert_array_equal(answers(fitted, X), answers(expected, X))


def test_fitted_estimators_are_independent():
    """Each can be trained on without a trace in the training under way, dropout and the order of samples included."""
    X, y = blobs()

    class Trainer(Collector):
        def on_fit_task_end(self, estimator, context, *, fitted_estimator=None):
            self.fitted.append(fitted_estimator.set_callbacks().partial_fit(X, y))

    options = {"dropout_keep_ratio": 0.5}
    net = small(TwoLayerNet, **options).set_callbacks(Trainer()).fit(X, y)
    assert_same(net, small(TwoLayerNet, **options).fit(X, y))


def test_fitted_estimators_have_the_best_weights_so_far():
    X, y = blobs(90, spread=3.0)
    collector = Collector()
    net = small(TwoLayerNet, num_epochs=9, learning_rate=0.3).set_callbacks(collector)
    net.fit(X[:60], y[:60], X_val=X[60:], y_val=y[60:])
    best = np.maximum.accumulate(net.val_acc_history_)[1:]
    assert [fitted.score(X[60:], y[60:]) for fitted in collector.fitted[:-1]] == best.tolist()
    assert len(np.unique(best)) > 1
    assert best[-1] > net.val_acc_history_[-1]


def test_fitted_estimators_of_a_second_fit_of_another_size():
    X, y = blobs()
    collector = Collector()
    net = small(TwoLayerNet).fit(X, y).set_params(hidden_dim=5).set_callbacks(collector).fit(X[:, :9], y)
    assert [fitted.params_["W1"].shape for fitted in collector.fitted] == [(9, 5)] * 4
    assert_same(collector.fitted[-1], net)


def test_fitted_estimators_can_be_kept_as_files(tmp_path):
    X, y = blobs()

    class Saver(Collector):
        def on_fit_task_end(self, estimator, context, *, fitted_estimator=None):
            fitted_estimator.save(tmp_path / f"{context.task_name} {context.task_id}")

    net = small(TwoLayerNet).set_callbacks(Saver()).fit(X, y)
    assert_same(load(tmp_path / "epoch 1"), small(TwoLayerNet, num_epochs=2).fit(X, y))
    assert_same(load(tmp_path / "fit 0"), net)


# ------------------------------------------------------------------------ copies, clones, files


def test_copies_and_clones_have_the_callbacks_and_files_do_not(tmp_path):
    X, y = blobs()
    net = small(TwoLayerNet).set_callbacks(callback.ScoringMonitor(scoring="accuracy")).fit(X, y)
    assert clone(net)._skl_callbacks == net._skl_callbacks
    again = pickle.loads(pickle.dumps(net))
    assert again._skl_callbacks[0].get_logs().data == net._skl_callbacks[0].get_logs().data
    assert_same(again, net)
    net.save(tmp_path / "net")
    assert_same(load(tmp_path / "net"), net)
    assert not hasattr(load(tmp_path / "net"), "_skl_callbacks")


# --------------------------------------------------------------------- scikit-learn's own callbacks


# R² is of sums of differences, which predictions in float32 bring with them.
RTOL = {"accuracy": 1e-12, "r2": 1e-4}


def logged(monitor, score="accuracy"):
    return [row[score] for row in monitor.get_logs().data if row["task_name"] == "epoch"]


@each_of_all
def test_scoring_monitor(cls):
    X, y = blobs()
    score = "accuracy" if cls in ESTIMATORS else "r2"
    monitor = callback.ScoringMonitor(scoring=score)
    net = small(cls).set_callbacks(monitor).fit(X, y)
    np.testing.assert_allclose(logged(monitor, score), net.history_[f"train_{score}"], rtol=RTOL[score])


@each_library
def test_scoring_monitor_on_data_frames(library):
    """No warning about names of features: pytest would make it an error."""
    X, y = blobs()
    monitor = callback.ScoringMonitor(scoring="accuracy")
    net = small(TwoLayerNet).set_callbacks(monitor).fit(FRAMES[library](X), y)
    np.testing.assert_allclose(logged(monitor), net.history_["train_accuracy"], rtol=1e-12)


@each_of_all
def test_scoring_monitor_on_weighted_images(cls):
    X, y = images()
    weight = 1.0 + np.arange(len(y)) % 3
    score = "accuracy" if cls in ESTIMATORS else "r2"
    monitor = callback.ScoringMonitor(scoring=score)
    net = small(cls, weight_scale=1e-3).set_callbacks(monitor).fit(X, y, weight)
    np.testing.assert_allclose(logged(monitor, score), net.history_[f"train_{score}"], rtol=RTOL[score])


@pytest.mark.parametrize("n_jobs", [1, 2])
def test_scoring_monitor_in_a_search(n_jobs):
    X, y = blobs()
    monitor = callback.ScoringMonitor(scoring="accuracy")
    model = make_pipeline(StandardScaler(), small(TwoLayerNet).set_callbacks(monitor))
    search = GridSearchCV(model, {"twolayernet__reg": [0, 0.1]}, cv=2, n_jobs=n_jobs, error_score="raise").fit(X, y)
    found = logged(monitor)
    assert len(found) == 3 * (2 * 2 + 1)
    expected = search.best_estimator_[-1].history_["train_accuracy"]
    scores = [row for row in monitor.get_logs().data if row["task_name"] == "epoch"]
    refit = [row["accuracy"] for row in scores if row["task_id_path"][1] == 1]
    np.testing.assert_allclose(refit, expected, rtol=1e-12)


@pytest.fixture
def progress_bar():
    pytest.importorskip("rich", reason="rich is what ProgressBar draws with")
    return callback.ProgressBar(max_propagation_depth=None)


def test_progress_bar(progress_bar, capsys):
    X, y = blobs()
    net = small(TwoLayerNet).set_callbacks(progress_bar)
    assert_same(net.fit(X, y), small(TwoLayerNet).fit(X, y))
    out = capsys.readouterr().out
    assert "TwoLayerNet - fit" in out
    assert "100%" in out


def test_progress_bar_in_a_search(progress_bar, capsys):
    X, y = blobs()
    model = Pipeline([("mean", MeanSubtractor()), ("shape", ImageReshaper()), ("net", small(TwoLayerNet))])
    search = GridSearchCV(model, {"net__reg": [0, 0.1]}, cv=2, error_score="raise")
    search.set_callbacks(progress_bar).fit(X, y)
    out = capsys.readouterr().out
    for name in ("MeanSubtractor", "ImageReshaper", "TwoLayerNet"):
        assert out.count(f"{name} - fit") == 5
    assert len(re.findall(r"^.* - .* 100% ", out, re.MULTILINE)) == len(out.splitlines())


def test_the_bar_of_verbose_gives_way_to_scikit_learns(progress_bar, monkeypatch, capsys):
    monkeypatch.setattr("sklearn_dl._progress._can_draw", lambda: True)
    X, y = blobs()
    net = small(TwoLayerNet, verbose=1)
    net.fit(X, y)
    assert "Epoch 3/3" in capsys.readouterr().err
    net.set_callbacks(progress_bar).fit(X, y)
    out, err = capsys.readouterr()
    assert "(Epoch 3/3)" in out
    assert err == ""
