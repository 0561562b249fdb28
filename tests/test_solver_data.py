"""Data of the solver: storage, dtypes, memory, what is refused."""

import gc
import tracemalloc

import numpy as np
import pytest

from sklearn_dl.nets import FullyConnected

from ._solvers import RULES, assert_same_training, dataset, make


def peak_of(call):
    gc.collect()
    tracemalloc.start()
    try:
        call()
        return tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()


@pytest.mark.parametrize("dtype", [np.uint8, np.int16, np.float16])
def test_numbers_are_converted_a_minibatch_at_a_time(dtype):
    X = np.random.RandomState(0).randint(256, size=(3000, 3, 16, 16)).astype(dtype)
    y = np.arange(3000) % 4
    net = FullyConnected([4], 768, 4, random_state=0)
    data = {"X_train": X, "y_train": y, "X_val": X, "y_val": y}

    def train():
        options = {"optim_config": {"learning_rate": 1e-6}, "num_train_samples": None}
        make(net, data, batch_size=50, num_epochs=2, **options).train()

    assert peak_of(train) < X.size  # as float32 it would be four times that


@pytest.mark.parametrize("kind", ["memmap", "read-only", "fortran", "strided", "list"])
def test_storage_does_not_matter(kind, tmp_path):
    data = dataset()
    expected = make(data=data)
    expected.train()
    X = data["X_train"]
    if kind == "memmap":
        np.save(tmp_path / "X.npy", X)
        X = np.load(tmp_path / "X.npy", mmap_mode="r")
    elif kind == "read-only":
        X = X.copy()
        X.setflags(write=False)
    elif kind == "fortran":
        X = np.asfortranarray(X)
    elif kind == "strided":
        X = np.repeat(X, 2, axis=0)[::2]
    else:
        X = X.tolist()
    solver = make(data={**data, "X_train": X})
    solver.train()
    assert_same_training(solver, expected)


@pytest.mark.parametrize("dtype", [*"?bBhHiIlLefdg", ">i2", ">f4"])
def test_dtypes(dtype):
    data = dataset()
    for name in ("X_train", "X_val"):
        data[name] = np.abs(10 * data[name]).astype(dtype)
    exact = {**data, **{k: data[k].astype(np.float32) for k in ("X_train", "X_val")}}
    solver, expected = (make(data=d, optim_config={"learning_rate": 1e-3}) for d in (data, exact))
    for s in (solver, expected):
        s.train()
    assert_same_training(solver, expected)


@pytest.mark.parametrize("weighted", [False, True])
@pytest.mark.parametrize("rule", RULES)
def test_a_step_allocates_nothing(rule, weighted):
    rng = np.random.RandomState(0)
    data = {"X_train": rng.rand(256, 512), "y_train": rng.randint(4, size=256)}
    if weighted:
        data["sample_weight_train"] = rng.rand(256)
    net = FullyConnected([200], 512, 4, reg=0.1, normalization="batchnorm", random_state=0)
    solver = make(net, data, update_rule=rule, optim_config={"learning_rate": 1e-4})
    batches = np.arange(256).reshape(4, 64)

    def steps():
        for rows in batches:
            solver._step(rows)

    steps()
    # The smallest array of a step that has a row for each sample is 64 x 200 float32: 51 kB.
    assert peak_of(steps) < 12_000


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"X_train": None}, "data must hold 'X_train'"),
        ({"y_train": None}, "data must hold 'y_train'"),
        ({"y_val": None}, "data must hold 'y_val'"),
        ({"X_train": np.zeros(60)}, r"data\['X_train'\] must be numbers.*\(60,\)"),
        ({"X_train": [["a"] * 8] * 60}, r"data\['X_train'\] must be numbers.*<U1"),
        ({"X_train": np.zeros((0, 8)), "y_train": []}, r"'X_train'\] must hold at least one"),
        ({"X_val": np.zeros((20, 0))}, r"'X_val'\] must hold at least one.*\(20, 0\)"),
        ({"y_train": np.zeros(59, int)}, r"data\['y_train'\] must be 60 integers.*\(59,\)"),
        ({"y_val": np.zeros(20)}, r"data\['y_val'\] must be 20 integers.*float64"),
        ({"sample_weight_train": [1.0]}, r"'sample_weight_train'\] must have shape.*\(1,\)"),
        ({"sample_weight_train": [-1.0] * 60}, "'sample_weight_train'.*non-negative.*-1.0"),
        ({"sample_weight_val": [0] * 20}, r"'sample_weight_val'\].*not all zero"),
        ({"sample_weight_val": [np.nan] * 20}, r"'sample_weight_val'\] must be finite"),
        ({"rows_train": []}, r"data\['rows_train'\] must be a list of integers.*\(0,\)"),
        ({"rows_train": [0.5]}, r"data\['rows_train'\] must be a list of integers.*float"),
        ({"rows_train": [0, 60]}, r"data\['rows_train'\].*from 0 to 59, got 0 to 60"),
        ({"rows_val": [-1]}, r"data\['rows_val'\].*from 0 to 19, got -1 to -1"),
        (
            {"rows_train": [0], "sample_weight_train": [0] + [1] * 59},
            "'sample_weight_train'.*not all zero",
        ),
        ({"y_train": np.full(60, 4)}, r"data\['y_train'\] must.*from 0 to 3.*got 4 to 4"),
        ({"y_val": np.full(20, -1)}, r"data\['y_val'\] must.*from 0 to 3.*got -1 to -1"),
    ],
)
def test_bad_data(change, message):
    with pytest.raises(ValueError, match=message):
        make(data={**dataset(), **change})


@pytest.mark.parametrize("weight", [["a"] * 60, np.full(60, 1j), [None] * 60])
def test_weights_must_be_numbers(weight):
    with pytest.raises(TypeError, match=r"data\['sample_weight_train'\] must be \(N,\) real numbers"):
        make(data={**dataset(), "sample_weight_train": weight})


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"X_train": np.zeros((60, 9))}, r"X must hold.*\(8,\).*\(60, 9\)"),
        ({"X_val": np.zeros((20, 4))}, r"X must hold.*\(8,\).*\(20, 4\)"),
    ],
)
def test_data_that_does_not_fit_the_net(change, message):
    solver = make(data={**dataset(), **change})
    with pytest.raises(ValueError, match=message):
        solver.train()
