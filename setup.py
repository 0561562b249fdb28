"""Build of the compiled kernels, ``sklearn_dl._ext``; all metadata lives in pyproject.toml.

One Cython module (glue) is linked with the hand-written C of ``_ext/src``. ``kernels.c`` is compiled once per
instruction set, each time with its own flags and symbol suffix, and the best one that the CPU can run is chosen at
import. It is one module with several objects, not several modules, so that there is one glue, one scratch cache and
one place that chooses. Rejected: ``target_clones``, which needs ifunc (no musl, no macOS); ``-march=native``, because a
wheel must run elsewhere; ``-ffast-math``, because it changes NaN handling and, at link time, the floating-point state
of the whole process.

Environment
-----------
SKLEARN_DL_DEBUG=1
    Bounds checks in Cython and in the C kernels (slow; for tests).
SKLEARN_DL_SANITIZE=address,bounds
    Passed on as ``-fsanitize=...`` (for tests; see ``tests/fuzz_kernels.py``). Optimized less, as gcc takes minutes for
    both.
SKLEARN_DL_BUILD_ISAS=avx2
    Which instruction sets to build kernels for beside the baseline, separated by commas; all without (for tests).
SKLEARN_DL_NO_OPENMP=1
    Build serial kernels even where OpenMP is available.
"""

import os
import runpy
import sys
import tempfile
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from setuptools import Extension, setup
from setuptools.command.build_ext import build_ext
from setuptools.errors import CompileError, LinkError

SOURCES = Path("_ext")
GENERATED = Path("build/kernels")
DEBUG = os.environ.get("SKLEARN_DL_DEBUG", "0") not in ("", "0")
SANITIZE = os.environ.get("SKLEARN_DL_SANITIZE", "")
BUILD_ISAS = [name for name in os.environ.get("SKLEARN_DL_BUILD_ISAS", "").split(",") if name]
NO_OPENMP = os.environ.get("SKLEARN_DL_NO_OPENMP", "0") not in ("", "0")

# -fno-math-errno: sqrt becomes an instruction; -fno-trapping-math: comparisons may be vectorised.
# -ffp-contract=fast: a*b + c is one rounding in every copy of a loop, not in some of them.
C_FLAGS = ["-std=gnu11", "-O3", "-fno-math-errno", "-fno-trapping-math", "-ffp-contract=fast"]

# Name -> flags, in ascending order of preference; the names are what SKLEARN_DL_ISA accepts.
ISAS = {
    "baseline": [],
    "avx2": ["-mavx2", "-mfma"],
    "avx512": ["-mavx512f", "-mavx512dq", "-mavx512bw", "-mavx512vl", "-mavx2", "-mfma"],
}

X86_PROBE = """
#ifndef __x86_64__
#error "not x86-64"
#endif
int main(void) { return 0; }
"""

PROBE = """
int main(void) { return 0; }
"""

HEADERS_PROBE = """
#include <Python.h>
int main(void) { return 0; }
"""

OPENMP_PROBE = """
#include <omp.h>
int main(void) { return omp_get_max_threads() < 1; }
"""


def openmp_flags():
    """Return (compile flags, link flags) to try for OpenMP on this platform."""
    if sys.platform == "darwin":
        return ["-Xpreprocessor", "-fopenmp"], ["-lomp"]
    return ["-fopenmp"], ["-fopenmp"]


