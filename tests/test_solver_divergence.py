"""Numbers that are no longer finite."""

import numpy as np
import pytest

from sklearn_dl.nets import FullyConnected

from ._solvers import assert_same, dataset, make


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("rule", ["sgd", "sgd_momentum"])
def test_divergence_is_an_error_that_names_the_learning_rate(rule, dtype):
    net = FullyConnected([16], 8, 4, weight_scale="he", dtype=dtype, random_state=0)
    solver = make(net, update_rule=rule, optim_config={"learning_rate": 1e30}, num_epochs=30)
    with pytest.raises(ValueError, match=r"learning_rate 1e\+30 is too large"):
        solver.train()


@pytest.mark.parametrize("normalization", [None, "batchnorm", "layernorm"])
def test_the_best_weights_survive_divergence(normalization):
    net = FullyConnected([16], 8, 4, normalization=normalization, reg=1e-3, random_state=0)
    solver = make(net, lr_decay=1e20, num_epochs=30, batch_size=4)
    with pytest.raises(ValueError, match=r"update \d+ \(epoch \d+\): learning_rate 0.1"):
        solver.train()
    assert all(np.isfinite(value).all() for value in net.params.values())
    assert all(np.isfinite(value).all() for value in net.statistics.values())
    assert_same(net.params, solver.best_params)
    data = dataset()
    assert solver.check_accuracy(data["X_val"], data["y_val"]) == solver.best_val_acc


def test_divergence_of_a_numpy_net_is_an_error_without_warnings():
    class NumPyLinear:
        def __init__(self):
            self.params = {"W": np.zeros((8, 4))}

        def loss(self, X, y=None):
            scores = X @ self.params["W"]
            if y is None:
                return scores
            error = scores - np.eye(4)[y]
            return (error**2).mean(), {"W": X.T @ error}

    with pytest.raises(ValueError, match=r"learning_rate 1e\+100 is too large"):
        make(NumPyLinear(), optim_config={"learning_rate": 1e100}).train()


def test_divergence_in_the_last_update_is_seen():
    # nan scores all mean class 0, which is right for these samples.
    data = {"X_train": np.ones((4, 8)), "y_train": [1] * 4, "X_val": np.ones((4, 8))}
    data["y_val"] = [0] * 4
    net = FullyConnected([], 8, 4, random_state=0)
    solver = make(net, data, optim_config={"learning_rate": 1e39}, num_epochs=1)
    with pytest.raises(ValueError, match="nan or infinite by update 1"):
        solver.train()
    assert len(solver.val_acc_history) == 1


@pytest.mark.parametrize("value", [np.nan, np.inf])
def test_nan_in_the_data_is_an_error(value):
    data = dataset()
    data["X_train"][7, 3] = value
    with pytest.raises(ValueError, match="X holds nan or very large values"):
        make(data=data).train()
