import subprocess
import sys

import numpy as np
import pytest

from sklearn_dl.inspection import SweepDisplay, TrainingCurveDisplay, WeightsDisplay

from . import _displays

close_figures = _displays.close_figures
IMAGES = np.zeros((2, 3, 4, 4))


def test_matplotlib_is_imported_late():
    code = "import sys, sklearn_dl.inspection; sys.exit('matplotlib' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


@pytest.mark.parametrize(
    "display",
    [
        WeightsDisplay(IMAGES),
        TrainingCurveDisplay([1.0]),
        SweepDisplay([[1]], x_values=[1], y_values=[1], param_x="x", param_y="y"),
    ],
)
def test_missing_matplotlib_names_the_extra(monkeypatch, display):
    monkeypatch.setitem(sys.modules, "matplotlib.pyplot", None)
    match = rf'{type(display).__name__}.plot requires .* pip install "sklearn_dl\[plot\]"'
    with pytest.raises(ImportError, match=match):
        display.plot()
