"""Type checkers read the package's hints."""

from importlib.resources import files


def test_the_package_says_that_it_has_hints():
    assert (files("sklearn_dl") / "py.typed").is_file()
