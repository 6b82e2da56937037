"""What an audit says."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime


@dataclass(frozen=True, slots=True)
class Leak:
    """Something that should not be where it is: `how` it was seen (canary, recognizer), and how often, by entity."""

    place: str
    how: str
    entities: Mapping[str, int]


@dataclass(frozen=True, slots=True)
class Place:
    """Somewhere that text can be, and how many texts were looked through there."""

    name: str
    texts: int


@dataclass(frozen=True, slots=True)
class AuditReport:
    """`planted` counts canaries by entity (none: they were left out), `left_out` names what is not masked by design."""

    at: datetime
    planted: Mapping[str, int]
    places: tuple[Place, ...]
    leaks: tuple[Leak, ...]
    left_out: tuple[str, ...]

    @property
    def clean(self) -> bool:
        """Whether nothing was found."""
        return not self.leaks
