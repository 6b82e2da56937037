"""Histories of one seed, and what was done in them."""

from __future__ import annotations

import logging

import pytest
from hypothesis import HealthCheck, Phase, seed, settings
from hypothesis.stateful import get_state_machine_test

from kb_pipeline.pipeline import run_state
from kb_pipeline_tests.state_machine.machine import KeepsInStep
from kb_pipeline_tests.state_machine.watching import Tally
from kb_pipeline_tests.state_machine.world import World

STEPS_A_HISTORY = 50


def run_seed(
    world: World, tally: Tally, number: int, histories: int, patch: pytest.MonkeyPatch, *, shrink: bool = False
) -> None:
    """Run that many histories of 50 steps, the same ones for the same number. Raises what the first failure raises."""
    patch.setattr(run_state, "FIRST_PAUSE_SECONDS", 0.001)
    patch.setattr(logging.getLogger("kb_pipeline"), "level", logging.CRITICAL)  # every refusal would be said
    machine = type("KeepsInStep", (KeepsInStep,), {"world": world, "tally": tally})
    phases = (Phase.generate, Phase.shrink) if shrink else (Phase.generate,)
    config = settings(
        max_examples=histories,
        stateful_step_count=STEPS_A_HISTORY,
        deadline=None,
        database=None,
        phases=phases,
        report_multiple_bugs=False,
        suppress_health_check=list(HealthCheck),
    )
    seed(number)(get_state_machine_test(machine, settings=config))()


def told(tally: Tally) -> str:
    """Counts of rules, endings and fault points."""
    parts = [f"{tally.steps} steps"]
    for title, counts in (("steps", tally.rules), ("endings", tally.endings), ("fault points", tally.points)):
        parts += ["", f"{title}:", *(f"{count:8} {name}" for name, count in counts.most_common())]
    return "\n".join(parts)
