"""What Dagster loads: the schedules that kb.yaml asks for, what is on from the start, and how a wrong kb.yaml shows."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest
from dagster import DefaultScheduleStatus, DefaultSensorStatus, RepositoryDefinition

from kb_pipeline.core.errors import SettingsError
from kb_pipeline.definitions import build_definitions, defs
from kb_pipeline.settings import AutomationSettings, DefaultSettings, Settings, SourceSettings

ON, OFF = DefaultScheduleStatus.RUNNING, DefaultScheduleStatus.STOPPED
DAGSTER = Path(sys.executable).parent / "dagster"


def loaded(settings: Settings) -> RepositoryDefinition:
    return build_definitions(settings).get_repository_def()


def schedules(settings: Settings) -> dict[str, tuple[str, str | None, DefaultScheduleStatus]]:
    return {
        s.name: (str(s.cron_schedule), s.execution_timezone, s.default_status) for s in loaded(settings).schedule_defs
    }


def test_without_a_word_in_kb_yaml_nothing_launches_a_run_until_it_is_switched_on() -> None:
    assert schedules(Settings(sources={"hr": SourceSettings()})) == {
        "reconcile_sources": ("30 2 * * *", "UTC", OFF),
        "collect_garbage": ("0 4 * * 0", "UTC", OFF),
    }
    sensors = {s.name: s.default_status for s in loaded(Settings()).sensor_defs}
    assert {name for name, status in sensors.items() if status is DefaultSensorStatus.STOPPED} == {"new_documents"}
    assert {"continue_backlog", "lost_runs", "alert_failed", "alert_braked"} < set(sensors)


def test_automation_switches_the_sensor_and_the_schedules_on() -> None:
    automation = AutomationSettings(
        enabled=True, poll_seconds=7, timezone="Asia/Shanghai", reconcile_cron="0 3 * * *", collect_cron=None
    )
    settings = Settings(automation=automation)
    assert schedules(settings) == {"reconcile_sources": ("0 3 * * *", "Asia/Shanghai", ON)}
    sensor = loaded(settings).get_sensor_def("new_documents")
    assert (sensor.default_status, sensor.minimum_interval_seconds) == (DefaultSensorStatus.RUNNING, 7)


def test_a_cron_makes_a_schedule_that_is_on() -> None:
    settings = Settings(
        automation=AutomationSettings(reconcile_cron=None, collect_cron=None),
        defaults=DefaultSettings(cron="0 * * * *", timezone="Europe/Berlin"),
        sources={
            "hr-files": SourceSettings(cron="*/15 8-18 * * mon-fri", timezone="Asia/Shanghai"),
            "wiki": SourceSettings(),
            "contracts": SourceSettings(cron=None),
        },
    )
    assert schedules(settings) == {
        "sync_hr_files": ("*/15 8-18 * * mon-fri", "Asia/Shanghai", ON),
        "sync_wiki": ("0 * * * *", "Europe/Berlin", ON),
    }


def test_settings_are_read_when_dagster_loads_the_code_location(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    config = tmp_path / "kb.yaml"
    monkeypatch.setenv("KB_CONFIG", str(config))
    config.write_text('sources: {hr: {cron: "* * * * *"}}')
    assert defs().get_repository_def().has_schedule_def("sync_hr")
    config.write_text('sources: {hr: {cron: "61 * * * *"}}')
    with pytest.raises(SettingsError, match=r"sources\.hr\.cron: minute: use 0 to 59"):
        defs()


@pytest.mark.parametrize(
    ("cron", "words"), [("* * * * *", ""), ("every day", "sources.hr.cron: a cron expression has five fields")]
)
def test_dagster_loads_the_location_or_says_what_is_wrong_with_kb_yaml(tmp_path: Path, cron: str, words: str) -> None:
    config = tmp_path / "kb.yaml"
    config.write_text(f'sources: {{hr: {{cron: "{cron}"}}}}')
    done = subprocess.run(
        [str(DAGSTER), "definitions", "validate", "-m", "kb_pipeline.definitions"],
        capture_output=True,
        text=True,
        check=False,
        timeout=120,
        cwd=tmp_path,
        env={"PATH": "/usr/bin:/bin", "KB_CONFIG": str(config), "DAGSTER_DISABLE_TELEMETRY": "yes"},
    )
    assert (done.returncode == 0) == (not words)
    assert words in done.stdout + done.stderr
