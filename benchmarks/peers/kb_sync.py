"""One sync of a folder for the peers' driver: `kb ingest SRC --source bench --json`, and nothing else.

    python kb_sync.py SRC STATE_DIR       environment: PG_DSN, STUB_URL, and IN_PLACE=1 for `kb sync bench` with SRC
                                          itself as the raw prefix (as a bucket would be), so that no file is copied

The driver counts the CPU of processes that its child has reaped. Our workers belong to a fork server that outlives the
command by a moment, so this parent adopts and reaps whatever the command leaves behind: all of it is counted.
"""

from __future__ import annotations

import ctypes
import os
import subprocess
import sys
from pathlib import Path

SET_CHILD_SUBREAPER = 36
HERE = Path(__file__).resolve().parent


def arguments(source: Path, state: Path) -> list[str]:
    """What `kb` is called with; with IN_PLACE the folder becomes the source's raw prefix."""
    if not os.environ.get("IN_PLACE"):
        return ["ingest", str(source), "--source", "bench", "--json"]
    link = state / "objects" / "raw" / "bench"
    link.parent.mkdir(parents=True, exist_ok=True)
    if not link.is_symlink():
        link.symlink_to(source.resolve())
    return ["sync", "bench", "--json"]


def main() -> None:
    """Run the command, wait for it and for all that it leaves behind, and end as it did."""
    source, state = Path(sys.argv[1]), Path(sys.argv[2])
    environment = {
        **os.environ,
        "KB_HOME": str(state.resolve()),
        "KB_CONFIG": str(HERE / "kb.yaml"),
        "KB_DATABASE_DSN": os.environ["PG_DSN"],
        "KB_EMBEDDING_URLS": os.environ["STUB_URL"] + "/v1",
    }
    ctypes.CDLL(None).prctl(SET_CHILD_SUBREAPER, 1, 0, 0, 0)
    command = [sys.executable, str(HERE.parent / "timed_kb.py"), *arguments(source, state)]
    child, code = subprocess.Popen(command, env=environment), 1
    while True:
        try:
            pid, status = os.wait()
        except ChildProcessError:
            sys.exit(code)
        if pid == child.pid:
            code = child.returncode = os.waitstatus_to_exitcode(status)


if __name__ == "__main__":
    main()
