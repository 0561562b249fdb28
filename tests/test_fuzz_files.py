"""A short form of tests/fuzz_files.py, and tests of its rules."""

import subprocess
import sys
import time
from pathlib import Path

import pytest

from .fuzz_files import Failure, Subject, limited, run_one

SCRIPT = Path(__file__).with_name("fuzz_files.py")


def test_mutated_files_are_refused_or_valid():
    done = subprocess.run(
        [sys.executable, SCRIPT, "--mutations", "600", "--seed", "1"], capture_output=True, text=True, timeout=300
    )
    assert done.returncode == 0, done.stdout + done.stderr
    assert "600 mutations, 0 failures" in done.stdout
    assert "valid" in done.stdout


def fail(error):
    def open(path):
        raise error

    return open


@pytest.mark.parametrize(
    ("open", "error"),
    [
        (fail(KeyError("W1")), KeyError),
        (fail(MemoryError()), MemoryError),
        (fail(ValueError("damaged")), Failure),
        (lambda path: time.sleep(20), Failure),
    ],
)
def test_rules_find_a_broken_reader(open, error, tmp_path, monkeypatch):
    monkeypatch.setattr("tests.fuzz_files.SECONDS", 0.05)
    with pytest.raises(error):
        run_one(Subject("any", {"model": b""}, open, lambda thing: None), {"model": b""}, tmp_path)


def test_rules_find_an_object_that_fails(tmp_path):
    with pytest.raises(AttributeError):
        run_one(Subject("any", {}, lambda path: 1, lambda thing: thing.predict), {}, tmp_path)


def test_a_limit_ends():
    with limited(0.05):
        pass
    time.sleep(0.06)
