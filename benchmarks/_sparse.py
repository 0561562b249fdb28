"""Sparse X, such as counts of words: `fit` beside MLPClassifier's `partial_fit`, and the memory of a large matrix.

MLPClassifier is given a few minibatches a turn, because each of its steps takes a tenth of a second.
"""

import statistics
from dataclasses import dataclass
from functools import partial

import numpy as np
from _nets import compare_losses, compare_rates, prepare, start
from _peers import MLP, SEED, Estimator
from _report import megabytes, number, print_table, times, write_json
from _rounds import interleave, repetitions
from _rows import Row
from _workers import Workers

CLASSES = 10
HIDDEN = 100
GOAL = 5


@dataclass(frozen=True)
class Text:
    """Says which text a process makes: numbers of words, which are as frequent as words are.

    Parameters
    ----------
    rows, columns, words : int
        Texts, words that there are, words in each text.
    dtype : str
    """

    rows: int
    columns: int
    words: int = 100
    dtype: str = "float64"

    def load(self):
        """Return X (rows, columns), sparse, rows of length 1, and y (rows,), classes that X tells with some noise."""
        import scipy.sparse

        rng = np.random.default_rng(SEED)
        frequencies = 1 / np.arange(1, self.columns + 1)
        places = np.searchsorted(np.cumsum(frequencies), rng.random(self.rows * self.words) * frequencies.sum())
        said = np.minimum(places, self.columns - 1).astype(np.int32)
        ends = np.arange(0, len(said) + 1, self.words, dtype=np.int32)
        X = scipy.sparse.csr_array((rng.random(len(said)).astype(self.dtype), said, ends), (self.rows, self.columns))
        X.sum_duplicates()
        X.data /= np.sqrt(np.add.reduceat(X.data**2, X.indptr[:-1])).repeat(np.diff(X.indptr))
        scores = X @ rng.standard_normal((self.columns, CLASSES)).astype(self.dtype)
        y = (scores + 0.1 * rng.standard_normal(scores.shape)).argmax(axis=1)
        return X, y


# Text, minibatch, rule.
SPARSE = tuple(
    (Text(20_000, 30_000, dtype=dtype), batch, rule)
    for dtype in ("float32", "float64")
    for rule in ("adam", "sgd")
    for batch in (64, 200)
)
LARGE = Text(200_000, 100_000, dtype="float32")
# Minibatches of MLPClassifier in a turn.
FEW = 8


def row_of(text, batch, rule):
    """Return the net as the other benchmarks describe it."""
    name = f"{text.rows:,} x {text.columns:,}, {text.words} words, {HIDDEN}"
    rate = 1e-3 if rule == "adam" else 0.1
    image = (text.columns, 1, 1)
    return Row(name, (HIDDEN,), batch, rule, rate, 0.0, 0.01, goal=GOAL, image=image, classes=CLASSES)


def time_row(workers, row, text, options):
    """Check that all learn the same, then time them; return samples per second by library."""
    classes = [cls for cls in (Estimator, MLP) if cls.label in {peer.label for peer in options.peers}]
    peers = prepare(start(workers, classes, text), row)
    compare_losses(peers, row, text.dtype)
    measures = {}
    for cls, peer in peers.items():
        steps = FEW
        if cls is Estimator:
            epoch = text.rows // row.batch
            steps = epoch * repetitions(partial(_epochs, peer, epoch), options.seconds)
        measures[cls.label] = partial(_turn, peer, row.batch, steps)
    return interleave(measures, options.rounds)


def _epochs(peer, per_epoch, count):
    return peer.time("steps", count * per_epoch)


def _turn(peer, batch, steps):
    return steps * batch / peer.time("steps", steps)


def measure_large(text, batch):
    """Return seconds and memory of an epoch on a large matrix, in a process of its own."""
    row = row_of(text, batch, "adam")
    with Workers(1) as workers:
        (peer,) = prepare(start(workers, [Estimator], text), row).values()
        peer.call("memory")
        seconds = peer.time("steps", text.rows // batch)
        _, most = peer.call("memory") or (None, None)
    item = np.dtype(text.dtype).itemsize
    weights = (text.columns * HIDDEN + HIDDEN * CLASSES) * item
    return {
        "net": row.name,
        "batch": batch,
        "seconds an epoch": seconds,
        "most memory": most,
        "matrix": text.rows * (text.words * (item + 4) + 4),
        "weights": weights,
        "dense matrix": text.rows * text.columns * item,
    }


def run(options):
    """Time the nets, print and write the results."""
    results = []
    chosen = [(Text(500, 300, 20), 50, "adam")] if options.quick else SPARSE
    with Workers(1) as workers:
        for text, batch, rule in chosen:
            row = row_of(text, batch, rule)
            rates = time_row(workers, row, text, options)
            result = {"net": row.name, "dtype": text.dtype, "rule": rule, "batch": batch, "samples per second": rates}
            results.append({**result, **compare_rates(rates), "goal": GOAL})
            print(f"timed: {row.name}, {text.dtype}, {rule}", flush=True)
    large = measure_large(Text(2_000, 1_000) if options.quick else LARGE, 200)
    _print(results, large)
    write_json(options.output, "sparse", {**options.record, "sparse": results, "large": large})


def _print(results, large):
    labels = [cls.label for cls in (Estimator, MLP) if all(cls.label in r["samples per second"] for r in results)]
    lines = []
    for r in results:
        rates = [statistics.median(r["samples per second"][label]) for label in labels]
        steps = [number(1e3 * r["batch"] / rate) for rate in rates]
        ratio = [times(rates[0] / rates[1])] if len(rates) == 2 else []
        lines.append([r["net"], r["dtype"], r["rule"], str(r["batch"]), *steps, *ratio])
    ratio = [f"{labels[0]} ÷ {labels[1]}"] if len(labels) == 2 else []
    header = ["text", "dtype", "rule", "minibatch", *(f"{label}, ms a step" for label in labels), *ratio]
    print_table(f"Sparse X, one thread (goal: {GOAL} times as fast)", header, lines)
    sizes = [megabytes(large[name]) for name in ("most memory", "matrix", "weights", "dense matrix")]
    print_table(
        "A large matrix, adam: one epoch",
        ["text", "seconds", "most memory", "matrix", "weights", "dense matrix"],
        [[large["net"], number(large["seconds an epoch"]), *sizes]],
    )
