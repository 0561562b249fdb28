"""Sphinx configuration; `make docs` builds the site into docs/_build/html."""

import inspect
import os
import sys
from pathlib import Path

# Where the examples are not run, the gallery looks up what they import all the same.
from sklearn.experimental import enable_halving_search_cv  # noqa: F401

import sklearn_dl

HERE = Path(__file__).parent
sys.path.insert(0, str(HERE / "_ext"))
# The examples' searches start workers, which are to see the settings of this process.
os.environ.setdefault("OMP_NUM_THREADS", "1")

project = "sklearn_dl"
author = "The sklearn_dl developers"
copyright = author
version = release = sklearn_dl.__version__

extensions = [
    "sphinx.ext.autodoc",
    "sphinx.ext.autosummary",
    "numpydoc",
    "sphinx_gallery.gen_gallery",
    "sphinx_copybutton",
    "mathml",
    "external",
]
exclude_patterns = ["_build", "_templates"]
templates_path = ["_templates"]
default_role = "autolink"
nitpicky = True
autodoc_typehints = "none"  # numpydoc's sections say what the arguments are

# ----------------------------------------------------------------- reference

# A module's page lists what is in its __all__, or else what is defined in it.
autosummary_ignore_module_all = False
autosummary_generate = True
autodoc_member_order = "bysource"
numpydoc_show_class_members = False

# What scikit-learn gives every estimator; its docstrings link into its own site.
INHERITED = {"score", "fit_transform", "get_params", "set_params"}


def skip_scikit_learns(app, what, name, obj, skip, options):
    """Leave out of a class's page what scikit-learn documents."""
    if name not in INHERITED and getattr(obj, "__module__", None) is not None:
        module = inspect.unwrap(obj).__module__ if callable(obj) else obj.__module__
        if module.split(".")[0] == "sklearn":
            return True
    return None


def link_or_fail(app, docname, source):
    """Let single backticks be a reference that must resolve; in docstrings they may also be an argument's name."""
    if not docname.startswith(("generated/", "auto_examples/")):
        source[0] = ".. default-role:: py:obj\n\n" + source[0]


def name_without_page(app, env, node, contnode):
    """Leave a name without a link that is neither function nor class, or a class from the inner parts of a solver."""
    name, module = node["reftarget"], sys.modules.get(node.get("py:module"))
    cls = getattr(module, node.get("py:class") or "", None)
    # A module may make a constant when it is first asked for.
    for found in (getattr(module, name, None), inspect.getattr_static(cls, name, None)):
        inner = getattr(found, "__module__", "").startswith("sklearn_dl.training.")
        if found is not None and (inner or not callable(found)):
            return contnode
    return None


# ------------------------------------------------------------------- gallery

sphinx_gallery_conf = {
    "examples_dirs": "../examples",
    "gallery_dirs": "auto_examples",
    "filename_pattern": r"/plot_",
    "ignore_pattern": r"(^|/)(_common|demo)\.py$",
    "within_subsection_order": "gallery.reading_order",
    "reset_argv": "gallery.arguments",
    "backreferences_dir": "generated/backreferences",
    "doc_module": ("sklearn_dl",),
    "abort_on_example_error": False,
    "parallel": True,
    "download_all_examples": False,
    "show_signature": False,
    "write_computation_times": False,
}

# ---------------------------------------------------------------------- HTML

html_theme = "pydata_sphinx_theme"
html_math_renderer = "mathml"
html_title = f"sklearn_dl {version}"
html_static_path = ["_static"]
html_css_files = ["custom.css"]
toc_object_entries_show_parents = "hide"
html_show_sourcelink = False
html_show_sphinx = False
html_theme_options = {
    "logo": {"text": "sklearn_dl"},
    "navbar_align": "left",
    "header_links_before_dropdown": 6,
    "show_prev_next": True,
    "secondary_sidebar_items": {"**": ["page-toc"], "index": [], "features": []},
    "footer_start": ["copyright"],
    "footer_end": [],
}
html_sidebars = {"index": [], "install": [], "features": []}


def setup(app):
    """Register the above."""
    app.connect("autodoc-skip-member", skip_scikit_learns)
    app.connect("source-read", link_or_fail)
    app.connect("missing-reference", name_without_page)
