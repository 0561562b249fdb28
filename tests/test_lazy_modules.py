"""Public modules are attributes of their packages, and cost nothing until they are asked for."""

import os
import pkgutil
import subprocess
import sys

import pytest

import sklearn_dl

PUBLIC = [
    module.name
    for module in pkgutil.walk_packages(sklearn_dl.__path__, "sklearn_dl.")
    if not any(part.startswith("_") for part in module.name.split("."))
]


def run(script, *arguments):
    """Run a script in a fresh interpreter and return what it prints."""
    command = [sys.executable, "-W", "error", "-c", script, *arguments]
    one_thread = {**os.environ, "OMP_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1"}  # Python 3.12 warns of forks else
    return subprocess.run(command, capture_output=True, text=True, check=True, env=one_thread).stdout


def test_public_modules_are_found():
    assert {"sklearn_dl.inspection", "sklearn_dl.datasets", "sklearn_dl.nets.layers"} <= set(PUBLIC)


# A process for each module: none has what another one imported.
TOUCH = """
import os, sys
import sklearn_dl

def touch(name):
    value = sklearn_dl
    for part in name.split(".")[1:]:
        value = getattr(value, part)
    return value is sys.modules[name] and "matplotlib" not in sys.modules

for name in sys.argv[1:]:
    child = os.fork()
    if not child:
        os._exit(0 if touch(name) else 1)
    if os.waitpid(child, 0)[1]:
        print(name)
"""


def test_each_module_is_an_attribute():
    assert run(TOUCH, *PUBLIC) == ""
    assert run(TOUCH, "sklearn_dl._inputs", "sklearn_dl.nothing").split() == ["sklearn_dl.nothing"]


def test_nothing_more_is_imported_than_is_asked_for():
    script = "import sklearn_dl, sys; print('sklearn_dl.inspection' in sys.modules, 'sklearn_dl.onnx' in sys.modules)"
    assert run(script).split() == ["False", "False"]


def test_dir_lists_modules_and_names():
    assert {name.split(".")[1] for name in PUBLIC} | set(sklearn_dl.__all__) <= set(dir(sklearn_dl))
    assert not [name for name in dir(sklearn_dl) if name in ("_inputs", "_parameters") and name not in vars(sklearn_dl)]


@pytest.mark.parametrize("name", ["nothing", "numpy", "_nothing", "__wrapped__", "nets.net", "nothing.more", ""])
def test_other_names_are_attribute_errors(name):
    with pytest.raises(AttributeError, match=f"module 'sklearn_dl' has no attribute '{name}'"):
        getattr(sklearn_dl, name)


def test_a_module_that_lacks_something_says_what():
    """That is no AttributeError, which `hasattr` would hide."""
    script = """
import sys
import sklearn_dl
class Broken:
    def find_spec(self, name, path=None, target=None):
        if name == "sklearn_dl.datasets":
            raise ModuleNotFoundError("No module named 'missing'", name="missing")
sys.meta_path.insert(0, Broken())
try:
    sklearn_dl.datasets
except ModuleNotFoundError as error:
    print(error.name)
"""
    assert run(script).strip() == "missing"
