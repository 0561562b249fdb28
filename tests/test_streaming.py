"""Data larger than memory: memory maps and Dask arrays, under a limit that the operating system enforces."""

import json
import os
import subprocess
import sys

import numpy as np
import pytest

from sklearn_dl import TwoLayerNet

from ._estimators import all_classes, answers, assert_same, blobs, each_estimator, each_of_all, images, small

needs_linux = pytest.mark.skipif(sys.platform != "linux", reason="only Linux holds a process to such a limit")

# 64 MB of images: 16 of one of two classes, dark and bright, after 16 of the other.
SHAPE = (20_000, 3, 32, 32)
LIMIT = 32 * 2**20

LIMITED = """
import json, resource, sys, threading
import numpy as np
from sklearn_dl import Softmax, ThreeLayerConvNet, TwoLayerNet

path, shape, limit = sys.argv[1], json.loads(sys.argv[2]), int(sys.argv[3])
X = np.memmap(path, np.uint8, "r", shape=tuple(shape))
y = np.arange(len(X)) // 16 % 2
short = {"num_epochs": 1, "batch_size": 50, "random_state": 0}
small = {"hidden_dim": 5, "normalization": "batchnorm", **short}
NETS = {
    "Softmax": Softmax(**short),
    "TwoLayerNet": TwoLayerNet(**small),
    "ThreeLayerConvNet": ThreeLayerConvNet(num_filters=2, filter_size=3, num_iters=50, **small),
}

def private(field):
    # Memory of the process's own, to which pages of a file do not belong: asked for (VmData, what RLIMIT_DATA
    # counts) and used (RssAnon).
    with open("/proc/self/status") as status:
        return 1024 * next(int(line.split()[1]) for line in status if line.startswith(field))

def fit(name, **params):
    return NETS[name].set_params(**params).fit(X, y)

def by_parts(name):
    for start in range(0, len(X), 2000):
        NETS[name].partial_fit(X[start : start + 2000], y[start : start + 2000], classes=[0, 1])
    return NETS[name]

def whole_copy(name):
    return NETS[name].fit(X.astype(np.float32), y)

NETS["Softmax"].fit(X[:60], y[:60])  # what is loaded on first use does not count
used = [private("RssAnon")]
ended = threading.Event()

def watch():
    while not ended.wait(0.002):
        used.append(private("RssAnon"))

watcher = threading.Thread(target=watch)
watcher.start()
before = private("VmData")
resource.setrlimit(resource.RLIMIT_DATA, (before + limit, resource.RLIM_INFINITY))
"""


@pytest.fixture(scope="module")
def limited(tmp_path_factory):
    """Return a function that runs an expression in a process with little memory, beside a large file."""
    path = tmp_path_factory.mktemp("images") / "images.dat"
    block = images(32, SHAPE[1:])[0]
    block = np.concatenate([block[::2], block[1::2]])
    with path.open("wb") as file:
        for _ in range(SHAPE[0] // len(block)):
            file.write(block.tobytes())
    assert path.stat().st_size > 1.5 * LIMIT

    def run(expression, after="score(X, y)"):
        work = f"try:\n    result = ({expression}).{after}\nfinally:\n    ended.set()\n    watcher.join()"
        script = f"{LIMITED}\n{work}\nprint(json.dumps([result, max(used) - used[0], len(used)]))"
        return subprocess.run(
            [sys.executable, "-c", script, str(path), json.dumps(SHAPE), str(LIMIT)],
            env={**os.environ, "OMP_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1"},
            capture_output=True,
            text=True,
            timeout=120,
            check=False,
        )

    return run


@needs_linux
@pytest.mark.parametrize(
    "expression",
    [
        "fit('Softmax')",
        "fit('TwoLayerNet', early_stopping=True, class_weight='balanced')",
        "fit('ThreeLayerConvNet')",
        "by_parts('TwoLayerNet')",
    ],
)
def test_a_file_larger_than_memory(expression, limited):
    result = limited(expression)
    assert result.returncode == 0, result.stderr
    score, peak, looks = json.loads(result.stdout)
    assert score > 0.99
    assert looks > 10
    assert 0 < peak < 0.75 * LIMIT  # 2/5 of the file


@needs_linux
@pytest.mark.parametrize("expression", ["whole_copy('Softmax')", "X.copy()"])
def test_the_limit_is_real(expression, limited):
    result = limited(expression)
    assert result.returncode != 0
    assert "MemoryError: Unable to allocate" in result.stderr


@each_of_all
def test_a_memory_map_is_as_good_as_an_array(cls, tmp_path):
    X, y = images()
    np.save(tmp_path / "X.npy", X)
    mapped = np.load(tmp_path / "X.npy", mmap_mode="r")
    assert_same(small(cls).fit(mapped, y), small(cls).fit(X, y))
    parts = slice(0, 30), slice(30, 40)
    from_file, from_memory = small(cls), small(cls)
    for part in parts:
        from_file.partial_fit(mapped[part], y[part], **all_classes(cls, 0, 1))
        from_memory.partial_fit(X[part], y[part], **all_classes(cls, 0, 1))
    assert_same(from_file, from_memory)
    np.testing.assert_array_equal(answers(from_file, mapped), answers(from_memory, X))


# ------------------------------------------------------------------------------------ Dask arrays


@pytest.fixture
def dask_array():
    return pytest.importorskip("dask.array", reason="Dask is an extra, and not installed")


@each_of_all
def test_dask_array_by_blocks(cls, dask_array):
    X, y = blobs(64)
    chunks = dask_array.from_array(X, chunks=(20, 16))
    labels = dask_array.from_array(y, chunks=20)
    by_blocks, by_hand = small(cls), small(cls)
    for block, part in zip(chunks.blocks, labels.blocks, strict=True):
        by_blocks.partial_fit(block, part, **all_classes(cls, 0, 1, 2))
    for start in range(0, 64, 20):
        by_hand.partial_fit(X[start : start + 20], y[start : start + 20], **all_classes(cls, 0, 1, 2))
    assert_same(by_blocks, by_hand)


@each_estimator
@pytest.mark.parametrize("as_images", [False, True], ids=["rows", "images"])
def test_dask_array_is_predicted_by_blocks(cls, as_images, dask_array):
    X, y = blobs(64)
    if as_images:
        X = X.reshape(-1, 1, 4, 4)
    net = small(cls).fit(X, y)
    blocks = dask_array.from_array(X, chunks=(20, *X.shape[1:]))
    others = tuple(range(1, X.ndim))
    labels = blocks.map_blocks(net.predict, drop_axis=others, dtype=y.dtype)
    np.testing.assert_array_equal(labels.compute(scheduler="threads"), net.predict(X))
    probabilities = blocks.map_blocks(
        net.predict_proba, drop_axis=others[1:], chunks=(blocks.chunks[0], 3), dtype=float
    )
    assert probabilities.shape == (64, 3)
    np.testing.assert_array_equal(probabilities.compute(scheduler="threads"), net.predict_proba(X))


def test_a_whole_dask_array_is_computed(dask_array):
    X, y = blobs(64)
    whole = small(TwoLayerNet).fit(dask_array.from_array(X, chunks=(20, 8)), dask_array.from_array(y, chunks=20))
    assert_same(whole, small(TwoLayerNet).fit(X, y))
