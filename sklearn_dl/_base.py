"""BaseNetClassifier: everything that makes a net a scikit-learn classifier.

The way of `fit`, each step a method: check parameters -> check X, y and weights -> encode labels -> pick the rows to
train and to validate on -> make or continue the net -> hand both to a `Solver` -> learn its results. A subclass says
which net its parameters describe (`_net_config`), nothing else.

A training set that fits into one minibatch is put into canonical form first: equal rows are merged, their weights
added, and the rest sorted. Then weights act as repetition does to the last bit, in float32 too, and the order of the
rows does not matter. Where images are augmented, those that were merged share their random changes. Larger sets keep
their rows; a weight multiplies a sample's loss.
"""

import copy
import math
import numbers
import time
from contextlib import contextmanager, nullcontext

import numpy as np
from sklearn.base import BaseEstimator, ClassifierMixin
from sklearn.utils import check_random_state
from sklearn.utils.multiclass import check_classification_targets
from sklearn.utils.validation import (
    check_is_fitted,
    validate_data,
)

from sklearn_dl import _ext, persistence
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
from sklearn_dl._checks import check_real
from sklearn_dl._doc_link import DocLinkMixin
from sklearn_dl._inputs import (
    as_array,
    as_native,
    check_labels,
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
)
from sklearn_dl._interrupts import stopping_at_interrupt
from sklearn_dl._keywords import explain_keywords
from sklearn_dl._names import HistoryNames
from sklearn_dl._parameters import LEARNING_RATES, check_parameters
from sklearn_dl._progress import in_joblib_worker, make_displays
from sklearn_dl._scales import warn_of_other_scale
from sklearn_dl._threads import ThreadTuner, hold_threads
from sklearn_dl.solver import EVALUATION_BATCH, UPDATE_RULES, Solver


