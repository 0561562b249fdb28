"""What the documentation says is run: the docstrings' examples, README's, and its links."""

import doctest
import importlib
import pkgutil
import re
import textwrap
import time
import tomllib
from contextlib import contextmanager
from pathlib import Path

import pytest

import sklearn_dl
from sklearn_dl import preprocessing
from sklearn_dl._doc_link import DOCUMENTATION

ROOT = Path(__file__).parent.parent
README = ROOT / "README.md"
DOCS = ROOT / "docs"
GENERATED = {"_build", "_templates", "auto_examples", "generated"}
# Written by hand, that is.
PAGES = sorted(p.relative_to(DOCS).as_posix() for p in DOCS.rglob("*.rst") if not GENERATED & set(p.parts))
OPTIONS = doctest.NORMALIZE_WHITESPACE | doctest.ELLIPSIS
# What pages need beside the run-time dependencies.
NEEDED = {
    "user_guide/deployment.rst": ["onnxruntime", "skl2onnx", "skops"],
    "user_guide/distributed.rst": ["distributed"],
    "user_guide/tuning.rst": ["optuna"],
    "user_guide/watching.rst": ["sklearn.callback"],
}
MODULES = ["sklearn_dl", *(m.name for m in pkgutil.walk_packages(sklearn_dl.__path__, "sklearn_dl."))]


@pytest.mark.parametrize("name", MODULES)
def test_docstring_examples(name):
    assert doctest.testmod(importlib.import_module(name), optionflags=OPTIONS).failed == 0


def test_docstring_examples_are_found():
    finder = doctest.DocTestFinder(exclude_empty=True)
    examples = [t for name in MODULES for t in finder.find(importlib.import_module(name)) if t.examples]
    assert len(examples) > 60


def first_example():
    """Return the code that README begins with."""
    return re.search(r"```python\n(from .*?)```", README.read_text(encoding="utf-8"), re.DOTALL).group(1)


@contextmanager
def quick(seconds=15):
    """Fail if the code within takes long. CPU time: a loaded machine makes it no longer."""
    began = time.process_time()
    yield
    assert time.process_time() - began < seconds


def test_readme_examples(capsys):
    with quick(10):  # it takes less than one
        exec(first_example(), {})
    assert re.match(r"0\.9\d\d with \{", capsys.readouterr().out)
    result = doctest.testfile(str(README), module_relative=False, optionflags=OPTIONS)
    assert result.attempted > 5
    assert result.failed == 0


def test_readme_links_exist():
    if not (README.parent / "docs").exists():
        pytest.skip("the documentation's files are not part of an installation")
    links = re.findall(r"\]\((?!https?:)([^)#]+)\)", README.read_text(encoding="utf-8"))
    assert len(links) > 2
    assert [link for link in links if not (README.parent / link).exists()] == []


needs_docs = pytest.mark.skipif(not PAGES, reason="the documentation's files are not part of an installation")


@needs_docs
@pytest.mark.parametrize("page", PAGES)
def test_page_examples(page):
    for module in NEEDED.get(page, ()):
        pytest.importorskip(module)
    with quick():
        result = doctest.testfile(str(DOCS / page), module_relative=False, optionflags=OPTIONS)
    assert result.failed == 0


@needs_docs
def test_site_begins_with_readmes_example():
    (code,) = re.findall(r"code-block:: python\n\n((?:   .*\n|\n)+)", (DOCS / "index.rst").read_text(encoding="utf-8"))
    assert textwrap.dedent(code).strip() == first_example().strip()


@needs_docs
def test_page_examples_are_found():
    parser = doctest.DocTestParser()
    counts = {page: len(parser.get_examples((DOCS / page).read_text(encoding="utf-8"))) for page in PAGES}
    silent = [page for page, count in counts.items() if page.startswith(("user_guide/", "coming_from/")) and not count]
    assert silent == ["coming_from/index.rst", "user_guide/index.rst"]


def listed_modules():
    """Modules that the API reference lists."""
    return set(re.findall(r"^   (sklearn_dl[\w.]*)$", (DOCS / "api.rst").read_text(encoding="utf-8"), re.MULTILINE))


@needs_docs
def test_reference_lists_all_modules():
    public = {f"sklearn_dl.{m.name}" for m in pkgutil.iter_modules(sklearn_dl.__path__) if m.name[0] != "_"}
    elsewhere = {"sklearn_dl.convnet", "sklearn_dl.fully_connected", "sklearn_dl.linear"}  # listed as sklearn_dl's
    elsewhere |= {"sklearn_dl.training"}  # parts of sklearn_dl.solver
    assert public - elsewhere - listed_modules() == set()


@needs_docs
def test_features_name_tests_that_exist():
    text = (DOCS / "features.rst").read_text(encoding="utf-8")
    proofs = re.findall(r"``(test_\w+\.py)(?:::(test_\w+))?``", text)
    rows = text.split("   * - ")[1:]
    assert len(rows) > 30
    # Each table begins with a row of titles.
    assert [row.splitlines()[0] for row in rows if "proved by" not in row and "``test_" not in row] == []
    tests = {path.name: path.read_text(encoding="utf-8") for path in Path(__file__).parent.glob("test_*.py")}
    assert [
        f"{file}::{test}" for file, test in proofs if file not in tests or (test and f"def {test}(" not in tests[file])
    ] == []


ESTIMATORS = {
    cls: module.__name__
    for module in (sklearn_dl, preprocessing)
    for cls in (getattr(module, name) for name in module.__all__)
    if isinstance(cls, type)
}


@pytest.mark.parametrize("cls", ESTIMATORS)
def test_html_view_links_to_the_reference(cls):
    link = cls()._get_doc_link()
    assert link == f"{DOCUMENTATION}generated/{ESTIMATORS[cls]}.{cls.__name__}.html"
    assert link in cls()._repr_html_()
    if PAGES:
        assert ESTIMATORS[cls] in listed_modules()
    if (DOCS / "_build/html").exists():
        assert (DOCS / "_build/html" / link.removeprefix(DOCUMENTATION)).exists()


def test_subclass_of_a_user_links_nowhere():
    class Mine(sklearn_dl.Softmax):
        pass

    assert Mine()._get_doc_link() == ""


def test_address_of_the_documentation():
    urls = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]["urls"]
    assert urls["Documentation"] == DOCUMENTATION
    assert DOCUMENTATION.endswith("/")


def test_show_versions_tells_kernels_and_threads(capsys):
    sklearn_dl.show_versions()
    out = capsys.readouterr().out
    assert f"sklearn_dl: {sklearn_dl.__version__}" in out
    assert re.search(r"kernels: \w+ \(this CPU runs baseline", out)
    assert re.search(r"threads: \d", out)
