"""BaseNet: everything that makes a net a scikit-learn estimator, whatever y means.

The steps of `fit`: check parameters -> check X, y and weights -> encode labels -> pick the rows to train and to
validate on -> make or continue the net -> hand both to a `Solver` -> learn its results. What a step knows stands in a
module of functions, which are called here. What y means is a task (`sklearn_dl._tasks`), learned by a subclass for it;
a subclass of that says which net its parameters describe.
"""

from contextlib import nullcontext
from functools import partial

import numpy as np
from sklearn.base import BaseEstimator
from sklearn.exceptions import ConvergenceWarning
from sklearn.utils import check_random_state
from sklearn.utils.validation import check_is_fitted

from sklearn_dl import _saving
from sklearn_dl._callbacks import (
    CallbackSupportMixin,
    FitTask,
    draws_bars,
    get_callbacks,
    is_one_of_many,
    with_callbacks,
)
from sklearn_dl._doc_link import DocLinkMixin
from sklearn_dl._estimator_checkpoint import FitCheckpoint
from sklearn_dl._estimator_continuing import check_same_net, check_schedule_has_room
from sklearn_dl._estimator_inputs import (
    check_image_shape,
    check_learned_shape,
    check_training_data,
    check_validation_data,
    check_X,
    is_plain,
)
from sklearn_dl._estimator_state import pack, published, rebuild, snapshot, trained_apart, upgrade, view
from sklearn_dl._holdout import Sides, count_samples, n_training_rows, solver_data
from sklearn_dl._inputs import check_weights
from sklearn_dl._interrupts import stopping_at_interrupt
from sklearn_dl._keywords import explain_keywords, explain_parameters, explain_set_params
from sklearn_dl._names import HistoryNames
from sklearn_dl._parameters import (
    PLANNED_RATE,
    check_parameters,
    check_rule,
    resolve_batch_size,
    resolve_lengths,
    resolve_plan,
    resolve_reg,
)
from sklearn_dl._progress import in_joblib_worker, make_displays
from sklearn_dl._scales import warn_of_other_scale
from sklearn_dl._warnings import warn_caller
from sklearn_dl.optim import UPDATE_RULES
from sklearn_dl.solver import Solver
from sklearn_dl.training.diagnosis import diagnose
from sklearn_dl.training.prediction import predict_scores
from sklearn_dl.training.state import TrainingState
from sklearn_dl.training.trainee import Trainee


def takes_minibatches(estimator):
    """Return True, or raise AttributeError where `partial_fit` makes no sense."""
    rule = UPDATE_RULES.get(estimator.update_rule) if isinstance(estimator.update_rule, str) else None
    if rule is not None and rule.full_batch:
        raise AttributeError(
            f"partial_fit needs an update rule that takes minibatches; update_rule={rule.name!r} takes all samples at"
            " once."
        )
    return True


