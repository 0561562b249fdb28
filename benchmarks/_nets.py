"""The main table: training rates of the nets, sklearn_dl against the other libraries."""

import statistics

import numpy as np
from _data import DataSpec
from _peers import OURS, PEERS, Gemm
from _report import (
    number,
    percent,
    print_table,
    times,
    write_chart,
    write_json,
)
from _rounds import interleave, per_call, ratios, spread
from _workers import Absent, Workers

STEPS_COMPARED = 10

# Relative; between libraries that round differently. Adam divides the gradient by its size, so that
# where it is nearly zero, rounding moves a weight as far as a gradient does. MLPClassifier's Adam is
# a slightly different rule, see its class.
TOLERANCES = {"float32": 1e-4, "float64": 1e-8}
ADAM_TOLERANCES = {"float32": 1e-3, "float64": 1e-8}
TOLERANCE_OF_MLP_ADAM = 1e-2


class LossesDiffer(Exception):
    """Two libraries did not compute the same thing."""


def start(workers, classes, data):
    """Make the libraries' objects; say which are absent.

    Returns
    -------
    peers : dict of class to Remote
    """
    peers = {}
    for cls in classes:
        try:
            peers[cls] = workers.of(cls.library).new(cls, data, workers.threads)
        except Absent as absent:
            print(f"{cls.label}: absent, {absent}")
    return peers


def tolerance(label, rule, dtype):
    """Return by how much a library's losses may differ, relative to their size."""
    if label == "MLPClassifier" and rule == "adam":
        return TOLERANCE_OF_MLP_ADAM
    return (ADAM_TOLERANCES if rule == "adam" else TOLERANCES)[dtype]


def require_equal_losses(losses, rule, dtype):
    """Compare the losses of the first steps with those of the first library.

    Parameters
    ----------
    losses : dict of str to list of float
        Of each library, by its label.
    rule : str
        The update rule.
    dtype : str

    Returns
    -------
    differences : dict of str to float
        The largest relative difference of each other library.

    Raises
    ------
    LossesDiffer
        If one is larger than its tolerance, or losses are missing or not finite.
    """
    (first, reference), *others = losses.items()
    differences = {}
    for label, values in others:
        difference = np.nan
        if len(values) == len(reference) == STEPS_COMPARED:
            # Of numpy, whose maximum does not overlook nan.
            difference = np.max(np.abs(np.subtract(values, reference) / reference))
        if not difference <= tolerance(label, rule, dtype):
            raise LossesDiffer(f"{label} does not train as {first} does:\n{values}\n{reference}")
        differences[label] = float(difference)
    return differences


def prepare(peers, row):
    """Prepare those libraries that have the net; return them."""
    able = {cls: peer for cls, peer in peers.items() if cls.supports(row)}
    for peer in able.values():
        peer.call("prepare", row)
    return able


def compare_losses(peers, row, dtype):
    """Require equal losses of the first steps; then start all libraries again."""
    losses = {cls.label: peer.call("losses", STEPS_COMPARED) for cls, peer in peers.items()}
    differences = require_equal_losses(losses, row.rule, dtype)
    prepare(peers, row)
    return differences


def rate_measures(peers, row, seconds, samples=0):
    """Return a measure for each library: samples per second of a run that takes about so long.

    A fit is at least an epoch of so many samples: it checks its input and takes accuracies before and after.
    """
    measures = {}
    for cls, peer in peers.items():
        peer.time("steps", 2)
        at_least = samples // row.batch if cls is OURS[0] else 1
        step = per_call(peer, "steps", seconds=seconds, at_least=at_least)
        measures[cls.label] = lambda step=step: row.batch / step()
    return measures


def gemm_measure(workers, dtype, size, seconds):
    """Return a measure of the machine's rate of multiplying matrices, in flop/s."""
    gemm = workers.of(Gemm.library).new(Gemm, dtype, size)
    flops = gemm.call("flops")
    product = per_call(gemm, "steps", seconds=min(seconds, 0.5))
    return lambda: flops / product()


