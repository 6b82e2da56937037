"""Run the benchmarks named on the command line, or all, and print a table of each."""

from __future__ import annotations

import argparse
from collections.abc import Callable

from benchmarks import (
    chunking,
    idle_memory,
    initial_load,
    load_profile,
    masking,
    memory,
    no_change,
    one_edit,
    reading,
    scans,
    sync_costs,
)
from benchmarks.result import Result
from kb_pipeline import console

BENCHMARKS: dict[str, Callable[[], list[Result]]] = {
    "reading": reading.run,
    "chunking": chunking.run,
    "masking": masking.run,
    "idle_memory": idle_memory.run,
    "sync_costs": sync_costs.run,
    "memory": memory.run,
    "scans": scans.run,
    "load_profile": load_profile.run,
    "initial_load": initial_load.run,
    "one_edit": one_edit.run,
    "no_change": no_change.run,
    "no_change_large": no_change.run_large,
}
ONLY_BY_NAME = {"no_change_large"}  # a million files: half an hour, and 10 GB of disk meanwhile


def main() -> None:
    """Print a row a measurement, as soon as it is known: what, its figure, the baseline's, and the ratio of the two."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks", description=__doc__)
    parser.add_argument(
        "names", nargs="*", help=f"which (default: all but {', '.join(ONLY_BY_NAME)}): {', '.join(BENCHMARKS)}"
    )
    names = parser.parse_args().names or [name for name in BENCHMARKS if name not in ONLY_BY_NAME]
    if unknown := set(names) - set(BENCHMARKS):
        parser.error(f"there is no benchmark {', '.join(sorted(unknown))}")
    for name in names:  # each shown as it is known: all together take half an hour
        _show(name, BENCHMARKS[name]())


def _show(name: str, results: list[Result]) -> None:
    columns = ("measured", "figure", "baseline", "baseline's figure", "ratio")
    rows = [
        (r.measured, f"{r.figure:,.2f} {r.unit}", r.baseline, f"{r.baseline_figure:,.2f} {r.unit}", f"{r.ratio:,.2f}")
        for r in results
    ]
    console.table(name, columns, rows, numbers=("figure", "baseline's figure", "ratio"))


if __name__ == "__main__":
    main()
