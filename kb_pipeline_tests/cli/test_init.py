"""`kb init`: a commented kb.yaml for one's own folder or bucket, in an empty folder, never over another."""

from __future__ import annotations

import json
import re
from pathlib import Path

import click.testing
import pytest
import yaml

from kb_pipeline.cli import kb
from kb_pipeline.core.errors import NotFound, SettingsError
from kb_pipeline.knowledge_base import KnowledgeBase
from kb_pipeline.operations.beginning import begin
from kb_pipeline.settings import Settings, load_settings

ROOT = Path(__file__).resolve().parents[2]
TEMPLATE = ROOT / "kb_pipeline" / "settings" / "kb.yaml"


def run(*arguments: str) -> click.testing.Result:
    return click.testing.CliRunner().invoke(kb, ["init", *arguments])


@pytest.fixture(autouse=True)
def empty(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    for name in ("KB_HOME", "KB_CONFIG", "KB_OBJECT_STORE_URL"):
        monkeypatch.delenv(name, raising=False)
    return tmp_path


def test_for_a_folder(empty: Path) -> None:
    (empty / "Our Handbook").mkdir()
    done = run("Our Handbook")
    assert done.exit_code == 0
    assert f"kb ingest '{empty}/Our Handbook' --source our-handbook" in done.stdout
    settings = load_settings({})
    assert list(settings.sources) == ["our-handbook"]
    assert settings.object_store == Settings().object_store
    assert str(empty / "Our Handbook") in (empty / "kb.yaml").read_text()


def test_for_a_bucket(empty: Path) -> None:
    found = json.loads(run("s3://bucket/kb", "--source", "hr", "--json").stdout)
    assert found == {
        "path": str(empty / "kb.yaml"), "source_system": "hr", "documents": "s3://bucket/kb",
        "next": ["kb up", "kb sync hr", 'kb search "your question"'],
    }  # fmt: skip
    assert load_settings({}).object_store.url == "s3://bucket/kb"
    assert "s3://bucket/kb/raw/hr/" in (empty / "kb.yaml").read_text()


def test_with_nothing_said_and_in_python(empty: Path) -> None:
    begun = KnowledgeBase(config=empty / "mine.yaml").init()
    assert (begun.source_system, begun.documents) == ("documents", None)
    assert list(load_settings({}, config=empty / "mine.yaml").sources) == ["documents"]


def test_a_file_that_is_there_stays_unless_told(empty: Path) -> None:
    (empty / "kb.yaml").write_text("mine: broken")
    with pytest.raises(SettingsError, match=r"kb.yaml is there already"):
        KnowledgeBase().init()
    assert (empty / "kb.yaml").read_text() == "mine: broken"
    assert run("--force").exit_code == 0
    assert list(load_settings({}).sources) == ["documents"]


@pytest.mark.parametrize("name", ["2026", "no", "null", "1e3"])
def test_a_name_that_yaml_would_take_for_something_else(empty: Path, name: str) -> None:
    begin(empty / "kb.yaml", None, name)
    assert list(load_settings({}).sources) == [name]


@pytest.mark.parametrize("name", ["人事", "___", "ü"])
def test_a_folder_whose_name_cannot_name_a_source(empty: Path, name: str) -> None:
    (empty / name).mkdir()
    assert begin(empty / "kb.yaml", name, None).source_system == "documents"
    assert list(load_settings({}).sources) == ["documents"]


def test_what_cannot_be_written_down(empty: Path) -> None:
    with pytest.raises(NotFound, match="no folder"):
        begin(empty / "kb.yaml", "nowhere", None)
    with pytest.raises(SettingsError, match="lower-case letters"):
        begin(empty / "kb.yaml", None, "Human Resources")
    with pytest.raises(SettingsError, match="can hold no documents"):
        begin(empty / "kb.yaml", "ftp://host/kb", None)
    with pytest.raises(SettingsError, match="cannot be written"):
        begin(empty / "nowhere" / "kb.yaml", None, None)
    assert list(empty.iterdir()) == []


def test_every_line_that_is_commented_out_is_a_setting_with_its_default(empty: Path) -> None:
    lines = TEMPLATE.read_text().split("\n#masking_models:")[0].splitlines()
    settings = [line[1:] for line in lines if re.match(r"#( +)?[a-z_]+:", line)]
    (empty / "kb.yaml").write_text("\n".join(settings))
    assert yaml.safe_load((empty / "kb.yaml").read_text()).keys() >= {"object_store", "limits", "automation"}
    assert load_settings({}).model_dump() == Settings().model_dump()


def test_the_project_begins_with_the_same_settings() -> None:
    """One list of settings with their defaults: kb.yaml of the project is that of `kb init` with its own sources."""
    assert (ROOT / "kb.yaml").read_text().startswith(TEMPLATE.read_text())
