"""What steps are drawn from: documents, keys, and moments at which something happens."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from hypothesis import strategies as st

from kb_pipeline.core.contracts import StageName
from kb_pipeline_tests.state_machine.paused import ANY, Killed
from kb_pipeline_tests.state_machine.stages import BROKEN, HUGE
from kb_pipeline_tests.state_machine.world import KEYS, SOURCES

LINES = ("alpha", "beta", "gamma $5", "delta", "epsilon", "REFUSED $7")
WORDS = ("alpha", "beta", "gamma", "delta")
STAGES: tuple[StageName, ...] = ("parse", "chunk", "mask", "embed", "publish")
SYNC_POINTS = (
    "reconcile.loaded", "reconcile.hinted", "lease.held", "lease.before_release",
    "raw.regrouped", "raw.recorded", "raw.marked_gone", "raw.named", "delete.braked", "delete.unbraked",
    "delete.committed", "publish.space_ready", "publish.withdrawn", "publish.computed", "publish.committed",
    "run.before_settle", "run.settled", "run.index_built",
    *(f"lines.{stage}" for stage in STAGES[:4]),
    *(f"{stage}.{what}" for stage in STAGES[:4] for what in ("written", "computed", "committed", "reused")),
)  # fmt: skip
COLLECT_POINTS = (
    "collect.clear_marked", "collect.clear_committed", "collect.clear_deleted",
    "collect.expired", "collect.rows_deleted", "collect.rows_committed", "collect.objects_deleted",
    "collect.orphans_deleted",
)  # fmt: skip
ERASE_POINTS = ("erase.hidden", "erase.objects_deleted", "erase.artifacts_committed", "erase.finished")
DAMAGES = ("lose", "cut", "change")

sources = st.sampled_from(SOURCES)
keys = st.sampled_from(KEYS)
picks = st.integers(0, 99)
nths = st.integers(1, 3)
moments = st.tuples(st.sampled_from(SYNC_POINTS), nths) | st.tuples(st.just(ANY), st.integers(1, 20))
plain = st.lists(st.sampled_from(LINES), max_size=4).map(tuple)
documents = st.one_of(plain, plain, plain, st.sampled_from([("BROKEN",), ("HUGE",)]))


def data_of(lines: Sequence[str]) -> bytes:
    """The bytes of a document."""
    special = {("BROKEN",): BROKEN, ("HUGE",): HUGE}
    return special.get(tuple(lines)) or "".join(f"{line}\n" for line in lines).encode()


def at(moment: tuple[str, int], act: Callable[[], None]) -> Callable[[str], None]:
    """Does `act` at the nth pass of a fault point."""
    point, nth = moment
    left = [nth]

    def reached(name: str) -> None:
        if point in (name, ANY):
            left[0] -= 1
            if left[0] == 0:
                act()

    return reached


def kill() -> None:
    """The process ends here."""
    raise Killed
