"""Settings and calls that the solver refuses."""

import numpy as np
import pytest

from sklearn_dl.training.rules import decayed_rates

from ._solvers import Linear, dataset, make


@pytest.mark.parametrize(
    ("options", "error", "message"),
    [
        ({"update_rule": "adan"}, ValueError, "update_rule must be.*'adamw', 'lbfgs', got 'adan'"),
        ({"update_rule": None}, ValueError, "update_rule must be.*got None"),
        ({"optim_config": [1]}, TypeError, r"optim_config must be a dict or None, got \[1\]"),
        ({"optim_config": {"beta1": 0.9}}, ValueError, r"\['beta1'\] is no constant.*'sgd'"),
        ({"optim_config": {"learning_rate": -1}}, ValueError, r"optim_config\['learning_rate'\] must be .*, got -1"),
        ({"optim_config": {"learning_rate": "a"}}, TypeError, r"optim_config\['learning_rate'\] must be .*'a'"),
        (
            {"update_rule": "sgd_momentum", "optim_config": {"momentum": 2}},
            ValueError,
            r"^optim_config\['momentum'\] must be in \[0, 1\], got 2",
        ),
        (
            {"update_rule": "adam", "optim_config": {"epsilon": 0}},
            ValueError,
            r"^optim_config\['epsilon'\] must be positive, got 0",
        ),
        ({"clip_norm": 0}, ValueError, "^clip_norm must be positive, got 0"),
        ({"clip_norm": np.inf}, ValueError, "^clip_norm must be a finite number, got inf"),
        ({"clip_norm": "1"}, TypeError, "^clip_norm must be a number, got '1'"),
        ({"update_rule": "lbfgs"}, ValueError, r"\['learning_rate'\] is no constant.*'lbfgs', which has none"),
        ({"lr_decay": 0}, ValueError, "lr_decay == 0"),
        ({"lr_decay": np.inf}, ValueError, "lr_decay must be a finite.*inf"),
        ({"batch_size": 0}, ValueError, "batch_size == 0, must be >= 1"),
        ({"batch_size": 10.0}, TypeError, "batch_size must be an instance of"),
        ({"num_epochs": -1}, ValueError, "num_epochs == -1"),
        ({"num_iters": -1}, ValueError, "num_iters == -1"),
        ({"num_train_samples": 0}, ValueError, "num_train_samples == 0"),
        ({"num_val_samples": 1.5}, TypeError, "num_val_samples must be"),
        ({"checkpoint": 3}, TypeError, "str, bytes or os.PathLike"),
        ({"print_every": -1}, ValueError, "print_every == -1"),
        ({"shuffle": 1}, TypeError, "shuffle must be True or False, got 1"),
        ({"tol": -1}, ValueError, "tol == -1"),
        ({"n_iter_no_change": 0}, ValueError, "n_iter_no_change == 0"),
        ({"early_stopping": "yes"}, TypeError, "early_stopping must be.*'yes'"),
        ({"random_state": "a"}, ValueError, "'a' cannot be used to seed"),
    ],
)
def test_bad_settings(options, error, message):
    with pytest.raises(error, match=message):
        make(**options)


def test_bad_calls():
    with pytest.raises(TypeError, match="data must be a dict, got list"):
        make(data=[1])
    with pytest.raises(ValueError, match="early_stopping needs a validation set"):
        make(data=dataset(60, 0), early_stopping=True)
    with pytest.raises(ValueError, match=r"'sample_weight_train'.*needs a net with backprop"):
        make(Linear(), {**dataset(), "sample_weight_train": np.ones(60)})
    solver = make()
    with pytest.raises(ValueError, match=r"^y must be 2 integers, one for each sample.*\(3,\)"):
        solver.check_accuracy(np.zeros((2, 8)), [0, 1, 2])
    with pytest.raises(ValueError, match=r"^X must be numbers.*\(8,\)"):
        solver.check_accuracy(np.zeros(8), [0])
    with pytest.raises(ValueError, match="batch_size == 0"):
        solver.check_accuracy(np.zeros((2, 8)), [0, 1], batch_size=0)
    with pytest.raises(ValueError, match="num_samples == 0"):
        solver.check_accuracy(np.zeros((2, 8)), [0, 1], num_samples=0)


def test_a_learning_rate_of_zero_stays_zero_whatever_the_decay():
    assert decayed_rates(0.0, 1e300, [0, 1, 2, 50]).tolist() == [0.0] * 4
    assert np.isfinite(decayed_rates(0.5, 1e300, [50])).all()
