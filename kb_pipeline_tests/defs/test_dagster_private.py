"""What of Dagster is private: in one module, and these fail when an upgrade moves it, before any run does."""

from __future__ import annotations

import re
import subprocess
import sys
import warnings
from pathlib import Path

import pytest
import yaml
from dagster import AssetCheckSpec, DagsterInstance, PreviewWarning

import kb_pipeline
from kb_pipeline.defs import dagster_private
from kb_pipeline.defs.assets.partitions import source_systems
from kb_pipeline.defs.running.storage import EnvironmentStorage

PACKAGE = Path(kb_pipeline.__file__).parent
# A module with an underscore in its path is private; `_shared` and the like too.
PRIVATE = re.compile(r"(?:from|import) (dagster[\w.]*\._\w+|dagster\w*\._\w+)|[\"'](dagster\._[\w.]+)[\"']")


def test_nothing_else_touches_what_is_private() -> None:
    found = {str(p.relative_to(PACKAGE)) for p in PACKAGE.rglob("*.py") if PRIVATE.search(p.read_text())}
    assert found == {"defs/dagster_private.py"}


def test_an_instance_captures_no_output(tmp_path: Path) -> None:
    with dagster_private.instance_that_captures_nothing(tmp_path) as instance:
        assert type(instance.compute_log_manager).__name__ == "NoOpComputeLogManager"
        assert instance.root_directory == str(tmp_path)


def test_the_webservers_context_has_the_locations_of_a_workspace(tmp_path: Path) -> None:
    (tmp_path / "workspace.yaml").write_text("load_from: []\n")
    with (
        DagsterInstance.local_temp(str(tmp_path)) as instance,
        dagster_private.workspace_context(instance, tmp_path / "workspace.yaml", "version") as context,
    ):
        assert context.create_request_context().code_location_names == []


def test_one_warning_is_silenced_and_no_other() -> None:
    with warnings.catch_warnings(record=True) as heard:
        warnings.simplefilter("always")
        with dagster_private.in_preview():
            AssetCheckSpec("check", asset="chunks", partitions_def=source_systems)
            assert not heard, "the one that is silenced"
            warnings.warn("Something else is currently in preview", PreviewWarning, stacklevel=1)
        assert [warning.category for warning in heard] == [PreviewWarning]
        AssetCheckSpec("check", asset="chunks", partitions_def=source_systems)
        assert len(heard) == 2, "without the silence it warns: the entry is still needed"


def test_our_definitions_load_without_a_warning_of_dagsters() -> None:
    """In a process of its own: most warnings come once a process, and others have loaded the definitions here."""
    program = (
        "import warnings, dagster as d\n"
        "for kind in (d.BetaWarning, d.PreviewWarning, d.SupersessionWarning, DeprecationWarning):\n"
        "    warnings.filterwarnings('error', category=kind, message='(?!The `__fields__` attribute)')\n"
        "from kb_pipeline.definitions import defs\n"
        "defs().get_repository_def()\n"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, timeout=240, check=False)
    assert done.returncode == 0, done.stderr


@pytest.mark.parametrize("module", ["kb_pipeline.defs.running.storage", "kb_pipeline.defs.storage"])
@pytest.mark.parametrize("config", [None, {"base_dir": {"env": "DAGSTER_HOME"}}])
def test_dagsters_storage_is_found_by_its_name_and_by_the_one_of_earlier_releases(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, module: str, config: dict[str, object] | None
) -> None:
    monkeypatch.setenv("DAGSTER_HOME", str(tmp_path))
    monkeypatch.delenv("KB_DAGSTER_POSTGRES_URL", raising=False)
    custom = {"module": module, "class": "EnvironmentStorage"} | ({"config": config} if config else {})
    (tmp_path / "dagster.yaml").write_text(yaml.safe_dump({"storage": {"custom": custom}}))
    with DagsterInstance.get() as instance:
        instance.add_dynamic_partitions("set", ["one"])
    assert (tmp_path / "history").is_dir()


def test_without_dagster_home_the_state_is_where_kb_keeps_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("DAGSTER_HOME", "KB_DAGSTER_POSTGRES_URL"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("KB_HOME", str(tmp_path / "home"))
    EnvironmentStorage.from_config_value(None, {})
    place = tmp_path / "home" / "dagster"
    assert (place / "history").is_dir()
    assert place.stat().st_mode & 0o777 == 0o700, "what runs were about is for its owner alone"
