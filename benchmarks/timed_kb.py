"""The command `kb` with the time its imports took: `python timed_kb.py sync notes --json` ends by printing

    import_s=2.31 sync_s=0.87 peak_mb=101

import_s: wall seconds inside import statements of the main process; sync_s: the rest, from the first line on; peak_mb:
its highest resident memory. (ru_maxrss would also hold what the parent had when it forked.)
"""

from __future__ import annotations

import sys
import threading
import time
from pathlib import Path
from typing import Any


class ImportTime:
    """Seconds spent loading modules from now on, nested loads counted once. What is loaded already costs nothing."""

    def __init__(self) -> None:
        self.seconds = 0.0
        self._inside = threading.local()
        bootstrap: Any = sys.modules["_frozen_importlib"]
        self._load = bootstrap._find_and_load
        bootstrap._find_and_load = self._timed

    def _timed(self, *arguments: Any) -> Any:
        if getattr(self._inside, "an_import", False):
            return self._load(*arguments)
        self._inside.an_import, started = True, time.perf_counter()
        try:
            return self._load(*arguments)
        finally:
            self._inside.an_import = False
            self.seconds += time.perf_counter() - started


def import_seconds(line: str) -> float:
    """import_s of the line printed last."""
    return float(line.split()[0].removeprefix("import_s="))


def peak_bytes(line: str) -> int:
    """peak_mb of the line printed last, in bytes."""
    return int(line.rpartition("peak_mb=")[2]) * 10**6


def _peak_kib() -> int:
    status = Path("/proc/self/status").read_text().splitlines()
    return next(int(line.split()[1]) for line in status if line.startswith("VmHWM:"))


def main() -> None:
    """Run `kb`, print the times, and end with its exit code."""
    started, imports = time.perf_counter(), ImportTime()
    code: Any = 0
    try:
        from kb_pipeline.cli import main as kb

        kb()
    except SystemExit as end:
        code = end.code
    seconds = time.perf_counter() - started
    times = f"import_s={imports.seconds:.2f} sync_s={seconds - imports.seconds:.2f}"
    print(f"{times} peak_mb={_peak_kib() * 1024 / 1e6:.0f}", flush=True)
    sys.exit(code)


if __name__ == "__main__":
    main()
