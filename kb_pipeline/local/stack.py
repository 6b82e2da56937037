"""The embedded stack under KB_HOME: PostgreSQL and an embedding server, for whatever the settings do not provide.

`up` and `down` may be called any number of times, also at once; what is there already is used, what was left behind
is recovered. The two questions every other part asks, `database_dsn` and `embedding_urls`, cost two small reads.
"""

from __future__ import annotations

import errno
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass
from pathlib import Path

from kb_pipeline.core.errors import DatabaseUnavailable, DiskFull, EmbeddingUnavailable, SettingsError
from kb_pipeline.local import cluster, embedding_process, installation, postgres, processes
from kb_pipeline.local.processes import HOST
from kb_pipeline.settings import Settings

_LOCK_SECONDS = 300.0
_ANOTHER_HOME = "KB_HOME (or --home) to the folder of the stack that runs"


@dataclass(frozen=True)
class ServiceStatus:
    """One service as it is now. `rss_mb` is MiB of memory with shared pages counted once; None if not running."""

    name: str
    running: bool
    pid: int | None
    port: int | None
    detail: str
    rss_mb: float | None


def _silent(event: str) -> None:
    return None


def up(settings: Settings, on_event: Callable[[str], None] = _silent) -> list[ServiceStatus]:
    """Start what the settings do not provide and wait until it answers.

    Raises SettingsError, MissingExtra, DiskFull, DatabaseUnavailable, EmbeddingUnavailable, each with its remedy.
    """
    home = settings.home
    with _explained(home):
        if settings.database_dsn is None:
            installation.check_machine()
        home.mkdir(mode=installation.home_mode(), parents=True, exist_ok=True)
        for folder in (home / "run", home / "logs"):
            folder.mkdir(mode=0o700, exist_ok=True)
        with _locked(home, on_event):
            record = None
            if not settings.embedding.urls:  # begun first: the model loads while PostgreSQL starts
                record = embedding_process.launch(home, settings.embedding.model, on_event)
            if settings.database_dsn is None:
                postgres.start(home, on_event)
            if record is not None:
                embedding_process.wait_until_ready(home, record, on_event)
    return status(settings)


def down(settings: Settings, on_event: Callable[[str], None] = _silent) -> list[ServiceStatus]:
    """End the recorded processes, if they are still the ones that were started."""
    home = settings.home
    with _explained(home):
        if (home / "run").is_dir():
            with _locked(home, on_event):
                for name, stop in (("embedding", embedding_process.stop), ("postgres", postgres.stop)):
                    on_event(f"{name}: ended" if stop(home) else f"{name}: does not end; see {home / 'logs'}")
    return status(settings)


def status(settings: Settings) -> list[ServiceStatus]:
    """What runs under KB_HOME. A service that the settings provide from elsewhere says so, and is not asked."""
    provided = (settings.database_dsn is not None, bool(settings.embedding.urls))
    with _explained(settings.home):
        return [
            _status("postgres", postgres.record_path(settings.home), provided[0], "KB_DATABASE_DSN is set"),
            _status("embedding", embedding_process.record_path(settings.home), provided[1], "embedding.urls is set"),
        ]


def database_dsn(settings: Settings) -> str:
    """The DSN of the settings, or of the embedded PostgreSQL. Raises DatabaseUnavailable if that does not run."""
    if settings.database_dsn is not None:
        return settings.database_dsn.get_secret_value()
    with _explained(settings.home):
        record = processes.read_record(postgres.record_path(settings.home))
        if record is not None and processes.is_alive(record):
            return cluster.dsn(settings.home, record.port)
    raise DatabaseUnavailable(
        f"The embedded PostgreSQL is not running (KB_HOME is {settings.home}).",
        f"Run `kb up`, or set {_ANOTHER_HOME}, or KB_DATABASE_DSN.",
    )


def embedding_urls(settings: Settings) -> tuple[str, ...]:
    """The base URLs of the settings, or of the local server. Raises EmbeddingUnavailable if that does not run, or
    still serves another model than the settings name."""
    if settings.embedding.urls:
        return settings.embedding.urls
    with _explained(settings.home):
        record = processes.read_record(embedding_process.record_path(settings.home))
    remedy = f"Run `kb up`, or set {_ANOTHER_HOME}, or embedding.urls in kb.yaml to a server of your own."
    if record is None or not processes.is_alive(record):
        raise EmbeddingUnavailable(f"The local embedding server is not running (KB_HOME is {settings.home}).", remedy)
    if record.model != settings.embedding.model:
        raise EmbeddingUnavailable(
            f"The local embedding server serves {record.model}, and embedding.model is {settings.embedding.model}.",
            remedy,
        )
    return (f"http://{HOST}:{record.port}/v1",)


def _status(name: str, path: Path, provided: bool, why: str) -> ServiceStatus:
    record = processes.read_record(path)
    if record is not None and processes.is_alive(record) and record.pid is not None:
        detail = record.model or record.data
        return ServiceStatus(name, True, record.pid, record.port, detail, processes.memory_mb(record.pid))
    if provided:
        return ServiceStatus(name, False, None, None, f"not needed here: {why}", None)
    ended = record is not None and record.pid is not None
    detail = "ended unexpectedly; `kb up` starts it again" if ended else "not running; `kb up` starts it"
    return ServiceStatus(name, False, None, record.port if record else None, detail, None)


def _locked(home: Path, on_event: Callable[[str], None]) -> AbstractContextManager[None]:
    waiting = "another `kb up` or `kb down` is at work: waiting for it"
    return processes.exclusive(home / "run" / "lock", _LOCK_SECONDS, lambda: on_event(waiting))


@contextmanager
def _explained(home: Path) -> Iterator[None]:
    """Turn what the file system says about KB_HOME into errors that name it."""
    try:
        yield
    except OSError as error:
        if error.errno in (errno.ENOSPC, errno.EDQUOT):
            raise DiskFull(
                f"No space left under KB_HOME ({home}).", "Free some space, or set KB_HOME to a larger disk."
            ) from None
        reason = error.strerror or type(error).__name__
        raise SettingsError(
            f"KB_HOME ({home}) cannot be used: {reason}.",
            "Set KB_HOME to a folder you can write to; what root made, only root can use.",
        ) from None
