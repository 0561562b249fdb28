"""The benchmarks compute the same with every library and refuse to time what differs. Nothing is timed here."""

import importlib
import json
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

FOLDER = Path(__file__).resolve().parent.parent / "benchmarks"

pytestmark = pytest.mark.skipif(not FOLDER.is_dir(), reason="the benchmarks are not part of an installation")


@pytest.fixture(autouse=True)
def _importable(monkeypatch):
    monkeypatch.syspath_prepend(FOLDER)


def bench(name):
    return importlib.import_module(f"_{name}")


def installed(classes):
    """Return those classes whose library is here; sklearn_dl has to be."""
    found = [cls for cls in classes if cls.library in sys.modules or importlib.util.find_spec(cls.library)]
    return [cls for cls in found if cls.label != "skorch" or importlib.util.find_spec("skorch")]


@pytest.fixture
def data(tmp_path):
    bench("data").prepare(None, tmp_path, 203)
    return bench("data").DataSpec(tmp_path, 203, "float64")


@pytest.mark.parametrize(
    ("name", "megaflop"),
    [
        ("Softmax", 25),
        ("TwoLayer 50", 25),
        ("FullyConnected 200x4", 817),
        ("ThreeLayerConv 100", 1209),
        ("ThreeLayerConv 500", 2194),
    ],
)
def test_arithmetic_of_a_step(name, megaflop):
    row = bench("rows").named(name)
    assert round(row.flops * row.batch / 1e6) == megaflop


def small(row):
    """Return a row with the same kinds of layers in small."""
    return replace(row, hidden=tuple(5 + k for k in range(len(row.hidden))), batch=10, filters=row.filters and 2)


@pytest.mark.parametrize("name", ["Softmax", "TwoLayer 100", "FullyConnected 200x4", "ThreeLayerConv 500"])
def test_libraries_train_and_predict_alike(name, data):
    peers, nets, predict = bench("peers"), bench("nets"), bench("predict")
    row = small(bench("rows").named(name))
    losses, classes = {}, {}
    for cls in installed(peers.PEERS):
        if not cls.supports(row):
            continue
        peer = cls(data, 1)
        assert peer.all_X.dtype == np.float64
        peer.prepare(row)
        losses[cls.label] = peer.losses(nets.STEPS_COMPARED)
        peer.prepare(row)
        peer.steps(23)  # more than an epoch
        if hasattr(peer, "predict"):
            peer.prepare(replace(row, weight_scale=0.05))
            if cls is peers.Estimator:
                peer.keep_first_weights()
            classes[cls.label] = peer.predict(100)
    assert {"sklearn_dl fit", "sklearn_dl Solver"} <= set(losses)
    nets.require_equal_losses(losses, row.rule, "float64")
    predict.require_equal_predictions(classes)
    assert len(set(classes["sklearn_dl fit"])) > 1


def test_mlp_classifier_is_compared():
    peers = bench("peers")
    assert peers.MLP in installed(peers.PEERS)


@pytest.mark.parametrize("theirs", [[1.0] * 9 + [1.1], [1.0] * 9, [1.0] * 9 + [float("nan")]])
def test_different_losses_are_refused(theirs):
    nets = bench("nets")
    with pytest.raises(nets.LossesDiffer, match="theirs"):
        nets.require_equal_losses({"ours": [1.0] * 10, "theirs": theirs}, "sgd", "float32")


def test_different_predictions_are_refused():
    predict = bench("predict")
    with pytest.raises(predict.PredictionsDiffer, match=r"theirs and ours agree on 75.00%"):
        predict.require_equal_predictions({"ours": np.arange(4), "theirs": [0, 1, 2, 2]})


def test_layers_agree():
    layers = bench("layers")
    libraries = [cls(1) for cls in (layers.Ours, layers.Plain, layers.Im2col, layers.Strides)]
    if importlib.util.find_spec("torch"):
        libraries.append(layers.Torch(1))
    compared = set()
    for case in layers.QUICK_CASES:
        able = [library for library in libraries if library.supports(case)]
        for name in {name: None for library in able for name in library.prepare(case)}:
            results = {library.label: library.results(name) for library in able}
            layers.require_equal(case, name, results)
            compared.update((case.kind, name) for _ in results.keys() - {"sklearn_dl"})
    assert {("conv", "backward"), ("max_pool", "forward"), ("batchnorm", "backward"), ("adam", "update")} <= compared


