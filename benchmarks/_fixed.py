"""What a fit costs beside its steps: one step on many rows, checks and accuracies included, and where that goes."""

import cProfile
import pstats
import statistics
import sys
import warnings
from pathlib import Path

from _data import DataSpec
from _report import milliseconds, print_table, times, write_json
from _rounds import interleave, per_call
from _workers import Workers

BATCH = 100
# What a fit consists of; each a function of the package.
PARTS = {
    "checks": ("_base.py", "_check_training_data"),
    "net": ("_base.py", "_make_net"),
    "solver": ("solver.py", "__init__"),
    "first accuracies": ("solver.py", "_record_first_evaluation"),
    "step": ("training/_program.py", "_record"),
    "last accuracies": ("solver.py", "_end_epoch"),
    "warnings": ("training/diagnosis.py", "diagnose"),
}
NETS = {
    "Softmax": {},
    "TwoLayerNet": {"hidden_dim": 100},
    "FullyConnectedNet": {"hidden_dims": (200, 200)},
    "ThreeLayerConvNet": {"hidden_dim": 100},
}


class OneStep:
    """Fits of one step.

    Parameters
    ----------
    data : DataSpec
    name : str
        Of the estimator.
    folder : Path, default=None
        Where the package is, if not where this process would find it.
    """

    def __init__(self, data, name, folder=None):
        if folder is not None and str(folder) not in sys.path:
            sys.path.insert(0, str(folder))
        import sklearn_dl

        if folder is not None and folder not in Path(sklearn_dl.__file__).parents:
            raise ImportError(f"{folder} has no sklearn_dl: {sklearn_dl.__file__} was imported.")
        X, self.y = data.load()
        self.X = X.reshape(-1, 3, 32, 32) if name == "ThreeLayerConvNet" else X
        options = {"batch_size": BATCH, "num_iters": 1, "learning_rate": 1e-9, "random_state": 0}
        self.net = getattr(sklearn_dl, name)(**NETS[name], **options)

    def fit(self, repeat=1):
        """Fit so often."""
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            for _ in range(repeat):
                self.net.fit(self.X, self.y)

    def parts(self, repeat=5):
        """Return the seconds of each part of a fit."""
        profile = cProfile.Profile()
        profile.runcall(self.fit, repeat)
        found = dict.fromkeys(PARTS, 0.0)
        for (file, _, function), (_, _, _, seconds, _) in pstats.Stats(profile).stats.items():
            for part, (its_file, its_function) in PARTS.items():
                if function == its_function and file.replace("\\", "/").endswith(f"sklearn_dl/{its_file}"):
                    found[part] += seconds / repeat
        return found


def run(options):
    """Time the fits, print and write the results."""
    data = DataSpec(options.data, options.samples, options.dtype)
    names = list(NETS)[: 1 if options.quick else None]
    results = []
    with Workers(options.threads) as workers:
        for name in names:
            fits = {"this": workers.of("this").new(OneStep, data, name)}
            if options.release:
                fits["release"] = workers.of("release").new(OneStep, data, name, options.release.resolve())
            for fit in fits.values():
                fit.call("fit")
            measures = {label: per_call(fit, "fit", seconds=options.seconds) for label, fit in fits.items()}
            seconds = interleave(measures, options.rounds)
            results.append({"net": name, "seconds": seconds, "parts": fits["this"].call("parts")})
            print(f"timed: {name}", flush=True)
    _print(results, options.samples)
    write_json(options.output, "fixed", {**options.record, "fixed": results})


def _print(results, samples):
    rows = []
    for r in results:
        medians = {label: statistics.median(seconds) for label, seconds in r["seconds"].items()}
        release = medians.get("release")
        ratio = release and medians["this"] / release
        parts = [milliseconds(seconds) for seconds in r["parts"].values()]
        rows.append([r["net"], milliseconds(medians["this"]), milliseconds(release), times(ratio), *parts])
    header = ["net", "fit", "of the release", "this ÷ release", *PARTS]
    print_table(f"A fit of one step on {samples:,} rows, milliseconds (median), and its parts", header, rows)
