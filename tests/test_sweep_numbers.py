"""A short form of tests/sweep_numbers.py, and that it sees what is silently wrong."""

import io

import numpy as np

from sklearn_dl import Softmax

from .sweep_numbers import fit, judge, make_data, run


def test_nothing_goes_wrong_in_silence():
    out = io.StringIO()
    assert run(250, seed=1, out=out) == 0, out.getvalue()


def test_what_is_wrong_is_seen():
    X, y = make_data(Softmax, "softmax")
    estimator = Softmax(num_epochs=2, random_state=0).fit(X, y)
    assert judge(estimator, X, y)[0] == []
    params = estimator._net.params
    for value in params.values():
        value.fill(0)
    estimator.loss_history_[-1] = estimator.loss_history_[0]
    assert judge(estimator, X, y) == (["one prediction for all samples"], np.mean(y == 0))
    next(iter(params.values())).fill(np.nan)
    assert judge(estimator, X, y)[0][0] == next(iter(params))


def test_outcomes():
    assert fit(Softmax, {}, "X", 0)[0] == "fine"
    assert fit(Softmax, {"dtype": "float32"}, "X", 300)[0] == "error"
    assert fit(Softmax, {}, "learning_rate", -20)[0] == "warning"