def time_row(workers, peers, row, options):
    """Check and time one net; return a dict of results."""
    peers = prepare(peers, row)
    if not peers:
        return None
    differences = compare_losses(peers, row, options.dtype)
    measures = rate_measures(peers, row, options.seconds, options.samples)
    gemm = gemm_measure(workers, options.dtype, options.gemm_size, options.seconds)
    rates = interleave({**measures, "GEMM": gemm}, options.rounds)
    gemm_rates = rates.pop("GEMM")
    overhead = None
    if OURS[0] in peers:
        overhead = statistics.median(peers[OURS[0]].time("steps", 1) for _ in range(options.rounds))
    return {
        "net": row.name,
        "batch": row.batch,
        "rule": row.rule,
        "goal": row.goal,
        "flops per sample": row.flops,
        "relative differences of the losses": differences,
        "samples per second": rates,
        "GEMM flop per second": gemm_rates,
        "seconds of a fit of one step": overhead,
        **compare_rates(rates),
    }


def compare_rates(rates):
    """Return the fastest other library, and how many times as fast ours are, see `ratios`."""
    ours = [cls.label for cls in OURS if cls.label in rates]
    theirs = [label for label in rates if label not in ours]
    if not theirs:
        return {"fastest other": None, "ratios": {}}
    best = max(theirs, key=lambda label: statistics.median(rates[label]))
    return {
        "fastest other": best,
        "ratios": {label: ratios(rates[label], rates[best]) for label in ours},
    }


def run(options):
    """Time the nets, print and write the results."""
    data = DataSpec(options.data, options.samples, options.dtype)
    results = []
    with Workers(options.threads) as workers:
        peers = start(workers, options.peers, data)
        for row in options.nets:
            result = time_row(workers, peers, row, options)
            if result:
                results.append(result)
                print(f"timed: {row.name}", flush=True)
    print_tables(results)
    write_json(options.output, "nets", {**options.record, "nets": results})
    medians = {
        result["net"]: {k: statistics.median(v) for k, v in result["samples per second"].items()} for result in results
    }
    title = f"Training on {options.data_text}, {options.dtype}, {options.threads} threads"
    write_chart(options.output, "nets", title, medians)


def print_tables(results):
    """Print rates, ratios and what they are worth."""
    labels = [cls.label for cls in PEERS]
    labels = [k for k in labels if any(k in r["samples per second"] for r in results)]
    print_table(
        "Samples per second (median; ± half the range over the rounds)",
        ["net", "batch, rule", *labels],
        [[r["net"], f"{r['batch']} {r['rule']}", *(_rate(r, label) for label in labels)] for r in results],
    )
    ours = [cls.label for cls in OURS if cls.label in labels]
    columns = [f"{label} ÷ fastest other" for label in ours]
    rows = []
    for r in results:
        gemm = statistics.median(r["GEMM flop per second"])
        cells = [r["net"], r["fastest other"] or "-"]
        cells += [_ratio(r["ratios"].get(label)) for label in ours]
        first = r["ratios"].get(ours[0]) if ours else None
        cells += [times(r["goal"]), "-" if first is None else percent(first[0] / r["goal"])]
        cells += [f"{gemm / 1e9:.0f}"]
        for label in (*ours, r["fastest other"]):
            rates = r["samples per second"].get(label)
            share = statistics.median(rates) * r["flops per sample"] / gemm if rates else None
            cells.append(percent(share))
        overhead = r["seconds of a fit of one step"]
        cells.append("-" if overhead is None else f"{1e3 * overhead:.0f}")
        differences = r["relative differences of the losses"].values()
        rows.append([*cells, f"{max(differences, default=0):.0e}"])
    print_table(
        "Ratios (median; range over the rounds), share of the rate of a large matrix product",
        [
            "net",
            "fastest other",
            *columns,
            "goal",
            "fit: share of goal",
            "GEMM GFLOP/s",
            *(f"{label}: share" for label in ours),
            "fastest other: share",
            "fit of one step, ms",
            "losses differ by",
        ],
        rows,
    )


def _rate(result, label):
    rates = result["samples per second"].get(label)
    if not rates:
        return "-"
    return f"{number(statistics.median(rates))} ±{percent(spread(rates))}"


def _ratio(found):
    if found is None:
        return "-"
    return f"{times(found[0])} ({number(found[1])} to {number(found[2])})"
