"""How a stage goes on, said as log records: the command line draws them or prints them as lines."""

from __future__ import annotations

import logging
import time
from collections.abc import Mapping
from dataclasses import dataclass, field

from kb_pipeline.core.contracts import Outcome

log = logging.getLogger("kb_pipeline.progress")

_DONE = {"parse": "parsed", "chunk": "chunked", "mask": "masked", "embed": "embedded", "publish": "published"}


@dataclass(slots=True)
class Progress:
    """A stage of one run over `source`, which takes on `total` documents (None: whatever is pending)."""

    stage: str
    source: str
    total: int | None = None
    every_seconds: float = 1.0
    documents: int = 0
    _last: float = field(default_factory=time.perf_counter)

    def advance(self, outcome: Outcome) -> None:
        """One more document. Says so at most once in `every_seconds`; a quarantine is said at once."""
        self.documents += 1
        if outcome.status != "ok":
            log.warning(
                "%s/%s: %s %s: %s",
                self.source,
                self.stage,
                outcome.status,
                outcome.task.display_name or outcome.task.document_id,
                outcome.error_class,
                extra={"event": "document", "stage": self.stage, "source": self.source},
            )
        if time.perf_counter() - self._last >= self.every_seconds:
            self._last = time.perf_counter()
            of = "" if self.total is None else f" of {self.total}"
            self._say("progress", f"{self.documents}{of} documents")

    def end(self, here: Mapping[str, int], reused: int, quarantined: int, failed: int, seconds: float) -> None:
        """The stage is complete. `here` are the documents that its turn made, for it and for stages after it; a stage
        whose work was all done in an earlier one's turn says nothing."""
        counts = [(count, _DONE.get(stage, stage)) for stage, count in here.items()]
        counts += [(reused, "reused"), (quarantined, "quarantined"), (failed, "waiting")]
        told = ", ".join(f"{count} {what}" for count, what in counts if count)
        if told:
            self._say("stage", f"{told}, {seconds:.1f} s")

    def _say(self, event: str, told: str) -> None:
        about = {"event": event, "stage": self.stage, "source": self.source, "documents": self.documents}
        log.info("%s/%s: %s", self.source, self.stage, told, extra={**about, "total": self.total or 0})
