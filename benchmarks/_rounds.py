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

    Parameters
    ----------
    measure : callable
        Takes a number of repetitions, returns the seconds they took.
    seconds : float
    """
    count = 1
    while True:
        taken = measure(count)
        if taken >= seconds / 4:
            return max(1, round(count * seconds / taken))
        count = max(2 * count, min(10 * count, int(count * seconds / 2 / max(taken, 1e-9))))


def per_call(remote, *call, seconds):
    """Return a measure of the seconds a call takes, the mean of a turn of about `seconds`.

    Parameters
    ----------
    remote : Remote
    *call : str and objects
        A method and its arguments but for the last, which is the number of repetitions.
    seconds : float
    """
    count = repetitions(lambda count: remote.time(*call, count), seconds)
    return lambda: remote.time(*call, count) / count


def spread(values):
    """Return half the range of the values as a share of their median."""
    return (max(values) - min(values)) / 2 / statistics.median(values)


def ratios(ours, theirs):
    """Return (ratio of the medians, smallest, largest ratio of a round) of rates."""
    each = [a / b for a, b in zip(ours, theirs, strict=True)]
    return statistics.median(ours) / statistics.median(theirs), min(each), max(each)
