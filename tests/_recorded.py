"""What the tests of recorded training share: nets, solvers for them, and how outcomes are compared to the bit."""

import numpy as np

from sklearn_dl.nets import FullyConnected, Net, ThreeLayerConv
from sklearn_dl.nets.activations import ACTIVATIONS
from sklearn_dl.nets.layers import (
    GELU,
    Affine,
    BatchNorm,
    Conv,
    Dropout,
    GroupNorm,
    LayerNorm,
    MaxPool,
    ReLU,
    SiLU,
    Tanh,
)
from sklearn_dl.solver import Solver

# 37 rows in minibatches of 8 leave one of 5.
ROWS, BATCH = 37, 8


def assert_same(a, b):
    """Compare nested dicts, lists and arrays to the bit."""
    if isinstance(a, dict):
        assert a.keys() == b.keys()
        for name in a:
            assert_same(a[name], b[name])
    elif isinstance(a, (list, tuple)):
        assert len(a) == len(b)
        for one, other in zip(a, b, strict=True):
            assert_same(one, other)
    elif isinstance(a, np.random.RandomState):
        assert_same(a.get_state(legacy=False), b.get_state(legacy=False))
    else:
        assert type(a) is type(b)
        np.testing.assert_array_equal(a, b)


def outcome(solver):
    """Return all that training changed, but for the seconds it took."""
    state = solver.state.to_archive(histories=list)
    state["history"] = {name: column for name, column in state["history"].items() if name != "seconds"}
    return state


def images(dtype=np.float32, rows=ROWS, shape=(2, 6, 6)):
    rng = np.random.RandomState(3)
    X = rng.randint(0, 255, (rows, *shape)).astype(dtype)
    return X if dtype == np.uint8 else X / dtype(255), rng.randint(0, 4, rows)


def solver_of(net, *, X_dtype=np.float32, weighted=False, validated=False, rows=ROWS, **options):
    X, y = images(X_dtype, rows)
    data = {"X_train": X.reshape(rows, *net.input_shape), "y_train": y}
    if weighted:
        weight = np.random.RandomState(4).rand(rows)
        weight[::7] = 0
        data["sample_weight_train"] = weight
    if validated:
        data |= {"X_val": data["X_train"][:9], "y_val": y[:9]}
    options = {"batch_size": BATCH, "num_epochs": 3, "verbose": False, "random_state": 1, **options}
    options["optim_config"] = {"learning_rate": 1e-2, **options.get("optim_config", {})}
    return Solver(net, data, **options)


def trained(make_net, **options):
    solver = solver_of(make_net(), **options)
    solver.train()
    return outcome(solver)


def dense(*layers, **options):
    options = {"reg": 1e-2, "weight_scale": "he", "random_state": 2, **options}
    return lambda: Net([*layers, Affine(4)], (72,), **options)


def convolving(*layers, **options):
    options = {"reg": 1e-2, "weight_scale": "he", "random_state": 2, **options}
    return lambda: Net([*layers, Affine(4)], (2, 6, 6), **options)


NETS = {
    "linear": dense(),
    "many classes": lambda: Net([Affine(40)], (72,), reg=1e-2, random_state=2),
    "two layers": dense(Affine(10), ReLU()),
    "deep": dense(Affine(10), ReLU(), Affine(9), ReLU(), Affine(8), ReLU()),
    "no activation": dense(Affine(10)),
    "relu twice": dense(Affine(10), ReLU(), ReLU()),
    "batchnorm": dense(Affine(10), BatchNorm(), ReLU()),
    "layernorm": dense(Affine(10), LayerNorm(), ReLU()),
    "dropout": dense(Affine(10), ReLU(), Dropout(0.7), Affine(9), ReLU(), Dropout(0.4)),
    "seeded dropout": dense(Affine(10), ReLU(), Dropout(0.7, seed=5)),
    "dropout of the input": dense(Dropout(0.8), Affine(10), ReLU()),
    "conv": convolving(Conv(3, 3), ReLU(), MaxPool()),
    "conv without pool": convolving(Conv(3, 3), ReLU()),
    "conv batchnorm": convolving(Conv(4, 3), BatchNorm(), ReLU(), MaxPool(), Affine(7), ReLU()),
    "conv groupnorm": convolving(Conv(4, 5), GroupNorm(2), ReLU(), MaxPool(), Dropout(0.5)),
    "pool first": convolving(MaxPool(), Conv(4, 3), ReLU(), Conv(4, 3), ReLU(), MaxPool()),
    "no penalty": dense(Affine(10), ReLU(), reg=0.0),
    "float64": dense(Affine(10), BatchNorm(), ReLU(), Dropout(0.5), dtype=np.float64),
    "conv float64": convolving(Conv(4, 3), ReLU(), MaxPool(), dtype=np.float64),
    "global generator": dense(Affine(10), ReLU(), Dropout(0.7), random_state=None),
    **{f"{name} affine": dense(Affine(10), cls(), Affine(9), cls()) for name, cls in ACTIVATIONS.items()},
    **{f"{name} conv": convolving(Conv(3, 3), cls(), MaxPool(), cls()) for name, cls in ACTIVATIONS.items()},
    **{f"{name} apart": dense(cls(), Affine(10), LayerNorm(), cls(), cls()) for name, cls in ACTIVATIONS.items()},
    "activations float64": convolving(
        Conv(3, 3),
        GELU(),
        MaxPool(),
        Affine(10),
        SiLU(),
        Affine(9),
        BatchNorm(),
        Tanh(),
        Dropout(0.7),
        dtype=np.float64,
    ),
    "FullyConnected": lambda: FullyConnected(
        [9, 8], 72, 4, normalization="batchnorm", dropout_keep_ratio=0.6, reg=1e-3, random_state=0
    ),
    "ThreeLayerConv": lambda: ThreeLayerConv((2, 6, 6), 4, 3, 8, 4, normalization="groupnorm", random_state=0),
}
