"""scikit-learn's callbacks, where it has them: 1.9 and later.

The only module that imports `sklearn.callback`. With earlier versions the estimators have no ``set_callbacks``, and
everything else works the same.
"""

import functools

from sklearn_dl.solver import Watcher

try:
    from sklearn.callback import CallbackSupportMixin, ProgressBar, with_callbacks
except ImportError:  # scikit-learn < 1.9

    class CallbackSupportMixin:
        """Adds nothing."""

    ProgressBar = ()

    def with_callbacks(method):
        """Return the method."""
        return method


# What scikit-learn keeps on an estimator: for good, and during a fit.
CALLBACKS = "_skl_callbacks"
DURING_FIT = ("_callback_fit_ctx", "_parent_callback_ctx", "_skl_callbacks_to_teardown")


def get_callbacks(estimator):
    """Return the callbacks that were set on an estimator or reach it from an outer one."""
    return getattr(estimator, CALLBACKS, [])


def draws_bars(estimator):
    """Return whether a callback draws scikit-learn's progress bars."""
    return any(isinstance(callback, ProgressBar) for callback in get_callbacks(estimator))


def is_one_of_many(estimator):
    """Return whether this fit is one of several independent ones of an outer estimator, as in a search.

    Only scikit-learn 1.9 and later tell.
    """
    context = getattr(estimator, "_parent_callback_ctx", None)
    while context is not None:
        if not context.sequential_subtasks:
            return True
        context = context.parent
    return False


def single_task(fit):
    """Decorate the ``fit(X, y, sample_weight)`` of an estimator without iterations: to callbacks, it is one task."""

    @with_callbacks
    @functools.wraps(fit)
    def with_task(self, X, y=None, *args, **kwargs):
        if not get_callbacks(self):
            return fit(self, X, y, *args, **kwargs)
        context = self._init_callback_context()
        context.call_on_fit_task_begin(estimator=self, X=X, y=y, metadata=kwargs)
        fit(self, X, y, *args, **kwargs)
        context.call_on_fit_task_end(estimator=self, X=X, y=y, metadata=kwargs, reconstruction_attributes={})
        return self

    return with_task


class FitTask(Watcher):
    """Tells scikit-learn's callbacks of a fit, the root task, and its epochs, the subtasks.

    A callback's wish to stop, the true answer of ``on_fit_task_end``, ends training after the epoch.

    Parameters
    ----------
    estimator : BaseNet
    X, y : array-like
        The training data as given to `fit`, in which the names of features are.
    sample_weight : array-like or None
    learn : callable
        ``learn(solver)`` brings the estimator's learned attributes up to date.
    snapshot : callable
        ``snapshot(solver)`` returns the attributes of a copy of the estimator, to predict as if training had ended.
    """

    def __init__(self, estimator, X, y, sample_weight, *, learn, snapshot):
        metadata = None if sample_weight is None else {"sample_weight": sample_weight}
        self._arguments = {"estimator": estimator, "X": X, "y": y, "metadata": metadata}
        self._learn = learn
        self._snapshot = snapshot

    def on_train_begin(self, solver):
        """Begin the root task."""
        self._learn(solver)
        num_epochs, _ = solver.remaining()
        self._root = self._arguments["estimator"]._init_callback_context(max_subtasks=num_epochs)
        self._root.call_on_fit_task_begin(**self._arguments)

    def on_epoch_begin(self, solver):
        """Begin a subtask."""
        self._epoch = self._root.subcontext(task_name="epoch").call_on_fit_task_begin(**self._arguments)

    def on_epoch_end(self, solver):
        """End the subtask; return whether a callback wants to stop."""
        return self._end(self._epoch, solver)

    def on_train_end(self, solver):
        """End the root task."""
        self._end(self._root, solver)

    def _end(self, context, solver):
        self._learn(solver)
        return context.call_on_fit_task_end(**self._arguments, reconstruction_attributes=lambda: self._snapshot(solver))
