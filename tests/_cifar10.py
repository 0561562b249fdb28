"""CIFAR-10 for tests: the real one where it is, and tiny ones written in its two formats."""

import os
import struct
from pathlib import Path

import numpy as np
import pytest

NAMES = ["airplane", "automobile", "bird", "cat", "deer", "dog", "frog", "horse", "ship", "truck"]
BATCHES = [f"data_batch_{k}" for k in range(1, 6)] + ["test_batch"]


@pytest.fixture(scope="session")
def cifar10_dir():
    """Folder of the real CIFAR-10, as the environment variable CIFAR10_DIR names it."""
    folder = os.environ.get("CIFAR10_DIR")
    if not folder:
        pytest.skip("needs the real CIFAR-10: set CIFAR10_DIR to the folder that holds it")
    return Path(folder)


def string(value):
    """Pickle a str as Python 2 did."""
    return b"U" + bytes([len(value)]) + value


def array(rows, *, module=b"numpy.core.multiarray", dtype=b"u1", shape=None, fortran=b"\x89"):
    """Pickle an array of uint8 as NumPy under Python 2 did; the rest can be made to lie."""
    shape = rows.shape if shape is None else shape
    return b"".join(
        [
            b"c" + module + b"\n_reconstruct\ncnumpy\nndarray\nK\x00\x85" + string(b"b") + b"\x87R",
            b"(K\x01" + b"".join(b"J" + struct.pack("<i", n) for n in shape),
            {1: b"\x85", 2: b"\x86", 3: b"\x87"}[len(shape)],
            b"cnumpy\ndtype\n" + string(dtype) + b"K\x00K\x01\x87R(K\x03" + string(b"|"),
            b"NNN" + b"J\xff\xff\xff\xff" * 2 + b"K\x00tb" + fortran,
            b"T" + struct.pack("<i", rows.size) + rows.tobytes() + b"tb",
        ]
    )


def integers(values):
    return b"](" + b"".join(b"J" + struct.pack("<i", v) for v in values) + b"e"


def dictionary(**items):
    """Pickle a dict of pickled values, its keys as Python 2 wrote them."""
    body = b"".join(string(key.encode()) + value for key, value in items.items())
    return b"\x80\x02}(" + body + b"u."


def batch(rows, labels):
    return dictionary(batch_label=string(b"batch"), labels=integers(labels), data=array(rows))


def make_images(n_train=12, n_test=7, seed=0):
    """Return rows and labels of the five training batches and the test batch."""
    rng = np.random.RandomState(seed)
    return [
        (rng.randint(256, size=(n, 3072)).astype(np.uint8), rng.randint(10, size=n)) for n in [n_train] * 5 + [n_test]
    ]


def write_python(folder, batches):
    """Write cifar-10-batches-py into folder, and return it."""
    folder = Path(folder, "cifar-10-batches-py")
    folder.mkdir(parents=True)
    for name, (rows, labels) in zip(BATCHES, batches, strict=True):
        (folder / name).write_bytes(batch(rows, labels))
    names = b"](" + b"".join(string(name.encode()) for name in NAMES) + b"e"
    (folder / "batches.meta").write_bytes(dictionary(label_names=names))
    return folder


def write_binary(folder, batches):
    """Write cifar-10-batches-bin into folder, and return it."""
    folder = Path(folder, "cifar-10-batches-bin")
    folder.mkdir(parents=True)
    for name, (rows, labels) in zip(BATCHES, batches, strict=True):
        np.column_stack([labels.astype(np.uint8), rows]).tofile(folder / f"{name}.bin")
    (folder / "batches.meta.txt").write_text("\n".join(NAMES) + "\n\n")
    return folder
