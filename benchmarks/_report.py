"""What a run leaves behind: tables on the terminal, JSON, a chart, and what machine it ran on."""

import json
import os
import platform
import shlex
import statistics
import sys
from datetime import UTC, datetime
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

LIBRARIES = (
    "sklearn_dl",
    "numpy",
    "scipy",
    "scikit-learn",
    "joblib",
    "torch",
    "skorch",
    "jax",
    "jaxlib",
)


def environment(threads):
    """Return a dict of versions, CPU, threads and load."""
    found = {
        "command": shlex.join(["python", *sys.argv]),
        "date": datetime.now(UTC).isoformat(timespec="seconds"),
        "python": platform.python_version(),
        "platform": platform.platform(),
        "cpu": _cpu(),
        "cpus": os.cpu_count(),
        "threads": threads,
        "load at the start": os.getloadavg()[0] if hasattr(os, "getloadavg") else None,
        "versions": {name: _version(name) for name in LIBRARIES},
    }
    try:
        from sklearn_dl import _ext

        found["kernels"] = f"{_ext.isa}, OpenMP {'yes' if _ext.openmp else 'no'}"
    except ImportError as error:
        found["kernels"] = f"none: {error}"
    return found


def _version(name):
    try:
        return version(name)
    except PackageNotFoundError:
        return None


def _cpu():
    info = Path("/proc/cpuinfo")
    if info.exists():
        fields = {}
        for line in info.read_text().splitlines():
            key, _, value = line.partition(":")
            fields.setdefault(key.strip(), value.strip())
        if "model name" in fields:
            vectors = [f for f in ("avx2", "avx512f") if f in fields.get("flags", "").split()]
            return f"{fields['model name']} ({', '.join(vectors) or 'no AVX2'})"
    return platform.processor() or platform.machine()


def print_environment(found):
    """Print what `environment` returned."""
    for key, value in found.items():
        if key == "versions":
            value = ", ".join(f"{name} {v}" for name, v in value.items() if v)
        print(f"{key}: {value}")
    load = found["load at the start"]
    if load is not None and load > 0.5:
        print(f"WARNING: something else keeps {load:.1f} CPUs busy; do not quote the figures below")


def print_table(title, header, rows):
    """Print a table in Markdown, its columns aligned.

    Parameters
    ----------
    title : str
    header : list of str
    rows : list of list of str
    """
    widths = [max(len(line[k]) for line in (header, *rows)) for k in range(len(header))]

    def line(cells):
        first = cells[0].ljust(widths[0])
        rest = [cell.rjust(width) for cell, width in zip(cells[1:], widths[1:], strict=True)]
        return f"| {' | '.join([first, *rest])} |"

    rule = [":" + "-" * (widths[0] - 1), *("-" * (width - 1) + ":" for width in widths[1:])]
    print(f"\n{title}\n")
    for cells in (header, rule, *rows):
        print(line(cells))


def median(values):
    """Return the median, or None of nothing."""
    return statistics.median(values) if values else None


def number(value):
    """Return a number with three digits that matter, and commas; '-' for None."""
    if value is None:
        return "-"
    if abs(value) >= 100:
        return f"{float(f'{value:.3g}'):,.0f}"
    return f"{value:.3g}"


def milliseconds(seconds):
    """Return seconds as milliseconds."""
    return "-" if seconds is None else number(1e3 * seconds)


def times(ratio):
    """Return a ratio with its sign."""
    return "-" if ratio is None else f"{number(ratio)}x"


def percent(share):
    """Return a share in percent."""
    return "-" if share is None else f"{100 * share:.0f} %"


def megabytes(size):
    """Return bytes as MB."""
    return "-" if size is None else f"{size / 1e6:,.1f} MB"


def write_json(folder, name, results):
    """Write results as JSON and say where."""
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / f"{name}.json"
    path.write_text(json.dumps(results, indent=1) + "\n")
    print(f"\nwritten: {path}")


def write_chart(folder, name, title, groups):
    """Draw bars of rates in units of the fastest other library, and say where.

    Parameters
    ----------
    folder : Path
    name : str
        Of the file, without its ending.
    title : str
    groups : dict of str to dict of str to float
        Net -> library -> rate; libraries called sklearn_dl… are ours.
    """
    try:
        import matplotlib
    except ImportError:
        print("no chart: matplotlib is not installed")
        return
    matplotlib.use("Agg")
    import matplotlib.pyplot as plt

    labels = list(dict.fromkeys(label for group in groups.values() for label in group))
    ours = [label for label in labels if label.startswith("sklearn_dl")]
    theirs = [label for label in labels if label not in ours]
    colours = dict(zip(ours, ("#c44e2b", "#e8a184"), strict=False))
    greys = ("#33475b", "#5d7690", "#8aa0b5", "#b3c1cf", "#d5dde5")
    colours.update(zip(theirs, greys, strict=False))

    thickness = 0.84 / len(labels)
    figure, axes = plt.subplots(layout="constrained", figsize=(8, 1.2 + len(groups) * (0.25 + 0.14 * len(labels))))
    for position, group in enumerate(groups.values()):
        unit = max((rate for label, rate in group.items() if label in theirs), default=None)
        unit = unit or max(group.values())
        present = [label for label in labels if label in group]
        for k, label in enumerate(present):
            y = position + (k - (len(present) - 1) / 2) * thickness
            axes.barh(y, group[label] / unit, 0.9 * thickness, color=colours[label])
            axes.text(
                group[label] / unit + 0.04,
                y,
                f"{number(group[label])}/s",
                va="center",
                fontsize=6.5,
            )
    axes.set_yticks(range(len(groups)), list(groups))
    axes.invert_yaxis()
    axes.axvline(1, color="#c8d0d8", linewidth=0.8, zorder=0)
    axes.set_xlabel("samples per second, in units of the fastest other library")
    axes.set_title(title, fontsize=10)
    axes.spines[["top", "right"]].set_visible(False)
    axes.margins(x=0.12, y=0.02)
    handles = [plt.Rectangle((0, 0), 1, 1, color=colours[label]) for label in labels]
    figure.legend(handles, labels, fontsize=7, frameon=False, ncols=4, loc="outside lower center")
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / f"{name}.png"
    figure.savefig(path, dpi=150)
    plt.close(figure)
    print(f"written: {path}")
