"""A knowledge base of its own for a test: real PostgreSQL, objects in a real folder, an embedding server that answers
at once; and Dagster's instance in memory."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path

import pytest
from dagster import (
    AssetCheckEvaluation,
    DagsterEvent,
    DagsterEventType,
    DagsterInstance,
    DagsterRun,
    DagsterRunStatus,
    SensorResult,
    SkipReason,
    build_sensor_context,
)
from dagster._core.test_utils import create_run_for_test

from kb_pipeline.defs.assets.graph import STAGE_OF_ASSET
from kb_pipeline.defs.automation.sensors import watch
from kb_pipeline.defs.tags import PARTITION
from kb_pipeline.pipeline import intake
from kb_pipeline.pipeline.source_run import run_one, source_run
from kb_pipeline.settings import Settings, load_settings
from kb_pipeline.store.database import Connection, connect
from kb_pipeline_tests.support.databases import _template, connection, dsn, new_database, server_dsn
from kb_pipeline_tests.support.embedding_stub import EmbeddingStub, embedding_stub

__all__ = ["_template", "connection", "dsn", "new_database", "server_dsn"]


@pytest.fixture(scope="session")
def stub() -> Iterator[EmbeddingStub]:
    with embedding_stub() as stub:
        yield stub


@pytest.fixture
def instance() -> Iterator[DagsterInstance]:
    with DagsterInstance.ephemeral() as instance:
        yield instance


@dataclass
class Base:
    """A knowledge base, its source systems' folders, and the ticks of a sensor that looks at them."""

    settings: Settings
    dsn: str
    instance: DagsterInstance
    cursor: str | None = None
    checks: list[bool] = field(default_factory=list)

    def write(self, **files: str | None) -> None:
        """Put files under raw/hr, or delete them (None). A name with two underscores begins with its source."""
        for name, text in files.items():
            source, _, rest = name.rpartition("__")
            path = self.raw / (source or "hr") / f"{rest}.md"
            if text is None:
                path.unlink()
            else:
                path.parent.mkdir(parents=True, exist_ok=True)
                path.write_text(text)

    @property
    def raw(self) -> Path:
        return self.settings.home / "objects" / "raw"

    def connect(self) -> Connection:
        return connect(self.dsn)

    def tick(self, settings: Settings | None = None) -> SensorResult:
        """One tick of the sensor; its cursor is kept for the next."""
        context = build_sensor_context(instance=self.instance, cursor=self.cursor)
        result = watch(context, settings or self.settings)
        self.cursor = result.cursor
        self.checks += [event.passed for event in result.asset_events if isinstance(event, AssetCheckEvaluation)]
        return result

    def said(self, settings: Settings | None = None) -> list[str]:
        """What a tick says that launches nothing."""
        result = self.tick(settings)
        assert not result.run_requests
        assert isinstance(result.skip_reason, SkipReason)
        assert result.skip_reason.skip_message
        return result.skip_reason.skip_message.splitlines()

    def launched(self, settings: Settings | None = None) -> dict[str, str]:
        """Source systems that a tick launches runs for, and why."""
        requests = self.tick(settings).run_requests or ()
        return {str(request.partition_key): request.tags["kb/why"] for request in requests}

    def run(self, source: str = "hr", settings: Settings | None = None) -> None:
        """What the run does that a tick asks for: every stage, without listing."""
        for stage in STAGE_OF_ASSET.values():
            observing = {"listing": False} if stage == "raw" else {}
            with source_run(settings or self.settings, source, "run", last=stage == "publish") as run:
                run_one(run, stage, **observing)

    def sync(self, source: str = "hr") -> None:
        intake.reconcile(self.settings, source)
        self.run(source)

    def dagster_run(self, status: DagsterRunStatus, source: str = "hr", **tags: str) -> DagsterRun:
        """A run in Dagster's books."""
        return create_run_for_test(self.instance, job_name="sync", tags={PARTITION: source, **tags}, status=status)

    def started_run(self, at: datetime, source: str = "hr", **tags: str) -> DagsterRun:
        """A run in Dagster's books that began at a time, and of which nothing was heard since."""
        run = self.dagster_run(DagsterRunStatus.NOT_STARTED, source, **tags)
        event = DagsterEvent(event_type_value=DagsterEventType.RUN_START.value, job_name=run.job_name)
        self.instance.run_storage.handle_run_event(run.run_id, event, at)
        return run

    def post_alerts_to(self, url: str) -> None:
        """Name a webhook in kb.yaml."""
        assert self.settings.config_path
        self.settings.config_path.write_text(f"sources: {{hr: {{}}}}\nalerts: {{webhook_url: {url}}}\n")


@pytest.fixture
def base(
    tmp_path: Path, dsn: str, stub: EmbeddingStub, instance: DagsterInstance, monkeypatch: pytest.MonkeyPatch
) -> Base:
    """Its settings are those of this process's environment too, as Dagster's resource reads them."""
    config = tmp_path / "kb.yaml"
    config.write_text("sources: {hr: {}}\n")
    monkeypatch.setenv("KB_HOME", str(tmp_path))
    monkeypatch.setenv("KB_CONFIG", str(config))
    monkeypatch.setenv("KB_DATABASE_DSN", dsn)
    monkeypatch.setenv("KB_EMBEDDING_URLS", stub.url)
    monkeypatch.delenv("KB_OBJECT_STORE_URL", raising=False)
    return Base(load_settings(), dsn, instance)
