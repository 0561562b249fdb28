"""Ctrl-C during a fit."""

import signal
import threading
from contextlib import contextmanager


@contextmanager
def stopping_at_interrupt(solver):
    """Let the first Ctrl-C stop the solver after the update under way; a second one raises KeyboardInterrupt.

    An exception could occur anywhere, even between two statements that must both run; `Solver.stop` ends after a
    complete update.

    Nothing happens outside the main thread, where Python delivers no signals, and where the program has a handler of
    its own.

    Parameters
    ----------
    solver : Solver

    Yields
    ------
    interrupts : list
        Holds the interrupts that there were so far.
    """
    interrupts = []

    def handle(signum, frame):
        if interrupts:
            signal.default_int_handler(signum, frame)
        interrupts.append(signum)
        solver.stop("interrupted")

    in_main_thread = threading.current_thread() is threading.main_thread()
    if not in_main_thread or signal.getsignal(signal.SIGINT) is not signal.default_int_handler:
        yield interrupts
        return
    signal.signal(signal.SIGINT, handle)
    try:
        yield interrupts
    finally:
        signal.signal(signal.SIGINT, signal.default_int_handler)
