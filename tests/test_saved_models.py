import contextlib
import re
import subprocess
import sys
import warnings
from importlib import metadata

import numpy as np
import pytest
from sklearn.exceptions import ConvergenceWarning

import sklearn_dl

from . import _saved_models
from ._saved_models import FOLDER, check, stored, write


@pytest.mark.parametrize("path", stored(), ids=lambda path: f"{path.parent.name}-{path.stem}")
def test_models_of_every_release(path):
    check(path)


def test_models_of_this_version_are_stored():
    folder = FOLDER / sklearn_dl.__version__
    names = {path.stem for path in stored() if path.parent == folder}
    later = _saved_models.LATER.get(sklearn_dl.__version__, set())
    assert names == set(_saved_models._fitted()) - later, "at a release: python tests/_saved_models.py write"


def test_what_is_written_passes_the_check(tmp_path):
    write(tmp_path / "next")
    paths = stored(tmp_path)
    assert {path.stem for path in paths} == set(_saved_models._fitted())
    assert {type(check(path)).__name__ for path in paths} == set(sklearn_dl.persistence._estimator_classes())
    assert max(path.stat().st_size for path in paths) < 24_000
    with pytest.raises(FileExistsError):
        write(tmp_path / "next")


@pytest.mark.parametrize("name", ["softmax", "several_labels", "hinge", "regressor", "several_outputs", "counts"])
def test_check_finds_other_predictions(name, tmp_path):
    write(tmp_path / "next")
    path = tmp_path / "next" / f"{name}.model"
    model = sklearn_dl.load(path)
    last = max(key for key in model.params_ if key[0] == "b" and key[1:].isdigit())
    model.params_[last][0] += 1e-4
    model.save(path)
    with pytest.raises(AssertionError):
        check(path)


@pytest.mark.parametrize("path", stored(), ids=lambda path: f"{path.parent.name}-{path.stem}")
def test_states_of_an_earlier_release_lack_the_parameters_that_came_later(path):
    """As an unpickled estimator, which no constructor has run for."""
    model = sklearn_dl.load(path)
    state = model.__getstate__()
    for name, default in type(model)().get_params().items():
        if state[name] != default:
            continue
        old = {key: value for key, value in state.items() if key != name}
        twin = type(model).__new__(type(model))
        twin.__setstate__(old)
        assert twin.get_params() == model.get_params()
        X = np.random.RandomState(0).rand(6, model.n_features_in_)
        np.testing.assert_array_equal(twin.predict_proba(X), model.predict_proba(X))
        twin.partial_fit(X, model.classes_[[0, 1, 0, 1, 0, 1]])


def test_a_net_made_before_dropout_was_a_parameter_cannot_change_it():
    model = next(sklearn_dl.load(path) for path in stored() if path.stem == "convolution")
    assert model.dropout_keep_ratio == 1.0
    assert "dropout_keep_ratio" not in model._net_args
    model.set_params(dropout_keep_ratio=0.5)
    X = np.zeros((6, model.n_features_in_))
    with pytest.raises(ValueError, match=r"cannot change dropout_keep_ratio from 1 to 0\.5"):
        model.partial_fit(X, model.classes_[[0, 1, 0, 1, 0, 1]])


@pytest.mark.parametrize("path", stored(), ids=lambda path: f"{path.parent.name}-{path.stem}")
@pytest.mark.parametrize("learning_rate", [1e3, 1e6])
def test_going_on_at_too_large_a_rate_is_warned_of(path, learning_rate):
    """Earlier releases did not keep the loss of the first weights."""
    model = sklearn_dl.load(path).set_params(warm_start=True, learning_rate=learning_rate, tol=None, num_epochs=20)
    X, y = np.random.RandomState(0).rand(30, model.n_features_in_), model.classes_[np.arange(30) % len(model.classes_)]
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        with contextlib.suppress(ValueError):  # an infinite loss, of which the error says the same
            model.fit(X, y)
            assert [warning.category for warning in caught] == [ConvergenceWarning]
            assert "is too large for this data and net" in str(caught[0].message)


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
