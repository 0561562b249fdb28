"""Kill trainings at random moments and let them go on: the result has the same bits, no file is broken or left behind.

``python tests/kill_training.py --kills 200``
    Trains in processes of their own, with a file to go on from, ends each by SIGKILL, half of them at a random moment,
    half within a write, and starts it again until it comes to its end. Checks after each kill that the file, if there
    is one, can be read; after the last, that the result is that of a training without interruption, to the bit, and
    that nothing else is in the folder. Prints what came of it; exits with 1 if a rule was broken.
"""

import os

if __name__ == "__main__":
    os.environ["OMP_NUM_THREADS"] = "1"  # processes that are forked have no pool of threads

import argparse
import collections
import hashlib
import pickle
import random
import signal
import sys
import tempfile
import time
import warnings
from pathlib import Path

import numpy as np

if __package__ in (None, ""):  # run as a script
    sys.path.insert(0, str(Path(__file__).parent.parent))

from sklearn_dl import FullyConnectedNet, FullyConnectedRegressor, Softmax, TwoLayerNet, _archive, _atomic
from sklearn_dl.nets import FullyConnected
from sklearn_dl.persistence import read_archive
from sklearn_dl.solver import Solver

EPOCHS = 30
PARTS = ("header", "arrays", "flush", "rename", "renamed")  # of a write, in which a process is killed


def dataset():
    rng = np.random.RandomState(0)
    X, y = rng.randn(240, 16), rng.randint(3, size=240)
    X[np.arange(240), y] += 1
    return X, y


def outcome(thing, params):
    """Return a digest of all that training has left, but for the seconds."""
    end = "" if isinstance(thing, Solver) else "_"
    names = ("loss_history", "learning_rate_history", "history", "stop_reason", "best_epoch")
    kept = {name: getattr(thing, name + end) for name in names}
    kept["history"] = {**kept["history"], "seconds": None}
    kept["params"] = {name: value.tobytes() for name, value in params.items()}
    return hashlib.sha256(repr(kept).encode()).hexdigest()


def fitted(estimator, folder, **fit_params):
    X, y = dataset()
    options = {} if folder is None else {"checkpoint": folder / "run"}
    estimator.set_params(tol=None, random_state=1, batch_size=16, **options).fit(X, y, **fit_params)
    return outcome(estimator, estimator.params_)


def plain(folder):
    return fitted(Softmax(num_epochs=EPOCHS), folder)


def several_epochs_at_once(folder):
    return fitted(TwoLayerNet(hidden_dim=10, num_epochs=8 * EPOCHS, checkpoint_interval=0.01), folder)


def validated(folder):
    net = FullyConnectedNet(
        hidden_dims=(10, 8), normalization="batchnorm", early_stopping=True, n_iter_no_change=EPOCHS, num_epochs=EPOCHS
    )
    return fitted(net, folder)


def with_dropout(folder):
    X, y = dataset()
    net = FullyConnectedNet(hidden_dims=(10,), dropout_keep_ratio=0.6, update_rule="nesterov", num_epochs=EPOCHS)
    return fitted(net, folder, X_val=X[:40], y_val=y[:40])


def regression(folder):
    return fitted(FullyConnectedRegressor(hidden_dims=(10,), num_epochs=EPOCHS), folder)


def warm_start(folder):
    X, y = dataset()
    net = TwoLayerNet(hidden_dim=10, num_epochs=3, batch_size=16, random_state=1, tol=None, warm_start=True)
    return fitted(net.fit(X, y).set_params(num_epochs=EPOCHS), folder)


def solver(folder):
    X, y = dataset()
    data = {"X_train": X[:200], "y_train": y[:200], "X_val": X[200:], "y_val": y[200:]}
    net = FullyConnected([10], 16, 3, dropout_keep_ratio=0.7, weight_scale="he", random_state=0)
    files = [] if folder is None else sorted(folder.glob("run_*"), key=lambda path: int(path.stem.split("_")[-1]))
    np.random.seed(len(files))  # of a training that goes on, the samples and their order are in the file
    trained = Solver(
        net,
        data,
        update_rule="adam",
        optim_config={"learning_rate": 1e-3},
        num_epochs=EPOCHS,
        batch_size=16,
        num_train_samples=50,
        verbose=False,
        checkpoint=None if folder is None else folder / "run",
    )
    if files:
        trained.resume(files[-1])
    trained.train()
    return outcome(trained, net.params)


TRAININGS = {
    training.__name__: training
    for training in (
        plain,
        several_epochs_at_once,
        validated,
        with_dropout,
        regression,
        warm_start,
        solver,
    )
}


# ----------------------------------------------------------------------- killing


