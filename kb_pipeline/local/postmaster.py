"""Finding and ending PostgreSQL servers by what they are: a PID file may be stale, torn, or name another process."""

from __future__ import annotations

import signal
from pathlib import Path

from kb_pipeline.local import processes
from kb_pipeline.local.processes import Record

# Fast shutdown (ends sessions, writes a checkpoint), then immediate, then the hard way. Never "smart", which waits
# for every client.
STOP = ((signal.SIGINT, 60.0), (signal.SIGQUIT, 10.0), (signal.SIGKILL, 10.0))
_CHILD = "postgres: "  # begins the title of every process that a postmaster starts


def find(data: Path) -> int | None:
    """PID of the postmaster that serves this data folder."""
    return next((pid for pid in processes_of(data) if not _command_line(pid)[0].startswith(_CHILD)), None)


def processes_of(data: Path) -> list[int]:
    """PIDs of live postgres processes whose working folder is `data`, as that of every process of a server is."""
    return [
        int(entry.name)
        for entry in Path("/proc").iterdir()
        if entry.name.isdigit() and _works_in(entry, data) and processes.birth(int(entry.name))
    ]


def port_of(pid: int) -> int:
    """The port on the command line we started it with."""
    words = _command_line(pid)
    return int(words[words.index("-p") + 1])


def is_ready(data: Path) -> bool:
    """Whether the server says `ready` in its PID file. Asking by connection would fill its log with refusals."""
    try:
        lines = (data / "postmaster.pid").read_text().splitlines()
    except FileNotFoundError:
        return False
    return len(lines) > 7 and lines[7].strip() == "ready"


def stop(pid: int) -> bool:
    """End a postmaster, which ends its own children. True if it is gone."""
    return processes.end(Record(port=0, pid=pid, birth=processes.birth(pid) or ""), STOP, group=False)


def _works_in(process: Path, data: Path) -> bool:
    try:
        return (process / "comm").read_text().strip() == "postgres" and (process / "cwd").readlink() == data
    except OSError:  # gone meanwhile, or another user's
        return False


def _command_line(pid: int) -> list[str]:
    try:
        return Path(f"/proc/{pid}/cmdline").read_text(errors="replace").split("\0")
    except OSError:  # gone meanwhile
        return [_CHILD]
