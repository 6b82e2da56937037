"""The Dagster instance of a KB_HOME: the project's settings, and never telemetry."""

from __future__ import annotations

from pathlib import Path

import pytest
from dagster import DagsterInstance

from kb_pipeline.local.dagster_home import prepare_dagster_home
from kb_pipeline.settings import Settings, load_settings

PROJECT = Path(__file__).parents[2]


def _telemetry(home: Path) -> bool:
    with DagsterInstance.from_config(str(home)) as instance:
        return instance.telemetry_enabled


def test_the_projects_file_is_taken_over_and_kept_in_step(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    settings = load_settings({}, config=PROJECT / "kb.yaml", home=tmp_path)
    home = prepare_dagster_home(settings)
    (home / "dagster.yaml").write_text("python_logs: {}\n")
    assert prepare_dagster_home(settings) == home
    assert (home / "dagster.yaml").read_bytes() == (PROJECT / "dagster.yaml").read_bytes()
    monkeypatch.setenv("DAGSTER_HOME", str(home))  # named by the file
    assert not _telemetry(home)


def test_without_a_project_telemetry_is_off_too(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    home = prepare_dagster_home(Settings(home=tmp_path / "home"))
    assert not _telemetry(home)


def test_what_is_there_stays_when_the_project_is_elsewhere(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(PROJECT)
    prepare_dagster_home(Settings(home=tmp_path))
    monkeypatch.chdir(tmp_path)
    home = prepare_dagster_home(Settings(home=tmp_path))
    assert (home / "dagster.yaml").read_bytes() == (PROJECT / "dagster.yaml").read_bytes()


def test_a_dagster_home_of_the_user_is_used_as_it_is(tmp_path: Path) -> None:
    settings = Settings(home=tmp_path / "home", dagster_home=tmp_path / "mine")
    assert prepare_dagster_home(settings) == tmp_path / "mine"
    assert not (tmp_path / "home").exists()
