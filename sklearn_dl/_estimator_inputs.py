"""What estimators check of X and y, by scikit-learn's checks and against what they have learned.

The functions take the estimator as scikit-learn's `validate_data` does, which learns the number and the names of the
features, or compares them. `takes_sparse` says whether X may be a sparse matrix.
"""

import numpy as np
from sklearn.utils.validation import validate_data

from sklearn_dl._arrays import all_finite
from sklearn_dl._inputs import (
    are_finite_numbers,
    as_native,
    check_unstated_images,
    check_weights,
    flatten_images,
    named,
    naming_columns,
    transposed_hint,
    warn_of_stated_images,
)

_PLAIN = frozenset(map(np.dtype, "?bBhHiIlLqQefdg"))


def check_training_data(estimator, X, y, *, takes_sparse, reset, **y_options):
    """Return X as rows and y as an array, both checked, and the shape (C, H, W) of images, None for rows.

    `reset` is whether to learn the features, or else to compare them; `y_options` are those of scikit-learn's
    `validate_data` that say what y may be.
    """
    X, image_shape = flatten_images(X, takes_sparse=takes_sparse)
    finite = are_finite_numbers(X)
    if finite and X.ndim == 2 and X.size and _are_labels_of(X, y):
        validate_data(estimator, X, y, reset=reset, skip_check_array=True)
        return as_native(X), y, image_shape
    with naming_columns(X):
        X, y = _validate(
            estimator, X, y, takes_sparse=takes_sparse, reset=reset, ensure_all_finite=not finite, **y_options
        )
        X = as_native(X)
    return X, y, image_shape


def _are_labels_of(X, y):
    """Return whether y is an array of integers, one for each row of X, in which nothing can be wrong."""
    return type(y) is np.ndarray and y.shape == X.shape[:1] and y.dtype.kind in "iu" and y.dtype.isnative


def check_X(estimator, X, *, takes_sparse):
    """Return X to predict as rows, checked against what was learned."""
    if is_plain(estimator, X) and all_finite(X):
        return as_native(X)
    X, image_shape = flatten_images(X, takes_sparse=takes_sparse)
    with naming_columns(X):
        finite = are_finite_numbers(X)
        X = as_native(_validate(estimator, X, takes_sparse=takes_sparse, reset=False, ensure_all_finite=not finite))
    check_image_shape(estimator, image_shape)
    return X


def _validate(estimator, X, *y, takes_sparse, **options):
    """Let scikit-learn check X (and y): real numbers of any dtype."""
    return validate_data(estimator, X, *y, dtype="numeric", accept_sparse="csr" if takes_sparse else False, **options)


def is_plain(estimator, X):
    """Return whether X is so plain an array of rows or images that only nan and infinity may be wrong with it.

    scikit-learn's checks take longer than a small net takes to predict one row. What is wrong is left to them.
    """
    learned = vars(estimator)
    return (
        type(X) is np.ndarray
        and X.dtype in _PLAIN
        and X.flags.aligned
        and X.ndim > 1
        and X.shape[0] > 0
        and X.shape[1:] in ((learned.get("n_features_in_"),), learned.get("input_shape_"))
        and "feature_names_in_" not in learned
    )


def check_image_shape(estimator, image_shape):
    """Raise ValueError if X's images are of another shape (C, H, W) than those learned."""
    learned = getattr(estimator, "input_shape_", None)
    if None not in (image_shape, learned) and image_shape != learned:
        raise ValueError(
            f"X holds images of shape {image_shape}, but {type(estimator).__name__} was fitted on {learned} (C, H, W)."
            + transposed_hint(image_shape, learned)
        )


def check_learned_shape(estimator, image_shape, n_samples, *, reset):
    """Look at the `input_shape_` that was learned, if any, of X with images of `image_shape`, None for rows."""
    learned = getattr(estimator, "input_shape_", None)
    if learned is not None and estimator.input_shape is None:
        check_unstated_images(image_shape, learned, n_samples)
    elif learned is not None and reset:
        warn_of_stated_images(learned)


def check_validation_data(estimator, X_val, y_val, sample_weight_val, *, task, takes_sparse):
    """Return X_val as rows, the targets that `task` makes of y_val, and weights or None; None where there is no set."""
    if X_val is None and y_val is None:
        if sample_weight_val is not None:
            raise ValueError("sample_weight_val was given without X_val and y_val.")
        return None
    for name, value in (("X_val", X_val), ("y_val", y_val)):
        if value is None:
            raise ValueError(f"{name} is None: X_val and y_val must be given together.")
    with named("X_val"):
        X_val = check_X(estimator, X_val, takes_sparse=takes_sparse)
    y_val = task.as_y("y_val", y_val)
    if len(y_val) != len(X_val):
        shape = len(X_val), *y_val.shape[1:]
        raise ValueError(f"y_val must have shape {shape}, one entry for each row of X_val, got {y_val.shape}.")
    if sample_weight_val is not None:
        sample_weight_val = check_weights("sample_weight_val", sample_weight_val, X_val)
        y_val = task.as_y("y_val", y_val, sample_weight_val)
    return X_val, task.encode(y_val, name="y_val", among="in y:"), sample_weight_val
