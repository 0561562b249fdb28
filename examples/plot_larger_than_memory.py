"""
Data larger than memory
=======================

Images stay where they are, as bytes in a file, and only a minibatch at a time becomes numbers to
compute with. So the data may be larger than the memory, for `partial_fit` and for `fit` itself.
Here a file is written that is larger than what a process is then allowed to take.

Run it with ``--cifar10 FOLDER`` for photographs in place of digits.
"""

# %%
# The limit is the operating system's (`RLIMIT_DATA`): beyond it, memory is refused. Linux counts what is
# a process's own, and not the pages of a file that it reads, which are the system's to drop at any time.
# Elsewhere there is no such limit; the example runs, and shows what is taken without one.

import resource
import sys
import tempfile
import threading
from pathlib import Path

import matplotlib.pyplot as plt
import numpy as np
from _common import load_data, parse_arguments, print_heading, print_table, save_figure
from joblib.externals.loky import ProcessPoolExecutor

from sklearn_dl import TwoLayerNet

MB = 2**20
SIZES = {"file": 240 * MB, "limit": 60 * MB, "block": 8 * MB}
QUICK_SIZES = {"file": 24 * MB, "limit": 20 * MB, "block": 4 * MB}


def make_net():
    """Return the net of this example. Batch normalization takes raw pixels from 0 to 255 as they are."""
    return TwoLayerNet(hidden_dim=10, normalization="batchnorm", num_epochs=1, tol=None, random_state=0)


# %%
# A file of images
# ----------------
# The images again and again, with noise, 32 x 32 pixels a channel: one byte a pixel, one image after
# another, nothing else. They are written, as later read, block by block.


