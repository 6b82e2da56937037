"""No run's configuration names a server, a folder or a settings file."""

from __future__ import annotations

from typing import Any

import pytest
from dagster import DagsterInvalidConfigError, JobDefinition, validate_run_config

from kb_pipeline.definitions import build_definitions
from kb_pipeline.settings import Settings

ENDPOINTS: dict[str, dict[str, Any]] = {
    "an embedding server": {"sglang": {"config": {"urls": ["http://evil.example:30000"]}}},
    "a settings file": {"knowledge_base": {"config": {"config_path": "/tmp/evil.yaml"}}},
    "a KB_HOME": {"knowledge_base": {"config": {"home": "/tmp/evil"}}},
    "a folder that Dagster writes to": {"io_manager": {"config": {"base_dir": "/tmp/evil"}}},
}


@pytest.fixture(scope="module")
def jobs() -> list[JobDefinition]:
    return build_definitions(Settings()).get_repository_def().get_all_jobs()


@pytest.mark.parametrize("resources", ENDPOINTS.values(), ids=ENDPOINTS)
def test_a_run_can_be_given_none(jobs: list[JobDefinition], resources: dict[str, Any]) -> None:
    assert {"sync", "__ASSET_JOB", "reconcile_sources", "collect_garbage"} == {job.name for job in jobs}
    for job in jobs:
        nothing = validate_run_config(job, {})["resources"]
        assert accepted(job, {"resources": resources}) in (None, nothing)


def accepted(job: JobDefinition, run_config: dict[str, Any]) -> Any:
    """The resources' configuration that a run would get: the job behind "Materialize" leaves out what it has no use
    for. None when the run is refused."""
    try:
        return validate_run_config(job, run_config)["resources"]
    except DagsterInvalidConfigError:
        return None


def test_what_the_launchpad_offers_is_for_people(jobs: list[JobDefinition]) -> None:
    """`listing` and `hinted_only`, which earlier releases offered, are how the command line talks to its own runs."""
    job = next(job for job in jobs if job.name == "sync")
    known = {"compare_listing": False, "confirm_deletes": True}
    validate_run_config(job, {"ops": {"raw_documents": {"config": known}}})
    for gone in ("listing", "hinted_only"):
        with pytest.raises(DagsterInvalidConfigError):
            validate_run_config(job, {"ops": {"raw_documents": {"config": {gone: True}}}})