class BuildKernels(build_ext):
    """build_ext that adds one object of ``kernels.c`` per instruction set."""

    def finalize_options(self):
        super().finalize_options()
        self.force = True  # flags come from the environment, which time stamps know nothing of

    def check_compiler(self):
        """Raise CompileError, whose text is the last that pip shows, if nothing can be built here."""
        name = self.compiler.compiler[0]
        if not self.probe(PROBE, ()):
            raise CompileError(
                f"sklearn_dl needs a C compiler to be built, and {name!r} does not compile and link even an empty"
                " program (see above). Install one, such as gcc (apt install gcc libc6-dev, dnf install gcc), or name"
                " another in the environment variable CC."
            )
        if not self.probe(PROBE, C_FLAGS):
            raise CompileError(
                f"sklearn_dl needs gcc or clang to be built: {name!r} does not know the flags {' '.join(C_FLAGS)} (see"
                " above). Name one in the environment variable CC."
            )
        if not self.probe(HEADERS_PROBE, ()):
            version = f"{sys.version_info.major}.{sys.version_info.minor}"
            raise CompileError(
                f"sklearn_dl needs the headers of Python {version} to be built, and {name!r} does not find Python.h"
                f" (see above). Install them (apt install python{version}-dev, dnf install python{version}-devel)."
            )

    def build_extensions(self):
        self.check_compiler()
        compile_flags, link_flags = list(C_FLAGS), []
        macros = []
        if DEBUG:
            compile_flags.append("-g")
            macros.append(("SDL_DEBUG", "1"))
        if not DEBUG and not SANITIZE:
            compile_flags.append("-g0")  # Python's own flags ask for symbols: two thirds of a wheel
        if SANITIZE:
            compile_flags += ["-O1", f"-fsanitize={SANITIZE}", "-fno-omit-frame-pointer", "-g1"]
            link_flags += [f"-fsanitize={SANITIZE}"]
        omp_compile, omp_link = openmp_flags()
        if not NO_OPENMP and self.probe(OPENMP_PROBE, omp_compile, omp_link):
            compile_flags += omp_compile
            link_flags += omp_link
        else:
            self.warn(
                "OpenMP is not available to this compiler: sklearn_dl's kernels will run on ONE thread "
                "(sklearn_dl._ext.openmp will be False). Install libgomp (gcc) or libomp (clang)."
            )
        wanted = BUILD_ISAS or ISAS
        isas = [name for name, flags in ISAS.items() if not flags or (name in wanted and self.probe(X86_PROBE, flags))]
        macros += [(f"SDL_HAVE_{name.upper()}", "1") for name in isas]

        (extension,) = self.extensions
        extension.define_macros += macros
        extension.extra_compile_args += compile_flags
        extension.extra_link_args += link_flags
        self.isas = isas
        super().build_extensions()

    def build_extension(self, ext):
        def compile_for(isa):
            return self.compiler.compile(
                [str(SOURCES / "src" / "kernels.c")],
                output_dir=str(Path(self.build_temp) / isa),
                macros=[*ext.define_macros, ("SDL_ISA", isa)],
                include_dirs=ext.include_dirs,
                extra_postargs=ext.extra_compile_args + ISAS[isa],
                depends=ext.depends,
            )

        with ThreadPoolExecutor() as pool:  # the compiler runs in processes of its own
            ext.extra_objects = [built for objects in pool.map(compile_for, self.isas) for built in objects]
        super().build_extension(ext)

    def probe(self, program, compile_flags, link_flags=()):
        """Return whether the compiler builds and links `program`."""
        with tempfile.TemporaryDirectory() as folder:
            source = Path(folder) / "probe.c"
            source.write_text(program)
            try:
                objects = self.compiler.compile([str(source)], output_dir=folder, extra_postargs=list(compile_flags))
                self.compiler.link_executable(objects, str(Path(folder) / "probe"), extra_postargs=list(link_flags))
            except (CompileError, LinkError):
                return False
        return True


def extensions():
    """Return the one extension, its generated C under build/ (never beside the sources)."""
    import numpy as np
    from Cython.Build import cythonize

    runpy.run_path(str(SOURCES / "src" / "table.py"))["write"](GENERATED)
    extension = Extension(
        "sklearn_dl._ext._kernels",
        [str(SOURCES / "_kernels.pyx"), str(SOURCES / "src" / "runtime.c"), str(SOURCES / "src" / "record.c")],
        include_dirs=[str(SOURCES / "src"), str(GENERATED), np.get_include()],
        define_macros=[("NPY_NO_DEPRECATED_API", "NPY_1_7_API_VERSION")],
        depends=sorted(str(path) for path in (SOURCES / "src").rglob("*.*")),
    )
    return cythonize(
        [extension],
        build_dir="build/cython",
        include_path=[str(GENERATED)],
        force=True,  # as above: the directives below come from the environment
        compiler_directives={
            "language_level": 3,
            "boundscheck": DEBUG,
            "initializedcheck": DEBUG,
            "wraparound": False,
            "cdivision": True,
        },
    )


setup(ext_modules=extensions(), cmdclass={"build_ext": BuildKernels})
