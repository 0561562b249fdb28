"""Modules of a package as attributes of it, imported when they are first asked for."""

import importlib
import sys


def lazy_modules(package, path):
    """Return ``__getattr__`` and ``__dir__`` for a package, so that ``package.module`` works without an import of it.

    Parameters
    ----------
    package : str
        Its ``__name__``.
    path : list of str
        Its ``__path__``. Modules that begin with an underscore are private and left out.
    """

    def __getattr__(name):
        if name.isidentifier() and not name.startswith("_"):
            try:
                return importlib.import_module(f"{package}.{name}")
            except ModuleNotFoundError as error:
                if error.name != f"{package}.{name}":  # it is there, but lacks something itself
                    raise
        raise AttributeError(f"module {package!r} has no attribute {name!r}")

    def __dir__():
        import pkgutil

        modules = {module.name for module in pkgutil.iter_modules(path) if not module.name.startswith("_")}
        return sorted(modules | vars(sys.modules[package]).keys())

    return __getattr__, __dir__