class BaseNetClassifier(HistoryNames, CallbackSupportMixin, DocLinkMixin, ClassifierMixin, BaseEstimator):
    """Base of the estimators; see the module."""

    def _keep(self, params):
        """Set the parameters as given; `params` are the locals of a subclass's ``__init__``."""
        for name, value in params.items():
            if name != "self":
                setattr(self, name, value)

    # ------------------------------------------------- what a subclass states

    _net_class = None
    _learning_rates = LEARNING_RATES

    def _net_config(self, n_features, n_classes):
        """Return the arguments of the net, but for dtype and random_state."""
        raise NotImplementedError

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

        Raises
        ------
        TypeError, ValueError
            If a parameter or an array is not as described, or the loss becomes infinite or nan. A fitted estimator is
            then as it was, as after an error in a callback.

        Warns
        -----
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
            interrupted = self._fit(X, y, sample_weight, (X_val, y_val, sample_weight_val))
        if interrupted:
            warn_caller(
                f"Training was interrupted in epoch {self.n_iter_}: the estimator has the"
                f" {'weights so far' if self.best_val_score_ is None else 'best weights so far'}."
            )
        return self

    @with_callbacks
    def _fit(self, X, y, sample_weight, validation):
        params = check_parameters(self)
        going_on = params["warm_start"] and hasattr(self, "params_")
        X_given, weight_given = X, sample_weight
        X, y = self._check_training_data(X, y, reset=not going_on)
        classes = np.unique(y)
        if going_on and not np.array_equal(classes, self.classes_):
            raise ValueError(
                f"With warm_start, y must hold the classes of the first fit, {self.classes_}, got {classes}."
            )
        self.classes_ = classes
        alone = not (in_joblib_worker() or is_one_of_many(self))
        watchers = make_displays(params["verbose"], alone=alone, may_draw=not draws_bars(self))
        if get_callbacks(self):
            watchers.append(FitTask(self, X_given, y, weight_given, learn=self._learn, snapshot=self._snapshot))
        y = np.searchsorted(classes, y)
        self._class_totals = 0.0
        sample_weight = self._combine_weights(X, y, sample_weight)
        validation = self._check_validation_data(*validation)
        if validation is not None:
            warn_of_other_scale(X, validation[0])
        return self._train(
            X,
            y,
            sample_weight,
            validation,
            params,
            going_on,
            num_epochs=params["num_epochs"],
            num_iters=params["num_iters"],
            watchers=watchers,
            can_interrupt=alone,
        )

    @explain_keywords
    def partial_fit(self, X, y, classes=None, sample_weight=None):
        """Train for one epoch on a part of the data, going on from what is there.

        Weights, the update rule's state and the learning rate's decay continue. `num_epochs`, `num_iters`, `tol` and
        `early_stopping` do not apply, but for the length of `lr_schedule`: `num_epochs` calls, or `num_iters` updates,
        counted from the last `fit`. ``class_weight='balanced'`` balances the classes' totals over all calls so far.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_features) or (n_samples, C, H, W)
        y : array-like of shape (n_samples,)
        classes : array-like of shape (n_classes,), default=None
            All labels that any call will bring. Required in the first call.
        sample_weight : array-like of shape (n_samples,), default=None

        Returns
        -------
        self : object

        Raises
        ------
        ValueError
            If the first call has no `classes`, a later one other ones, or y has a label that is not among them; if
            `lr_schedule` has come to its end. After any error, and after Ctrl-C, a fitted estimator is as it was.
        """
        with self._unchanged_on_error(in_place=True):
            self._partial_fit(X, y, classes, sample_weight)
        return self

    @contextmanager
    def _unchanged_on_error(self, *, in_place):
        """Put back the attributes after an error; `in_place`, also what changes when training goes on from a fit."""
        before = dict(self.__dict__)
        with self._arrays_unchanged_on_error() if in_place and hasattr(self, "params_") else nullcontext():
            try:
                yield
            except BaseException:
                self.__dict__.clear()
                self.__dict__.update(before)
                raise

    @contextmanager
    def _arrays_unchanged_on_error(self):
        """Put back weights, the update rule's state and the random state after an error."""
        arrays = [*self.params_.values(), *self.running_stats_.values()]
        arrays += [
            value for state in self._optim_state.values() for value in state.values() if isinstance(value, np.ndarray)
        ]
        copies = [array.copy() for array in arrays]
        drawn_so_far = self._random_state.get_state()
        try:
            yield
        except BaseException:
            for array, value in zip(arrays, copies, strict=True):
                array[...] = value
            # A generator of the caller's own is not ours to turn back.
            if isinstance(self.random_state, numbers.Integral):
                self._random_state.set_state(drawn_so_far)
            raise

    def _partial_fit(self, X, y, classes, sample_weight):
        params = check_parameters(self)
        going_on = hasattr(self, "params_")
        X, y = self._check_training_data(X, y, reset=not going_on)
        self._check_classes(classes, y, going_on)
        y = np.searchsorted(self.classes_, y)
        sample_weight = self._combine_weights(X, y, sample_weight)
        params = {**params, "early_stopping": False, "tol": None}
        # A bar for every part of the data would be many.
        watchers = make_displays(params["verbose"], alone=not in_joblib_worker(), may_draw=False)
        self._train(
            X,
            y,
            sample_weight,
            None,
            params,
            going_on,
            num_epochs=1,
            schedule_length=(params["num_epochs"], params["num_iters"]),
            watchers=watchers,
        )

    def _check_classes(self, classes, y, going_on):
        """Learn classes_ from the first partial_fit, check the later ones, and y, against it."""
        if classes is not None:
            classes = np.unique(check_labels("classes", classes))
        if not going_on:
            self._class_totals = 0.0
            if classes is None:
                raise ValueError(
                    "classes must be given in the first call of partial_fit: all labels that y will ever hold."
                )
            self.classes_ = classes
        elif classes is not None and not np.array_equal(classes, self.classes_):
            raise ValueError(f"classes={classes} is not the same as in the first call of partial_fit, {self.classes_}.")
        unseen = np.setdiff1d(y, self.classes_)
        if len(unseen):
            raise ValueError(f"y has labels {unseen}, which are not among classes {self.classes_}.")

    def _train(
        self,
        X,
        y,
        sample_weight,
        validation,
        params,
        going_on,
        *,
        num_epochs,
        num_iters=None,
        schedule_length=None,
        watchers,
        can_interrupt=False,
    ):
        """Run a Solver and learn its results; return whether Ctrl-C ended it."""
        if not going_on:
            self._random_state = check_random_state(self.random_state)
            self._net = self._make_net(X.dtype, params)
        else:
            self._check_same_net(params)
        self._net.reg = self._net_config(X.shape[1], len(self.classes_))["reg"]
        rows, sample_weight = self._training_rows(sample_weight)
        n_samples = len(X) if rows is None else len(rows)
        if n_samples <= params["batch_size"]:
            if rows is not None:
                X, y = X[rows], y[rows]
                sample_weight = None if sample_weight is None else sample_weight[rows]
            X, y, sample_weight = merge_duplicates(X, y, sample_weight)
            rows = None
        data = {"X_train": X, "y_train": y, "sample_weight_train": sample_weight, "rows_train": rows}
        if validation is not None:
            data.update(zip(("X_val", "y_val", "sample_weight_val"), validation, strict=True))
        elif params["early_stopping"]:
            self._set_aside(data, params["validation_fraction"])
        solver = Solver(
            self._net,
            data,
            update_rule=params["update_rule"],
            optim_config=params["optim_config"],
            lr_decay=params["lr_decay"],
            batch_size=params["batch_size"],
            num_epochs=num_epochs,
            num_iters=num_iters,
            shuffle=params["shuffle"],
            tol=params["tol"],
            n_iter_no_change=params["n_iter_no_change"],
            early_stopping=params["early_stopping"],
            verbose=False,
            random_state=self._random_state,
            lr_schedule=params["lr_schedule"],
            augmentation=params["augmentation"],
            watchers=watchers,
        )
        solver.schedule_length = schedule_length
        if going_on:
            self._continue(solver)
        else:
            self.best_val_score_ = None
        updates_before = solver.num_updates
        with stopping_at_interrupt(solver) if can_interrupt else nullcontext() as interrupts:
            solver.train()
        if interrupts and solver.num_updates == updates_before:
            raise KeyboardInterrupt
        self._learn(solver)
        return bool(interrupts)

    def _training_rows(self, sample_weight):
        """Return the rows with a weight above zero (None: all of them), and the weights (None: all the same)."""
        if sample_weight is None:
            return None, None
        rows = np.flatnonzero(sample_weight)
        uniform = drop_uniform(sample_weight[rows]) is None
        return None if len(rows) == len(sample_weight) else rows, None if uniform else sample_weight

    def _set_aside(self, data, fraction):
        """Move a share of the training rows to the validation set."""
        from sklearn.model_selection import train_test_split  # three quarters of what importing sklearn_dl would take

        rows = data["rows_train"]
        rows = np.arange(len(data["X_train"])) if rows is None else rows
        counts = np.bincount(data["y_train"][rows])
        n_val = math.ceil(fraction * len(rows))
        if n_val == len(rows):
            raise ValueError(
                f"validation_fraction={fraction} with n_samples={len(rows)} (different ones, of a weight above 0)"
                " leaves none to train on: lower it, or give X_val and y_val."
            )
        n_classes = np.count_nonzero(counts)
        can_stratify = counts[counts > 0].min() > 1 and n_classes <= min(n_val, len(rows) - n_val)
        train, val = train_test_split(
            rows,
            test_size=fraction,
            stratify=data["y_train"][rows] if can_stratify else None,
            random_state=self._random_state,
        )
        data.update(
            X_val=data["X_train"],
            y_val=data["y_train"],
            sample_weight_val=data["sample_weight_train"],
            rows_train=train,
            rows_val=val,
        )

    def _make_net(self, X_dtype, params):
        dtype = params["dtype"]
        if dtype == "auto":
            dtype = "float64" if X_dtype == np.float64 else "float32"
        self._net_args = self._full_net_config(dtype)
        return self._net_class(**self._net_args, random_state=self._random_state)

    def _full_net_config(self, dtype):
        """Return the net's arguments as fitted, but for what may change between fits."""
        config = self._net_config(self.n_features_in_, len(self.classes_))
        del config["reg"]
        return {**config, "dtype": dtype}

    def _check_same_net(self, params):
        """Raise if the parameters describe another net than the one that is to be trained on."""
        made = self._net_args
        now = self._full_net_config(made["dtype"] if params["dtype"] == "auto" else params["dtype"])
        changed = [f"{name} from {made[name]!r} to {now[name]!r}" for name in made if made[name] != now[name]]
        if changed:
            raise ValueError(f"A net that is trained on (warm_start, partial_fit) cannot change {', '.join(changed)}.")

    def _continue(self, solver):
        """Give the solver the update rule's state and the histories of the last fit."""
        if self._update_rule == solver.update_rule:
            for name, state in self._optim_state.items():
                solver.optim_configs[name].update(state)
        solver.epoch = self.n_iter_
        solver.num_epochs += self.n_iter_
        solver.loss_history = list(self.loss_history_)
        solver.learning_rate_history = list(self.learning_rate_history_)
        solver.train_acc_history = list(self.train_acc_history_)
        solver.history = copy.deepcopy(self.history_)
        # Epochs that had no validation set: the two histories stay in step.
        missing = len(self.train_acc_history_) - len(self.val_acc_history_) if solver.validates else 0
        solver.val_acc_history = [math.nan] * missing + list(self.val_acc_history_)
        if solver.num_iters is not None:
            solver.num_iters += len(self.loss_history_)
        self._continue_schedule(solver)

    def _continue_schedule(self, solver):
        """Tell the solver where in its schedule it is: at the beginning, unless partial_fit follows on partial_fit."""
        solver.schedule_began = solver.epoch, solver.num_updates
        if self._schedule["lr_schedule"] != repr(solver.lr_schedule):
            return
        solver.schedule_state = dict(self._schedule["state"])
        if solver.schedule_length is None or not self._schedule["in_parts"]:
            return
        solver.schedule_began = self._schedule["began"]
        update, num_updates = solver.schedule_position()
        if update >= num_updates and solver.lr_schedule is not None and solver.lr_schedule.needs_length:
            name = "num_epochs" if self.num_iters is None else "num_iters"
            raise ValueError(
                f"lr_schedule={self.lr_schedule!r} has come to its end, that of {name}={getattr(self, name)}: to go on"
                f" with partial_fit, raise {name}, or set lr_schedule=None."
            )

    def _learn(self, solver):
        self.params_ = self._net.params
        self.running_stats_ = self._net.statistics
        self.loss_history_ = solver.loss_history
        self.learning_rate_history_ = solver.learning_rate_history
        self.train_acc_history_ = solver.train_acc_history
        self.val_acc_history_ = solver.val_acc_history
        if self.val_acc_history_:
            missing = len(solver.train_acc_history) - len(solver.val_acc_history)
            self.val_acc_history_ += [math.nan] * missing
        self.history_ = solver.history
        self.n_iter_ = solver.epoch
        if solver.validates:
            self.best_val_score_ = solver.best_val_acc
        self._update_rule = solver.update_rule
        constants = UPDATE_RULES[solver.update_rule]
        self._optim_state = {
            name: {key: value for key, value in config.items() if key not in constants}
            for name, config in solver.optim_configs.items()
        }
        self._schedule = {
            "lr_schedule": repr(solver.lr_schedule),
            "began": solver.schedule_began,
            "state": solver.schedule_state,
            "in_parts": solver.schedule_length is not None,
        }

    def _snapshot(self, solver):
        """Return the attributes of a copy that shares nothing, with the weights that training would end with now."""
        state = self.__getstate__()
        state.pop(CALLBACKS, None)
        twin = type(self).__new__(type(self))
        twin.__setstate__(copy.deepcopy(state))
        solver.write_best(twin._net)
        return vars(twin)

    # ---------------------------------------------------------------- checks

    def _check_training_data(self, X, y, *, reset):
        X, image_shape = flatten_images(X)
        with naming_columns(X):
            finite = is_finite(X)
            X, y = validate_data(self, X, as_array("y", y), reset=reset, dtype="numeric", ensure_all_finite=not finite)
            X = as_native(X)
        check_classification_targets(y)
        if reset or getattr(self, "input_shape", None) is not None:
            self._learn_input_shape(image_shape, X.shape[1])
            learned = getattr(self, "input_shape_", None)
            if learned is not None and self.input_shape is None:
                check_unstated_images(image_shape, learned, len(X))
        else:
            self._check_image_shape(image_shape)
        return X, y

    def _check_X(self, X):
        """Return X to predict as rows, checked against what was learned."""
        if self._is_plain(X) and is_finite(X):
            return X.reshape(len(X), -1)
        X, image_shape = flatten_images(X)
        with naming_columns(X):
            X = as_native(validate_data(self, X, reset=False, dtype="numeric"))
        self._check_image_shape(image_shape)
        return X

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
        y_val = check_labels("y_val", y_val)
        if y_val.shape != (len(X_val),):
            raise ValueError(
                f"y_val must have shape ({len(X_val)},), one label for each row of X_val, got {y_val.shape}."
            )
        unseen = np.setdiff1d(y_val, self.classes_)
        if len(unseen):
            raise ValueError(f"y_val has labels {unseen}, which are not in y: {self.classes_}.")
        if sample_weight_val is not None:
            sample_weight_val = check_weights("sample_weight_val", sample_weight_val, X_val)
        return X_val, np.searchsorted(self.classes_, y_val), sample_weight_val

    def _combine_weights(self, X, y, sample_weight):
        """Return sample weights times class weights in float64, or None without either."""
        if sample_weight is not None:
            sample_weight = check_weights("sample_weight", sample_weight, X)
        self._class_totals = self._class_totals + np.bincount(y, sample_weight, minlength=len(self.classes_))
        if self.class_weight is not None:
            weights = self._class_weights()[y]
            sample_weight = weights if sample_weight is None else weights * sample_weight
        if sample_weight is not None and not sample_weight.any():
            raise ValueError(f"class_weight={self.class_weight!r} leaves no sample a weight above 0.")
        return sample_weight

    def _class_weights(self):
        """Return one weight for each class."""
        if self.class_weight == "balanced":
            totals = self._class_totals
            shares = np.divide(1, totals, out=np.zeros(len(totals)), where=totals > 0)
            return shares * totals.sum() / np.count_nonzero(totals)
        given = {
            label: check_real(f"class_weight[{label!r}]", weight, low=0) for label, weight in self.class_weight.items()
        }
        labels = self.classes_.tolist()
        # As scikit-learn has it: labels that are not here do not matter, unless they are a slip for one that is.
        if len(given.keys() & set(labels)) < min(len(given), len(labels)):
            raise ValueError(
                f"class_weight={self.class_weight!r} has labels that are not among the classes {self.classes_}."
            )
        return np.array([given.get(label, 1.0) for label in labels])

    # ------------------------------------------------------------ prediction

    def __sklearn_is_fitted__(self):
        return hasattr(self, "params_")

    def _scores(self, X):
        """Return the net's scores (n_samples, n_classes), a bounded batch at a time."""
        if not self.__sklearn_is_fitted__():
            check_is_fitted(self)  # has the error, but takes a fifth of the time of a row
        with hold_threads(), np.errstate(over="ignore", invalid="ignore"):
            plain = self._is_plain(X)
            if not plain:
                X = self._check_X(X)
            net = self._net
            work = net.workspace()
            scores = np.empty((len(X), len(self.classes_)), dtype=net.dtype)
            tuner = ThreadTuner()
            for start in range(0, len(X), EVALUATION_BATCH):
                began = time.perf_counter()
                batch = np.ascontiguousarray(X[start : start + EVALUATION_BATCH], dtype=net.dtype)
                # A batch at a time, which is then in the cache.
                if plain and not is_finite(batch):
                    self._check_X(X)
                scores[start : start + EVALUATION_BATCH] = net.scores(batch, work)
                tuner.note(began, len(batch))
        if not _ext.all_finite(scores, 1):
            raise ValueError(f"X holds values too large for the net: in {net.dtype}, some scores are infinite or nan.")
        return scores

    @explain_keywords
    def predict(self, X):
        """Predict labels.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_features) or (n_samples, C, H, W)

        Returns
        -------
        y : ndarray of shape (n_samples,)
            The label of the highest score.
        """
        best = self._scores(X).argmax(axis=1)
        return self.classes_[best]

    @explain_keywords
    def decision_function(self, X):
        """Raw scores, from which the softmax makes probabilities.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_features) or (n_samples, C, H, W)

        Returns
        -------
        scores : ndarray of shape (n_samples, n_classes), or (n_samples,) for two classes
            For two classes, the second's score less the first's.
        """
        scores = self._scores(X)
        return scores[:, 1] - scores[:, 0] if scores.shape[1] == 2 else scores

    @explain_keywords
    def predict_proba(self, X):
        """Probabilities of the classes.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_features) or (n_samples, C, H, W)

        Returns
        -------
        probabilities : ndarray of float64 of shape (n_samples, n_classes)
            In the order of `classes_`.
        """
        # In double precision whatever the net's: single would round small probabilities to zero.
        scores = self._scores(X).astype(np.float64, copy=False)
        _ext.softmax(scores, scores)
        return scores

    @explain_keywords
    def predict_log_proba(self, X):
        """Logarithms of the probabilities; finite where `predict_proba` rounds to zero.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_features) or (n_samples, C, H, W)

        Returns
        -------
        log_probabilities : ndarray of float64 of shape (n_samples, n_classes)
        """
        scores = self._scores(X).astype(np.float64, copy=False)
        _ext.log_softmax(scores, scores)
        return scores

    @explain_keywords
    def score(self, X, y, sample_weight=None):
        """Accuracy of `predict` on X.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_features) or (n_samples, C, H, W)
        y : array-like of shape (n_samples,)
            Labels.
        sample_weight : array-like of shape (n_samples,), default=None
            Weights of the samples.

        Returns
        -------
        score : float
            Share of the samples, by weight, whose label is predicted.
        """
        return super().score(X, as_array("y", y), as_array("sample_weight", sample_weight))

    # ----------------------------------------------------------- persistence

    def save(self, path):
        """Save to one file of arrays and JSON, which `load` reads without running code from it.

        Parameters
        ----------
        path : str or path
            Written only once complete; an existing file is then replaced.
        """
        persistence.save(self, path)

    @classmethod
    def load(cls, path):
        """Load what `save` wrote.

        Parameters
        ----------
        path : str or path

        Returns
        -------
        estimator : object
            Of this class.

        Raises
        ------
        ValueError
            If the file is damaged, of a newer version, or of another class.
        """
        return persistence.load(path, expected_class=cls)

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
        """Leave out the net, whose arrays are in params_ and running_stats_, and a fit under way."""
        state = dict(super().__getstate__())
        for name in DURING_FIT:
            state.pop(name, None)
        if state.pop("_net", None) is not None:
            state["params_"] = dict(state["params_"])
        return state

    def __setstate__(self, state):
        super().__setstate__(state)
        if "params_" not in self.__dict__:
            return
        # The draw of weights that are replaced at once must not count.
        drawn_so_far = self._random_state.get_state()
        self._net = self._net_class(**self._net_args, random_state=self._random_state)
        self._random_state.set_state(drawn_so_far)
        self._net.params.update(self.params_)
        self.params_ = self._net.params
        for name, value in self.running_stats_.items():
            self._net.statistics[name][...] = value
        self.running_stats_ = self._net.statistics
