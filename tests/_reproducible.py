"""Trainings whose results `test_reproducibility.py` compares; run as a script, it prints them.

``SKLEARN_DL_ISA=baseline python tests/_reproducible.py > tests/data/trainings.json`` writes what is stored of them, on
x86-64 Linux: after a change that is meant to change bits, which the changelog then says.
"""

import hashlib
import json
import sys
import warnings

import numpy as np
from sklearn.datasets import load_digits

from sklearn_dl import FullyConnectedNet, FullyConnectedRegressor, Softmax, ThreeLayerConvNet, TwoLayerNet

QUICK = {"num_epochs": 5, "batch_size": 50, "tol": None, "lr_schedule": None, "random_state": 0}
NETS = {
    "Softmax": Softmax(**QUICK),
    "TwoLayerNet": TwoLayerNet(hidden_dim=30, early_stopping=True, **QUICK),
    "FullyConnectedNet": FullyConnectedNet(
        hidden_dims=(30, 20), normalization="layernorm", dropout_keep_ratio=0.8, **QUICK
    ),
    "ThreeLayerConvNet": ThreeLayerConvNet(num_filters=4, filter_size=3, hidden_dim=20, **QUICK),
    "FullyConnectedRegressor": FullyConnectedRegressor(hidden_dims=(30,), update_rule="adamw", **QUICK),
    "batchnorm": FullyConnectedNet(hidden_dims=(100,), normalization="batchnorm", **{**QUICK, "num_epochs": 30}),
}


def digits():
    """Return 600 digits, whose pixels from 0 to 1 float16 has exactly, and their classes."""
    X, y = load_digits(return_X_y=True)
    return (X[:600] / 16).astype(np.float32), y[:600]


def answers(net, X):
    """Return what a net predicts: probabilities or quantities."""
    return net.predict_proba(X) if hasattr(net, "predict_proba") else net.predict(X)


def bits(net):
    """Return 16 digits for the bits of what a net has learned."""
    found = hashlib.sha256()
    for array in (*net.params_.values(), *net.running_stats_.values(), np.array(net.loss_history_)):
        found.update(np.ascontiguousarray(array).tobytes())
    return found.hexdigest()[:16]


def results():
    """Return of each net, trained on the digits, the bits of what it learned and what it predicts of some of them."""
    X, y = digits()
    found = {}
    for name, net in NETS.items():
        fitted = type(net)(**net.get_params()).fit(X, y)
        found[name] = {"bits": bits(fitted), "answers": answers(fitted, X[:40]).round(8).tolist()}
    return found


if __name__ == "__main__":
    warnings.simplefilter("ignore")  # of trainings that are too short
    json.dump(results(), sys.stdout)
    print()
