"""The build says what is missing: a compiler, its flags, Python's headers, OpenMP."""

import os
import runpy
import stat
import sys
from pathlib import Path
from types import ModuleType

import pytest

SETUP = Path(__file__).parent.parent / "setup.py"
if not SETUP.exists():
    pytest.skip("setup.py is not part of an installation", allow_module_level=True)
setuptools = pytest.importorskip("setuptools")
errors = pytest.importorskip("setuptools.errors")


@pytest.fixture
def build(monkeypatch, tmp_path):
    """Return a function that runs the build's checks with a compiler, and returns the command."""
    cython = ModuleType("Cython.Build")
    cython.cythonize = lambda extensions, **options: extensions
    monkeypatch.setitem(sys.modules, "Cython", ModuleType("Cython"))
    monkeypatch.setitem(sys.modules, "Cython.Build", cython)
    given = {}
    monkeypatch.setattr(setuptools, "setup", given.update)
    monkeypatch.chdir(SETUP.parent)
    settings = runpy.run_path(str(SETUP))

    def run(compiler, **environment):
        monkeypatch.setenv("CC", str(compiler))
        monkeypatch.delenv("LDSHARED", raising=False)
        command = given["cmdclass"]["build_ext"](setuptools.Distribution(given | {"name": "probe"}))
        command.build_temp, command.build_lib = str(tmp_path / "temp"), str(tmp_path / "lib")
        command.ensure_finalized()
        # The checks come first; what would be compiled after them is not.
        monkeypatch.setattr(settings["build_ext"], "build_extensions", lambda command: None)
        command.run()
        return command

    return run


COMPILER = """#!/bin/sh
program=
for argument in "$@"; do
    case "$argument" in *.c) program=$(cat "$argument");; esac
done
case "$*$program" in *'{0}'*) echo 'no {0}' >&2; exit 1;; esac
exec cc "$@"
"""


@pytest.fixture
def compiler(tmp_path):
    """Return a function that makes a compiler which fails where its arguments or the program hold a text."""

    def make(fails_on):
        script = tmp_path / "cc"
        script.write_text(COMPILER.format(fails_on))
        script.chmod(script.stat().st_mode | stat.S_IEXEC)
        return script

    return make


def test_what_is_needed_is_there(build, compiler):
    assert build(compiler("nothing that is asked")).isas[0] == "baseline"


def test_no_compiler(build):
    with pytest.raises(errors.CompileError, match=r"needs a C compiler .* '/nonexistent' .*apt install gcc .* CC"):
        build("/nonexistent")


def test_a_compiler_that_fails(build, compiler):
    with pytest.raises(errors.CompileError, match="does not compile and link even an empty program"):
        build(compiler(""))


def test_a_compiler_of_another_kind(build, compiler):
    with pytest.raises(errors.CompileError, match=r"needs gcc or clang .* does not know the flags -std=gnu11"):
        build(compiler("-ffp-contract=fast"))


def test_no_headers_of_python(build, compiler):
    with pytest.raises(errors.CompileError, match=r"headers of Python 3\.\d+ .*python3\.\d+-dev"):
        build(compiler("Python.h"))


def test_no_openmp_is_a_warning_about_openmp_only(build, compiler, monkeypatch):
    said = []
    command = build(compiler("omp.h"))
    monkeypatch.setattr(type(command), "warn", lambda self, text: said.append(text))
    build(compiler("omp.h"))
    assert len(said) == 1
    assert "OpenMP is not available to this compiler" in said[0]


@pytest.mark.skipif(os.uname().machine != "x86_64", reason="instruction sets are those of x86-64")
def test_instruction_sets_are_those_that_the_compiler_knows(build, compiler):
    assert build(compiler("-mavx512f")).isas == ["baseline", "avx2"]


def test_the_marker_of_type_hints_is_packed(monkeypatch):
    monkeypatch.chdir(SETUP.parent)
    distribution = setuptools.Distribution()
    distribution.parse_config_files()
    command = distribution.get_command_obj("build_py")
    command.ensure_finalized()
    packed = {package: files for package, _, _, files in command.data_files}
    assert packed["sklearn_dl"] == ["py.typed"]
