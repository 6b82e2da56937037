"""What a worker of the harness's own test does: importable, and soon imported."""

from __future__ import annotations

from kb_pipeline_tests.execution.jobs import act
from kb_pipeline_tests.fuzzing.documents import Case


def misbehaved(case: Case) -> object:
    """What its key says."""
    return act((case.number, case.key))
