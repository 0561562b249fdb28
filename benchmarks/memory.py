"""Memory that training and prediction take: of files larger than it, and after thousands of calls.

::

    python benchmarks/memory.py                   all of it: some minutes, 2.2 GB of disk
    python benchmarks/memory.py maps              memory maps alone
    python benchmarks/memory.py flat              many fits and predictions alone
    python benchmarks/memory.py --scale .01       a hundredth of the rows, of the fits and of the predictions

``maps`` fits memory-mapped files whose rows are read in random order: 500,000 x 3,072 uint8 (1.5 GB), 200,000 x 3,072
int8 (586 MiB) and float16. Each call has a process of its own, and another one looks at it every millisecond: counted
is the most that ``RssAnon`` of ``/proc/PID/status`` grew by, which the process has for itself. ``ru_maxrss`` has the
file's pages as well, which the system takes back when it needs them. More than 300 MB are a failure; of smaller files,
more than 20 MB and half of the file.

``flat`` counts the bytes that malloc has handed out (glibc's ``mallinfo2``, Python's own included). 2,000 fits in all,
of each estimator, recorded and step by step, and 100,000 predictions from four threads; counted is what the second half
of the calls of each kind has left. More than 4 kB, 8 bytes a fit and 0.1 a prediction are a failure.

Linux only. The exit status is 1 after a failure.
"""

import argparse
import contextlib
import ctypes
import gc
import os
import select
import subprocess
import sys
import tempfile
import threading
import time
import warnings
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np

WIDTH, CLASSES = 3072, 10
# Rows and dtype of the files.
FILES = ((500_000, "uint8"), (200_000, "int8"), (200_000, "float16"))
MOST = 300e6

FITS, PREDICTIONS, THREADS = 2000, 100_000, 4
# What may be left by a call, and by all of a kind, where lists of freed memory end elsewhere than they began.
BYTES_A_FIT, BYTES_A_PREDICTION, BYTES_AT_ALL = 8, 0.1, 4096


# -------------------------------------------------------------------------------------------------------- memory maps

# Pixels as they are, in an epoch of minibatches: the figures are of memory, not of accuracy.
RAW = {"weight_scale": 1e-3, "learning_rate": 1e-6, "random_state": 0, "batch_size": 200, "num_epochs": 1}
ONE_EPOCH = {**RAW, "tol": None, "lr_schedule": None}


def fit(name, X, y, sample_weight=None, **params):
    """Fit an estimator of this name for an epoch."""
    import sklearn_dl

    return getattr(sklearn_dl, name)(**{**ONE_EPOCH, **params}).fit(X, y, sample_weight)


def fit_validated(X, y):
    """Fit with a validation set, every tenth row."""
    import sklearn_dl

    sklearn_dl.FullyConnectedNet(**ONE_EPOCH).fit(X, y, X_val=X[::10], y_val=y[::10])


def fit_part(X, y):
    """Fit all of it as a part."""
    import sklearn_dl

    sklearn_dl.TwoLayerNet(**RAW).partial_fit(X, y, classes=range(CLASSES))


def fit_pipeline(X, y):
    """Fit a pipeline that makes rows of images."""
    from sklearn.pipeline import make_pipeline

    from sklearn_dl import Softmax
    from sklearn_dl.preprocessing import ImageReshaper

    images = X.reshape(-1, 3, 32, 32)
    make_pipeline(ImageReshaper(input_layout="NCHW", output_layout="rows"), Softmax(**ONE_EPOCH)).fit(images, y)


def train_solver(X, y):
    """Train a net without an estimator."""
    from sklearn_dl.nets import FullyConnected
    from sklearn_dl.solver import Solver

    net = FullyConnected([100], WIDTH, CLASSES, weight_scale=1e-3, random_state=0)
    data = {"X_train": X, "y_train": y, "X_val": X[::10], "y_val": y[::10]}
    options = {"optim_config": {"learning_rate": 1e-6}, "batch_size": 200, "num_epochs": 1, "random_state": 0}
    Solver(net, data, verbose=False, **options).train()


def predict(method, X, y):
    """Call a method of an estimator that was fitted on a few rows."""
    model = fit("TwoLayerNet", np.array(X[:1000]), y[:1000])
    getattr(model, method)(X, *([y] if method == "score" else []))


