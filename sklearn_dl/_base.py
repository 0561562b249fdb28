"""BaseNet: everything that makes a net a scikit-learn estimator, whatever y means.

The steps of `fit`, each a method: check parameters -> check X, y and weights -> encode labels -> pick the rows to
train and to validate on -> make or continue the net -> hand both to a `Solver` -> learn its results. What y means is a
task (`sklearn_dl._tasks`), learned by a subclass for it; a subclass of that says which net its parameters describe.

A training set that fits into one minibatch is put into canonical form: equal rows are merged, their weights added, and
the rest sorted, after the samples for `early_stopping` were set aside. Then weights act as repetition does to the last
bit, in float32 too, and the order of the rows does not matter. Where images are augmented, those that were merged share
their random changes. Larger sets keep their rows; a weight multiplies a sample's loss.
"""

import copy
import inspect
import numbers
import time
from contextlib import contextmanager, nullcontext

import numpy as np
from sklearn.base import BaseEstimator
from sklearn.exceptions import ConvergenceWarning
from sklearn.utils import check_random_state
from sklearn.utils.validation import (
    check_is_fitted,
    validate_data,
)

from sklearn_dl import _ext, _saving
from sklearn_dl._callbacks import (
    CALLBACKS,
    DURING_FIT,
    CallbackSupportMixin,
    FitTask,
    draws_bars,
    get_callbacks,
    is_one_of_many,
    with_callbacks,
)
from sklearn_dl._csr import CSR, as_given
from sklearn_dl._doc_link import DocLinkMixin
from sklearn_dl._holdout import set_aside, set_aside_and_merge
from sklearn_dl._inputs import (
    as_array,
    as_native,
    check_unstated_images,
    check_weights,
    drop_uniform,
    flatten_images,
    is_finite,
    merge_duplicates,
    named,
    naming_columns,
    transposed_hint,
    warn_caller,
    warn_of_stated_images,
)
from sklearn_dl._interrupts import stopping_at_interrupt
from sklearn_dl._keywords import explain_keywords, explain_parameters, explain_set_params
from sklearn_dl._legacy import upgrade_state
from sklearn_dl._names import HistoryNames
from sklearn_dl._parameters import check_parameters, check_rule, resolve_lengths
from sklearn_dl._progress import in_joblib_worker, make_displays
from sklearn_dl._scales import warn_of_other_scale
from sklearn_dl._threads import ThreadTuner, hold_threads
from sklearn_dl.nets.net import predicts_through_loss
from sklearn_dl.optim import UPDATE_RULES
from sklearn_dl.solver import Solver
from sklearn_dl.training.diagnosis import diagnose
from sklearn_dl.training.evaluation import EVALUATION_BATCH
from sklearn_dl.training.state import TrainingState, copy_field
from sklearn_dl.training.trainee import Trainee

