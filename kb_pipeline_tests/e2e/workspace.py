"""A knowledge base for one test: where it keeps things, and the ways to drive it that people have."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import psycopg
import pytest

from kb_pipeline.knowledge_base import KnowledgeBase
from kb_pipeline.local import stack
from kb_pipeline.settings import load_settings

REPOSITORY = Path(__file__).resolve().parents[2]
CONFIG = REPOSITORY / "kb.yaml"
KB = Path(sys.executable).parent / "kb"
# What a person's shell may hold; tests must not see it.
SETTINGS_VARIABLES = (
    "KB_HOME",
    "KB_CONFIG",
    "KB_DATABASE_DSN",
    "KB_OBJECT_STORE_URL",
    "KB_EMBEDDING_URLS",
    "KB_EMBEDDING_API_KEY",
    "KB_PSEUDONYM_KEY",
    "KB_PROGRESS",
    "KB_ALERT_WEBHOOK_URL",
    "KB_NOTIFICATION_QUEUE_URL",
    "KB_DAGSTER_POSTGRES_URL",
    "DAGSTER_HOME",
    "AWS_ENDPOINT_URL",
    "AWS_PROFILE",
    "AWS_SESSION_TOKEN",
)


def run_script(
    arguments: Sequence[str], *, env: Mapping[str, str], cwd: Path, timeout: float
) -> subprocess.CompletedProcess[str]:
    """The installed script `kb`. While the end-to-end tests run, a process forked from a server stands in for it."""
    return subprocess.run(
        [str(KB), *arguments], env=env, cwd=cwd, timeout=timeout, capture_output=True, text=True, check=False
    )


@dataclass(frozen=True)
class Workspace:
    """A KB_HOME with its settings. `environment` holds what differs from a shell in which nothing is set."""

    home: Path
    config: Path = CONFIG
    environment: Mapping[str, str] = field(default_factory=dict)

    @property
    def base(self) -> KnowledgeBase:
        """The Python API; call `entered` first when `environment` is not empty."""
        return KnowledgeBase(home=self.home, config=self.config)

    @property
    def dsn(self) -> str:
        return stack.database_dsn(load_settings(self.variables(), config=self.config, home=self.home))

    def variables(self) -> dict[str, str]:
        """The environment in which `kb` runs here."""
        clean = {name: value for name, value in os.environ.items() if name not in SETTINGS_VARIABLES}
        return {**clean, "KB_HOME": str(self.home), "KB_CONFIG": str(self.config), **self.environment}

    @contextmanager
    def entered(self) -> Iterator[KnowledgeBase]:
        """Set the environment for this process, and give the Python API."""
        with pytest.MonkeyPatch.context() as patch:
            for name in SETTINGS_VARIABLES:
                patch.delenv(name, raising=False)
            for name, value in self.environment.items():
                patch.setenv(name, value)
            yield self.base

    @contextmanager
    def database(self) -> Iterator[psycopg.Connection[Any]]:
        with psycopg.connect(self.dsn, autocommit=True) as connection:
            yield connection

    def kb(
        self,
        *arguments: str,
        env: Mapping[str, str] | None = None,
        cwd: Path | None = None,
        timeout: float = 120,
    ) -> subprocess.CompletedProcess[str]:
        """Run the `kb` command of this environment to its end, whatever its exit code."""
        return run_script(arguments, env={**self.variables(), **(env or {})}, cwd=cwd or self.home, timeout=timeout)

    def kb_json(self, *arguments: str, **options: Any) -> Any:
        """Run `kb ... --json`, which must succeed, and read what it prints."""
        done = self.kb(*arguments, "--json", **options)
        assert done.returncode == 0, done.stderr
        return json.loads(done.stdout)


def write_files(folder: Path, files: Mapping[str, str | bytes]) -> Path:
    """Write files by their path below `folder`; return the folder."""
    for name, content in files.items():
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content if isinstance(content, bytes) else content.encode())
    return folder