CALLS = {
    "Softmax.fit": lambda X, y: fit("Softmax", X, y),
    "TwoLayerNet.fit": lambda X, y: fit("TwoLayerNet", X, y),
    "TwoLayerNet.fit, early_stopping": lambda X, y: fit("TwoLayerNet", X, y, early_stopping=True),
    "TwoLayerNet.fit, sample_weight": lambda X, y: fit("TwoLayerNet", X, y, np.arange(len(X)) % 3),
    "FullyConnectedNet.fit, X_val": fit_validated,
    "FullyConnectedNet.fit, float64": lambda X, y: fit("FullyConnectedNet", X, y, dtype="float64"),
    "FullyConnectedRegressor.fit": lambda X, y: fit("FullyConnectedRegressor", X, y),
    "TwoLayerNet.partial_fit": fit_part,
    "Softmax.fit, lbfgs": lambda X, y: fit("Softmax", X, y, update_rule="lbfgs", learning_rate="auto"),
    "Solver.train": train_solver,
    "pipeline of ImageReshaper": fit_pipeline,
    "TwoLayerNet.predict_proba": lambda X, y: predict("predict_proba", X, y),
    "TwoLayerNet.score": lambda X, y: predict("score", X, y),
}


def write_file(path, rows, dtype):
    """Write rows of numbers from 0 to 127 to a file of NumPy's, a block at a time."""
    random = np.random.RandomState(0)
    file = np.lib.format.open_memmap(path, "w+", np.dtype(dtype), (rows, WIDTH))
    block = random.randint(0, 128, (min(rows, 10_000), WIDTH), np.int8)
    for start in range(0, rows, len(block)):
        part = file[start : start + len(block)]
        part[...] = np.roll(block, start // len(block), axis=1)[: len(part)]
    file.flush()


def call_one(path, name):
    """In a process of its own: call when told to, and say when it is done."""
    import sklearn_dl  # noqa: F401  # what importing takes is not counted

    X = np.load(path, mmap_mode="r")
    y = np.arange(len(X)) % CLASSES
    print("ready", flush=True)
    sys.stdin.readline()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of a loss that did not fall
        CALLS[name](X, y)
    print("done", flush=True)
    sys.stdin.readline()


def own_memory(pid):
    """Return the bytes of anonymous memory that a process has."""
    for line in Path(f"/proc/{pid}/status").read_text().splitlines():
        if line.startswith("RssAnon:"):
            return 1024 * int(line.split()[1])
    raise RuntimeError("/proc/PID/status has no RssAnon: this takes Linux 4.5 or later.")


def measure(path, name):
    """Return the most bytes that a call had, beyond those of its process before."""
    command = [sys.executable, sys.argv[0], "call", "--file", path, "--name", name]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as process:
        if process.stdout.readline() != "ready\n":
            raise RuntimeError(f"{name} has not begun.")
        before = most = own_memory(process.pid)
        print("go", file=process.stdin, flush=True)
        while not select.select([process.stdout], [], [], 0.001)[0]:
            most = max(most, own_memory(process.pid))
        if process.stdout.readline() != "done\n":
            raise RuntimeError(f"{name} has failed.")
        most = max(most, own_memory(process.pid))
        print("end", file=process.stdin, flush=True)
    return most - before


def run_maps(scale, pattern):
    """Print the memory of each call on each file; return the names of those that took too much."""
    failed = []
    with tempfile.TemporaryDirectory() as folder:
        for rows, dtype in FILES:
            rows = max(1, round(rows * scale))
            path = f"{folder}/X.npy"
            write_file(path, rows, dtype)
            size = rows * WIDTH * np.dtype(dtype).itemsize
            print(f"\n{rows:,} x {WIDTH:,} {dtype}, {size / 1e6:,.0f} MB: MB of the call's own, seconds")
            for name in CALLS:
                if pattern in name:
                    began = time.perf_counter()
                    most = measure(path, name)
                    print(f"  {name:32} {most / 1e6:6.0f} {time.perf_counter() - began:6.1f}", flush=True)
                    if most > min(MOST, 20e6 + size / 2):
                        failed.append(f"{name} on {dtype}")
    return failed


# --------------------------------------------------------------------------------------------- many fits, predictions


def bytes_in_use():
    """Return how many bytes malloc has handed out, in all its arenas."""
    gc.collect()
    if hasattr(sys, "_clear_type_cache"):  # keeps up to 4096 names of attributes that NumPy and others have made
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", DeprecationWarning)
            sys._clear_type_cache()
    info = (ctypes.c_size_t * 10)()  # arena, ordblks, smblks, hblks, hblkhd, usmblks, fsmblks, uordblks, …
    mallinfo2 = ctypes.CDLL(None).mallinfo2
    mallinfo2.restype = type("mallinfo2", (ctypes.Structure,), {"_fields_": [("numbers", type(info))]})
    numbers = mallinfo2().numbers
    return numbers[4] + numbers[7]


def kinds():
    """Return the estimators that are fitted, by name."""
    import sklearn_dl

    small = {"num_epochs": 2, "batch_size": 16, "random_state": 0, "tol": None, "lr_schedule": None}
    sizes = {
        "Softmax": {},
        "TwoLayerNet": {"hidden_dim": 8, "early_stopping": True},
        "FullyConnectedNet": {"hidden_dims": (8, 6), "normalization": "batchnorm", "dropout_keep_ratio": 0.9},
        "ThreeLayerConvNet": {"num_filters": 4, "filter_size": 3, "hidden_dim": 8},
        "FullyConnectedRegressor": {"hidden_dims": (8, 6)},
    }
    return {name: getattr(sklearn_dl, name)(**small, **params) for name, params in sizes.items()}


@contextlib.contextmanager
def step_by_step():
    """Train without recordings, meanwhile."""
    from sklearn_dl.training import _program

    _program.enabled = False
    try:
        yield
    finally:
        _program.enabled = True


def growth(call, count):
    """Return how many bytes the second half of `count` calls has left."""
    for _ in range(count - count // 2):
        call()
    before = bytes_in_use()
    for _ in range(count // 2):
        call()
    return bytes_in_use() - before


def run_flat(scale):
    """Print what many calls have left of each kind; return the names of those that left too much."""
    random = np.random.RandomState(0)
    X, y = random.randn(60, 48).astype(np.float32), np.arange(60) % 3
    models = kinds()
    fits = max(20, round(FITS * scale) // (2 * len(models)))
    predictions = max(200, round(PREDICTIONS * scale) // len(models))
    failed = []
    print(f"\n{fits} fits and {predictions:,} predictions of each kind: bytes left by half of them, MB of the process")
    warnings.simplefilter("ignore")

    def look(name, left, limit):
        print(f"  {name:40} {left:8,} {own_memory(os.getpid()) / 1e6:7.1f}", flush=True)
        if left > limit:
            failed.append(name)

    for name, model in models.items():
        for how in ("recorded", "step by step"):
            with contextlib.nullcontext() if how == "recorded" else step_by_step():
                left = growth(lambda model=model: model.fit(X, y), fits)
            look(f"{name}, {how}", left, BYTES_AT_ALL + BYTES_A_FIT * (fits // 2))
        each = predictions // (2 * THREADS)  # half of them in a task of each thread
        together = threading.Barrier(THREADS)  # else a thread may have two of the tasks, another none
        with ThreadPoolExecutor(THREADS) as pool:

            def predict_in_threads(model=model, pool=pool, each=each, together=together):
                def some(i):
                    together.wait()
                    for k in range(each):
                        model.predict(X[(i + k) % 50 :][: 1 + k % 9])

                list(pool.map(some, range(THREADS)))

            left = growth(predict_in_threads, 2)
        look(f"{name}, predictions of {THREADS} threads", left, BYTES_AT_ALL + BYTES_A_PREDICTION * each * THREADS)
    return failed


def run_flat_apart(scale):
    """Do what `run_flat` does in a process whose every allocation is malloc's, and is not kept when it is freed."""
    tunables = "glibc.malloc.tcache_count=0"
    env = {**os.environ, "PYTHONMALLOC": "malloc", "GLIBC_TUNABLES": tunables, "OMP_NUM_THREADS": "1"}
    command = [sys.executable, sys.argv[0], "flat", "--here", "--scale", str(scale)]
    return ["flat"] if subprocess.run(command, env=env, check=False).returncode else []


# ---------------------------------------------------------------------------------------------------------- the command


def parse(arguments=None):
    """Return the options of the command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("command", nargs="?", default="all", choices=("all", "maps", "flat", "call"))
    parser.add_argument("--scale", type=float, default=1.0, help="share of the rows, fits and predictions")
    parser.add_argument("--calls", default="", metavar="TEXT", help="only calls on memory maps with this in their name")
    for option in ("--file", "--name"):
        parser.add_argument(option, help=argparse.SUPPRESS)  # of 'call'
    parser.add_argument("--here", action="store_true", help=argparse.SUPPRESS)
    return parser.parse_args(arguments)


def main(arguments=None):
    """Return the exit status."""
    options = parse(arguments)
    if options.command == "call":
        call_one(options.file, options.name)
        return 0
    failed = run_maps(options.scale, options.calls) if options.command in ("all", "maps") else []
    if options.command in ("all", "flat"):
        failed += (run_flat if options.here else run_flat_apart)(options.scale)
    if failed:
        print(f"\ntoo much memory: {'; '.join(failed)}")
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
