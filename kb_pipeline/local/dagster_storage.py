"""Whether Dagster could keep its books: a run that cannot write them does not start."""

from __future__ import annotations

import os
import re
import tempfile
from pathlib import Path

import psycopg

from kb_pipeline.core.errors import DatabaseUnavailable, SettingsError
from kb_pipeline.local.dagster_home import POSTGRES_URL
from kb_pipeline.settings import Settings

CONNECT_SECONDS = 5
_FOLDERS = ("storage", "history", "history/runs", "schedules")
# Before the first run Dagster makes its tables, afterwards it writes rows into these.
_MAY_WRITE = """
SELECT current_setting('transaction_read_only') = 'off', CASE WHEN to_regclass('event_logs') IS NULL
    THEN coalesce(has_schema_privilege(current_schema(), 'CREATE'), false)
    ELSE has_table_privilege('event_logs', 'INSERT') AND has_table_privilege('runs', 'INSERT, UPDATE') END
"""


def check_dagster_storage(settings: Settings) -> str:
    """Where Dagster keeps runs and events, once it is known that it can write there. Raises SettingsError or
    DatabaseUnavailable."""
    home, url = settings.dagster_home or settings.home / "dagster", os.environ.get(POSTGRES_URL)
    variable = "DAGSTER_HOME" if settings.dagster_home else "KB_HOME"
    if settings.dagster_home and not home.is_dir():
        raise SettingsError(f"DAGSTER_HOME names {home}, and there is no such folder.", "Make it, or unset it.")
    for folder in (home, *(home / name for name in _FOLDERS)):
        _check_folder(folder, variable)
    if not url:
        return f"SQLite below {home}"
    return f"PostgreSQL at {_check_database(url)}, and {home}"


def _check_folder(folder: Path, variable: str) -> None:
    """Write a file without a name into the folder, or into the one that it will be made in."""
    while not folder.exists() and folder != folder.parent:
        folder = folder.parent
    try:
        with tempfile.TemporaryFile(dir=folder) as file:
            file.write(b"probe")
    except OSError as error:
        raise SettingsError(
            f"Dagster cannot write to {folder}: {error.strerror or type(error).__name__}.",
            f"Give this account the right to write there, or set {variable} to another folder.",
        ) from None


def _check_database(url: str) -> str:
    # A port that cannot be one is a wrong setting; psycopg calls it a connection that failed. And SQLAlchemy, which
    # Dagster connects with, lets a URL name its driver; psycopg does not.
    dsn = re.sub(r"^postgres(ql)?(\+\w+)?://", "postgresql://", url)
    remedy = f"Correct {POSTGRES_URL}, or unset it: SQLite below DAGSTER_HOME is used then."
    try:
        parts = psycopg.conninfo.conninfo_to_dict(dsn)
        where = f"{parts.get('host', 'localhost')}:{parts.get('port', 5432)}/{parts.get('dbname', '')}"
        ports = [int(port) for port in str(parts.get("port") or 5432).split(",")]
        if not all(0 < port < 65536 for port in ports):
            raise ValueError
        with psycopg.connect(dsn, connect_timeout=CONNECT_SECONDS) as connection:
            row = connection.execute(_MAY_WRITE).fetchone()
    except (psycopg.ProgrammingError, ValueError):
        raise SettingsError(f"{POSTGRES_URL} is not a valid connection string.", remedy) from None
    except psycopg.Error as error:
        raise DatabaseUnavailable(
            f"Dagster's storage, PostgreSQL at {where} ({POSTGRES_URL}), cannot be reached ({type(error).__name__}).",
            remedy,
        ) from None
    if row != (True, True):
        why = "is read-only" if row and not row[0] else "does not let its user write Dagster's tables"
        raise DatabaseUnavailable(f"Dagster's storage, PostgreSQL at {where} ({POSTGRES_URL}), {why}.", remedy)
    return where
