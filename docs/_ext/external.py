"""Links to other projects' sites, by the rule that their addresses follow: nothing is fetched for a build."""

import inspect
import pkgutil

from docutils import nodes

SCIKIT_LEARN = "https://scikit-learn.org/stable"
# What the docstrings that come with scikit-learn's classes refer to.
OTHERS = {
    "accuracy_score": f"{SCIKIT_LEARN}/modules/generated/sklearn.metrics.accuracy_score.html",
    "metadata_routing": f"{SCIKIT_LEARN}/metadata_routing.html",
    "np.random.RandomState": "https://numpy.org/doc/stable/reference/random/legacy.html#numpy.random.RandomState",
}


def address(target):
    """Return where the documentation of a name is, or None."""
    if target in OTHERS:
        return OTHERS[target]
    if target.split(".")[0] != "sklearn":
        return None
    try:
        found = pkgutil.resolve_name(target)
    except (ImportError, AttributeError):
        return None
    if inspect.ismodule(found):
        return f"{SCIKIT_LEARN}/api/{target}.html"
    documented = inspect.isclass(found) or inspect.isfunction(found)
    return f"{SCIKIT_LEARN}/modules/generated/{target}.html" if documented else None


def resolve(app, env, node, contnode):
    """Make a link of a reference that this site has no target for."""
    url = address(node["reftarget"])
    return None if url is None else nodes.reference("", "", contnode, internal=False, refuri=url)


def setup(app):
    """Register the resolver."""
    app.connect("missing-reference", resolve)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
