"""What the documentation's table of features says: nothing that scikit-learn's nets have is lacking, and what is not
there is refused, and not done by halves."""

import re
from pathlib import Path

import numpy as np
import pytest

from ._estimators import ESTIMATORS, blobs, small

PAGE = Path(__file__).resolve().parent.parent / "docs" / "features.rst"


@pytest.mark.skipif(not PAGE.exists(), reason="the documentation's files are not part of an installation")
def test_nothing_is_lacking_that_scikit_learns_nets_have():
    rows = re.findall(r"^   \* - (.+)\n     - (.+)\n     - (.+)\n", PAGE.read_text(encoding="utf-8"), re.MULTILINE)
    assert len(rows) > 35
    assert [feature for feature, _, theirs in rows if theirs == "no"]
    assert [feature for feature, ours, theirs in rows if ours == "no" and theirs != "no"] == []


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
