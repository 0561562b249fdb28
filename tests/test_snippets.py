"""What the code in README, pages, docstrings and examples must not do, whatever else it shows.

It must not draw at random without a random_state, or the numbers beside it are another run's; and it must not validate
on the test set.
"""

import ast
import doctest
import importlib
import inspect
import pkgutil
import re
import textwrap
from pathlib import Path

import pytest
from sklearn.experimental import enable_halving_search_cv  # noqa: F401

import sklearn_dl

ROOT = Path(__file__).resolve().parent.parent
WRITTEN_BY_OTHERS = {"_build", "_templates", "auto_examples", "generated"}
TEXTS = [ROOT / "README.md", *sorted((ROOT / "docs").rglob("*.rst"))]
TEXTS = [path for path in TEXTS if not WRITTEN_BY_OTHERS & set(path.parts)]
MODULES = ["sklearn_dl", *(m.name for m in pkgutil.walk_packages(sklearn_dl.__path__, "sklearn_dl."))]

# These draw only with settings that no snippet has: a solver other than lbfgs, shuffled folds.
DRAW_NOTHING = {"KFold", "LogisticRegression", "StratifiedKFold"}


def in_text(text):
    """Return the code in a page: its doctests in one, and each block of Python."""
    blocks = re.findall(r"^```python\n(from .*?)^```", text, re.MULTILINE | re.DOTALL)
    blocks += re.findall(r"^\.\. code-block:: python\n\n((?:   .*\n|\n)+)", text, re.MULTILINE)
    examples = doctest.DocTestParser().get_examples(text)
    return [code for code in ("".join(e.source for e in examples), *map(textwrap.dedent, blocks)) if code]


def all_snippets():
    """Return code by where it stands."""
    found = {}
    for path in TEXTS:
        for i, code in enumerate(in_text(path.read_text(encoding="utf-8"))):
            found[f"{path.relative_to(ROOT)}-{i}"] = code
    for path in sorted((ROOT / "examples").glob("*.py")):
        found[f"examples/{path.name}"] = path.read_text(encoding="utf-8")
    finder = doctest.DocTestFinder(exclude_empty=True)
    for name in MODULES:
        for test in finder.find(importlib.import_module(name)):
            if test.examples:
                found[test.name] = "".join(e.source for e in test.examples)
    return found


SNIPPETS = all_snippets()
each_snippet = pytest.mark.parametrize("code", SNIPPETS.values(), ids=SNIPPETS)


def imported(tree):
    """Return what the code imports by name from modules that are installed."""
    names = {}
    for node in ast.walk(tree):
        if isinstance(node, ast.ImportFrom) and node.module[0] != "_":
            try:
                module = importlib.import_module(node.module)
            except ModuleNotFoundError:  # an extra
                continue
            names.update({a.asname or a.name: getattr(module, a.name, None) for a in node.names})
    return names


def draws(function):
    """Return whether a function or class draws at random unless it is given a random_state."""
    if getattr(function, "__name__", None) in DRAW_NOTHING:
        return False
    try:
        parameters = inspect.signature(function).parameters
    except (TypeError, ValueError):  # a builtin
        return False
    return "random_state" in parameters and parameters["random_state"].default is None


def keys(node):
    """Return the keys of a dict that is written out."""
    return {key.value for key in node.keys if isinstance(key, ast.Constant)} if isinstance(node, ast.Dict) else set()


def given(call, dicts):
    """Return the names of a call's keywords, those of ``**{…}`` and ``**dicts[name]`` too."""
    names = {keyword.arg for keyword in call.keywords}
    for keyword in call.keywords:
        if keyword.arg is None:
            names |= keys(keyword.value) | dicts.get(ast.unparse(keyword.value), set())
    return names


def undetermined(code):
    """Return the calls that draw, from no random_state."""
    if "np.random.seed(" in code:  # the nets below the estimators draw from NumPy's generator, which notebooks seed
        return []
    tree = ast.parse(code)
    names = {name: f for name, f in imported(tree).items() if callable(f) and draws(f)}
    dicts = {ast.unparse(n.targets[0]): keys(n.value) for n in ast.walk(tree) if isinstance(n, ast.Assign)}
    calls = [node for node in ast.walk(tree) if isinstance(node, ast.Call) and isinstance(node.func, ast.Name)]
    calls = [call for call in calls if call.func.id in names]
    return [ast.unparse(call) for call in calls if "random_state" not in given(call, dicts)]


def validated_on_the_test_set(code):
    """Return what is given as a validation set and is, by its name, the test set."""
    found = []
    for node in ast.walk(ast.parse(code)):
        if isinstance(node, ast.Call):
            found += [keyword.value for keyword in node.keywords if keyword.arg in ("X_val", "y_val")]
        if isinstance(node, ast.Dict):
            pairs = zip(node.keys, node.values, strict=True)
            found += [value for key, value in pairs if getattr(key, "value", None) in ("X_val", "y_val")]
    return [ast.unparse(value) for value in found if "test" in ast.unparse(value)]


@each_snippet
def test_random_states_are_given(code):
    assert undetermined(code) == []


@each_snippet
def test_the_test_set_validates_nothing(code):
    assert validated_on_the_test_set(code) == []


def test_snippets_are_found():
    kinds = [name.split("/")[0].split(".")[0].split("-")[0] for name in SNIPPETS]
    assert kinds.count("README") == 2
    assert kinds.count("sklearn_dl") > 60
    if (ROOT / "docs").exists():
        assert kinds.count("docs") > 20
    if (ROOT / "examples").exists():
        assert kinds.count("examples") > 10


IMPORTS = "from sklearn_dl import TwoLayerNet\nfrom sklearn_dl.nets import FullyConnected\n"


@pytest.mark.parametrize(
    ("code", "wrong"),
    [
        ("TwoLayerNet()", ["TwoLayerNet()"]),
        ("TwoLayerNet(random_state=0)", []),
        ("TwoLayerNet(**{'random_state': 0})", []),
        ("TwoLayerNet(**{'reg': 0})", ["TwoLayerNet(**{'reg': 0})"]),
        ("options = {'random_state': 0}\nTwoLayerNet(**options)", []),
        ("FullyConnected([5], 4, 3)", ["FullyConnected([5], 4, 3)"]),
        ("import numpy as np\nnp.random.seed(0)\nFullyConnected([5], 4, 3)", []),
        ("from sklearn.model_selection import train_test_split\ntrain_test_split(X)", ["train_test_split(X)"]),
    ],
)
def test_calls_without_a_random_state_are_found(code, wrong):
    assert undetermined(IMPORTS + code) == wrong


@pytest.mark.parametrize(
    ("code", "wrong"),
    [
        ("net.fit(X, y, X_val=X_test / 16, y_val=y_test)", ["X_test / 16", "y_test"]),
        ("data = {'X_train': X, 'X_val': X_test}", ["X_test"]),
        ("net.fit(X, y, X_val=X_val, y_val=y_val).score(X_test, y_test)", []),
    ],
)
def test_validation_on_the_test_set_is_found(code, wrong):
    assert validated_on_the_test_set(code) == wrong
