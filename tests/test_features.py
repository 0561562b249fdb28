"""What the documentation's table of features says is not there: that it is refused, and not done by halves."""

import numpy as np
import pytest
from sklearn.base import is_classifier

from ._estimators import ESTIMATORS, blobs, each_estimator, small


@each_estimator
def test_no_regressor(cls):
    X, _ = blobs()
    assert is_classifier(cls())
    with pytest.raises(ValueError, match="Unknown label type: continuous"):
        small(cls).fit(X, X[:, 0].astype(float))


class OnGPU:
    """Such an array as PyTorch's or CuPy's: it does not become NumPy's by itself."""

    shape = (50, 16)

    def __array__(self, dtype=None, copy=None):
        raise TypeError("Implicit conversion of an array on a GPU is not allowed")


@pytest.mark.parametrize("method", ["fit", "predict"])
def test_arrays_of_a_gpu_are_refused(method):
    X, y = blobs()
    for cls in ESTIMATORS:
        net = small(cls).fit(X, y)
        before = net.predict_proba(X)
        arguments = (OnGPU(), y) if method == "fit" else (OnGPU(),)
        with pytest.raises(TypeError, match="on a GPU"):
            getattr(net, method)(*arguments)
        np.testing.assert_array_equal(net.predict_proba(X), before)
