"""Type checkers read the package's hints; what they cannot see of objects without hints is looked up here."""

import ast
from importlib.resources import files
from pathlib import Path

import pytest

import sklearn_dl

from ._solvers import make

ROOT = Path(sklearn_dl.__file__).parent


def test_the_package_says_that_it_has_hints():
    assert (files("sklearn_dl") / "py.typed").is_file()


@pytest.mark.parametrize("thing", ["solver", "trainee", "state"])
def test_what_modules_use_of_a_solver_is_there(thing):
    """Under the names that it goes by: solver.x, self._solver.x, solver.trainee.x, and so on."""
    solver = make()
    known = solver if thing == "solver" else getattr(solver, thing)
    used = {}
    for path in [ROOT / "solver.py", *(ROOT / "training").glob("*.py")]:
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.Attribute) and ast.unparse(node.value).split(".")[-1].lstrip("_") == thing:
                used.setdefault(node.attr, f"{path.name}:{node.lineno}")
    assert len(used) > 4
    assert {name: place for name, place in used.items() if not hasattr(known, name)} == {}
