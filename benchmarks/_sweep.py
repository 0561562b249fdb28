"""A parameter search as a scikit-learn user runs it: GridSearchCV over 18 settings.

The net has one hidden layer. The settings are those of the published accuracies; validation is one
fixed split. Everyone starts from weights of the same scale, since MLPClassifier's own are not made
for raw pixels. MLPClassifier has no decay of the learning rate by epoch, and skorch's weight decay
includes the biases: neither changes the work.
"""

import statistics
import time
import warnings
from functools import partial

import numpy as np
from _data import DataSpec
from _report import number, print_table, times, write_json
from _rounds import interleave
from _workers import Absent, Workers
from joblib.externals.loky import get_reusable_executor
from sklearn.model_selection import GridSearchCV, PredefinedSplit
from sklearn.neural_network import MLPClassifier

HIDDEN = (50, 100)
LEARNING_RATES = (7e-4, 1e-3, 1.5e-3)
REGS = (0.0, 0.25, 0.5)
BATCH = 100
DECAY = 0.95
WEIGHT_SCALE = 1e-3
VALIDATION = 1 / 50  # 1,000 of 50,000


class SmallStart(MLPClassifier):
    """MLPClassifier with first weights of the scale that the others have."""

    def _init_coef(self, fan_in, fan_out, dtype):
        weights = self._random_state.normal(scale=WEIGHT_SCALE, size=(fan_in, fan_out))
        return weights.astype(dtype, copy=False), np.zeros(fan_out, dtype)


class Search:
    """A search with one library; subclasses say the estimator and how it calls its parameters.

    Parameters
    ----------
    data : DataSpec
    """

    label = ""

    def __init__(self, data):
        self.X, self.y = data.load()
        fold = np.full(len(self.X), -1)
        fold[-max(1, round(VALIDATION * len(fold))) :] = 0
        self.split = PredefinedSplit(fold)

    def run(self, n_jobs, epochs, quick):
        """Search; return (seconds, best accuracy, number of settings that failed)."""
        grid = self.grid()
        if quick:
            grid = {name: values[:1] for name, values in grid.items()}
        search = GridSearchCV(
            self.estimator(epochs),
            grid,
            cv=self.split,
            refit=False,
            n_jobs=n_jobs,
            error_score=np.nan,
        )
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # MLPClassifier says at each end that it might go on
            start = time.perf_counter()
            try:
                search.fit(self.X, self.y)
            finally:
                seconds = time.perf_counter() - start
                # Otherwise this process would wait for its idle jobs when it ends.
                get_reusable_executor().shutdown(wait=True)
        scores = search.cv_results_["mean_test_score"]
        return seconds, float(np.nanmax(scores)), int(np.isnan(scores).sum())


class Ours(Search):
    """sklearn_dl's TwoLayerNet."""

    label = "sklearn_dl"

    def __init__(self, data):
        from sklearn_dl import TwoLayerNet

        super().__init__(data)
        self.cls = TwoLayerNet

    def estimator(self, epochs):
        return self.cls(
            num_epochs=epochs,
            batch_size=BATCH,
            update_rule="sgd",
            lr_decay=DECAY,
            weight_scale=WEIGHT_SCALE,
            tol=None,
            random_state=0,
        )

    def grid(self):
        return {"hidden_dim": HIDDEN, "learning_rate": LEARNING_RATES, "reg": REGS}


class MLP(Search):
    """scikit-learn's MLPClassifier."""

    label = "MLPClassifier"

    def estimator(self, epochs):
        return SmallStart(
            solver="sgd",
            momentum=0,
            nesterovs_momentum=False,
            batch_size=BATCH,
            max_iter=epochs,
            n_iter_no_change=epochs + 1,
            random_state=0,
        )

    def grid(self):
        return {
            "hidden_layer_sizes": [(hidden,) for hidden in HIDDEN],
            "learning_rate_init": LEARNING_RATES,
            "alpha": [reg * BATCH for reg in REGS],
        }


class Skorch(Search):
    """skorch with a PyTorch module."""

    label = "skorch"

    def __init__(self, data):
        import _torch_nets
        import skorch
        import torch

        super().__init__(data)
        self.skorch, self.torch, self.nets = skorch, torch, _torch_nets

    def estimator(self, epochs):
        torch = self.torch
        decay = self.skorch.callbacks.LRScheduler(policy=torch.optim.lr_scheduler.ExponentialLR, gamma=DECAY)
        return self.skorch.NeuralNetClassifier(
            self.nets.TwoLayer,
            module__weight_scale=WEIGHT_SCALE,
            criterion=torch.nn.CrossEntropyLoss,
            optimizer=torch.optim.SGD,
            batch_size=BATCH,
            max_epochs=epochs,
            train_split=None,
            iterator_train__shuffle=True,
            callbacks=[("decay", decay)],
            verbose=0,
        )

    def grid(self):
        return {"module__hidden": HIDDEN, "lr": LEARNING_RATES, "optimizer__weight_decay": REGS}


SEARCHES = (Ours, MLP, Skorch)


def run(options):
    """Search with each library, alone and in two jobs; print and write the results."""
    data = DataSpec(options.data, options.samples)
    results = []
    for n_jobs in (1, 2):
        # One job has all threads; several share them, as joblib would have it.
        with Workers(max(1, options.threads // n_jobs)) as workers:
            results.append({"n_jobs": n_jobs, **_search(workers, data, n_jobs, options)})
    labels = list(results[0]["seconds"])
    print_table(
        f"GridSearchCV of {len(HIDDEN) * len(LEARNING_RATES) * len(REGS)} settings,"
        f" {options.epochs} epochs of {options.samples:,} samples each: seconds",
        [
            "n_jobs",
            *labels,
            *(f"{k} ÷ sklearn_dl" for k in labels if k != Ours.label),
            "accuracies",
            "failed",
        ],
        [_line(result, labels) for result in results],
    )
    write_json(options.output, "sweep", {**options.record, "sweep": results})


def _search(workers, data, n_jobs, options):
    """Search with each library; return seconds, best accuracies and numbers of failed settings."""
    measures, accuracies, failed = {}, {}, {}

    def measure(label, search):
        seconds, accuracies[label], failed[label] = search.call("run", n_jobs, options.epochs, options.quick)
        print(f"{label}, {n_jobs} jobs: {seconds:.1f} s", flush=True)
        return seconds

    for cls in SEARCHES:
        try:
            search = workers.of(cls.label).new(cls, data)
        except Absent as absent:
            print(f"{cls.label}: absent, {absent}")
        else:
            measures[cls.label] = partial(measure, cls.label, search)
    seconds = interleave(measures, options.sweep_rounds)
    return {"seconds": seconds, "best accuracy": accuracies, "failed settings": failed}


def _line(result, labels):
    medians = {k: statistics.median(result["seconds"][k]) for k in labels}
    ours = medians.get(Ours.label)
    return [
        str(result["n_jobs"]),
        *(number(medians[k]) for k in labels),
        *(times(ours and medians[k] / ours) for k in labels if k != Ours.label),
        ", ".join(f"{result['best accuracy'][k]:.3f}" for k in labels),
        ", ".join(str(result["failed settings"][k]) for k in labels),
    ]
