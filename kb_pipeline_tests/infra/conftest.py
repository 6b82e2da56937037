"""A PostgreSQL as the production image starts it: superuser postgres, no role and no database of ours."""

from __future__ import annotations

import subprocess
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import psycopg
import pytest
from psycopg.conninfo import conninfo_to_dict, make_conninfo

from kb_pipeline.local import stack
from kb_pipeline.local.installation import package_folder
from kb_pipeline_tests.local.conftest import database_only, new_home

__all__ = ["new_home"]

FOLDER = Path(__file__).parents[2] / "infra"
PASSWORDS = {
    "KB_OWNER_PASSWORD": "owner-of-a-test",
    "KB_READER_PASSWORD": 'reader\'s "quoted" test',
    "KB_DAGSTER_PASSWORD": "dagster-of-a-test",
}


@dataclass(frozen=True)
class Server:
    """`dsn` logs in as any role of init.sql; `psql` runs a file of infra/postgres."""

    address: dict[str, str]

    def dsn(self, role: str, password: str, database: str = "kb") -> str:
        return make_conninfo(**{**self.address, "user": role, "password": password, "dbname": database})

    def psql(self, file: str, dsn: str) -> str:
        command = [
            str(package_folder() / "pginstall18" / "bin" / "psql"),
            "-X",
            "-f",
            str(FOLDER / "postgres" / file),
            dsn,
        ]
        done = subprocess.run(command, env=PASSWORDS, capture_output=True, text=True, check=False, timeout=60)
        assert done.returncode == 0, done.stderr
        return done.stdout


@pytest.fixture(scope="module")
def server(new_home: Callable[[], Path]) -> Server:
    settings = database_only(new_home())
    stack.up(settings)
    embedded = conninfo_to_dict(stack.database_dsn(settings))
    with psycopg.connect(make_conninfo(**{**embedded, "dbname": "postgres"}), autocommit=True) as connection:
        connection.execute("CREATE ROLE postgres SUPERUSER LOGIN PASSWORD 'superuser-of-a-test'")
    result = Server({key: str(embedded[key]) for key in ("host", "port")})
    superuser = result.dsn("postgres", "superuser-of-a-test", "postgres")
    with psycopg.connect(superuser, autocommit=True) as connection:
        connection.execute("DROP DATABASE kb WITH (FORCE)")
        connection.execute("ALTER ROLE kb RENAME TO embedded")
    result.psql("init.sql", superuser)
    return result
