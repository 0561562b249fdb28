"""Fair timing on a machine that is not quiet: everyone has a turn in each of several rounds."""

import statistics
import time

# Idle threads of OpenMP and OpenBLAS spin for some milliseconds after their last work.
SETTLE = 0.05


def interleave(measures, rounds):
    """Call every measure once a round, each round beginning with another one.

    Parameters
    ----------
    measures : dict of str to callable
        Each returns a number.
    rounds : int

    Returns
    -------
    results : dict of str to list of float
        In the order of the rounds.
    """
    names = list(measures)
    results = {name: [] for name in names}
    for turn in range(rounds):
        first = turn % len(names) if names else 0
        for name in names[first:] + names[:first]:
            time.sleep(SETTLE)
            results[name].append(measures[name]())
    return results


def repetitions(measure, seconds):
    """Return how often to repeat something so that it takes about so many seconds.

    What one repetition takes longer than the next ones, a fit's checks of its input say, does not count.

    Parameters
    ----------
    measure : callable
        Takes a number of repetitions, returns the seconds they took.
    seconds : float
    """
    first = measure(1)
    if first >= seconds and measure(2) - first >= seconds / 2:
        return 1
    count = 2
    while True:
        taken = max(measure(count) - first, 1e-9)
        if taken >= seconds / 4:
            return max(1, round((count - 1) * seconds / taken))
        count = max(2 * count, min(10 * count, int(count * seconds / 2 / taken)))


def per_call(remote, *call, seconds, at_least=1):
    """Return a measure of the seconds a call takes, the mean of a turn of about `seconds`.

    Parameters
    ----------
    remote : Remote
    *call : str and objects
        A method and its arguments but for the last, which is the number of repetitions.
    seconds : float
    at_least : int, default=1
        Repetitions in a turn.
    """
    count = max(at_least, repetitions(lambda count: remote.time(*call, count), seconds))
    return lambda: remote.time(*call, count) / count


def spread(values):
    """Return half the range of the values as a share of their median."""
    return (max(values) - min(values)) / 2 / statistics.median(values)


def ratios(ours, theirs):
    """Return (ratio of the medians, smallest, largest ratio of a round) of rates."""
    each = [a / b for a, b in zip(ours, theirs, strict=True)]
    return statistics.median(ours) / statistics.median(theirs), min(each), max(each)
