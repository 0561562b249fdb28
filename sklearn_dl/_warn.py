"""Warnings that name the line of the user's code."""

import sys
import warnings

__all__ = ["warn_caller"]

_INSIDE = {__name__.partition(".")[0], "sklearn", "contextlib", "joblib"}


def warn_caller(message, category=UserWarning):
    """Warn at the line that called scikit-learn or this package from outside."""
    level, frame = 1, sys._getframe()
    while frame is not None and frame.f_globals.get("__name__", "").partition(".")[0] in _INSIDE:
        level, frame = level + 1, frame.f_back
    warnings.warn(message, category, stacklevel=level)
