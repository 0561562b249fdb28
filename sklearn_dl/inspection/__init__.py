"""Pictures of a net's weights, of its training, and of a search over its parameters.

The displays follow scikit-learn's: ``from_estimator`` computes and draws, the constructor takes
numbers from anywhere, ``plot`` draws once more, and what was drawn is kept in attributes that end
in ``_``. matplotlib is imported when something is drawn.

``from_estimator`` takes a net, a search, or an estimator around one: pipelines, searches, calibrated and thresholded
classifiers, ensembles, your own wrappers. Where there are several nets, as in most ensembles, the error
says how each of them is reached.
"""

from sklearn_dl.inspection._curves import TrainingCurveDisplay
from sklearn_dl.inspection._sweep import SweepDisplay
from sklearn_dl.inspection._weights import WeightsDisplay, weights_grid

__all__ = ["SweepDisplay", "TrainingCurveDisplay", "WeightsDisplay", "weights_grid"]
