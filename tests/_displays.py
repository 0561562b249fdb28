"""What the tests of the displays share: matplotlib without a screen, digits, and a look at what was drawn."""

import pytest
from sklearn.datasets import load_digits

matplotlib = pytest.importorskip("matplotlib")
matplotlib.use("Agg")
plt = pytest.importorskip("matplotlib.pyplot")

X, y = load_digits(return_X_y=True)
X, y = X[:200] / 16, y[:200]


@pytest.fixture(autouse=True)
def close_figures():
    yield
    plt.close("all")


def drawn(display):
    """Draw for real: errors in text and layout appear here only."""
    display.figure_.canvas.draw()
    assert display.figure_ is display.ax_.figure
    return display


def labels(axis):
    return [text.get_text() for text in axis.get_ticklabels()]


def legend(ax):
    """Return the texts of an axes' legend."""
    return [text.get_text() for text in ax.get_legend().get_texts()]


def overlapping(texts):
    """Return the pairs of texts that overlap."""
    boxes = [text.get_window_extent() for text in texts if text.get_text()]
    return [(i, j) for i, a in enumerate(boxes) for j, b in enumerate(boxes[:i]) if a.overlaps(b)]
