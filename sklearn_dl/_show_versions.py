"""Facts about machine and installation, for bug reports."""

import platform
import sys
from importlib.metadata import PackageNotFoundError, version

from threadpoolctl import threadpool_info

from sklearn_dl import _ext
from sklearn_dl._threads import n_threads
from sklearn_dl._version import __version__

DEPENDENCIES = ("numpy", "scipy", "scikit-learn", "joblib", "threadpoolctl", "matplotlib", "onnx", "skl2onnx", "skops")


def _installed(package):
    try:
        return version(package)
    except PackageNotFoundError:
        return "not installed"


def show_versions():
    """Print versions, the kernels' instruction set, threads and BLAS, for bug reports.

    Examples
    --------
    >>> import sklearn_dl
    >>> sklearn_dl.show_versions()
    sklearn_dl: ...
    """
    print(f"sklearn_dl: {__version__}")
    print(f"python: {sys.version.split()[0]} ({sys.executable})")
    print(f"machine: {platform.platform()}")
    for package in DEPENDENCIES:
        print(f"{package}: {_installed(package)}")
    print(f"kernels: {_ext.isa} (this CPU runs {', '.join(_ext.isas)})")
    print(f"OpenMP: {'yes' if _ext.openmp else 'no, kernels run on one thread'}")
    print(f"threads: {n_threads()}")
    for pool in threadpool_info():
        api, prefix = pool["user_api"], pool["prefix"]
        print(f"{api}: {prefix} {pool.get('version')}, {pool['num_threads']} threads")
