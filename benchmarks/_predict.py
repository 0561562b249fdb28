"""Prediction of one row and of many, what an import costs, and how large the installation is."""

import re
import statistics
import subprocess
import sys
from dataclasses import replace
from importlib.metadata import PackageNotFoundError, distribution
from pathlib import Path

import numpy as np
from _data import DataSpec
from _nets import prepare, start
from _peers import MLP, Estimator, Jax, Skorch, Torch
from _report import megabytes, number, print_table, times, write_json
from _rounds import interleave, per_call
from _workers import Workers

CLASSES = (Estimator, Torch, Jax, MLP, Skorch)
MANY = 10_000
AGREEMENT = 0.999  # of the predicted classes; scores may tie within rounding
IMPORTS = ("sklearn_dl", "sklearn.neural_network", "torch", "skorch", "jax")
INSTALLED = ("scikit-learn", "torch", "skorch", "jax", "jaxlib")

IMPORT_PROGRAM = """
import time
start = time.perf_counter()
import sklearn
middle = time.perf_counter()
import {module}
print(middle - start, time.perf_counter() - middle)
"""


class PredictionsDiffer(Exception):
    """Two libraries with the same weights did not predict the same classes."""


def run(options):
    """Measure, print and write everything."""
    results = {
        "predictions": predictions(options),
        "imports": imports(IMPORTS[:1] if options.quick else IMPORTS, options.rounds),
        "sizes": sizes(options.wheel),
    }
    write_json(options.output, "predict", {**options.record, **results})


def predictions(options):
    """Return seconds of predicting one row and many, by net and library."""
    many = min(MANY, options.samples)
    data = DataSpec(options.data, many, options.dtype)
    results = []
    with Workers(options.threads) as workers:
        peers = start(workers, [cls for cls in CLASSES if cls in options.peers], data)
        for row in options.nets:
            # Weights at which scores are of order one in every layer; batch 50 divides the number
            # of rows.
            row = replace(row, weight_scale=0.05, batch=50)
            able = prepare(peers, row)
            for cls, peer in able.items():
                if cls is Estimator:
                    peer.call("keep_first_weights")
            require_equal_predictions({c.label: p.call("predict", many) for c, p in able.items()})
            one, all_rows = {}, {}
            for cls, peer in able.items():
                one[cls.label] = _measure(peer, "predict", 1, options.seconds / 3)
                all_rows[cls.label] = _measure(peer, "predict", many, options.seconds / 3)
                if cls is Torch:
                    all_rows[f"{cls.label} at once"] = _measure(peer, "predict_at_once", many, options.seconds / 3)
            results.append(
                {
                    "net": row.name,
                    "rows": many,
                    "seconds of one": interleave(one, options.rounds),
                    "seconds of all": interleave(all_rows, options.rounds),
                }
            )
            print(f"timed: predict, {row.name}", flush=True)
    _print_predictions(results, many)
    return results


def require_equal_predictions(classes):
    """Raise PredictionsDiffer unless all libraries predict the same classes, but for ties."""
    (first, reference), *others = classes.items()
    for label, predicted in others:
        share = np.mean(np.asarray(predicted) == reference)
        if share < AGREEMENT:
            raise PredictionsDiffer(f"{label} and {first} agree on {share:.2%} of the classes only")


def _measure(peer, method, rows, seconds):
    """Return a measure of the seconds that a call takes."""
    peer.call(method, rows)
    return per_call(peer, "repeat", method, rows, seconds=seconds)


