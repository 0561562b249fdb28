import re
import subprocess
import sys
from importlib import metadata

import pytest

import sklearn_dl

from . import _saved_models
from ._saved_models import FOLDER, check, stored, write


@pytest.mark.parametrize("path", stored(), ids=lambda path: f"{path.parent.name}-{path.stem}")
def test_models_of_every_release(path):
    check(path)


def test_models_of_this_version_are_stored():
    folder = FOLDER / sklearn_dl.__version__
    names = {path.stem for path in stored() if path.parent == folder}
    assert names == set(_saved_models._fitted()), "at a release: python tests/_saved_models.py write"


def test_what_is_written_passes_the_check(tmp_path):
    write(tmp_path / "next")
    paths = stored(tmp_path)
    assert {type(check(path)).__name__ for path in paths} == set(sklearn_dl.persistence._estimator_classes())
    assert max(path.stat().st_size for path in paths) < 24_000
    with pytest.raises(FileExistsError):
        write(tmp_path / "next")


def test_check_finds_other_predictions(tmp_path):
    write(tmp_path / "next")
    path = tmp_path / "next" / "softmax.model"
    model = sklearn_dl.load(path)
    model.params_["b1"] = model.params_["b1"] + [1e-4, 0, 0]
    model.save(path)
    with pytest.raises(AssertionError):
        check(path)


LIGHT = """
import sys
asked_for = []

class Refuse:
    def find_spec(self, name, path=None, target=None):
        root = name.partition(".")[0]
        if root in sys.argv[2:]:
            asked_for.append(root)
            raise ModuleNotFoundError(f"No module named {name!r}", name=name)

sys.meta_path.insert(0, Refuse())
import sklearn.model_selection  # asks for some optional packages by itself
asked_for.clear()

import numpy as np
import sklearn_dl

print(sklearn_dl.load(sys.argv[1]).predict_proba(np.zeros((1, 5), np.float32)).shape)
print(asked_for)
"""


def _optional_modules():
    """Return the names of all installed modules but those that an installation without extras has."""
    found, new = set(), {"sklearn_dl"}
    while new:
        found |= new
        lines = {line for name in new for line in metadata.requires(name) or () if "extra ==" not in line}
        new = {re.match(r"[\w.-]+", line)[0] for line in lines} - found
    return [module for module, names in metadata.packages_distributions().items() if not found & set(names)]


def test_loading_and_predicting_needs_no_program_and_no_other_package():
    model = stored()[-1].parent / "softmax.model"
    run = subprocess.run(
        [sys.executable, "-c", LIGHT, model, *_optional_modules()],
        env={"PATH": ""},  # no compiler, either
        capture_output=True,
        text=True,
        check=True,
    )
    assert run.stdout.splitlines() == ["(1, 3)", "[]"]
