"""Pages of the user guide are run: everything in them that has a prompt."""

import doctest
from pathlib import Path

import pytest

FOLDER = Path(__file__).parent.parent / "docs" / "user_guide"


def run_page(name):
    """Run a page's examples, in one namespace."""
    if not FOLDER.exists():
        pytest.skip("the documentation is not part of an installation")
    options = doctest.NORMALIZE_WHITESPACE | doctest.ELLIPSIS
    result = doctest.testfile(str(FOLDER / name), module_relative=False, optionflags=options, encoding="utf-8")
    assert result.attempted > 10
    assert result.failed == 0
