"""Saving and loading of estimators and nets, whose modules register their kind of object here.

Nets and estimators each define how an object becomes a tree, which `sklearn_dl._archive` writes, and how it is made of
one again; their own methods ``save`` and ``load`` need not know the other kinds.
"""

import os
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from sklearn_dl._archive import read, write

__all__ = ["Kind", "check_class", "load", "refusal", "register", "save"]


@dataclass(frozen=True)
class Kind:
    """Objects that are saved and loaded in one way.

    Parameters
    ----------
    base : type
        What all of them are instances of.
    classes : dict of str to type
        The classes that a file may name.
    to_tree : callable
        Takes an instance of the base. Returns the tree, and a function from keys that lead to a node of the tree to
        words for error messages. Raises TypeError for instances of other classes.
    is_tree : callable
        Takes what a file holds, anything. Returns whether it is a tree of this kind.
    from_tree : callable
        Takes such a tree, the class that is expected or None, the file's name and a phrase that says which version
        wrote it. Returns the object, or raises ValueError.
    """

    base: type
    classes: dict[str, type]
    to_tree: Callable[[Any], tuple[Any, Callable[[tuple], str]]]
    is_tree: Callable[[Any], bool]
    from_tree: Callable[[Any, type | None, str, str], Any]


_KINDS: dict[str, Kind] = {}


def register(name, kind):
    """Enter a kind.

    Parameters
    ----------
    name : str
        Its name.
    kind : Kind
        How its objects are saved and loaded.
    """
    _KINDS[name] = kind


def refusal(thing):
    """Return the error for an object that cannot be saved."""
    known = ", ".join(name for _, kind in sorted(_KINDS.items()) for name in kind.classes)
    return TypeError(
        f"estimator must be an instance of {known} itself, got {type(thing).__name__}; use pickle or joblib for"
        " anything else."
    )


def save(estimator, path):
    """Save an estimator of this package, fitted or not, or a net to one file.

    Parameters
    ----------
    estimator : estimator of this package; or Net, FullyConnected, ThreeLayerConv
        A classifier or regressor (Softmax, TwoLayerNet, FullyConnectedNet, FullyConnectedRegressor, ThreeLayerConvNet),
        or a net of `sklearn_dl.nets`, to save. Subclasses, pipelines, searches and nets with layers of other
        packages are refused, because a file cannot bring code along: use pickle, joblib or skops for them (see
        `SKOPS_TRUSTED`). Callbacks are left out for the same reason.
    path : str or os.PathLike
        Name of the file, any extension. An existing file is replaced in one step, and keeps its
        permission bits.

    Raises
    ------
    TypeError
        If `estimator` or a layer is of another class, or one of its parameters is an object that cannot be
        stored without pickle (the message names it), or `path` is no path. Nothing has been
        written then.
    OSError
        If the folder does not exist, `path` is a directory or write-protected, or writing fails.
        An existing file is untouched, and no other file is left behind.

    See Also
    --------
    load : The way back.

    Examples
    --------
    >>> import os, tempfile
    >>> from sklearn_dl import TwoLayerNet, load
    >>> from sklearn_dl.persistence import save
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     path = os.path.join(folder, "net.model")
    ...     save(TwoLayerNet(hidden_dim=50, random_state=0), path)
    ...     load(path)
    TwoLayerNet(hidden_dim=50, random_state=0)
    """
    for kind in _KINDS.values():
        if isinstance(estimator, kind.base):
            write(path, *kind.to_tree(estimator))
            return
    raise refusal(estimator)


def load(path, expected_class=None):
    """Load an estimator or a net that :func:`~sklearn_dl.persistence.save` wrote; no code from the file is run.

    Parameters
    ----------
    path : str or os.PathLike
        Name of the file, written by this release or an earlier one.
    expected_class : type, default=None
        If given, an estimator or net of another class is refused.

    Returns
    -------
    estimator : estimator of this package; or Net, FullyConnected, ThreeLayerConv
        Estimator with the parameters and learned attributes that it was saved with. A parameter
        that did not exist then has its default value. Or a net, with its random state.

    Raises
    ------
    ValueError
        If the file is damaged, cut short, written by a newer version of the format, not written
        by `save`, or holds an estimator or net that is no `expected_class`.
    OSError
        If there is no such file, or it is a directory.

    See Also
    --------
    sklearn_dl.persistence.save : Writes the file.

    Examples
    --------
    >>> import os, tempfile
    >>> import numpy as np
    >>> from sklearn_dl import Softmax, load
    >>> X, y = np.array([[0.0], [1.0], [2.0], [3.0]]), ["a", "a", "b", "b"]
    >>> clf = Softmax(random_state=0).fit(X, y)
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     clf.save(os.path.join(folder, "clf"))
    ...     loaded = load(os.path.join(folder, "clf"))
    >>> bool((loaded.predict_proba(X) == clf.predict_proba(X)).all())
    True
    """
    if not (expected_class is None or isinstance(expected_class, type)):
        raise TypeError(f"expected_class must be a class or None, got {expected_class!r}.")
    tree, writer = read(path)
    file = repr(os.fspath(path))
    for kind in _KINDS.values():
        if kind.is_tree(tree):
            return kind.from_tree(tree, expected_class, file, writer)
    raise ValueError(f"{file} holds no estimator and no net; read_archive reads what it holds.")


def check_class(cls, expected_class, file):
    """Raise ValueError unless the class of what a file holds is the expected one or a subclass."""
    if expected_class is not None and not issubclass(cls, expected_class):
        raise ValueError(
            f"{file} holds a {cls.__name__}, not a {expected_class.__name__}; load it with {cls.__name__}.load or"
            " sklearn_dl.load."
        )
