"""The files of the embedded PostgreSQL: initdb, the password, and what to say when either fails."""

from __future__ import annotations

import os
import secrets
import shutil
import subprocess
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from kb_pipeline.core.errors import DatabaseUnavailable, DiskFull, KbError, SettingsError
from kb_pipeline.local import installation, processes
from kb_pipeline.local.processes import HOST, Account

USER = DATABASE = "kb"
ENVIRONMENT = {"PATH": "/usr/bin:/bin", "LC_ALL": "C.UTF-8"}  # not ours: PGDATA and the like would change the server
_FREE_BYTES = 32 * 2**20  # two segments of WAL: with less, a full disk explains a server that does not start

# Sized for a laptop that also runs a model. The log says what happened, never which rows: terse, and no statements.
_CONFIGURATION = {
    "shared_buffers": "128MB",
    "max_connections": "50",
    "work_mem": "16MB",
    "maintenance_work_mem": "256MB",
    "max_wal_size": "1GB",
    "fsync": "on",
    "timezone": "UTC",
    "log_timezone": "UTC",
    "log_error_verbosity": "terse",
    "log_min_error_statement": "panic",
}


@dataclass(frozen=True)
class Cluster:
    """One data folder: which programs serve it, and as whom."""

    home: Path
    programs: Path
    place: Path
    account: Account | None

    @property
    def data(self) -> Path:
        return self.place / "data"

    @property
    def log(self) -> Path:
        return self.home / "logs" / "postgres.log"


def prepare(home: Path, on_event: Callable[[str], None]) -> Cluster:
    """Settle account, programs and place, and try them. Raises SettingsError or MissingExtra."""
    account = installation.account_for(home)
    programs = installation.binaries(account, on_event)
    cluster = Cluster(home, programs, installation.data_place(home, account, on_event), account)
    try:
        _run(cluster, "initdb", ["--version"])
    except (PermissionError, subprocess.SubprocessError):
        raise SettingsError(
            f"PostgreSQL cannot be run as {account.name if account else 'the present user'} here.",
            "Run kb as an ordinary user, or set KB_DATABASE_DSN.",
        ) from None
    return cluster


def initialise(cluster: Cluster, on_event: Callable[[str], None]) -> None:
    """Make the data folder if there is none, and a password if there is none. The server must not run.

    initdb works beside the data folder, which is then renamed: a folder named `data` is always a whole one.
    """
    for leftover in cluster.place.glob("initdb-*"):
        shutil.rmtree(leftover) if leftover.is_dir() else leftover.unlink()
    version = cluster.data / "PG_VERSION"
    if not version.exists():
        on_event(f"postgres: making the database files in {cluster.data}")
        _make_data(cluster)
    elif version.read_text().strip() != installation.MAJOR_VERSION:
        raise SettingsError(
            f"{cluster.data} was made by another version of PostgreSQL than {installation.MAJOR_VERSION}.",
            "Set KB_HOME to another folder and load the sources again.",
        )
    elif not password_path(cluster.home).exists():
        on_event("postgres: the password file is gone, a new password is set")
        _set_password(cluster)


def _make_data(cluster: Cluster) -> None:
    password = secrets.token_urlsafe(24)
    beside = cluster.place / f"initdb-{secrets.token_hex(4)}"
    secret = beside.with_suffix(".secret")
    try:
        processes.write_private(secret, password.encode())
        if cluster.account:
            os.chown(secret, cluster.account.uid, cluster.account.gid)
        result = _run(cluster, "initdb", _initdb_arguments(beside, secret))
    finally:
        secret.unlink(missing_ok=True)
    if result.returncode != 0:
        shutil.rmtree(beside, ignore_errors=True)
        raise _failed(cluster, result)
    processes.write_private(password_path(cluster.home), password.encode())
    beside.rename(cluster.data)


def _initdb_arguments(data: Path, secret: Path) -> list[str]:
    return [
        *("-D", str(data), "-U", USER, "--pwfile", str(secret), "--auth=scram-sha-256", "--encoding=UTF8"),
        *("--locale=C.UTF-8", "--locale-provider=builtin", "--builtin-locale=C.UTF-8"),
        *(part for item in _CONFIGURATION.items() for part in ("--set", "=".join(item))),
    ]


def _set_password(cluster: Cluster) -> None:
    """In single-user mode, which asks for none."""
    (cluster.data / "postmaster.pid").unlink(missing_ok=True)
    password = secrets.token_urlsafe(24)
    command = f"ALTER USER {USER} PASSWORD '{password}'\n".encode()
    result = _run(cluster, "postgres", ["--single", "-D", str(cluster.data), "postgres"], command)
    if result.returncode != 0:
        raise _failed(cluster, result)
    processes.write_private(password_path(cluster.home), password.encode())


def password_path(home: Path) -> Path:
    """The file with the password, mode 0600."""
    return home / "postgres.password"


def dsn(home: Path, port: int, database: str = DATABASE) -> str:
    """The address with its password. Raises FileNotFoundError if the password file is gone."""
    password = password_path(home).read_text(encoding="ascii").strip()
    return f"postgresql://{USER}:{password}@{HOST}:{port}/{database}"


def failure(cluster: Cluster, log: str) -> KbError:
    """What to raise for a program that failed with this log."""
    return explain_failure(log, shutil.disk_usage(cluster.place).free, cluster.log)


def explain_failure(log: str, free_bytes: int, log_path: Path) -> KbError:
    """Why PostgreSQL ended or never answered. The log is read for known causes and never quoted."""
    if "No space left on device" in log or free_bytes < _FREE_BYTES:
        return DiskFull(
            f"PostgreSQL cannot start: no space left where its data lies ({free_bytes // 2**20} MiB free).",
            "Free some space, or set KB_HOME to a larger disk, and run `kb up` again.",
        )
    if "Address already in use" in log:
        return DatabaseUnavailable(f"Every port tried on {HOST} was taken by another server.", "Run `kb up` again.")
    return DatabaseUnavailable(f"PostgreSQL did not start; {log_path} says why.", "Mend the cause and run `kb up`.")


def _failed(cluster: Cluster, result: subprocess.CompletedProcess[bytes]) -> KbError:
    with cluster.log.open("ab") as log:
        log.write(result.stdout)
    return failure(cluster, result.stdout.decode(errors="replace"))


def _run(
    cluster: Cluster, program: str, arguments: list[str], stdin: bytes = b""
) -> subprocess.CompletedProcess[bytes]:
    """One program of PostgreSQL, to its end, as its account. Output and errors come together in stdout."""
    account = cluster.account
    return subprocess.run(  # noqa: S603 - our own command lines
        [str(cluster.programs / program), *arguments],
        input=stdin,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        check=False,
        cwd=cluster.place,
        env=ENVIRONMENT,
        umask=0o077,
        user=account.uid if account else None,
        group=account.gid if account else None,
        extra_groups=[] if account else None,
    )
