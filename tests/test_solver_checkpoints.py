"""Checkpoints of the solver, and resuming from them."""

import numpy as np
import pytest

from sklearn_dl.nets import FullyConnected
from sklearn_dl.nets.heads import SoftmaxHead
from sklearn_dl.persistence import write_archive

from ._solvers import RULES, assert_same, assert_same_training, copies, make, restless


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


def checkpoint(path, **changes):
    """Write a checkpoint of a solver with these differences."""
    options = {name: changes.pop(name) for name in ("dtype", "head") if name in changes}
    net = FullyConnected(changes.pop("hidden", [16]), 8, 4, **options)
    make(net, checkpoint=path / "c", num_epochs=1, **changes).train()
    return path / "c_epoch_1.npz"


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"hidden": [16, 16]}, "another net.*W3"),
        ({"hidden": [17]}, r"another net.*\(8, 17\).*\(8, 16\)"),
        ({"dtype": "float64"}, "another net.*float64.*float32"),
        ({"update_rule": "adam"}, "update_rule 'adam', not 'sgd'"),
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
