"""`kb dev`: Dagster's code server, daemon and guarded webserver as children of this process, until one of them ends.

What `dagster dev` does, but for the webserver, which there is Dagster's own and unguarded. One code server for both
others, on a socket: a reload in the UI reaches the daemon too, and no other port is open.
"""

from __future__ import annotations

import fcntl
import json
import os
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path

import psutil
import yaml

from kb_pipeline.core.errors import ServiceUnavailable, SettingsError
from kb_pipeline.local.dagster_home import prepare_dagster_home
from kb_pipeline.local.processes import HOST, port_is_free, wait_until
from kb_pipeline.settings import Settings

LOCK = "kb-dev.json"
MODULE, LOCATION = "kb_pipeline.definitions", "kb_pipeline"
SECONDS_TO_LOAD, SECONDS_TO_END = 180.0, 8.0
_POLL_SECONDS = 0.5


def refuse_taken_port(port: int) -> None:
    """Raises ServiceUnavailable, which says who has the port, unless the UI can listen on it."""
    if port_is_free(port):
        return
    who = _listener(port)
    raise ServiceUnavailable(
        f"Port {port} on {HOST} is taken" + (f" by process {who.pid} ({who.name()})." if who else "."),
        "Take another with `kb dev --port NUMBER`" + (", or end that process." if who else "."),
    )


def _listener(port: int) -> psutil.Process | None:
    """The process that listens on a port, as far as this account may see."""
    with suppress(psutil.Error):
        for connection in psutil.net_connections("tcp"):
            listens = connection.status == psutil.CONN_LISTEN and connection.laddr and connection.laddr.port == port
            if listens and connection.pid:
                return psutil.Process(connection.pid)
    return None


@contextmanager
def only_one(settings: Settings, port: int) -> Iterator[int]:
    """Hold the lock on Dagster's state, and give its file descriptor: the daemon inherits it, so that the lock holds
    for as long as a daemon of ours lives, whatever became of this process. Raises ServiceUnavailable."""
    path = prepare_dagster_home(settings) / LOCK
    with path.open("a+") as file:
        try:
            fcntl.flock(file.fileno(), fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise _runs_already(path) from None
        file.truncate(0)
        json.dump({"pid": os.getpid(), "port": port}, file)
        file.flush()
        yield file.fileno()


def _runs_already(path: Path) -> ServiceUnavailable:
    try:
        held = json.loads(path.read_text())
        where = f": process {held['pid']}, http://{HOST}:{held['port']}"
    except (OSError, ValueError, KeyError, TypeError):
        where = ""
    return ServiceUnavailable(
        f"`kb dev` runs already on the state in {path.parent}{where}.",
        "Use that one, or end it first. A daemon that outlived its `kb dev` is found by `ps -C dagster-daemon`.",
    )


def serve(settings: Settings, port: int, allowed_hosts: Sequence[str], lock: int, ready: Callable[[], None]) -> None:
    """Run the three until Ctrl-C or SIGTERM; `ready` is called once the UI can be opened. Raises ServiceUnavailable
    when one of them ends by itself."""
    environment = {
        **os.environ,
        "DAGSTER_HOME": str(prepare_dagster_home(settings)),
        "DAGSTER_DISABLE_TELEMETRY": "yes",
        "KB_HOME": str(settings.home),
        **({"KB_CONFIG": str(settings.config_path)} if settings.config_path else {}),
    }
    with ExitStack() as stack:
        stack.enter_context(_signals_interrupt())
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="kb-dev-")))
        services: dict[str, subprocess.Popen[bytes]] = {}
        stack.callback(_end, services)
        with suppress(KeyboardInterrupt):
            _start(services, folder, port, allowed_hosts, environment, lock)
            ready()
            while True:
                _refuse_ended(services)
                time.sleep(_POLL_SECONDS)


def _start(
    services: dict[str, subprocess.Popen[bytes]],
    folder: Path,
    port: int,
    allowed_hosts: Sequence[str],
    environment: Mapping[str, str],
    lock: int,
) -> None:
    code, workspace = folder / "code.sock", folder / "workspace.yaml"
    location = {"grpc_server": {"socket": str(code), "location_name": LOCATION}}
    workspace.write_text(yaml.safe_dump({"load_from": [location]}))

    def start(name: str, *command: str, inherits: Sequence[int] = ()) -> None:
        services[name] = subprocess.Popen(command, env=dict(environment), pass_fds=inherits)  # noqa: S603

    start("code server", _installed("dagster"), *_CODE_SERVER, "--socket", str(code))
    if not wait_until(lambda: _answers(code) or _has_ended(services), SECONDS_TO_LOAD):
        raise ServiceUnavailable(f"The code server does not answer after {SECONDS_TO_LOAD:.0f} s.", "Try again.")
    _refuse_ended(services)
    start("daemon", _installed("dagster-daemon"), "run", "-w", str(workspace), inherits=[lock])
    names = [part for name in allowed_hosts for part in ("--allowed-host", name)]
    listening = ("--port", str(port), "-w", str(workspace))
    start("webserver", sys.executable, "-m", "kb_pipeline.defs.serving.webserver", *listening, *names)
    if not wait_until(lambda: not port_is_free(port) or _has_ended(services), SECONDS_TO_LOAD):
        raise ServiceUnavailable(f"The UI does not listen on port {port} after {SECONDS_TO_LOAD:.0f} s.", "Try again.")


_CODE_SERVER = (
    *("code-server", "start", "-m", MODULE, "--location-name", LOCATION),
    *("--log-level", "warning", "--use-python-environment-entry-point"),
)


def _installed(name: str) -> str:
    """Path of a command of this environment. Raises SettingsError."""
    beside = Path(sys.executable).parent / name
    found = str(beside) if beside.is_file() else shutil.which(name)
    if found is None:
        raise SettingsError(f"The command `{name}` is not installed.", "Install kb-pipeline in this environment.")
    return found


def _answers(path: Path) -> bool:
    with socket.socket(socket.AF_UNIX) as probe:
        try:
            probe.connect(str(path))
        except OSError:
            return False
    return True


def _has_ended(services: Mapping[str, subprocess.Popen[bytes]]) -> bool:
    return any(process.poll() is not None for process in services.values())


def _refuse_ended(services: Mapping[str, subprocess.Popen[bytes]]) -> None:
    for name, process in services.items():
        if process.poll() is not None:
            raise ServiceUnavailable(
                f"Dagster's {name} ended by itself (exit code {process.returncode}).",
                "What it said stands above; start `kb dev` again.",
            )


@contextmanager
def _signals_interrupt() -> Iterator[None]:
    """SIGTERM ends as Ctrl-C does; and Ctrl-C does where a shell has switched it off for what it starts with `&`."""
    numbers = (signal.SIGINT, signal.SIGTERM)
    before = {number: signal.signal(number, signal.default_int_handler) for number in numbers}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def _end(services: Mapping[str, subprocess.Popen[bytes]]) -> None:
    """End what still runs, and all that it started: Dagster's processes can ignore SIGINT and SIGTERM."""
    family: list[psutil.Process] = []
    for process in services.values():
        with suppress(psutil.Error):
            member = psutil.Process(process.pid)
            family += [member, *member.children(recursive=True)]
    for process in services.values():
        process.terminate()
    _, alive = psutil.wait_procs(family, timeout=SECONDS_TO_END)
    for member in alive:
        with suppress(psutil.Error):
            member.kill()
    for process in services.values():
        process.wait()
