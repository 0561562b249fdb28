"""A short form of tests/kill_training.py, and that its rules find what is broken."""

import subprocess
import sys
from pathlib import Path

from .kill_training import check_folder

SCRIPT = Path(__file__).with_name("kill_training.py")


def test_killed_trainings_go_on_to_the_same_bits():
    done = subprocess.run([sys.executable, SCRIPT, "--kills", "6"], capture_output=True, text=True, timeout=120)
    assert done.returncode == 0, done.stdout + done.stderr
    assert "6 kills, 0 failures" in done.stdout


def test_rules_find_what_is_broken(tmp_path):
    (tmp_path / "run").write_text("half of it")
    (tmp_path / ".sklearn_dl-0.tmp").write_text("")
    failures = []
    check_folder(tmp_path, failures, "any", at_end=True)
    assert len(failures) == 2