@pytest.mark.parametrize("name", ["Im2col", "Strides"])
@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("stride", [1, 2, 3])
@pytest.mark.parametrize("pad", [0, 1, 2])
@pytest.mark.parametrize(("image", "side"), [((7, 7), (3, 3)), ((8, 6), (2, 4)), ((5, 9), (1, 1)), ((4, 5), (4, 5))])
def test_convolutions_in_numpy_are_ours(name, dtype, stride, pad, image, side):
    layers = bench("layers")
    case = layers.Case("conv", dtype, (2, 3, *image), (4, 3, *side), stride, pad)
    ours, theirs = layers.Ours(1), getattr(layers, name)(1)
    assert ours.prepare(case) == theirs.prepare(case) == ["forward", "backward"]
    for run in ("forward", "backward"):
        results = {library.label: library.results(run) for library in (ours, theirs)}
        assert {array.dtype for array in results[theirs.label]} == {np.dtype(dtype)}
        layers.require_equal(case, run, results)


def test_convolutions_in_numpy_do_without_dx():
    layers = bench("layers")
    case = layers.Case("conv", "float32", (2, 3, 8, 8), (4, 3, 7, 7), pad=3, need_dx=False)
    for cls in (layers.Im2col, layers.Strides):
        library = cls(1)
        library.prepare(case)
        assert [array.shape for array in library.results("backward")] == [(4, 3, 7, 7), (4,)]
    assert {layers.Im2col, layers.Strides} < set(layers.LIBRARIES)


@pytest.mark.parametrize("wrong", [np.ones((2, 3)), np.full((3, 2), 1.001), np.full((3, 2), np.nan)])
def test_different_results_are_refused(wrong):
    layers = bench("layers")
    case = layers.Case("affine", "float32", (3, 4), (4, 2))
    with pytest.raises(layers.ResultsDiffer, match=r"affine \(3,4\) \* \(4,2\), forward"):
        layers.require_equal(case, "forward", {"ours": [np.ones((3, 2))], "theirs": [wrong]})


def test_rounds_begin_with_each_in_turn(monkeypatch):
    rounds = bench("rounds")
    monkeypatch.setattr(rounds, "SETTLE", 0)
    calls = []
    measures = {name: lambda name=name: calls.append(name) or len(calls) for name in "ab"}
    assert rounds.interleave(measures, 3) == {"a": [1, 4, 5], "b": [2, 3, 6]}
    assert calls == list("abbaab")


def test_repetitions_fill_the_turn():
    rounds = bench("rounds")
    assert rounds.repetitions(lambda count: 0.01 * count, 2.0) == 200
    assert rounds.repetitions(lambda count: 5.0 * count, 2.0) == 1


@pytest.mark.parametrize("cls", ["Ours", "MLP"])
def test_sweep_of_one_setting(cls, data):
    search = getattr(bench("sweep"), cls)(data)
    seconds, accuracy, failed = search.run(n_jobs=1, epochs=1, quick=True)
    assert seconds > 0
    assert 0 <= accuracy <= 1
    assert failed == 0
    assert np.prod([len(values) for values in search.grid().values()]) == 18


@pytest.mark.slow
@pytest.mark.parametrize("data", ["iris", "wine", "breast cancer", "digits"])
def test_untouched_estimators_are_as_good_as_mlpclassifier(data):
    defaults = bench("defaults")
    net, deep, theirs = (defaults.accuracy(cls, data) for cls in defaults.ESTIMATORS)
    assert min(net, deep) >= theirs - 0.01


@pytest.mark.parametrize("library", ["sklearn_dl", "MLPClassifier"])
def test_lbfgs_of_one_table(library):
    fit = bench("lbfgs").Fit(library, "wine")
    iterations, accuracy = fit.fit(0)
    assert 1 < iterations < 100
    assert accuracy == 1
    assert fit.cross_validate() > 0.95


def test_command(tmp_path):
    """From end to end, with processes, on two libraries."""
    peers = ["sklearn_dl fit", "MLPClassifier"]
    program = [sys.executable, FOLDER / "compare.py", "--quick", "--rows", "Softmax", "--peers", *peers]
    done = subprocess.run([*program, "--output", tmp_path], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert "| Softmax" in done.stdout
    (net,) = json.loads((tmp_path / "nets.json").read_text())["nets"]
    assert net["fastest other"] == "MLPClassifier"
    assert [len(net["samples per second"][label]) for label in peers] == [2, 2]
    assert (tmp_path / "nets.png").stat().st_size > 1000


def test_absent_library_is_said(capsys):
    workers, nets = bench("workers"), bench("nets")

    class Nobody:
        library = label = "nobody"

    class NoWorker:
        def new(self, *_):
            raise workers.Absent("nobody is not installed")

    class NoWorkers:
        threads = 1

        def of(self, library):
            return NoWorker()

    assert nets.start(NoWorkers(), [Nobody], None) == {}
    assert "nobody: absent, nobody is not installed" in capsys.readouterr().out
