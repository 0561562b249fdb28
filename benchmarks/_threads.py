"""Fits side by side, as a parameter search runs them: joblib's threads beside its processes, time, memory, GIL."""

import os
import statistics
import threading
import time
import warnings
from functools import partial
from pathlib import Path

import numpy as np
from _gil import GilLooks, NoCompiler
from _report import megabytes, number, print_table, times, write_json
from _rounds import interleave
from _small import Table
from _workers import Workers
from joblib import Parallel, delayed
from joblib.externals.loky import get_reusable_executor

HIDDEN = 100
# Data, and epochs of a fit.
DATA = {"digits": 200, "50,000 x 100": 10}
FITS = 6
# Of the fits that the share of the GIL is measured of.
SETTINGS = {"defaults": {}, "200 epochs": {"num_epochs": 200, "tol": None}}
BACKENDS = {"one after the other": ("sequential", 1), "threads": ("threading", 2), "processes": ("loky", 2)}
BETWEEN_LOOKS = 0.01


class FitsDiffer(Exception):
    """The same fit, run in another way, did not learn the same weights."""


def load(name):
    """Return X in float32, standardised, and y."""
    if name != "digits":
        return Table(50_000, 100).load()
    from sklearn.datasets import load_digits
    from sklearn.preprocessing import scale

    X, y = load_digits(return_X_y=True)
    return scale(X).astype(np.float32), y


def fit(X, y, seed, **options):
    """Fit once; return the bytes of the weights."""
    from sklearn_dl import TwoLayerNet

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        net = TwoLayerNet(hidden_dim=HIDDEN, random_state=seed, **options).fit(X, y)
    return [net.params_[name].tobytes() for name in sorted(net.params_)]


class Fits:
    """Several fits to one table.

    Parameters
    ----------
    name : str
        Of the table.
    epochs : int
        Of each fit.
    """

    def __init__(self, name, epochs):
        self.X, self.y = load(name)
        self.epochs = epochs

    def run(self, backend, n_jobs):
        """Fit them all; return their weights."""
        calls = [delayed(fit)(self.X, self.y, seed, num_epochs=self.epochs, tol=None) for seed in range(FITS)]
        return Parallel(n_jobs, backend=backend)(calls)

    def same(self, backend, n_jobs):
        """Fit, which also starts the processes; return whether what is learned is that of one after the other."""
        return self.run(backend, n_jobs) == self.run("sequential", 1)

    def most_memory(self, backend, n_jobs):
        """Return the most bytes of memory, above those of now, that the fits take in all processes; None if unknown."""
        before = held()
        if before is None:
            return None
        peak, done = [before], threading.Event()

        def look():
            while not done.wait(BETWEEN_LOOKS):
                peak.append(held())

        looking = threading.Thread(target=look)
        looking.start()
        try:
            self.run(backend, n_jobs)
        finally:
            done.set()
            looking.join()
        return max(peak) - before

    def gil_shares(self, seconds, settings):
        """Return the share of their time for which fits of each of the settings hold the GIL; None if unknown."""
        try:
            looks = GilLooks()
        except NoCompiler as error:
            print(f"share of the GIL: {error}", flush=True)
            return dict.fromkeys(settings)
        return {name: looks.share(partial(self._fit_for, options), seconds) for name, options in settings.items()}

    def _fit_for(self, options, seconds):
        """Fit, again until so many seconds have passed."""
        end = time.perf_counter() + seconds
        while True:
            fit(self.X, self.y, 0, **options)
            if time.perf_counter() > end:
                break

    def close(self):
        """End joblib's processes."""
        get_reusable_executor().shutdown(wait=True)


def held():
    """Return the bytes that this process and its children hold, what they share counted once; None without /proc."""
    total = 0
    for process in (os.getpid(), *_children(os.getpid())):
        try:
            lines = Path(f"/proc/{process}/smaps_rollup").read_text().splitlines()
        except FileNotFoundError:
            if process == os.getpid():
                return None
            continue  # it has ended
        total += 1024 * next(int(line.split()[1]) for line in lines if line.startswith("Pss:"))
    return total


def _children(parent):
    """Return the processes that a process has started."""
    found = []
    for path in Path("/proc").glob("[0-9]*/stat"):
        try:
            fields = path.read_text().rsplit(")", 1)[1].split()
        except FileNotFoundError:
            continue
        if int(fields[1]) == parent:
            found.append(int(path.parent.name))
    return found


def run(options):
    """Time the fits, print and write the results."""
    results = []
    settings = {"1 epoch": {"num_epochs": 1}} if options.quick else SETTINGS
    for name, epochs in DATA.items():
        epochs = 1 if options.quick else epochs
        result = {"data": name, "fits": FITS, "epochs": epochs, "bytes": {}}
        with Workers(1) as workers:
            measures, all_fits = {}, {}
            for label, how in BACKENDS.items():
                fits = all_fits[label] = workers.of(label).new(Fits, name, epochs)
                result["bytes"][label] = fits.call("most_memory", *how)
                if not fits.call("same", *how):
                    raise FitsDiffer(f"{name}: {label} learned something else")
                measures[label] = partial(fits.time, "run", *how)
            result["gil"] = all_fits["one after the other"].call("gil_shares", 5 * options.seconds, settings)
            result["seconds"] = interleave(measures, options.rounds)
            for fits in all_fits.values():
                fits.call("close")
        results.append(result)
        print(f"timed: {name}", flush=True)
    _print(results)
    write_json(options.output, "threads", {**options.record, "threads": results})


def _print(results):
    labels = list(BACKENDS)
    rows = []
    for r in results:
        seconds = {label: statistics.median(r["seconds"][label]) for label in labels}
        one, threads, processes = (seconds[label] for label in labels)
        rows.append(
            [
                f"{r['data']}, {r['epochs']} epochs",
                *(number(seconds[label]) for label in labels),
                times(one / threads),
                times(one / processes),
                *(megabytes(r["bytes"][label]) for label in labels),
                *("-" if share is None else f"{100 * share:.1f} %" for share in r["gil"].values()),
            ]
        )
    header = ["data", *(f"{label}, s" for label in labels), "gain of threads", "of processes"]
    header += [*(f"memory: {label}" for label in labels), *(f"GIL held: {name}" for name in results[0]["gil"])]
    print_table(f"{FITS} fits of TwoLayerNet, two at a time (median)", header, rows)
