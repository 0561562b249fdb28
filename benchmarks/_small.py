"""Small nets on tables, where what is not arithmetic counts: everyone on one CPU.

sklearn_dl's whole `fit`, checks and accuracies included, beside MLPClassifier's whole `fit`, and JAX with the epoch in
one `lax.scan`, its data on the device and compiled beforehand.
"""

import os
import statistics
import warnings
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial

import numpy as np
from _nets import compare_losses, compare_rates, prepare, start
from _peers import MLP, SEED, Estimator, JaxScan
from _report import number, print_table, times, write_json
from _rounds import interleave, repetitions
from _rows import Row
from _workers import Workers

CLASSES = 10


@dataclass(frozen=True)
class Table:
    """Says which table a process makes.

    Parameters
    ----------
    rows, columns : int
    dtype : str
    """

    rows: int
    columns: int
    dtype: str = "float32"

    def load(self):
        """Return X (rows, columns), standard normal, and y (rows,), classes that X tells with some noise."""
        rng = np.random.RandomState(SEED)
        X = rng.standard_normal((self.rows, self.columns))
        scores = X @ rng.standard_normal((self.columns, CLASSES))
        y = (scores + rng.standard_normal(scores.shape)).argmax(axis=1)
        return X.astype(self.dtype), y


# Table, hidden units, minibatch, and how many times as fast as MLPClassifier and JAX `fit` should be.
SMALL = (
    (Table(1_000, 20), (50,), 32, 20, 1.5),
    (Table(10_000, 30), (100,), 64, 12, 1.5),
    (Table(10_000, 30), (100,), 200, 7, 1.2),
    (Table(10_000, 30), (64, 64, 64), 64, 9, 1.5),
    (Table(50_000, 100), (256, 256), 256, 2.3, 1.1),
)


class MLPFit(MLP):
    """MLPClassifier's `fit`, so many epochs of it."""

    def steps(self, count):
        from sklearn.exceptions import ConvergenceWarning

        epochs = max(1, count // (len(self.X) // self.row.batch))
        mlp = self.MLPClassifier(
            self.row.hidden,
            solver=self.row.rule,
            alpha=0.0,
            batch_size=self.row.batch,
            learning_rate_init=self.row.learning_rate,
            max_iter=epochs,
            tol=0.0,
            n_iter_no_change=epochs + 1,
            random_state=SEED,
        )
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", ConvergenceWarning)
            mlp.fit(self.X, self.y)


PEERS = (Estimator, MLPFit, JaxScan)


@contextmanager
def one_cpu():
    """Have this process, and those it starts, run on one CPU where the system can do that."""
    if not hasattr(os, "sched_setaffinity"):
        yield
        return
    before = os.sched_getaffinity(0)
    os.sched_setaffinity(0, {max(before)})
    try:
        yield
    finally:
        os.sched_setaffinity(0, before)


def row_of(table, hidden, batch):
    """Return the net as the other benchmarks describe it."""
    name = f"{table.rows:,} x {table.columns}, {'-'.join(map(str, hidden))}"
    image = (table.columns, 1, 1)
    return Row(name, hidden, batch, "adam", 1e-3, 0.0, 0.1, goal=1, image=image, classes=CLASSES)


def time_row(workers, row, table, options):
    """Check that all learn the same, then time whole epochs of each; return samples per second by library."""
    peers = prepare(start(workers, [cls for cls in PEERS if _chosen(cls, options)], table), row)
    compare_losses(peers, row, table.dtype)
    per_epoch = table.rows // row.batch
    measures = {cls.label: _rate(peer, row.batch, per_epoch, options.seconds) for cls, peer in peers.items()}
    return interleave(measures, options.rounds)


def _chosen(cls, options):
    return cls.label in {peer.label for peer in options.peers}


def _rate(peer, batch, per_epoch, seconds):
    """Return a measure of samples per second in a turn of about so many seconds, whole epochs of it."""
    peer.call("steps", per_epoch)
    epochs = repetitions(lambda epochs: peer.time("steps", epochs * per_epoch), seconds)
    return partial(_turn, peer, batch, epochs * per_epoch)


def _turn(peer, batch, steps):
    return steps * batch / peer.time("steps", steps)


def run(options):
    """Time the nets, print and write the results."""
    results = []
    with one_cpu(), Workers(1) as workers:
        for table, hidden, batch, over_mlp, over_jax in SMALL[: 1 if options.quick else None]:
            row = row_of(table, hidden, batch)
            rates = time_row(workers, row, table, options)
            result = {"net": row.name, "batch": batch, "samples per second": rates, **compare_rates(rates)}
            result["goals"] = {MLPFit.label: over_mlp, JaxScan.label: over_jax}
            results.append(result)
            print(f"timed: {row.name}", flush=True)
    _print(results)
    write_json(options.output, "small", {**options.record, "small": results})


def _print(results):
    labels = [cls.label for cls in PEERS if all(cls.label in r["samples per second"] for r in results)]
    print_table(
        "Small nets on tables, adam, one CPU: microseconds a step (median)",
        ["net", "minibatch", *labels],
        [[r["net"], str(r["batch"]), *(number(_microseconds(r, label)) for label in labels)] for r in results],
    )
    ours, *others = labels
    lines = []
    for r in results:
        ratios = [_ratio(r["samples per second"], ours, other) for other in others]
        lines.append([r["net"], str(r["batch"]), *ratios, *(times(r["goals"][other]) for other in others)])
    header = ["net", "minibatch", *(f"{ours} ÷ {other}" for other in others), *(f"goal ÷ {other}" for other in others)]
    print_table("How many times as fast (of the medians; least and most of a round)", header, lines)


def _microseconds(result, label):
    return 1e6 * result["batch"] / statistics.median(result["samples per second"][label])


def _ratio(rates, ours, other):
    each = [a / b for a, b in zip(rates[ours], rates[other], strict=True)]
    ratio = statistics.median(rates[ours]) / statistics.median(rates[other])
    return f"{times(ratio)} ({number(min(each))}-{number(max(each))})"