class BaseNet(HistoryNames, CallbackSupportMixin, DocLinkMixin, BaseEstimator):
    """Base of the estimators; see the module."""

    def __init_subclass__(cls, **options):
        super().__init_subclass__(**options)
        if "__init__" in vars(cls):
            cls.__init__ = explain_parameters(cls.__init__)

    set_params = explain_set_params(BaseEstimator.set_params)

    def _keep(self, params):
        """Set the parameters as given; `params` are the locals of a subclass's ``__init__``."""
        for name, value in params.items():
            if name != "self":
                setattr(self, name, value)

    # ------------------------------------------------- what a subclass states

    _net_class = None
    # The learning rate of a training that 'auto' plans, over the number of hidden layers.
    _planned_rate = PLANNED_RATE
    # What histories call the score.
    _score_name = "accuracy"

    def _net_config(self, n_features, n_classes):
        """Return the arguments of the net, but for dtype and random_state."""
        raise NotImplementedError

    @property
    def _task(self):
        """What was learned of y: a value of `sklearn_dl._tasks`."""
        raise NotImplementedError

    def _read_y(self, y):
        """Return y as an array or a data frame, and the options of scikit-learn's check that say what it may be."""
        raise NotImplementedError

    def _learn_task(self, y, sample_weight, continuing):
        """Learn what y means, or check that it means what it did."""
        raise NotImplementedError

    def _learn_task_in_parts(self, y, sample_weight, continuing):
        """Learn what y means in `partial_fit`, which is given more than one part of it."""
        raise NotImplementedError

    def _head(self):
        """Return the head, what the net is trained for, for the task."""
        raise NotImplementedError

    def _weigh_classes(self, targets, sample_weight):
        """Return a weight for each class, or None."""
        return None

    def _in_units_of_y(self, letter, last):
        """Return the weights (letter 'W') or biases ('b') of the last layer, for what is predicted."""
        return last

    def _as_parameter(self, argument, value):
        """Return name and value of the parameter that an argument of the net comes from."""
        return "loss" if argument == "head" else argument, value

    def _takes_sparse(self):
        """Return whether X may be a sparse matrix: the net begins with an affine layer."""
        return True

    def _is_linear(self):
        """Return whether the net has no hidden layer; its learning rates are then others."""
        return False

    def _n_hidden(self):
        """Return the number of hidden layers that 'auto' may plan a training for, 0 if it plans none."""
        return 0

    def __sklearn_tags__(self):
        tags = super().__sklearn_tags__()
        tags.input_tags.sparse = self._takes_sparse()
        return tags

    def _learn_input_shape(self, image_shape, n_features):
        """Learn the shape of an image, if the net needs one.

        `image_shape` is (C, H, W) of 4-D X, None for rows.
        """

    # -------------------------------------------------------------- training

    @explain_keywords
    def fit(self, X, y, sample_weight=None, *, X_val=None, y_val=None, sample_weight_val=None):
        """Train the net.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_features) or (n_samples, C, H, W)
            Rows or images, real numbers of any dtype, which stays what it is in memory: they are converted a minibatch
            at a time, and an array that is memory-mapped stays on the disk. As for any net, values of about unit
            variance train best: scale X first (``X / 255``, StandardScaler), or use normalization, or, for raw pixels,
            a `weight_scale` of 1e-3. Whatever NumPy can convert is an array-like: a dataset of h5py or zarr is read
            into memory once, as a whole. An array whose rows are not in one piece (Fortran order, every other column,
            transposed images), or in the other byte order, is copied in its own dtype.
        y : array-like of shape (n_samples,) or (n_samples, n_outputs)
            Labels of classifiers, quantities of regressors. Of the second shape, with a column for each: any number of
            labels for a sample (1 where it has the label, 0 where not; also as a sparse matrix), or several quantities.
        sample_weight : array-like of shape (n_samples,), default=None
            Weights of the samples. Weight 2 acts as the sample twice, 0 as its absence.
        X_val, y_val : array-like, default=None
            Validation set. Its score and loss are recorded after each epoch, the best weights are kept, and
            `early_stopping` watches it. In a Pipeline it is transformed as X is only if routed there: ``Pipeline(…,
            transform_input=["X_val"])``. A search cuts whatever has as many rows as X into folds, X_val too.
        sample_weight_val : array-like, default=None
            Weights of the validation samples.

        Returns
        -------
        self : object
            The fitted estimator itself.

        Raises
        ------
        TypeError, ValueError
            If a parameter or an array is not as described, or the loss becomes infinite or nan. A fitted estimator is
            then as it was, as after an error in a callback.
        RuntimeError
            If the estimator is being trained already, in another thread or in the fit whose callback this is.

        Warns
        -----
        ConvergenceWarning
            If `num_epochs` ended training before `tol` did, with no schedule that plans for it; if the loss on the
            training samples ended above where it began; if too large a step has made a net that predicts them no better
            than the class frequencies do; if X or the first weights are of so large values that the net predicts them
            worse than their class frequencies, or than the mean of y; or if it has learned next to nothing, where X or
            a setting is so small or large that it must be why. The text names the cause.
        UserWarning
            If `X_val` is on another scale than X, as where a Pipeline transforms X alone. Up to 256 rows of each are
            compared; sets of fewer than 20 are not.
        UserWarning
            If the last minibatch of each epoch is a single sample, which batch normalization makes zero. (An error, if
            all are.)
        UserWarning
            If Ctrl-C ended training early. As with MLPClassifier, the estimator is then fitted: it has the weights so
            far (with a validation set, the best of them) and the histories. A second Ctrl-C, one before the first
            update, one in a search's fits (where scikit-learn, from 1.9 on, tells of the search) and one in a worker
            raise KeyboardInterrupt instead, and the estimator is as it was.

        Notes
        -----
        From scikit-learn 1.9 on, callbacks (`sklearn.callback`) can be set with ``set_callbacks``. Each epoch is a task
        to them, and ``estimator.history_`` is up to date when it ends. If `on_fit_task_end` returns True, training ends
        after that epoch. The ``estimator`` that they are given is the one in training, a copy: predictions of this one
        are those of the net as it was until training has ended, in other threads, too.
        """
        with trained_apart(self, going_on=self.warm_start) as twin:
            solver = twin._fit(X, y, sample_weight, (X_val, y_val, sample_weight_val))
        if solver.stop_reason == "interrupted":
            weights = "weights so far" if self.best_val_score_ is None else "best weights so far"
            warn_caller(f"Training was interrupted in epoch {self.n_iter_}: the estimator has the {weights}.")
        for text in diagnose(solver):
            warn_caller(text, ConvergenceWarning)
        return self

    @with_callbacks
    def _fit(self, X, y, sample_weight, validation):
        checked = check_parameters(self)
        params = resolve_plan(checked, n_hidden=self._n_hidden())
        continuing = params["warm_start"] and hasattr(self, "params_")
        X_given, weight_given = X, sample_weight
        X, y, sample_weight = self._check_training_data(X, y, sample_weight, reset=not continuing)
        self._learn_task(y, sample_weight, continuing)
        alone = not (in_joblib_worker() or is_one_of_many(self))
        watchers = make_displays(params["verbose"], alone=alone, may_draw=not draws_bars(self))
        if get_callbacks(self):
            watchers.append(
                FitTask(self, X_given, y, weight_given, learn=self._learn, snapshot=partial(snapshot, self))
            )
        given = {"X": X, "y": y, "sample_weight": sample_weight}
        y = self._task.encode(y)
        weights = sample_weight, self._weigh_classes(y, sample_weight)
        validation = check_validation_data(self, *validation, task=self._task, takes_sparse=self._takes_sparse())
        if validation is not None:
            warn_of_other_scale(X, validation[0])
        checkpoint = None
        if params["checkpoint"] is not None:
            given |= zip(("X_val", "y_val", "sample_weight_val"), validation or (None, None, None), strict=True)
            checkpoint = FitCheckpoint(self, checked, params["lr_schedule"], given, continuing=continuing)
        return self._train(
            X,
            y,
            weights,
            validation,
            params,
            continuing,
            num_iters=params["num_iters"],
            checkpoint=checkpoint,
            watchers=watchers,
            can_interrupt=alone,
        )

    def _partial_fit(self, X, y, sample_weight, **task):
        params = resolve_plan(check_parameters(self), n_hidden=self._n_hidden(), in_parts=True)
        continuing = hasattr(self, "params_")
        X, y, sample_weight = self._check_training_data(X, y, sample_weight, reset=not continuing)
        self._learn_task_in_parts(y, sample_weight, continuing, **task)
        y = self._task.encode(y)
        weights = sample_weight, self._weigh_classes(y, sample_weight)
        params = resolve_lengths({**params, "early_stopping": False, "tol": None})
        # One bar for each part of the data would be too many.
        watchers = make_displays(params["verbose"], alone=not in_joblib_worker(), may_draw=False)
        self._train(
            X,
            y,
            weights,
            None,
            params,
            continuing,
            num_epochs=1,
            schedule_length=(params["num_epochs"], params["num_iters"]),
            watchers=watchers,
        )

    def _train(
        self,
        X,
        y,
        weights,
        validation,
        params,
        continuing,
        *,
        num_epochs=None,
        num_iters=None,
        schedule_length=None,
        checkpoint=None,
        watchers,
        can_interrupt=False,
    ):
        """Run a `Solver`, learn its results and return it."""
        if continuing:
            dtype = self._net_args["dtype"] if params["dtype"] == "auto" else params["dtype"]
            check_same_net(self._net_class, self._net_args, self._full_net_config(dtype), self._as_parameter)
        else:
            self._random_state = check_random_state(self.random_state) if checkpoint is None else checkpoint.generator
            self._net = self._make_net(X.dtype, params)
            self._state = TrainingState.of_net(Trainee(self._net), self._random_state)
        self._net.head = self._head()
        before = self._state.epoch, self._state.num_updates
        in_parts = schedule_length is not None
        if in_parts:
            check_schedule_has_room(self._state, params["lr_schedule"], schedule_length, given=self.lr_schedule)
        sample_weight = weights[0]
        n_rows = X.shape[0] if sample_weight is None else np.count_nonzero(sample_weight)
        params = resolve_batch_size(params, n_rows)
        fraction = params["validation_fraction"] if params["early_stopping"] and validation is None else None
        n_samples = count_samples(X, sample_weight) * (1 - (fraction or 0))
        reg = self._net_config(X.shape[1], self._task.n_outputs)["reg"]
        self._net.reg = resolve_reg(reg, n_samples, params, n_hidden=self._n_hidden())
        sides = Sides(self._state.held_out) if params["warm_start"] and fraction else None
        data = solver_data(
            X,
            y,
            *weights,
            validation,
            batch_size=params["batch_size"],
            fraction=fraction,
            random_state=self._random_state,
            dtype=self._net.dtype,
            sides=sides,
        )
        held_out = self._state.held_out if sides is None else sides.keys
        params = resolve_lengths(params, None if in_parts else n_training_rows(data))
        if num_epochs is None:
            num_epochs = params["num_epochs"]
        solver = Solver(
            self._net,
            data,
            update_rule=params["update_rule"],
            optim_config=check_rule(self, self._net.dtype, planned=params["planned"]),
            clip_norm=params["clip_norm"],
            lr_decay=params["lr_decay"],
            batch_size=params["batch_size"],
            num_epochs=before[0] + num_epochs,
            num_iters=None if num_iters is None else before[1] + num_iters,
            shuffle=params["shuffle"],
            tol=params["tol"],
            n_iter_no_change=params["n_iter_no_change"],
            early_stopping=params["early_stopping"],
            monitor=params["monitor"],
            verbose=False,
            random_state=self._random_state,
            lr_schedule=params["lr_schedule"],
            augmentation=params["augmentation"],
            checkpoint=None if checkpoint is None else checkpoint.files,
            watchers=watchers,
            state=self._state,
            schedule_length=schedule_length,
        )
        if checkpoint is not None:
            checkpoint.restore(solver)
        self._state.held_out = held_out  # whatever the fit that wrote a checkpoint was to note
        with stopping_at_interrupt(solver) if can_interrupt else nullcontext() as interrupts:
            solver.train()
        if interrupts and solver.num_updates == before[1]:
            raise KeyboardInterrupt
        if interrupts:
            self._state.stop_reason = "interrupted"
        self._state.forget_best()
        if in_parts:
            self._state.stop_reason = None  # a part of a training has not ended it
        self._learn(solver)
        return solver

    def _make_net(self, X_dtype, params):
        dtype = params["dtype"]
        if dtype == "auto":
            dtype = "float64" if X_dtype == np.float64 else "float32"
        self._net_args = self._full_net_config(dtype)
        return self._net_class(**self._net_args, random_state=self._random_state)

    def _full_net_config(self, dtype):
        """Return the net's arguments as fitted, but for what may change between fits, as the head's own may."""
        config = self._net_config(self.n_features_in_, self._task.n_outputs)
        del config["reg"]
        return {**config, "head": self._head().name, "dtype": dtype}

    def _learn(self, solver):
        vars(self).update(published(solver.state, self._score_name))

    # ---------------------------------------------------------------- checks

    def _check_training_data(self, X, y, sample_weight, *, reset):
        """Return X as rows, y and the samples' weights in float64 (or None), checked."""
        y, y_options = self._read_y(y)
        X, y, image_shape = check_training_data(self, X, y, takes_sparse=self._takes_sparse(), reset=reset, **y_options)
        if sample_weight is not None:
            sample_weight = check_weights("sample_weight", sample_weight, X)
        if reset or getattr(self, "input_shape", None) is not None:
            self._learn_input_shape(image_shape, X.shape[1])
            check_learned_shape(self, image_shape, len(X), reset=reset)
        else:
            check_image_shape(self, image_shape)
        return X, y, sample_weight

    def _check_X(self, X):
        return check_X(self, X, takes_sparse=self._takes_sparse())

    # ------------------------------------------------------------ prediction

    def __sklearn_is_fitted__(self):
        return hasattr(self, "params_")

    def _scores(self, X):
        """Return the net's scores (n_samples, n_outputs), a bounded batch at a time."""
        if not self.__sklearn_is_fitted__():
            check_is_fitted(self)  # raises; not called otherwise, since it takes a fifth of the time of one row
        return predict_scores(self._net, X, is_plain=is_plain(self, X), check=self._check_X)

    # ----------------------------------------------------------- persistence

    def save(self, path):
        """Save to one file of arrays and JSON, which `load` reads without running code from it.

        Parameters
        ----------
        path : str or path
            Written only once complete; an existing file is then replaced.
        """
        _saving.save(self, path)

    @classmethod
    def load(cls, path):
        """Load what `save` wrote.

        Parameters
        ----------
        path : str or path
            Name of the file.

        Returns
        -------
        estimator : object
            Of this class.

        Raises
        ------
        ValueError
            If the file is damaged, of a newer version, or of another class.
        """
        return _saving.load(path, expected_class=cls)

    def to_onnx(self, X=None, *, options=None, target_opset=None):
        """Convert to an ONNX model, which predicts without Python or this package.

        Parameters
        ----------
        X : ndarray or DataFrame, default=None
            Samples as the model will be given them: the dtype and the shape of the first one count. None is rows
            ``(n, n_features_in_)`` in the dtype that the net computes in.
        options : dict, default=None
            Options of skl2onnx's converters, such as ``{"zipmap": True}``.
        target_opset : int or dict, default=None
            Version of the ONNX operator set; None is 18, which runs in onnxruntime 1.18 and later.

        Returns
        -------
        onnx_model : onnx.ModelProto
            A classifier's has the outputs ``label`` (n,) and ``probabilities`` (n, n_classes), of several labels both
            (n, n_labels); with ``loss='hinge'`` the scores take the place of the probabilities. A regressor's has the
            output ``variable`` (n, n_outputs).

        See Also
        --------
        sklearn_dl.onnx.to_onnx : The same for pipelines; says more about options and errors.

        Examples
        --------
        >>> import numpy as np
        >>> from sklearn_dl import Softmax
        >>> X, y = np.array([[0.0], [1.0], [2.0], [3.0]], np.float32), [0, 0, 1, 1]
        >>> onnx_model = Softmax(random_state=0).fit(X, y).to_onnx()
        >>> [output.name for output in onnx_model.graph.output]
        ['label', 'probabilities']
        """
        from sklearn_dl.onnx import to_onnx  # imports this module

        return to_onnx(view(self), X, options=options, target_opset=target_opset)

    def __getstate__(self):
        return pack(super().__getstate__(), self._score_name)

    def __setstate__(self, state):
        state = upgrade(state, type(self))
        super().__setstate__(state)
        if "params_" in state:
            self._net, training = rebuild(self._net_class, self._net_args, self._random_state, state, self._score_name)
            vars(self).update(published(training, self._score_name))
