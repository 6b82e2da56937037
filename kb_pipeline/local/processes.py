"""Detached processes and the records that find them again: started once, recognised for certain, ended politely.

A record names a process by PID and birth (boot and start tick), so that a PID the system has since given to another
process is never mistaken for ours, and a clock that was set does not matter.
"""

from __future__ import annotations

import fcntl
import json
import os
import secrets
import signal
import socket
import subprocess
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import asdict, dataclass, fields
from pathlib import Path

from kb_pipeline.core.errors import ServiceUnavailable, SettingsError

HOST = "127.0.0.1"
# Below the range Linux takes outgoing ports from (32768 and up), so that a port we keep stays ours between two starts.
PORTS = range(20000, 32768)
_LOG_LIMIT = 10 * 1024 * 1024
_POLL_SECONDS = 0.05
_spawned: set[int] = set()  # by this very process


@dataclass(frozen=True)
class Account:
    """Whom a process runs as when the caller is root."""

    uid: int
    gid: int
    name: str


@dataclass(frozen=True)
class Record:
    """run/<name>.json: the process last started under this name. `pid` is None once it was ended on purpose."""

    port: int
    pid: int | None = None
    birth: str = ""
    model: str = ""
    data: str = ""


def read_record(path: Path) -> Record | None:
    """The record, or None if there is none. A torn or foreign file counts as none."""
    try:
        raw = json.loads(path.read_text(encoding="utf-8"))
    except (FileNotFoundError, NotADirectoryError, ValueError):
        return None
    if not isinstance(raw, dict) or not isinstance(raw.get("port"), int):
        return None
    known = {field.name for field in fields(Record)}
    return Record(**{name: value for name, value in raw.items() if name in known})


def write_record(path: Path, record: Record) -> None:
    """Replace the record in one step, so that a reader never meets half of it."""
    write_private(path, json.dumps(asdict(record), indent=1).encode() + b"\n")


def write_private(path: Path, data: bytes) -> None:
    """Write a file that only its owner can read, in one step."""
    beside = path.with_name(f".{path.name}.{secrets.token_hex(4)}")
    try:
        with os.fdopen(os.open(beside, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "wb") as file:
            file.write(data)
        beside.replace(path)
    finally:
        beside.unlink(missing_ok=True)


def birth(pid: int) -> str | None:
    """Boot id and start tick of a live process; None if there is none, or only its zombie.

    A process whose first thread has ended is called a zombie while its other threads still hold its ports; it lives.
    """
    if pid in _spawned:
        with suppress(ChildProcessError):
            os.waitpid(pid, os.WNOHANG)  # our own child stays a zombie until we ask
    try:
        stat = Path(f"/proc/{pid}/stat").read_text(errors="replace")
    except (FileNotFoundError, ProcessLookupError):
        return None
    state, *rest = stat.rpartition(")")[2].split()
    threads = int(rest[16])
    return None if state in "ZX" and threads <= 1 else f"{_boot()}:{rest[18]}"


def _boot() -> str:
    try:
        return Path("/proc/sys/kernel/random/boot_id").read_text().strip()
    except OSError:  # some sandboxes do not have it; the tick alone must do
        return ""


def is_alive(record: Record | None) -> bool:
    """Whether the very process of the record still runs."""
    return record is not None and record.pid is not None and birth(record.pid) == record.birth


def spawn(
    command: Sequence[str],
    log: Path,
    account: Account | None = None,
    environ: Mapping[str, str] | None = None,
    folder: Path | None = None,
) -> int:
    """Start a process that outlives us, in a session of its own, its output appended to `log`. Returns its PID."""
    if log.exists() and log.stat().st_size > _LOG_LIMIT:
        log.replace(log.with_name(log.name + ".1"))
    with log.open("ab") as output:
        process = subprocess.Popen(  # noqa: S603 - our own command lines
            list(command),
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=output,
            start_new_session=True,
            cwd=folder,
            env=environ,
            umask=0o077,
            user=account.uid if account else None,
            group=account.gid if account else None,
            extra_groups=[] if account else None,
        )
    process.returncode = 0  # it is not ours to wait for: keeps Python from warning that it still runs
    _spawned.add(process.pid)
    return process.pid


def end(record: Record, steps: Sequence[tuple[signal.Signals, float]], group: bool) -> bool:
    """Send each signal in turn until the process is gone, waiting the given seconds. True if it is gone.

    `group` signals its whole process group. A process whose birth is not the recorded one is left alone.
    """
    pid = record.pid
    for number, seconds in steps:
        if pid is None or not is_alive(record):
            return True
        try:
            if group and os.getpgid(pid) == pid:
                os.killpg(pid, number)
            else:
                os.kill(pid, number)
        except ProcessLookupError:
            return True
        except PermissionError:
            raise SettingsError(
                f"Process {pid} under KB_HOME belongs to another user.", "Run `kb down` as that user or as root."
            ) from None
        if wait_until(lambda: not is_alive(record), seconds):
            return True
    return not is_alive(record)


def wait_until(condition: Callable[[], bool], seconds: float) -> bool:
    """Poll until `condition` holds or the time is over; returns whether it holds."""
    deadline = time.monotonic() + seconds
    while not condition():
        if time.monotonic() > deadline:
            return False
        time.sleep(_POLL_SECONDS)
    return True


def port_is_free(port: int) -> bool:
    """Whether a server could listen on this loopback port now."""
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)  # as servers do: old connections do not count
        try:
            probe.bind((HOST, port))
            probe.listen(1)
        except OSError:
            return False
    return True


def choose_port(kept: int | None) -> int:
    """The port used before if it is still free, else a free one at random, so that two homes rarely meet."""
    if kept is not None and port_is_free(kept):
        return kept
    for _ in range(200):
        port = PORTS.start + secrets.randbelow(len(PORTS))
        if port_is_free(port):
            return port
    raise ServiceUnavailable(
        f"200 ports tried between {PORTS.start} and {PORTS.stop - 1} on {HOST}, none is free.",
        "End servers that are not needed, or set KB_DATABASE_DSN and KB_EMBEDDING_URLS.",
    )


@contextmanager
def exclusive(path: Path, seconds: float, on_wait: Callable[[], None]) -> Iterator[None]:
    """Hold the lock file, so that one `kb up` or `kb down` acts at a time. Raises ServiceUnavailable after a wait."""
    with path.open("a") as file:
        if not _try_lock(file.fileno()):
            on_wait()
            if not wait_until(lambda: _try_lock(file.fileno()), seconds):
                raise ServiceUnavailable(
                    f"Another `kb up` or `kb down` has held {path} for {seconds:.0f} s.", "Try again when it is done."
                )
        yield


def _try_lock(descriptor: int) -> bool:
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True


def memory_mb(pid: int) -> float | None:
    """Proportional memory of a process and its descendants in MiB, so that shared pages count once; None if unknown."""
    import psutil

    try:
        family = [psutil.Process(pid), *psutil.Process(pid).children(recursive=True)]
        return float(round(sum(member.memory_full_info().pss for member in family) / 2**20, 1))
    except psutil.Error:
        return None