def _print_predictions(results, many):
    labels = list(dict.fromkeys(label for r in results for label in r["seconds of one"]))
    print_table(
        "Microseconds of `predict` of one row (median)",
        ["net", *labels],
        [[r["net"], *(_cell(r["seconds of one"].get(k), lambda s: 1e6 * s) for k in labels)] for r in results],
    )
    labels = list(dict.fromkeys(label for r in results for label in r["seconds of all"]))
    torch = [label for label in labels if label.startswith(Torch.label)]
    rows = []
    for r in results:
        medians = {k: many / statistics.median(v) for k, v in r["seconds of all"].items()}
        best = max((medians[k] for k in torch if k in medians), default=None)
        ours = medians.get(Estimator.label)
        ratio = ours / best if ours and best else None
        rows.append([r["net"], *(number(medians.get(k)) for k in labels), times(ratio)])
    print_table(
        f"Rows per second, `predict` of {many:,} (median)",
        ["net", *labels, "sklearn_dl ÷ PyTorch's better"],
        rows,
    )


def _cell(seconds, scale):
    return "-" if seconds is None else number(scale(statistics.median(seconds)))


def imports(modules, rounds):
    """Return seconds of `import sklearn`, and what each library adds to it."""
    measures, bases = {}, []

    def measure(module):
        program = IMPORT_PROGRAM.format(module=module)
        done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True)
        if done.returncode:
            return None
        base, added = map(float, done.stdout.split())
        bases.append(base)
        return added

    for module in modules:
        if measure(module) is None:
            print(f"{module}: absent, or its import fails")
        else:
            measures[module] = lambda module=module: measure(module)
    bases.clear()
    added = interleave(measures, rounds)
    print_table(
        "Milliseconds of an import (median), after `import sklearn`",
        ["module", "adds"],
        [
            ["sklearn itself", number(1e3 * statistics.median(bases))],
            *([name, number(1e3 * statistics.median(values))] for name, values in added.items()),
        ],
    )
    slowest = _slowest_imports("sklearn_dl") if "sklearn_dl" in added else []
    print_table(
        "The modules that take longest when sklearn_dl is imported after sklearn",
        ["module", "ms of its own"],
        [[name, number(microseconds / 1e3)] for name, microseconds in slowest],
    )
    return {"sklearn": bases, "added": added, "slowest": slowest}


def _slowest_imports(module, count=8):
    """Return (name, own microseconds) of the slowest modules that sklearn does not import."""
    programs = (f"import sklearn; import {module}", "import sklearn")
    with_module, without = (dict(_import_times(program)) for program in programs)
    new = [(name, own) for name, own in with_module.items() if name not in without]
    return sorted(new, key=lambda item: -item[1])[:count]


def _import_times(program):
    done = subprocess.run(
        [sys.executable, "-X", "importtime", "-c", program],
        capture_output=True,
        text=True,
        check=True,
    )
    for own, name in re.findall(r"import time:\s*(\d+) \|\s*\d+ \|\s*(\S+)", done.stderr):
        yield name, int(own)


def sizes(wheel):
    """Return bytes of each library without dependencies, and of a wheel if one is given."""
    found = {"sklearn_dl": _own_size()}
    found.update({name: _distribution_size(name) for name in INSTALLED})
    if wheel is not None:
        found[f"sklearn_dl's wheel, {wheel.name}"] = wheel.stat().st_size
    found = {name: size for name, size in found.items() if size is not None}
    print_table(
        "Installed size, without dependencies",
        ["library", "size"],
        [[name, megabytes(size)] for name, size in found.items()],
    )
    return found


def _own_size():
    """Return the bytes of sklearn_dl; an editable installation has no list of its files."""
    try:
        import sklearn_dl
    except ImportError:
        return None
    from sklearn_dl import _ext

    folders = {Path(folder) for folder in (*sklearn_dl.__path__, *_ext.__path__)}
    files = {file for folder in folders for file in folder.rglob("*") if file.suffix in (".py", ".so", ".pyd")}
    return sum(file.stat().st_size for file in files)


def _distribution_size(name):
    try:
        files = distribution(name).files
    except PackageNotFoundError:
        return None
    paths = (file.locate() for file in files if file.suffix != ".pyc")
    return sum(path.stat().st_size for path in paths if path.exists())
