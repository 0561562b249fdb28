"""Texts of errors and warnings are sentences: each ends with a full stop."""

import ast
import re
from pathlib import Path

import pytest

import sklearn_dl
from sklearn_dl import _ext

PACKAGES = [Path(package.__file__).parent for package in (sklearn_dl, _ext)]
# An installation has no Cython sources.
SOURCES = sorted({*PACKAGES[0].rglob("*.py"), *PACKAGES[1].glob("*.py"), *PACKAGES[1].glob("*.pyx")})
# Python's own wording, and reasons that another text has in brackets.
OTHERS = {
    "module {} has no attribute {}",
    "the connection broke after {} of {} bytes",
    "it is larger than {} bytes",
    "{} bytes came in {} seconds, which is the timeout",
}


def text_of(node):
    """Return a text with {} in place of values, None where it is not written out."""
    if isinstance(node, ast.Constant) and isinstance(node.value, str):
        return node.value
    if isinstance(node, ast.JoinedStr):
        return "".join(part.value if isinstance(part, ast.Constant) else "{}" for part in node.values)
    return None


def texts(source):
    """Yield (line, text) of what a module raises or warns of."""
    for node in ast.walk(ast.parse(source)):
        call = node.exc if isinstance(node, ast.Raise) else node
        if not (isinstance(call, ast.Call) and call.args):
            continue
        function = ast.unparse(call.func).rpartition(".")[2]
        raises = isinstance(node, ast.Raise) and not function.startswith("_")  # not by a function that completes it
        text = text_of(call.args[0])
        if (raises or function in ("warn", "warn_caller")) and text is not None:
            yield node.lineno, text


def is_finished(text):
    """Return whether a text ends as a sentence, or with another text: an error's, or advice."""
    return text in OTHERS or (text.endswith((".", "?", "{}")) and not text.endswith("got {}"))


def read(path):
    """Return a module's source; of Cython's, the statements that raise, which are Python."""
    source = path.read_text(encoding="utf-8")
    if path.suffix == ".py":
        return source
    raises = re.findall(r"^ *(raise \w+\(.*?\))$", source, re.MULTILINE | re.DOTALL)
    assert len(raises) == len(re.findall(r"\braise \w+\(", source))
    return "\n".join(raises)


def unfinished(source):
    return [(line, text) for line, text in texts(source) if not is_finished(text)]


@pytest.mark.parametrize("path", SOURCES, ids=lambda path: path.name)
def test_texts_end_with_a_full_stop(path):
    assert not unfinished(read(path))


@pytest.mark.parametrize(
    ("statement", "ok"),
    [
        ("raise ValueError(f'n must be even, got {n}.')", True),
        ("raise ValueError(f'n must be even, got {n}')", False),
        ("raise ValueError('n must be even')", False),
        ("warnings.warn('n is odd')", False),
        ("raise ValueError(f'{name}: {error}')", True),
        ("raise ValueError(message)", True),
    ],
)
def test_unfinished_texts_are_found(statement, ok):
    assert bool(unfinished(statement)) != ok
