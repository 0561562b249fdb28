"""Neural networks that are scikit-learn estimators, on a small compiled core.

Every public module is an attribute: ``sklearn_dl.inspection`` works after ``import sklearn_dl``, and is imported then.
"""

from sklearn_dl._lazy import lazy_modules as _lazy_modules
from sklearn_dl._show_versions import show_versions
from sklearn_dl._version import __version__
from sklearn_dl.convnet import ThreeLayerConvNet
from sklearn_dl.fully_connected import FullyConnectedNet, FullyConnectedRegressor, TwoLayerNet
from sklearn_dl.linear import Softmax
from sklearn_dl.persistence import load

__all__ = [
    "FullyConnectedNet",
    "FullyConnectedRegressor",
    "Softmax",
    "ThreeLayerConvNet",
    "TwoLayerNet",
    "__version__",
    "load",
    "show_versions",
]

__getattr__, __dir__ = _lazy_modules(__name__, __path__)
