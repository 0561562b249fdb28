"""sklearn_dl's speed beside that of PyTorch, JAX, scikit-learn's MLPClassifier and skorch.

::

    python benchmarks/compare.py             training rates of the nets
    python benchmarks/compare.py small       small nets on tables, one thread, beside MLPClassifier and JAX
    python benchmarks/compare.py lbfgs       L-BFGS on small tables, one thread, beside MLPClassifier
    python benchmarks/compare.py sparse      sparse X, as of text, beside MLPClassifier, and its memory
    python benchmarks/compare.py layers      layers and update rules, against loops, NumPy and PyTorch
    python benchmarks/compare.py threads     fits two at a time, joblib's threads beside its processes
    python benchmarks/compare.py fixed       a fit of one step on many rows, beside another release (--release)
    python benchmarks/compare.py scaling     threads, batch, number of samples, memory
    python benchmarks/compare.py sweep       a parameter search under GridSearchCV
    python benchmarks/compare.py predict     prediction, import time, installed size
    python benchmarks/compare.py defaults    untouched estimators' accuracies and times
    python benchmarks/compare.py all         all of these

Whatever is not installed is left out, and said. Everyone gets the same data, minibatches, first
weights and update rule, and the losses of the first ten steps must agree before anything is timed.
Each library lives in a process of its own; they take turns in rounds, and the figures are medians
over the rounds. Results go to ``--output`` as JSON and a chart.
"""

import argparse
import importlib
import os
import re
import tempfile
from pathlib import Path

import _data
from _peers import PEERS
from _report import environment, print_environment
from _rows import ROWS

COMMANDS = ("nets", "small", "lbfgs", "sparse", "layers", "threads", "fixed", "scaling", "sweep", "predict", "defaults")


def parse(arguments=None):
    """Return the options of the command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("command", nargs="?", default="nets", choices=(*COMMANDS, "all"))
    parser.add_argument("--cifar10", metavar="FOLDER", help="unpacked CIFAR-10 (or CIFAR10_DIR); else random pixels")
    parser.add_argument("--output", type=Path, default=Path("bench-output"), metavar="FOLDER")
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument(
        "--rounds",
        type=int,
        help="turns of each library: 5 by default, 1 in the sweep, which takes long",
    )
    parser.add_argument("--seconds", type=float, default=2.0, help="length of a turn, about")
    parser.add_argument("--samples", type=int, default=_data.CIFAR10_SIZE)
    parser.add_argument("--dtype", choices=("float32", "float64"), default="float32")
    parser.add_argument("--rows", default="", metavar="REGEX", help="only nets, layers so called")
    parser.add_argument("--peers", nargs="+", metavar="NAME", help="only these libraries")
    parser.add_argument("--epochs", type=int, default=10, help="of each setting of the sweep")
    parser.add_argument("--max-samples", type=int, default=500_000, help="the most samples that scaling tries")
    parser.add_argument(
        "--release", type=Path, metavar="FOLDER", help="another sklearn_dl, put there by pip install --target"
    )
    parser.add_argument("--wheel", type=Path, help="a wheel of sklearn_dl, to tell its size")
    parser.add_argument(
        "--quick",
        action="store_true",
        help="see whether it runs: tiny sizes, figures worth nothing",
    )
    options = parser.parse_args(arguments)
    if options.quick:
        options.rounds, options.seconds, options.samples = 2, 0.01, 2_560
        options.epochs, options.max_samples = 1, 10_000
    options.sweep_rounds = options.rounds or 1
    options.rounds = options.rounds or 5
    options.gemm_size = 256 if options.quick else 2048
    options.cifar10 = options.cifar10 or os.environ.get("CIFAR10_DIR")
    options.peers = _chosen(parser, options.peers)
    options.nets = [row for row in ROWS if re.search(options.rows, row.name)]
    return options


def _chosen(parser, names):
    """Return the classes of the libraries so called; all of them for None."""
    known = {cls.label: cls for cls in PEERS}
    unknown = set(names or ()) - set(known)
    if unknown:
        parser.error(f"--peers {', '.join(sorted(unknown))}: none of {', '.join(known)}")
    return [cls for label, cls in known.items() if names is None or label in names]


def main(arguments=None):
    """Run the command."""
    options = parse(arguments)
    found = environment(options.threads)
    print_environment(found)
    with tempfile.TemporaryDirectory() as folder:
        options.data = Path(folder)
        options.data_text = _data.prepare(options.cifar10, options.data, options.samples)
        print(f"data: {options.data_text}")
        options.record = {
            "environment": found,
            "data": options.data_text,
            "dtype": options.dtype,
            "rounds": options.rounds,
        }
        for command in COMMANDS if options.command == "all" else (options.command,):
            importlib.import_module(f"_{command}").run(options)


if __name__ == "__main__":
    main()
