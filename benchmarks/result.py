"""What a benchmark returns."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Result:
    """One figure beside its baseline's, both in `unit`."""

    measured: str
    figure: float
    baseline: str
    baseline_figure: float
    unit: str

    @property
    def ratio(self) -> float:
        """figure / baseline_figure."""
        return self.figure / self.baseline_figure if self.baseline_figure else float("inf")
