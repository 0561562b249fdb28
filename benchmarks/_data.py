"""What the libraries are trained on: CIFAR-10, or rows of its shape."""

from dataclasses import dataclass
from pathlib import Path

import numpy as np

CIFAR10_SIZE = 49_000


@dataclass(frozen=True)
class DataSpec:
    """Says which data a process loads; made by `prepare`, small enough to be sent to a process.

    Parameters
    ----------
    folder : Path
        Where `prepare` put the pixels.
    size : int
        Number of samples; more than there are repeats them.
    dtype : str
        What X is held in: 'uint8', or a float type, from which the mean image is then subtracted.
    """

    folder: Path
    size: int
    dtype: str = "float32"

    def load(self):
        """Return X (size, 3072) and y (size,) int64, in memory of this process alone."""
        X = np.load(self.folder / "X.npy")
        y = np.load(self.folder / "y.npy")
        if self.size != len(X):
            rows = np.arange(self.size) % len(X)
            X, y = X[rows], y[rows]
        if self.dtype != "uint8":
            X = X.astype(self.dtype)
            X -= np.load(self.folder / "mean.npy").astype(self.dtype)
        return X, y


def prepare(cifar10, folder, size=CIFAR10_SIZE):
    """Write pixels, classes and the mean image into `folder` for the processes to read.

    Parameters
    ----------
    cifar10 : path or None
        Folder of the unpacked CIFAR-10; None makes random pixels.
    folder : Path
    size : int
        Number of samples.

    Returns
    -------
    what : str
        What was written, for the report.
    """
    if cifar10 is None:
        rng = np.random.default_rng(0)
        X = rng.integers(256, size=(min(size, CIFAR10_SIZE), 3072), dtype=np.uint8)
        y = rng.integers(10, size=len(X))
        what = f"random pixels of CIFAR-10's shape {X.shape}"
    else:
        from sklearn_dl.datasets import load_cifar10

        bunch = load_cifar10(cifar10)
        X = bunch.X_train[: min(size, CIFAR10_SIZE)].reshape(-1, 3072)
        y = bunch.y_train[: len(X)]
        what = f"CIFAR-10 {X.shape}"
    np.save(folder / "X.npy", X)
    np.save(folder / "y.npy", y)
    np.save(folder / "mean.npy", X.mean(axis=0))
    return what
