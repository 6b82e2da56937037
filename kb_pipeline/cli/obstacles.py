"""What would refuse the next sync, as the verbs that are asked of something else say it too."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from kb_pipeline import console

if TYPE_CHECKING:
    from kb_pipeline.operations.readiness import Finding


def say_obstacles(found: Sequence[Finding]) -> None:
    """A line each; nothing where nothing is in the way."""
    for finding in found:
        console.say(f"the next sync would be refused ({finding.name}): {finding.detail} {finding.remedy}", "yellow")
