"""Each example runs, on digits and on photographs, and leaves pictures that show something."""

import importlib
from pathlib import Path

import pytest
from joblib.externals.loky import get_reusable_executor

from ._cifar10 import make_images, write_python

FOLDER = Path(__file__).resolve().parent.parent / "examples"
TOPICS = [
    "plot_softmax",
    "plot_two_layer_net",
    "plot_fully_connected_nets",
    "plot_dropout",
    "plot_normalization",
    "plot_convolutional_nets",
]
EXAMPLES = sorted(path.stem for path in FOLDER.glob("*.py") if not path.stem.startswith("_"))

pytestmark = pytest.mark.skipif(not EXAMPLES, reason="the examples are not part of an installation")


@pytest.fixture
def run_example(monkeypatch, tmp_path, capsys):
    """Return a function that runs an example quickly and returns its pictures and what it printed."""
    matplotlib = pytest.importorskip("matplotlib", reason="the examples draw")
    matplotlib.use("Agg")
    import matplotlib.pyplot as plt

    monkeypatch.syspath_prepend(FOLDER)
    # Workers left by an earlier test do not know the path that the examples are imported from.
    get_reusable_executor().shutdown(wait=True)

    def run(name, *arguments):
        importlib.import_module(name).main(["--quick", "--output", str(tmp_path), *arguments])
        plt.close("all")
        return {path: plt.imread(path) for path in tmp_path.glob("*.png")}, capsys.readouterr().out

    return run


@pytest.mark.parametrize("name", EXAMPLES)
def test_digits(name, run_example):
    if name == "plot_parameter_search":
        pytest.importorskip("optuna", reason="Optuna is an extra, and not installed")
    pictures, printed = run_example(name)
    announced = [line.split(maxsplit=1)[1] for line in printed.splitlines() if "picture: " in line]
    assert sorted(announced) == sorted(map(str, pictures))
    assert len(pictures) >= 2
    for pixels in pictures.values():
        assert pixels[..., :3].std() > 0.05


@pytest.mark.parametrize("name", TOPICS)
def test_cifar10(name, run_example, tmp_path_factory):
    folder = write_python(tmp_path_factory.mktemp("data"), make_images(n_train=60, n_test=100))
    pictures, printed = run_example(name, "--cifar10", str(folder))
    assert printed.startswith("cifar10: images of 3 x 32 x 32, 200 to train on")
    assert pictures
