"""What the documentation says is run: the docstrings' examples, README's, and its links."""

import doctest
import importlib
import pkgutil
import re
from pathlib import Path

import pytest

import sklearn_dl

README = Path(__file__).parent.parent / "README.md"
OPTIONS = doctest.NORMALIZE_WHITESPACE | doctest.ELLIPSIS
MODULES = ["sklearn_dl", *(m.name for m in pkgutil.walk_packages(sklearn_dl.__path__, "sklearn_dl."))]


@pytest.mark.parametrize("name", MODULES)
def test_docstring_examples(name):
    assert doctest.testmod(importlib.import_module(name), optionflags=OPTIONS).failed == 0


def test_docstring_examples_are_found():
    finder = doctest.DocTestFinder(exclude_empty=True)
    examples = [t for name in MODULES for t in finder.find(importlib.import_module(name)) if t.examples]
    assert len(examples) > 60


def test_readme_examples(capsys):
    text = README.read_text(encoding="utf-8")
    exec(re.search(r"```python\n(from .*?)```", text, re.DOTALL).group(1), {})
    assert re.match(r"0\.\d{3} with \{", capsys.readouterr().out)
    result = doctest.testfile(str(README), module_relative=False, optionflags=OPTIONS)
    assert result.attempted > 5
    assert result.failed == 0


def test_readme_links_exist():
    if not (README.parent / "docs").exists():
        pytest.skip("the documentation's files are not part of an installation")
    links = re.findall(r"\]\((?!https?:)([^)#]+)\)", README.read_text(encoding="utf-8"))
    assert len(links) > 2
    assert [link for link in links if not (README.parent / link).exists()] == []


def test_show_versions_tells_kernels_and_threads(capsys):
    sklearn_dl.show_versions()
    out = capsys.readouterr().out
    assert f"sklearn_dl: {sklearn_dl.__version__}" in out
    assert re.search(r"kernels: \w+ \(this CPU runs baseline", out)
    assert re.search(r"threads: \d", out)
