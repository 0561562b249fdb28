"""The short form of ``fuzz_kernels.py``, and that it leaves no kernel out."""

from pathlib import Path

import numpy as np
import pytest

from sklearn_dl import _ext

from . import fuzz_kernels


def test_no_kernel_is_left_out():
    assert {*fuzz_kernels.KERNELS, *fuzz_kernels.NO_KERNELS} == set(_ext.__all__)


def test_random_calls():
    made, accepted = fuzz_kernels.run(seed=1, first=0, calls=3000)
    assert made.keys() == accepted.keys() == fuzz_kernels.KERNELS.keys()
    refused = {name for name in made if accepted[name] == made[name]}
    assert all(accepted.values())
    assert len(refused) < len(made) / 2  # most have been given arguments to refuse


def test_training_by_random_nets(monkeypatch):
    monkeypatch.setattr(fuzz_kernels._threads._held, "value", 1, raising=False)
    for seed in range(4):
        fuzz_kernels.train(seed)


class Kernels:
    """Stands for `_ext`, with one kernel that is wrong."""

    def __init__(self, spoil):
        self._spoil = spoil

    def __getattr__(self, name):
        kernel = getattr(_ext, name)
        return (lambda *arguments: self._spoil(kernel, *arguments)) if name == "affine_backward_dx" else kernel


def off_by_one(kernel, dout, w, dx, n_threads):
    kernel(dout, w, dx, n_threads)
    dx[-1:] = np.roll(dx[-1:], 1)


def writes_to_an_input(kernel, dout, w, dx, n_threads):
    kernel(dout, w, dx, n_threads)
    w += 1


def writes_behind(kernel, dout, w, dx, n_threads):
    kernel(dout, w, dx, n_threads)
    memory = dx.base
    memory[-1:] = 0


def depends_on_threads(kernel, dout, w, dx, n_threads):
    kernel(dout, w, dx, n_threads)
    dx *= 1 + (n_threads - 1) * 1e-3


def writes_first(kernel, dout, w, dx, n_threads):
    if isinstance(dx, np.ndarray) and dx.flags.writeable:
        dx[...] = 3
    kernel(dout, w, dx, n_threads)


@pytest.mark.parametrize(
    ("spoil", "message"),
    [
        (off_by_one, "affine_backward_dx: 2 is"),
        (writes_to_an_input, "has written to argument 1"),
        (writes_behind, "has written behind an array"),
        (depends_on_threads, "depend on the number of threads"),
        (writes_first, "has written something before it raised"),
    ],
)
def test_wrong_kernels_are_found(spoil, message, monkeypatch, capsys):
    monkeypatch.setattr(fuzz_kernels, "_ext", Kernels(spoil))
    monkeypatch.setattr(fuzz_kernels, "KERNELS", {"affine_backward_dx": fuzz_kernels.KERNELS["affine_backward_dx"]})
    with pytest.raises(AssertionError, match=message):
        fuzz_kernels.run(seed=0, first=0, calls=400)
    assert "seed 0, number" in capsys.readouterr().err


def test_kernels_of_the_table_have_functions():
    table = Path(__file__).parents[1] / "_ext" / "src" / "kernels.def"
    if not table.exists():
        pytest.skip("not part of an installation")
    rows = [line.partition("(")[0].split()[-1] for line in table.read_text().splitlines()
            if line.startswith(("status ", "void ", "int "))]  # fmt: skip
    assert len(rows) > 40
    assert set(rows) <= fuzz_kernels.KERNELS.keys()