def kill_in_write(part, number, share):
    """Let this process be killed in the write of this number, in one part of it."""
    count = 0
    write_members, fsync, replace = _archive._write_members, os.fsync, os.replace

    def die():
        os.kill(os.getpid(), signal.SIGKILL)
        time.sleep(60)

    def write(file, header, arrays):
        nonlocal count
        count += 1
        if count == number and part == "header":
            die()
        write_members(file, header, arrays)
        if count == number and part == "arrays":
            file.flush()
            file.truncate(int(share * file.tell()))
            die()

    def flush(descriptor):
        if count == number and part == "flush":
            die()
        fsync(descriptor)

    def rename(source, target):
        if count == number and part == "rename":
            die()
        replace(source, target)
        if count == number and part == "renamed":
            die()

    _archive._write_members, _atomic.os = write, _Replaced(os, fsync=flush, replace=rename)


class _Replaced:
    """A module with other functions."""

    def __init__(self, module, **functions):
        vars(self).update(vars(module), **functions)


def start(training, folder, answer, in_write=None):
    """Train in a new process; return its id."""
    pid = os.fork()
    if pid:
        return pid
    try:
        warnings.simplefilter("ignore")
        if in_write is not None:
            kill_in_write(*in_write)
        answer.write_bytes(pickle.dumps(training(folder)))
        os._exit(0)
    except BaseException as error:
        answer.write_bytes(pickle.dumps(f"{type(error).__name__}: {error}"))
        os._exit(1)


def end(pid, seconds=None):
    """Wait until a process has ended, after some seconds by force; return whether it was killed."""
    if seconds is not None:
        time.sleep(seconds)
        os.kill(pid, signal.SIGKILL)  # it is a zombie at worst
    return os.WIFSIGNALED(os.waitpid(pid, 0)[1])


def check_folder(folder, failures, name, *, at_end):
    """Note files that cannot be read and, at the end, those that should not be there."""
    for path in folder.iterdir():
        if path.name.startswith("run"):
            try:
                read_archive(path)
            except Exception as error:
                failures.append(f"{name}: {path.name} cannot be read: {error}")
        elif at_end:
            failures.append(f"{name}: {path.name} was left behind")
    if at_end and len(list(folder.iterdir())) > 5:
        failures.append(f"{name}: {sorted(path.name for path in folder.iterdir())}")


def run(n_kills, seed=0, out=sys.stdout):
    """Kill trainings; print what came of it, return the number of broken rules."""
    rng, counts, failures = random.Random(seed), collections.Counter(), []
    began = time.perf_counter()
    with tempfile.TemporaryDirectory() as place:
        place, expected, seconds = Path(place), {}, {}
        for name, training in TRAININGS.items():
            answer, folder = place / name, place / f"{name} whole"
            folder.mkdir()
            for where in (None, folder):
                start_time = time.perf_counter()
                end(start(training, where, answer))
                seconds[name] = time.perf_counter() - start_time
                results = {expected.setdefault(name, answer.read_bytes()), answer.read_bytes()}
            if len(results) > 1:
                failures.append(f"{name}: with checkpoints, the result is another: {results}")
        while counts["kills"] < n_kills:
            name = rng.choice(list(TRAININGS))
            folder, answer = place / f"{name} {counts['trainings']}", place / f"answer {counts['trainings']}"
            folder.mkdir()
            counts["trainings"] += 1
            for _ in range(rng.randint(1, min(5, n_kills - counts["kills"]))):
                in_write = (rng.choice(PARTS), rng.randint(1, 5), rng.random()) if rng.random() < 0.5 else None
                pid = start(TRAININGS[name], folder, answer, in_write)
                if end(pid, None if in_write else rng.random() * seconds[name]):
                    counts["kills"] += 1
                    counts[f"in a write: {in_write[0]}" if in_write else "at any moment"] += 1
                check_folder(folder, failures, name, at_end=False)
            end(start(TRAININGS[name], folder, answer))
            if answer.read_bytes() != expected[name]:
                failures.append(f"{name}: another result: {pickle.loads(answer.read_bytes())}")
            check_folder(folder, failures, name, at_end=True)
    for what, count in sorted(counts.items()):
        print(f"{count:6d}  {what}", file=out)
    for failure in failures:
        print(failure, file=out)
    took = time.perf_counter() - began
    print(f"{counts['kills']} kills, {len(failures)} failures, {took:.0f} s", file=out)
    return len(failures)


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n\n")[0])
    parser.add_argument("--kills", type=int, default=200)
    parser.add_argument("--seed", type=int, default=0)
    options = parser.parse_args()
    sys.exit(min(run(options.kills, options.seed), 1))


if __name__ == "__main__":
    main()
