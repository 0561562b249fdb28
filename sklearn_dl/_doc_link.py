"""Where the documentation of a class is: in a notebook, the "?" of an estimator leads there."""

import sys

# Where `make docs` is published; also in pyproject.toml.
DOCUMENTATION = "https://sklearn-dl.readthedocs.io/en/stable/"


class DocLinkMixin:
    """Tell scikit-learn's HTML view the page of a class; stands before BaseEstimator."""

    _doc_link_module = "sklearn_dl"
    _doc_link_template = DOCUMENTATION + "generated/{module}.{name}.html"

    def _doc_link_url_param_generator(self):
        """Return the module that a user imports the class from, and the name of the class."""
        cls = type(self)
        at_top = getattr(sys.modules["sklearn_dl"], cls.__name__, None) is cls
        return {"module": "sklearn_dl" if at_top else cls.__module__, "name": cls.__name__}
