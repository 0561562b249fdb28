"""Training rates over threads, minibatch and number of samples, and the memory of training."""

import statistics
from dataclasses import replace

from _data import DataSpec
from _nets import compare_losses, prepare, rate_measures, start
from _peers import Estimator, Jax, Torch, TorchFused
from _report import megabytes, number, print_table, times, write_json
from _rounds import interleave
from _rows import named
from _workers import Workers

BATCHES = (1, 4, 16, 64, 256, 1024)
SIZES = (1_000, 10_000, 50_000, 100_000, 500_000)
CLASSES = (Estimator, Torch, TorchFused, Jax)
NETS = ("TwoLayer 100", "ThreeLayerConv 100")


def run(options):
    """Measure, print and write the three tables."""
    classes = [cls for cls in CLASSES if cls in options.peers]
    results = {
        "threads": threads_table(classes, options),
        "batch": batch_table(classes, options),
        "samples": samples_table([c for c in classes if c in (Estimator, TorchFused)], options),
    }
    write_json(options.output, "scaling", {**options.record, **results})


def _rates(peers, row, options):
    """Return the rates of all libraries that have the net, losses compared first."""
    able = prepare(peers, row)
    compare_losses(able, row, options.dtype)
    return interleave(rate_measures(able, row, options.seconds), options.rounds)


def threads_table(classes, options):
    """Return the rates of every net on one thread and on all."""
    data = DataSpec(options.data, options.samples, options.dtype)
    counts = sorted({1, options.threads})
    rates = {}
    for threads in counts:
        with Workers(threads) as workers:
            peers = start(workers, classes, data)
            for row in options.nets:
                rates[row.name, threads] = _rates(peers, row, options)
                print(f"timed: {row.name}, {threads} threads", flush=True)
    labels = list(next(iter(rates.values())))
    header = [f"{label}, {threads}" for label in labels for threads in counts]
    print_table(
        "Samples per second by threads, and how many times as fast the most threads are",
        ["net", *header, *(f"{label}: gain" for label in labels)],
        [
            [
                row.name,
                *(number(_median(rates[row.name, t][k])) for k in labels for t in counts),
                *(times(_median(rates[row.name, counts[-1]][k]) / _median(rates[row.name, 1][k])) for k in labels),
            ]
            for row in options.nets
        ],
    )
    return [{"net": name, "threads": threads, "samples per second": found} for (name, threads), found in rates.items()]


def batch_table(classes, options):
    """Return the rates of two nets over minibatch sizes."""
    data = DataSpec(options.data, options.samples, options.dtype)
    results = []
    with Workers(options.threads) as workers:
        peers = start(workers, classes, data)
        for name in [row.name for row in options.nets if row.name in NETS]:
            for batch in BATCHES:
                if 10 * batch > options.samples:
                    continue
                # Of one sample at a time, the row's own steps would be too large.
                row = replace(named(name), batch=batch, learning_rate=1e-6)
                found = _rates(peers, row, options)
                results.append({"net": name, "batch": batch, "samples per second": found})
                print(f"timed: {name}, batch {batch}", flush=True)
    labels = list(results[0]["samples per second"])
    print_table(
        "Samples per second by minibatch",
        ["net", "batch", *labels, "sklearn_dl ÷ fastest other"],
        [[r["net"], str(r["batch"]), *_cells(r["samples per second"], labels)] for r in results],
    )
    return results


def samples_table(classes, options):
    """Return rate and memory of one net over numbers of samples, kept as uint8 pixels.

    Each number has fresh processes. Memory is the peak while training, less what the process held
    with its data loaded.
    """
    # Pixels that are not centred need a smaller step.
    row = replace(named(NETS[0]), learning_rate=1e-6)
    results = []
    for size in SIZES:
        if size > options.max_samples:
            continue
        data = DataSpec(options.data, size, "uint8")
        with Workers(options.threads) as workers:
            peers = start(workers, classes, data)
            before = {cls: peer.call("memory") for cls, peer in peers.items()}
            rates = _rates(peers, row, options)
            memory = {}
            for cls, peer in peers.items():
                after = peer.call("memory")
                memory[cls.label] = after and after[1] - before[cls][0]
        results.append({"samples": size, "samples per second": rates, "bytes above the data": memory})
        print(f"timed: {size:,} samples", flush=True)
    labels = list(results[0]["samples per second"])
    print_table(
        f"{row.name}: samples per second by number of samples (uint8), peak memory above the data",
        [
            "samples",
            "data",
            *labels,
            "sklearn_dl ÷ fastest other",
            *(f"{k}: memory" for k in labels),
        ],
        [
            [
                f"{r['samples']:,}",
                megabytes(3072 * r["samples"]),
                *_cells(r["samples per second"], labels),
                *(megabytes(r["bytes above the data"][k]) for k in labels),
            ]
            for r in results
        ],
    )
    return results


def _median(values):
    return statistics.median(values) if values else None


def _cells(rates, labels):
    """Return the medians of a line, and ours over the best of the others."""
    medians = {k: _median(rates[k]) for k in labels if k in rates}
    others = [v for k, v in medians.items() if k != Estimator.label]
    ratio = medians[Estimator.label] / max(others) if others and Estimator.label in medians else None
    return [*(number(medians.get(k)) for k in labels), times(ratio)]
