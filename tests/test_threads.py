"""How many threads kernels get, and that training does not depend on it."""

import os
import subprocess
import sys
import threading
from concurrent.futures import ThreadPoolExecutor

import joblib
import numpy as np
import pytest
from joblib._parallel_backends import ThreadingBackend
from threadpoolctl import threadpool_limits

from sklearn_dl import _ext, _threads
from sklearn_dl._threads import ThreadTuner, hold_threads, n_threads
from sklearn_dl.nets import FullyConnected, ThreeLayerConv
from sklearn_dl.solver import Solver

needs_openmp = pytest.mark.skipif(not _ext.openmp, reason="built without OpenMP")
needs_fork = pytest.mark.skipif(not hasattr(os, "fork"), reason="this system cannot fork")


@pytest.fixture
def eight_cpus(monkeypatch):
    """Let this machine have eight CPUs."""
    monkeypatch.setattr(_threads, "_cpus", 8)


@pytest.fixture
def eight_threads(monkeypatch, eight_cpus):
    """Let OpenMP be ready for eight threads, too."""
    monkeypatch.setattr(_threads, "max_threads", lambda: 8)


def run(script, **environment):
    """Run a script in a fresh interpreter; return what it prints."""
    result = subprocess.run(
        [sys.executable, "-c", script],
        env={**os.environ, **environment},
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert result.returncode == 0, result.stderr
    return result.stdout.strip()


# ---------------------------------------------------------------- the decision


@pytest.mark.parametrize(("openmp", "cpus", "expected"), [(8, 8, 8), (8, 2, 2), (3, 8, 3)])
def test_the_smallest_limit_decides(openmp, cpus, expected, monkeypatch):
    monkeypatch.setattr(_threads, "max_threads", lambda: openmp)
    monkeypatch.setattr(_threads, "_cpus", None)
    monkeypatch.setattr(_threads, "cpu_count", lambda: cpus)
    assert n_threads() == expected
    assert _threads._cpus == cpus


def test_one_thread_needs_no_look_at_the_machine(monkeypatch):
    monkeypatch.setattr(_threads, "max_threads", lambda: 1)
    monkeypatch.setattr(_threads, "_cpus", None)
    monkeypatch.setattr(_threads, "cpu_count", None)
    assert n_threads() == 1


@needs_openmp
@pytest.mark.usefixtures("eight_cpus")
@pytest.mark.parametrize("limit", [1, 2, 5])
def test_threadpoolctl(limit):
    before = n_threads()
    with threadpool_limits(limit, user_api="openmp"):
        assert n_threads() == limit
    assert n_threads() == before


@needs_openmp
def test_environment():
    ask = "print(t.n_threads());"
    script = f"from sklearn_dl import _threads as t; {ask} t._cpus = 8; {ask}"
    assert run(script, OMP_NUM_THREADS="3", LOKY_MAX_CPU_COUNT="1").split() == ["1", "3"]


@pytest.mark.usefixtures("eight_threads")
def test_one_inside_joblibs_threads():
    def call():
        return n_threads(), threading.current_thread() is threading.main_thread()

    def ask(n_jobs):
        with joblib.Parallel(n_jobs=n_jobs, backend="threading") as parallel:
            return parallel(joblib.delayed(call)() for _ in range(4))

    assert ask(2) == [(1, False)] * 4
    assert ask(1) == [(8, True)] * 4
    assert n_threads() == 8


@pytest.mark.usefixtures("eight_threads")
def test_joblibs_processes_have_their_own_limit():
    # Their main thread works, one level down; joblib has set OMP_NUM_THREADS for them.
    with joblib.parallel_config(backend=ThreadingBackend(nesting_level=1)):
        assert n_threads() == 8


@pytest.mark.usefixtures("eight_threads")
def test_other_threads_get_all():
    with ThreadPoolExecutor(1) as pool:
        assert pool.submit(n_threads).result() == 8


# --------------------------------------------------------------------- holding


def test_hold_threads(monkeypatch):
    limits = iter([5, 4, 3])
    monkeypatch.setattr(_threads, "max_threads", lambda: next(limits))
    monkeypatch.setattr(_threads, "_cpus", 8)
    with hold_threads() as held:
        assert [held, n_threads(), n_threads()] == [5, 5, 5]
        with hold_threads() as inner:
            assert inner == 5
        assert n_threads() == 5
        with ThreadPoolExecutor(1) as pool:  # of this thread only
            assert pool.submit(n_threads).result() == 4
    assert n_threads() == 3


@pytest.mark.usefixtures("eight_threads")
def test_hold_threads_ends_with_an_error(monkeypatch):
    with pytest.raises(RuntimeError), hold_threads():
        raise RuntimeError
    monkeypatch.setattr(_threads, "max_threads", lambda: 2)
    assert n_threads() == 2


def test_training_holds_the_number(monkeypatch):
    calls = []
    solver = make_solver(FullyConnected([5], 9, 3, random_state=0))
    monkeypatch.setattr(_threads, "max_threads", lambda: calls.append(1) or 1)
    solver.train()
    assert len(calls) == 1


# ---------------------------------------------------------------------- tuning


class Clock:
    """Stands for the time module: steps take as long as they are told."""

    now = 0.0

    def perf_counter(self):
        return self.now


def run_steps(tuner, clock, seconds, until):
    """Run steps that take seconds(threads) until a time; return the threads of each and the time it began."""
    steps = []
    while clock.now < until:
        steps.append((n_threads(), clock.now))
        began = clock.now
        clock.now += seconds(n_threads())
        tuner.note(began, 10)
    return steps


@pytest.fixture
def clock(monkeypatch):
    clock = Clock()
    monkeypatch.setattr(_threads, "time", clock)
    return clock


def share(steps, threads):
    """Return the share of steps on so many threads."""
    return sum(number == threads for number, _ in steps) / len(steps)


@pytest.mark.usefixtures("eight_threads")
@pytest.mark.parametrize(
    ("seconds", "best"),
    [
        (lambda threads: 1e-3 / threads, 8),
        (lambda threads: 1e-3 if threads == 1 else 25e-3, 1),
        (lambda threads: abs(threads - 2) * 1e-3 + 1e-3, 2),
        (lambda threads: 1e-3 / min(threads, 4) + 1e-4 * threads, 4),
        (lambda threads: 1e-3, 8),  # no use in changing
        (lambda threads: 0.4 / threads, 8),  # long steps
    ],
)
def test_tuner_finds_the_fastest_number(seconds, best, clock):
    with hold_threads():
        tuner = ThreadTuner()
        run_steps(tuner, clock, seconds, 20)
        assert share(run_steps(tuner, clock, seconds, 60), best) > 0.9
    assert n_threads() == 8


@pytest.mark.usefixtures("eight_threads")
def test_tuner_follows_a_machine_that_gets_busy_and_quiet_again(clock):
    with hold_threads():
        tuner = ThreadTuner()
        quiet, busy = (lambda threads: 1e-3 / threads), (lambda threads: 1e-3 if threads == 1 else 25e-3)
        assert share(run_steps(tuner, clock, quiet, 5), 8) > 0.9
        run_steps(tuner, clock, busy, 30)
        assert share(run_steps(tuner, clock, busy, 40), 1) > 0.9
        run_steps(tuner, clock, quiet, 60)
        assert share(run_steps(tuner, clock, quiet, 80), 8) > 0.9


@pytest.mark.usefixtures("eight_threads")
def test_tuner_is_not_misled_by_a_few_slow_steps(clock):
    with hold_threads():
        tuner = ThreadTuner()
        # One in twenty takes ten times as long, whenever that is.
        steps = run_steps(
            tuner, clock, lambda threads: (1e-2 if int(clock.now * 1e4) % 20 == 0 else 1e-3) / threads, 60
        )
    assert share(steps, 8) > 0.9


@pytest.mark.usefixtures("eight_threads")
@pytest.mark.parametrize("seconds", [1e-4, 1e-2, 1])
def test_trials_take_a_small_share_of_the_time(seconds, clock):
    with hold_threads():
        steps = run_steps(ThreadTuner(), clock, lambda threads: 8 / threads * seconds, 5000 * max(seconds, 0.1))
    assert {number for number, _ in steps} == {1, 4, 8}
    assert share(steps, 8) > 0.95


@pytest.mark.usefixtures("eight_threads")
def test_tuner_never_takes_more_than_it_may(clock):
    with threadpool_limits(1), hold_threads():
        _threads._held.value = 1
        tuner = ThreadTuner()
        assert {number for number, _ in run_steps(tuner, clock, lambda threads: 1e-3, 2)} == {1}


@pytest.mark.usefixtures("eight_threads")
def test_changing_the_number_in_mid_training_changes_no_bit(monkeypatch):
    def train():
        solver = make_solver(FullyConnected([100, 50], 700, 3, normalization="batchnorm", random_state=0))
        numbers = []
        step = solver._step
        monkeypatch.setattr(solver, "_step", lambda rows: numbers.append(n_threads()) or step(rows))
        solver.num_epochs = 5
        solver.train()
        return numbers, solver.loss_history, {name: value.tobytes() for name, value in solver.net.params.items()}

    plain = train()
    for name, value in {"FIRST_TRIAL": 0, "BETWEEN_TRIALS": 0, "TRIAL_SHARE": 0, "TRIAL_SECONDS": 0}.items():
        monkeypatch.setattr(_threads, name, value)
    monkeypatch.setattr(_threads, "WORTH_CHANGING", float("inf"))
    tuned = train()
    assert set(plain[0]) == {8}
    assert len(set(tuned[0])) > 1
    assert tuned[1:] == plain[1:]


# -------------------------------------------------------------------- training


def make_solver(net):
    rng = np.random.RandomState(0)
    data = {"X_train": rng.rand(64, *net.input_shape), "y_train": rng.randint(3, size=64)}
    options = {"update_rule": "adam", "batch_size": 32, "num_epochs": 2, "verbose": False}
    return Solver(net, data, random_state=0, **options)


@pytest.mark.parametrize(
    "net",
    [
        lambda: FullyConnected([100, 50], 700, 3, normalization="batchnorm", random_state=0),
        lambda: FullyConnected([300], 700, 3, normalization="layernorm", random_state=0),
        lambda: ThreeLayerConv((3, 16, 16), random_state=0),
        lambda: ThreeLayerConv((2, 15, 9), normalization="batchnorm", random_state=0),
        lambda: ThreeLayerConv((2, 16, 8), normalization="groupnorm", random_state=0),
    ],
)
def test_training_does_not_depend_on_the_number_of_threads(net, monkeypatch):
    results = []
    for number in (1, 2, 3):
        monkeypatch.setattr(_threads._held, "value", number, raising=False)
        solver = make_solver(net())
        solver.train()
        params = {name: value.tobytes() for name, value in solver.net.params.items()}
        results.append((solver.loss_history, params))
    assert results[1] == results[0]
    assert results[2] == results[0]


FORK = """
import multiprocessing, os, sys
import numpy as np
from sklearn_dl import _threads
from sklearn_dl.nets import ThreeLayerConv
from sklearn_dl.solver import Solver

def train():
    rng = np.random.RandomState(0)
    net = ThreeLayerConv((3, 32, 32), random_state=0)
    data = {"X_train": rng.rand(40, 3, 32, 32), "y_train": rng.randint(10, size=40)}
    Solver(net, data, num_epochs=1, batch_size=20, verbose=False, random_state=0).train()
    return _threads.n_threads(), net.params["W1"].tobytes(), net.params["W3"].tobytes()

_threads._cpus = 2
with _threads.hold_threads():
    ours = train()
    assert ours[0] == 2
    with multiprocessing.get_context("fork").Pool(2) as pool:
        for theirs in [pool.apply_async(train) for _ in range(2)]:
            theirs = theirs.get(30)
            assert theirs[0] == 1
            assert theirs[1:] == ours[1:]
assert train() == ours
print("trained")
"""


@pytest.mark.usefixtures("eight_threads")
def test_one_after_a_fork_whatever_was_held(monkeypatch):
    monkeypatch.setattr(_threads, "_forked", False)
    with hold_threads():
        assert n_threads() == 8
        _threads._mark_forked()
        assert n_threads() == 1
    assert n_threads() == 1


@needs_openmp
@needs_fork
def test_a_forked_child_trains():
    assert run(FORK, OMP_NUM_THREADS="2").endswith("trained")


FORK_WHILE_TRAINING = """
import os, threading, time, warnings
import numpy as np
from sklearn_dl.nets import Net
from sklearn_dl.nets.layers import Affine, Dropout, ReLU
from sklearn_dl.solver import Solver

rng = np.random.RandomState(0)
net = Net([Affine(400), ReLU(), Dropout(0.5), Affine(3)], (20,))
data = {"X_train": rng.rand(3000, 20), "y_train": rng.randint(3, size=3000)}
solver = Solver(net, data, num_epochs=10**6, verbose=False)
training = threading.Thread(target=solver.train)
training.start()
while not solver.epoch:
    time.sleep(0.01)
warnings.simplefilter("ignore")  # of processes with threads, from Python 3.12 on
for _ in range(30):
    time.sleep(0.013)
    child = os.fork()
    if not child:
        np.random.rand()
        os._exit(0)
    end = time.monotonic() + 20
    while os.waitpid(child, os.WNOHANG) == (0, 0):
        assert time.monotonic() < end, "a child waits for the lock of NumPy's generator"
        time.sleep(0.001)
solver.stop()
training.join()
print("drawn")
"""


@needs_fork
def test_a_child_of_a_fork_while_another_thread_trains_draws():
    assert run(FORK_WHILE_TRAINING, OMP_NUM_THREADS="1").endswith("drawn")