# Attributes of an estimator that are fields of the training's state.
PUBLISHED = {
    "params_": "params",
    "running_stats_": "statistics",
    "loss_history_": "loss_history",
    "learning_rate_history_": "learning_rate_history",
    "train_acc_history_": "train_acc_history",
    "val_acc_history_": "val_acc_history",
    "history_": "history",
    "n_iter_": "epoch",
    "best_epoch_": "best_epoch",
    "stop_reason_": "stop_reason",
}


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
    _task_class = None

    def _net_config(self, n_features, n_classes):
        """Return the arguments of the net, but for dtype and random_state."""
        raise NotImplementedError

    @property
    def _task(self):
        """What was learned of y: a value of `sklearn_dl._tasks`."""
        raise NotImplementedError

    def _learn_task(self, y, continuing):
        """Learn what y means, or check that it means what it did."""
        raise NotImplementedError

    def _learn_task_in_parts(self, continuing):
        """Learn what y means in `partial_fit`, which is given more than one part of it."""
        raise NotImplementedError

    def _check_weights(self, X, targets, sample_weight):
        """Return the samples' weights in float64, and one for each class; None where there are none."""
        raise NotImplementedError

    def _as_parameter(self, argument, value):
        """Return name and value of the parameter that an argument of the net comes from."""
        return argument, value

    def _takes_sparse(self):
        """Return whether X may be a sparse matrix: the net begins with an affine layer."""
        return True

    def _is_linear(self):
        """Return whether the net has no hidden layer; its learning rates are then others."""
        return False

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
            Rows or images. uint8 stays uint8 in memory: it is converted a minibatch at a time. As for any net, values
            of about unit variance train best: scale X first (``X / 255``, StandardScaler), or use normalization, or,
            for raw pixels, a `weight_scale` of 1e-3. Whatever NumPy can convert is an array-like: a dataset of h5py or
            zarr is read into memory once, as a whole, and an array that is memory-mapped stays on the disk.
        y : array-like of shape (n_samples,)
            Labels.
        sample_weight : array-like of shape (n_samples,), default=None
            Weights of the samples. Weight 2 acts as the sample twice, 0 as its absence.
        X_val, y_val : array-like, default=None
            Validation set. Its accuracy is recorded after each epoch, the best weights are kept, and `early_stopping`
            watches it. In a Pipeline it is transformed as X is only if routed there: ``Pipeline(…,
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

        Warns
        -----
        ConvergenceWarning
            If `num_epochs` ended training before `tol` did, with no schedule that plans for it; if the loss on the
            training samples ended above where it began; or if too large a step has made a net that predicts them no
            better than the class frequencies do.
        UserWarning
            If `X_val` is on another scale than X, as where a Pipeline transforms X alone. Up to 256 rows of each are
            compared; sets of fewer than 20 are not.
        UserWarning
            If Ctrl-C ended training early. As with MLPClassifier, the estimator is then fitted: it has the weights so
            far (with a validation set, the best of them) and the histories. A second Ctrl-C, one before the first
            update, one in a search's fits (where scikit-learn, from 1.9 on, tells of the search) and one in a worker
            raise KeyboardInterrupt instead, and the estimator is as it was.

        Notes
        -----
        From scikit-learn 1.9 on, callbacks (`sklearn.callback`) can be set with ``set_callbacks``. Each epoch is a task
        to them, and ``estimator.history_`` is up to date when it ends. If `on_fit_task_end` returns True, training ends
        after that epoch.
        """
        with self._unchanged_on_error(in_place=self.warm_start):
            solver = self._fit(X, y, sample_weight, (X_val, y_val, sample_weight_val))
        if solver.stop_reason == "interrupted":
            weights = "weights so far" if self.best_val_score_ is None else "best weights so far"
            warn_caller(f"Training was interrupted in epoch {self.n_iter_}: the estimator has the {weights}.")
        for text in diagnose(solver):
            warn_caller(text, ConvergenceWarning)
        return self

    @with_callbacks
    def _fit(self, X, y, sample_weight, validation):
        params = check_parameters(self)
        continuing = params["warm_start"] and hasattr(self, "params_")
        X_given, weight_given = X, sample_weight
        X, y = self._check_training_data(X, y, reset=not continuing)
        self._learn_task(y, continuing)
        alone = not (in_joblib_worker() or is_one_of_many(self))
        watchers = make_displays(params["verbose"], alone=alone, may_draw=not draws_bars(self))
        if get_callbacks(self):
            watchers.append(FitTask(self, X_given, y, weight_given, learn=self._learn, snapshot=self._snapshot))
        y = self._task.encode(y)
        weights = self._check_weights(X, y, sample_weight)
        validation = self._check_validation_data(*validation)
        if validation is not None:
            warn_of_other_scale(X, validation[0])
        return self._train(
            X,
            y,
            weights,
            validation,
            params,
            continuing,
            num_iters=params["num_iters"],
            watchers=watchers,
            can_interrupt=alone,
        )

    @contextmanager
    def _unchanged_on_error(self, *, in_place):
        """Put back the attributes after an error; `in_place`, also what changes when training goes on from a fit."""
        before = dict(self.__dict__)
        # The state of a generator that the caller passed is not put back.
        own_generator = isinstance(self.random_state, numbers.Integral)
        mark = self._state.mark(generators=own_generator) if in_place and hasattr(self, "_state") else None
        try:
            yield
        except BaseException:
            self.__dict__.clear()
            self.__dict__.update(before)
            if mark is not None:
                self._state.roll_back(mark)
            raise

    def _partial_fit(self, X, y, sample_weight, **task):
        params = check_parameters(self)
        continuing = hasattr(self, "params_")
        X, y = self._check_training_data(X, y, reset=not continuing)
        self._learn_task_in_parts(continuing, **task)
        y = self._task.encode(y)
        weights = self._check_weights(X, y, sample_weight)
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
        watchers,
        can_interrupt=False,
    ):
        """Run a `Solver`, learn its results and return it."""
        if continuing:
            self._check_same_net(params)
        else:
            self._random_state = check_random_state(self.random_state)
            self._net = self._make_net(X.dtype, params)
            self._state = TrainingState.of_net(Trainee(self._net), self._random_state)
        self._net.reg = self._net_config(X.shape[1], self._task.n_outputs)["reg"]
        before = self._state.epoch, self._state.num_updates
        if schedule_length is not None:
            self._check_schedule_has_room(params["lr_schedule"], schedule_length)
        data = self._solver_data(X, y, weights, validation, params)
        rule = UPDATE_RULES[params["update_rule"]]
        single_updates = rule.full_batch or _n_training_rows(data) <= params["batch_size"]
        params = resolve_lengths(params, single_updates=single_updates)
        if num_epochs is None:
            num_epochs = params["num_epochs"]
        solver = Solver(
            self._net,
            data,
            update_rule=params["update_rule"],
            optim_config=check_rule(self, self._net.dtype),
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
            watchers=watchers,
            state=self._state,
            schedule_length=schedule_length,
        )
        with stopping_at_interrupt(solver) if can_interrupt else nullcontext() as interrupts:
            solver.train()
        if interrupts and solver.num_updates == before[1]:
            raise KeyboardInterrupt
        if interrupts:
            self._state.stop_reason = "interrupted"
        self._state.forget_best()
        if schedule_length is not None:
            self._state.stop_reason = None  # a part of a training has not ended it
        self._learn(solver)
        return solver

    def _solver_data(self, X, y, weights, validation, params):
        """Return the data of a `Solver`: rows of a weight above 0, and a validation set; small sets are merged."""
        sample_weight, class_weight = weights
        combined = sample_weight
        if class_weight is not None:
            combined = class_weight[y] if sample_weight is None else class_weight[y] * sample_weight
        rows = None if combined is None or combined.all() else np.flatnonzero(combined)
        if combined is not None and drop_uniform(combined if rows is None else combined[rows]) is None:
            combined = None
        aside = params["early_stopping"] and validation is None
        if (len(X) if rows is None else len(rows)) <= params["batch_size"]:
            if rows is not None:
                X, y = X[rows], y[rows]
                sample_weight, combined = (None if w is None else w[rows] for w in (sample_weight, combined))
            if aside:
                fraction = params["validation_fraction"]
                return set_aside_and_merge(X, y, sample_weight, class_weight, fraction, self._random_state)
            X, y, combined = merge_duplicates(X, y, combined)
            rows = None
        data = {"X_train": X, "y_train": y, "sample_weight_train": combined, "rows_train": rows}
        if validation is not None:
            data.update(zip(("X_val", "y_val", "sample_weight_val"), validation, strict=True))
        return set_aside(data, params["validation_fraction"], self._random_state) if aside else data

    def _make_net(self, X_dtype, params):
        dtype = params["dtype"]
        if dtype == "auto":
            dtype = "float64" if X_dtype == np.float64 else "float32"
        self._net_args = self._full_net_config(dtype)
        return self._net_class(**self._net_args, random_state=self._random_state)

    def _full_net_config(self, dtype):
        """Return the net's arguments as fitted, but for what may change between fits."""
        config = self._net_config(self.n_features_in_, self._task.n_outputs)
        del config["reg"]
        return {**config, "dtype": dtype}

    def _check_same_net(self, params):
        """Raise if the parameters describe another net than the one that is to be trained on."""
        now = self._full_net_config(self._net_args["dtype"] if params["dtype"] == "auto" else params["dtype"])
        # A net of an earlier release was made without the arguments that came later.
        made = {**_defaults(self._net_class), **self._net_args}
        changed = [name for name in now if made[name] != now[name]]
        if changed:
            changes = []
            for argument in changed:
                (name, before), (_, after) = (self._as_parameter(argument, args[argument]) for args in (made, now))
                changes.append(f"{name} from {before!r} to {after!r}")
            raise ValueError(
                f"A net that is trained further (warm_start, partial_fit) cannot change {', '.join(changes)}."
            )

    def _check_schedule_has_room(self, lr_schedule, length):
        """Raise if partial_fit has come to the end of a schedule that has one."""
        state = self._state
        same = state.schedule == repr(lr_schedule) and state.schedule_length is not None
        if not same or lr_schedule is None or not lr_schedule.needs_length:
            return
        epoch, update = state.schedule_began
        done, of = (state.epoch - epoch, length[0]) if length[1] is None else (state.num_updates - update, length[1])
        if done >= of:
            name = "num_epochs" if self.num_iters is None else "num_iters"
            raise ValueError(
                f"lr_schedule={self.lr_schedule!r} has come to its end, that of {name}={of}: to go on with partial_fit,"
                f" raise {name}, or set lr_schedule=None."
            )

    def _learn(self, solver):
        self._publish(solver.state)

    def _publish(self, state):
        """Set the public attributes that a training changes."""
        self._state = state
        for name, field in PUBLISHED.items():
            setattr(self, name, getattr(state, field))
        self.best_val_score_ = state.best_val_acc if state.validated else None

    def _snapshot(self, solver):
        """Return the attributes of a copy that shares nothing, with the weights that training would end with now."""
        state = self.__getstate__()
        state.pop(CALLBACKS, None)
        twin = type(self).__new__(type(self))
        twin.__setstate__(state)
        solver.write_best(twin._net)
        return vars(twin)

    # ---------------------------------------------------------------- checks

    def _check_training_data(self, X, y, *, reset):
        X, image_shape = flatten_images(X, takes_sparse=self._takes_sparse())
        with naming_columns(X):
            X, y = self._validate(X, as_array("y", y), reset=reset, ensure_all_finite=not is_finite(X))
            X = as_native(X)
        self._task_class.check_y(y)
        if reset or getattr(self, "input_shape", None) is not None:
            self._learn_input_shape(image_shape, X.shape[1])
            learned = getattr(self, "input_shape_", None)
            if learned is not None and self.input_shape is None:
                check_unstated_images(image_shape, learned, len(X))
            elif learned is not None and reset:
                warn_of_stated_images(learned)
        else:
            self._check_image_shape(image_shape)
        return X, y

    def _check_X(self, X):
        """Return X to predict as rows, checked against what was learned."""
        if self._is_plain(X) and is_finite(X):
            return X.reshape(len(X), -1)
        X, image_shape = flatten_images(X, takes_sparse=self._takes_sparse())
        with naming_columns(X):
            X = as_native(self._validate(X, reset=False))
        self._check_image_shape(image_shape)
        return X

    def _validate(self, X, *y, **options):
        """Let scikit-learn check X (and y): real numbers of any dtype."""
        return validate_data(
            self, X, *y, dtype="numeric", accept_sparse="csr" if self._takes_sparse() else False, **options
        )

    def _is_plain(self, X):
        """Return whether X is so plain an array of rows or images that only nan and infinity may be wrong with it.

        scikit-learn's checks take longer than a small net takes to predict one row. What is wrong is left to them.
        """
        return (
            type(X) is np.ndarray
            and X.dtype in (np.uint8, np.float32, np.float64)
            and X.flags.aligned
            and X.ndim > 1
            and X.shape[0] > 0
            and X.shape[1:] in ((self.n_features_in_,), getattr(self, "input_shape_", None))
            and not hasattr(self, "feature_names_in_")
        )

    def _check_image_shape(self, image_shape):
        learned = getattr(self, "input_shape_", None)
        if None not in (image_shape, learned) and image_shape != learned:
            raise ValueError(
                f"X holds images of shape {image_shape}, but {type(self).__name__} was fitted on {learned} (C, H, W)."
                + transposed_hint(image_shape, learned)
            )

    def _check_validation_data(self, X_val, y_val, sample_weight_val):
        if X_val is None and y_val is None:
            if sample_weight_val is not None:
                raise ValueError("sample_weight_val was given without X_val and y_val.")
            return None
        for name, value in (("X_val", X_val), ("y_val", y_val)):
            if value is None:
                raise ValueError(f"{name} is None: X_val and y_val must be given together.")
        with named("X_val"):
            X_val = self._check_X(X_val)
        y_val = self._task_class.as_y("y_val", y_val)
        if y_val.shape != (len(X_val),):
            raise ValueError(
                f"y_val must have shape ({len(X_val)},), one label for each row of X_val, got {y_val.shape}."
            )
        if sample_weight_val is not None:
            sample_weight_val = check_weights("sample_weight_val", sample_weight_val, X_val)
        return X_val, self._task.encode(y_val, name="y_val", among="in y:"), sample_weight_val

    # ------------------------------------------------------------ prediction

    def __sklearn_is_fitted__(self):
        return hasattr(self, "params_")

    def _scores(self, X):
        """Return the net's scores (n_samples, n_classes), a bounded batch at a time."""
        if not self.__sklearn_is_fitted__():
            check_is_fitted(self)  # raises; not called otherwise, since it takes a fifth of the time of one row
        net = self._net
        few = self._is_plain(X) and len(X) <= EVALUATION_BATCH and X.dtype == net.dtype and is_finite(X)
        if few and not predicts_through_loss(net):
            # For a few rows, preparing batches would take as long as the arithmetic.
            scores = net.scores(X)
        else:
            scores = self._scores_in_batches(X)
        if not _ext.all_finite(scores, 1):
            raise ValueError(
                f"X holds values too large for the net: in {scores.dtype}, some scores are infinite or nan."
            )
        return scores

    def _scores_in_batches(self, X):
        with hold_threads(), np.errstate(over="ignore", invalid="ignore"):
            plain = self._is_plain(X)
            if not plain:
                X = self._check_X(X)
            net = self._net
            is_sparse = type(X) is CSR
            if is_sparse:
                X = X.astype(net.dtype)
            through_loss = predicts_through_loss(net)
            work = net.workspace()
            scores = np.empty((len(X), self._task.n_outputs), dtype=net.dtype)
            tuner = ThreadTuner()
            for start in range(0, len(X), EVALUATION_BATCH):
                began = time.perf_counter()
                batch = X[start : start + EVALUATION_BATCH]
                if not is_sparse:
                    batch = np.ascontiguousarray(batch, dtype=net.dtype)
                # Checked a batch at a time, while it is in the cache.
                if plain and not is_finite(batch):
                    self._check_X(X)
                scores[start : start + EVALUATION_BATCH] = (
                    net.loss(as_given(batch)) if through_loss else net.scores(batch, work)
                )
                tuner.note(began, len(batch))
        return scores

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
        """Convert to an ONNX model, which gives labels and probabilities without Python or this package.

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
            With the outputs ``label`` (n,) and ``probabilities`` (n, n_classes).

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

        return to_onnx(self, X, options=options, target_opset=target_opset)

    def __getstate__(self):
        """Leave out the net, whose arrays are in the training's state, and a fit under way."""
        state = dict(super().__getstate__())
        for name in DURING_FIT:
            state.pop(name, None)
        if state.pop("_net", None) is None:
            return state
        archive = self._state.to_archive(histories=list)
        for name, field in PUBLISHED.items():
            del archive[field]
            state[name] = copy_field(field, state[name])
        if isinstance(self.random_state, numbers.Integral):  # a copy draws from a generator of its own
            own = copy.deepcopy(self._random_state)
            state["_random_state"] = archive["random_state"] = archive["net_random_state"] = own
        return {**state, "_state": archive}

    def __setstate__(self, state):
        if "_optim_state" in state:
            state = upgrade_state(state)
        # A pickle of an earlier release lacks the parameters that came later.
        super().__setstate__({**_defaults(type(self)), **state})
        if "params_" not in state:
            return
        # The new net draws weights, which are replaced at once: the generator is put back to before this draw.
        drawn_so_far = self._random_state.get_state()
        self._net = self._net_class(**self._net_args, random_state=self._random_state)
        self._random_state.set_state(drawn_so_far)
        restored = TrainingState.of_net(Trainee(self._net), self._random_state)
        restored.restore({**state["_state"], **{field: state[name] for name, field in PUBLISHED.items()}})
        self._publish(restored)


def _n_training_rows(data):
    """Return how many rows the data of a `Solver` trains on."""
    rows = data.get("rows_train")
    return len(data["X_train"] if rows is None else rows)


def _defaults(cls):
    """Return the defaults of a constructor's arguments by name."""
    parameters = inspect.signature(cls).parameters.values()
    return {p.name: p.default for p in parameters if p.default is not p.empty}
