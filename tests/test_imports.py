"""Modules import downward only, and in no circle; imports inside functions count as well."""

import ast
from graphlib import CycleError, TopologicalSorter
from pathlib import Path

import pytest

import sklearn_dl
from sklearn_dl import _ext

# From the lowest to the highest. A package stands for all that is in it; "." is sklearn_dl itself.
STRATA = {
    "kernels": "_ext",
    "ground": "_arrays _atomic _checks _claims _csr _doc_link _interrupts _keywords _lazy _legacy _names _threads"
    " _version _warnings",
    "functions": "augmentation gradient_check layers losses optim schedules",
    "files": "_archive _saving",
    "nets": "nets",
    "solver": "solver training",
    "tasks": "_estimator_inputs _holdout _inputs _scales _tasks",
    "estimators": "_base _callbacks _classifier _estimator_checkpoint _estimator_continuing _estimator_files"
    " _estimator_state _parameters _progress convnet _regressor fully_connected linear preprocessing",
    "beside": "_onnx_agreement _show_versions datasets inspection onnx persistence",
    "package": ".",
}
LEVELS = {part: level for level, parts in enumerate(STRATA.values()) for part in parts.split()}

# Imports upward that stay, each with its reason.
EXCEPTIONS = {
    ("_base", "onnx"): "the method to_onnx: conversion stands above the estimators, and what it imports of scikit-learn"
    " takes longer than importing this package, so that it is imported when it is asked for",
}

ROOT = Path(sklearn_dl.__file__).parent


def read_sources():
    """Return the text of each module by its name within the package, and the names of the packages."""
    paths = {path.relative_to(ROOT): path for path in ROOT.rglob("*.py")}
    paths |= {Path("_ext", path.name): path for path in Path(_ext.__file__).parent.glob("*.py")}
    sources, packages = {}, set()
    for relative, path in paths.items():
        parts = relative.with_suffix("").parts
        if parts[-1] == "__init__":
            parts = parts[:-1]
            packages.add(".".join(parts))
        sources[".".join(parts)] = path.read_text(encoding="utf-8")
    return sources, packages


def find_imports(source, name, is_package):
    """Yield the names that all import statements ask for, as (module, name in it or None)."""
    here = ["sklearn_dl", *name.split(".")] if name else ["sklearn_dl"]
    package = here if is_package else here[:-1]
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Import):
            yield from ((alias.name, None) for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            base = package[: len(package) - node.level + 1] if node.level else []
            module = ".".join([*base, *filter(None, [node.module])])
            yield from ((module, alias.name) for alias in node.names)


def make_graph(sources, packages):
    """Return the modules of this package that each module imports, the packages that these are in included."""
    graph = {}
    for name, source in sources.items():
        found = set()
        for module, attribute in find_imports(source, name, name in packages):
            if module.split(".")[0] != "sklearn_dl":
                continue
            inner = module.removeprefix("sklearn_dl").removeprefix(".")
            longer = f"{inner}.{attribute}".removeprefix(".")
            target = longer if attribute and longer in sources else inner
            found.add(target)
            # Those that the importing module is in are imported already.
            parts = target.split(".")
            outer = {".".join(parts[:i]) for i in range(1, len(parts))}
            found |= {package for package in outer if not f"{name}.".startswith(f"{package}.")}
        graph[name] = found - {name}
    return graph


def part_of(name):
    """Return what stands for a module in `STRATA`."""
    return name if name in LEVELS else name.split(".")[0] or "."


def level(name):
    """Return the number of the stratum of a module."""
    return LEVELS[part_of(name)]


def find_upward(graph):
    pairs = [(name, target) for name, targets in graph.items() for target in targets]
    return sorted((name, target) for name, target in pairs if level(target) > level(name))


def find_circle(graph):
    """Return the modules of a circle, or None."""
    try:
        TopologicalSorter(graph).prepare()
    except CycleError as error:
        return error.args[1]
    return None


SOURCES, PACKAGES = read_sources()
GRAPH = make_graph(SOURCES, PACKAGES)


def test_each_module_is_in_one_stratum():
    assert set(map(part_of, SOURCES)) == set(LEVELS)
    assert len(LEVELS) == len(" ".join(STRATA.values()).split())


def test_imports_are_downward():
    assert find_upward(GRAPH) == sorted(EXCEPTIONS)


def test_there_is_no_circle():
    kept = {name: {target for target in targets if (name, target) not in EXCEPTIONS} for name, targets in GRAPH.items()}
    assert find_circle(kept) is None


def test_modules_are_imported_by_statements():
    """Which are what these tests read; but for the function that makes modules attributes of their package."""
    calls = ("import_module", "__import__", "exec(", "eval(")
    assert [name for name, source in SOURCES.items() if any(call in source for call in calls)] == ["_lazy"]


@pytest.mark.parametrize("stratum", ["functions", "files", "nets", "solver"])
def test_what_lies_below_tasks_knows_no_estimator(stratum):
    """Of scikit-learn, its utilities and its version at most."""
    known = set()
    for name, source in SOURCES.items():
        if level(name) == list(STRATA).index(stratum):
            modules = (module for module, _ in find_imports(source, name, name in PACKAGES))
            known |= {module for module in modules if module.split(".")[0] == "sklearn"}
    assert known <= {"sklearn", "sklearn.utils"}


def test_the_solver_knows_no_layer():
    for name in GRAPH:
        if level(name) == LEVELS["solver"]:
            assert not {target for target in GRAPH[name] if target.startswith(("layers", "nets.layers"))}


def test_what_is_found():
    """In functions and classes, and by relative imports, too."""
    sources = {
        "": "from sklearn_dl.linear import Softmax",
        "linear": "import math\nfrom . import solver\nfrom sklearn_dl import Softmax",
        "solver": "def late():\n    from .nets.net import Net",
        "nets": "from sklearn_dl.nets.net import Net",
        "nets.net": "from ..layers import relu\nfrom sklearn_dl import losses",
        "losses": "class A:\n    import sklearn_dl.nets.net",
        "layers": "",
        "layers.relu": "import numpy as np",
    }
    graph = make_graph(sources, {"", "nets", "layers"})
    assert graph == {
        "": {"linear"},
        "linear": {"", "solver"},
        "solver": {"nets", "nets.net"},
        "nets": {"nets.net"},
        "nets.net": {"layers", "layers.relu", "losses"},
        "losses": {"nets", "nets.net"},
        "layers": set(),
        "layers.relu": set(),
    }
    assert find_upward(graph) == [("linear", ""), ("losses", "nets"), ("losses", "nets.net")]
    assert set(find_circle(graph)) in ({"", "linear"}, {"losses", "nets.net"}, {"losses", "nets", "nets.net"})
    assert find_circle({"a": {"b"}, "b": {"c"}, "c": set()}) is None
