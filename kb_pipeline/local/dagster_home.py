"""The folder of the Dagster instance: DAGSTER_HOME, or KB_HOME/dagster with the project's dagster.yaml in it."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator, Mapping
from contextlib import closing
from pathlib import Path

from kb_pipeline.local.installation import home_mode
from kb_pipeline.settings import Settings

INSTANCE_FILE = "dagster.yaml"
POSTGRES_URL = "KB_DAGSTER_POSTGRES_URL"
# Where no project lies beside the settings. Left to itself, Dagster reports its use to its makers.
_DEFAULT = b"telemetry:\n  enabled: false\nnux:\n  enabled: false\n"


def make_dagster_home(environ: Mapping[str, str]) -> Path:
    """Make the folder that the environment names, and return it, without a look at kb.yaml: a wrong one must not keep
    Dagster from starting, for it is the UI that shows what is wrong."""
    if environ.get("DAGSTER_HOME"):
        return Path(environ["DAGSTER_HOME"])
    home = Path(environ.get("KB_HOME") or ".kb").absolute()
    home.mkdir(mode=home_mode(), parents=True, exist_ok=True)
    (home / "dagster").mkdir(mode=0o700, exist_ok=True)
    return home / "dagster"


def prepare_dagster_home(settings: Settings) -> Path:
    """Make the folder and return it. A DAGSTER_HOME set by the user is used as it is."""
    if settings.dagster_home:
        return settings.dagster_home
    home = settings.home / "dagster"
    home.mkdir(mode=0o700, parents=True, exist_ok=True)
    beside = settings.config_path.parent if settings.config_path else Path.cwd()
    project, own = beside / INSTANCE_FILE, home / INSTANCE_FILE
    wanted = project.read_bytes() if project.is_file() else _DEFAULT
    if not own.is_file() or (project.is_file() and own.read_bytes() != wanted):
        own.write_bytes(wanted)
    return home


def run_records(path: Path) -> Iterator[str]:
    """The texts of each row of one of Dagster's SQLite databases."""
    with closing(sqlite3.connect(f"{path.as_uri()}?mode=ro", uri=True)) as database:
        tables = database.execute("SELECT name FROM sqlite_schema WHERE type = 'table'").fetchall()
        for (table,) in tables:
            for row in database.execute(f'SELECT * FROM "{table}"'):  # noqa: S608 - a name of its own catalogue
                yield "\n".join(value for value in row if isinstance(value, str))
