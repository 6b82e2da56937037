"""`kb` without the seconds that a new interpreter spends on importing libraries: forked from one that has them.

A test that runs a dozen commands spends more CPU on imports than on what it tests. The server below has the libraries
and nothing of kb_pipeline loaded. For each command it forks twice: the inner process takes over the caller's
environment, folder and output, and calls the entry point as the script `kb` does; the outer one waits and reports.
"""

from __future__ import annotations

import contextlib
import importlib
import json
import os
import signal
import socket
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, NoReturn

# What `kb sync` has loaded at its end. A name that is missing here costs time, nothing else.
LIBRARIES = (
    "ahocorasick_rs",
    "alembic",
    "click",
    "dagster",
    "dagster._core.storage.runs.sqlite",
    "dagster._core.storage.event_log.sqlite",
    "obstore",
    "openai",
    "pgvector.psycopg",
    "psycopg",
    "pyarrow.ipc",
    "pydantic",
    "rich.progress",
    "rich.table",
    "sqlalchemy",
    "yaml",
)
_LARGEST_MESSAGE = 1 << 20


class PreloadedKb:
    """Runs `kb` in processes forked from the server behind `address`."""

    def __init__(self, address: Path) -> None:
        self.address = address

    def run(
        self, arguments: Sequence[str], *, env: Mapping[str, str], cwd: Path, timeout: float
    ) -> subprocess.CompletedProcess[str]:
        """As subprocess.run of the script would: its exit code (minus the signal that ended it) and all its output."""
        with (
            tempfile.TemporaryFile() as out,
            tempfile.TemporaryFile() as err,
            socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET) as connection,
        ):
            connection.connect(str(self.address))
            message = json.dumps({"arguments": list(arguments), "env": dict(env), "cwd": str(cwd)}).encode()
            socket.send_fds(connection, [message], [out.fileno(), err.fileno()])
            pid = int(connection.recv(64))  # after the server's own imports, which are not the command's time
            connection.settimeout(timeout)
            try:
                code = int(connection.recv(64))
            except TimeoutError:
                with contextlib.suppress(ProcessLookupError):
                    os.kill(pid, signal.SIGKILL)
                raise subprocess.TimeoutExpired(["kb", *arguments], timeout) from None
            out.seek(0)
            err.seek(0)
            return subprocess.CompletedProcess(["kb", *arguments], code, out.read().decode(), err.read().decode())


@contextlib.contextmanager
def preloaded_kb(folder: Path) -> Iterator[PreloadedKb]:
    """A server for as long as the block runs; its socket lies in `folder`."""
    address = folder / "kb.socket"
    with socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET) as listening:
        listening.bind(str(address))
        listening.listen(64)
        command = [sys.executable, "-m", __name__, str(listening.fileno())]
        with subprocess.Popen(command, pass_fds=[listening.fileno()], stdin=subprocess.DEVNULL) as server:
            try:
                yield PreloadedKb(address)
            finally:
                server.kill()


def _serve(listening: socket.socket) -> NoReturn:
    for name in LIBRARIES:
        importlib.import_module(name)
    signal.signal(signal.SIGCHLD, signal.SIG_IGN)  # nobody waits for the outer processes
    while True:
        connection, _ = listening.accept()
        if os.fork() == 0:
            listening.close()
            _report(connection)
        connection.close()


def _report(connection: socket.socket) -> NoReturn:
    signal.signal(signal.SIGCHLD, signal.SIG_DFL)
    message, descriptors, _, _ = socket.recv_fds(connection, _LARGEST_MESSAGE, 2)
    asked = json.loads(message)
    pid = os.fork()
    if pid == 0:
        connection.close()
        _become_kb(asked, *descriptors)
    connection.send(b"%d" % pid)
    _, status = os.waitpid(pid, 0)
    with contextlib.suppress(BrokenPipeError):  # the caller's time was up
        connection.send(b"%d" % os.waitstatus_to_exitcode(status))
    os._exit(0)


def _become_kb(asked: Mapping[str, Any], out: int, err: int) -> NoReturn:
    os.dup2(out, 1)
    os.dup2(err, 2)
    os.close(out)
    os.close(err)
    os.chdir(asked["cwd"])
    os.environ.clear()
    os.environ.update(asked["env"])
    script = str(Path(sys.executable).parent / "kb")
    sys.argv = [script, *asked["arguments"]]
    # Click names the program, and multiprocessing the module that workers import, by what __main__ says of itself.
    main_module = sys.modules["__main__"]
    main_module.__spec__ = main_module.__package__ = None
    main_module.__file__ = script
    from kb_pipeline.cli import main

    main()
    raise AssertionError("the entry point always exits")


if __name__ == "__main__":
    _serve(socket.socket(fileno=int(sys.argv[1])))
