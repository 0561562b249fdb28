"""Claims: what is in training belongs to one call until that has ended."""

import os
from contextlib import contextmanager

# The calls that objects belong to, by id of the object.
_claimed: dict[int, object] = {}
if hasattr(os, "register_at_fork"):  # no thread but the one that forks goes on in a child
    os.register_at_fork(after_in_child=_claimed.clear)


@contextmanager
def claimed(*objects, error):
    """Keep other calls, in any thread, from claiming the same objects meanwhile.

    Parameters
    ----------
    *objects : object
    error : str
        What to say if one of them is claimed already.

    Raises
    ------
    RuntimeError
        If one of them is.
    """
    this_call = object()
    try:
        for one in objects:
            if _claimed.setdefault(id(one), this_call) is not this_call:  # asked and set in one, for all threads
                raise RuntimeError(error)
        yield
    finally:
        for one in objects:
            if _claimed.get(id(one)) is this_call:
                del _claimed[id(one)]