def write_images(data, path, sizes):
    """Write a large file of training images; return labels of it, and images and labels to test on."""
    low, high = data.X.min(), data.X.max()
    factor = 32 // data.X.shape[2]

    def as_bytes(X):
        scaled = (200 * (X - low) / (high - low)).astype(np.uint8)
        return scaled.repeat(factor, axis=2).repeat(factor, axis=3).reshape(len(X), -1)

    rng = np.random.default_rng(0)
    small, test = as_bytes(data.X), as_bytes(data.X_test)
    per_block = sizes["block"] // small.shape[1]
    labels = []
    with path.open("wb") as file:
        for _ in range(sizes["file"] // sizes["block"]):
            chosen = rng.integers(len(small), size=per_block)
            noise = rng.integers(56, size=(per_block, small.shape[1]), dtype=np.uint8)
            file.write(small[chosen] + noise)
            labels.append(data.y[chosen])
    return np.concatenate(labels), test + rng.integers(56, size=test.shape, dtype=np.uint8), data.y_test


# %%
# A process with little memory
# ----------------------------
# What follows runs in fresh processes, each of which sets itself the limit first, and watches what it
# takes.


class Watch:
    """Watch, every few milliseconds, how much memory of its own this process has."""

    def __init__(self):
        self.start = self.peak = self.now()
        self._ended = threading.Event()
        self._thread = threading.Thread(target=self._run)

    @staticmethod
    def now():
        """Return bytes of memory of the process's own."""
        if sys.platform == "linux":
            fields = dict(line.split(":") for line in Path("/proc/self/status").read_text().splitlines())
            return 1024 * int(fields["RssAnon"].split()[0])
        return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss

    def _run(self):
        while not self._ended.wait(0.005):
            self.peak = max(self.peak, self.now())

    def __enter__(self):
        self._thread.start()
        return self

    def __exit__(self, *error):
        self._ended.set()
        self._thread.join()


def limit_memory(extra):
    """Allow this process so many bytes beyond what it has."""
    if sys.platform == "linux":
        fields = dict(line.split(":") for line in Path("/proc/self/status").read_text().splitlines())
        limit = 1024 * int(fields["VmData"].split()[0]) + extra
        resource.setrlimit(resource.RLIMIT_DATA, (limit, resource.getrlimit(resource.RLIMIT_DATA)[1]))


def in_a_process(function, *arguments):
    """Call a function in a process of its own."""
    with ProcessPoolExecutor(max_workers=1) as pool:
        return pool.submit(function, *arguments).result()


def open_images(path, y):
    """Return the file as an array: nothing is read yet."""
    return np.memmap(path, np.uint8, "r").reshape(len(y), -1)


def copy(path, y, test, sizes):
    """Do what does not work: make numbers of all images, then train."""
    limit_memory(sizes["limit"])
    with Watch() as watch:
        try:
            make_net().fit(open_images(path, y).astype(np.float32), y)
        except MemoryError as error:
            return f"refused: {error}"
    return f"not refused: {(watch.peak - watch.start) / MB:.0f} MB"


# %%
# Block by block: `partial_fit`
# -----------------------------
# The way for data that comes from anywhere: a database, a queue, a Dask array. Each block is trained on once.
# `classes` must be known before the first.


def by_blocks(path, y, test, sizes):
    """Train on one block after another; return accuracy and memory after each."""
    limit_memory(sizes["limit"])
    net, X_test, y_test = make_net(), *test
    images, classes, course = open_images(path, y), np.unique(y), []
    n = sizes["block"] // images.shape[1]
    with Watch() as watch:
        for start in range(0, len(y), n):
            net.partial_fit(images[start : start + n], y[start : start + n], classes=classes)
            course.append((start + n, net.score(X_test, y_test), watch.now()))
    return watch.start, watch.peak, course


# %%
# All at once: `fit`
# ------------------
# For a file on disk `fit` does as well. It shuffles the whole file in each epoch, which block by block does
# not, and may stop early or set validation data aside.


def at_once(path, y, test, sizes):
    """Fit on the file; return memory and accuracy."""
    limit_memory(sizes["limit"])
    with Watch() as watch:
        net = make_net().fit(open_images(path, y), y)
    return watch.peak, net.score(*test)


# %%
# What it took
# ------------


def draw(args, bars, course):
    """Draw the sizes, and the course of the training by blocks."""
    figure, ax = plt.subplots(figsize=(7, 3.5), layout="constrained")
    drawn = ax.barh(list(bars), np.array(list(bars.values())) / MB, color=["0.7", "0.7", "C3", "C0", "C0", "C0"])
    ax.bar_label(drawn, fmt=" %.0f MB")
    ax.margins(x=0.15)
    ax.set(xlabel="MB", title="memory")
    ax.invert_yaxis()
    save_figure(figure, args, "memory_peaks")

    seen, scores, memory = (np.array(values) for values in zip(*course, strict=True))
    figure, axes = plt.subplots(1, 2, figsize=(10, 3.5), layout="constrained")
    axes[0].plot(seen / 1000, scores, "o-", markersize=3)
    axes[0].set(xlabel="thousand images seen", ylabel="test accuracy", title="block by block")
    axes[1].plot(seen / 1000, memory / MB, "o-", markersize=3, label="taken")
    axes[1].axhline(bars["process, limit"] / MB, color="C3", label="limit")
    axes[1].set(xlabel="thousand images seen", ylabel="MB", title="memory after each block", ylim=(0, None))
    axes[1].legend()
    save_figure(figure, args, "memory_by_blocks")


# %%
# All of it.


def main(argv=None):
    """Run the example."""
    args = parse_arguments(__doc__, argv)
    data = load_data(args)
    sizes = QUICK_SIZES if args.quick else SIZES
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "images.dat"
        y, *test = write_images(data, path, sizes)
        print_heading("A file of images")
        print(f"  {len(y)} images, {sizes['file'] / MB:.0f} MB; as float32 {4 * sizes['file'] / MB:.0f} MB")
        print(f"  the limit: {sizes['limit'] / MB:.0f} MB beyond what a process has after its imports")
        print_heading("A copy of it all in float32")
        print(f"  {in_a_process(copy, path, y, test, sizes)}")
        start, blocks_peak, course = in_a_process(by_blocks, path, y, test, sizes)
        fit_peak, fit_score = in_a_process(at_once, path, y, test, sizes)
    print_heading("From the file")
    print(f"  a process begins with {start / MB:.0f} MB: Python and what it has imported")
    rows = [["partial_fit", blocks_peak / MB, course[-1][1]], ["fit", fit_peak / MB, fit_score]]
    print_table(["", "at most, MB", "test accuracy"], rows)
    bars = {
        "file as float32": 4 * sizes["file"],
        "file": sizes["file"],
        "process, limit": start + sizes["limit"],
        "process, begin": start,
        "partial_fit, peak": blocks_peak,
        "fit, peak": fit_peak,
    }
    draw(args, bars, course)


if __name__ == "__main__":
    main()
