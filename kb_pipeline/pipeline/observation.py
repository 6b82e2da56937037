"""The first part of a run: what its source holds now, what is gone from it, and which documents the run takes on."""

from __future__ import annotations

import logging
import time
from collections.abc import Sequence
from dataclasses import dataclass

from kb_pipeline.core.faults import fault_point
from kb_pipeline.core.planning import must_brake
from kb_pipeline.pipeline.catalogue import access_key, catalogue, chain_key, raw_prefix
from kb_pipeline.pipeline.opening import refuse_removed
from kb_pipeline.pipeline.run_state import RunContext
from kb_pipeline.pipeline.runner import StageReport
from kb_pipeline.sources.observing import Looker
from kb_pipeline.sources.reconciling import Reconciled, reconcile
from kb_pipeline.store.ledger.backlog import choose_scope, ensure_source
from kb_pipeline.store.ledger.deletes import count_deletes, delete_gone, set_brake
from kb_pipeline.store.ledger.documents import name_documents, regroup
from kb_pipeline.store.ledger.hints import due_hints
from kb_pipeline.store.ledger.sources import access_key_of

log = logging.getLogger("kb_pipeline.progress")


@dataclass(frozen=True, slots=True)
class Observation:
    """Observing and deleting, for one run."""

    run: RunContext

    def observe(self, *, listing: bool, hinted_only: bool) -> StageReport:
        """See SourceRun.observe."""
        started = time.perf_counter()
        source, connection, settings = self.run.source_system, self.run.connection, self.run.settings
        refuse_removed(connection, source)
        ensure_source(connection, source)
        report = StageReport("raw", stats=self._regroup())
        fault_point("raw.regrouped")
        seen = self._reconcile() if listing else None
        limit, chain = settings.runs.documents, chain_key(settings, source)
        looked = self.looker().look(limit)
        self.run.state.absent += looked.absent
        report.deleted = self.delete()
        chosen = choose_scope(connection, source, chain, limit, looked.documents)
        if not hinted_only:
            others = choose_scope(connection, source, chain, limit)
            chosen = list(dict.fromkeys([*chosen, *others]))[: max(limit, len(chosen))]
        self.run.state.scope = chosen
        self._name([*chosen, *looked.unread])  # what could not be read is shown by its name too
        fault_point("raw.named")
        done = sum(looked.changes.values())
        report.considered = report.rows = seen.listed if seen else looked.looked_at
        report.done, report.quarantined, report.failed = done, looked.quarantined, looked.failed
        report.reused = max(0, report.considered - done - looked.quarantined - looked.failed)
        report.stats.update({str(change): count for change, count in looked.changes.items()})
        report.seconds = round(time.perf_counter() - started, 3)
        return report

    def _reconcile(self) -> Reconciled:
        run = self.run
        return reconcile(
            run.connection,
            run.store,
            run.source_system,
            raw_prefix(run.source_system),
            selection=run.settings.selection_for(run.source_system),
            drop_excluded=run.state.confirm_deletes,
        )

    def delete(self) -> int:
        """Delete what the source lacks, unless the brake holds. What lives on under another key stays until that is
        settled. Moves can be told only when every key was looked at: until then nothing is deleted. A run over hinted
        keys deletes of those alone: what an older listing missed may be back."""
        run = self.run
        if due_hints(run.connection, run.source_system, 1):
            return 0
        deletes, rules = count_deletes(run.connection, run.source_system), run.settings.deletes
        if must_brake(deletes, rules.share, rules.least) and not run.state.confirm_deletes:
            log.warning(
                "%s: %d of %d documents are gone from the source; nothing is deleted before someone confirms it",
                run.source_system,
                deletes.lost,
                deletes.live,
                extra={"event": "braked", "source": run.source_system},
            )
            set_brake(run.connection, run.lease, deletes)
            fault_point("delete.braked")
            return 0
        set_brake(run.connection, run.lease, None)
        fault_point("delete.unbraked")
        chain = chain_key(run.settings, run.source_system)
        among = run.state.absent if run.state.hinted_only else None
        return delete_gone(run.connection, run.lease, chain, among) if deletes.gone else 0

    def looker(self) -> Looker:
        """What looks at single keys in this run."""
        run, settings = self.run, self.run.settings
        return Looker(
            run.connection,
            run.store,
            run.lease,
            run.run_id,
            raw_prefix(run.source_system),
            settings.limits.document_mb * 1024 * 1024,
            lambda key: settings.access_groups(run.source_system, key),
            settings.selection_for(run.source_system).takes,
        )

    def _regroup(self) -> dict[str, int]:
        """Apply access rules that changed since the last run: rows of kb.document, no stage."""
        run, settings, source = self.run, self.run.settings, self.run.source_system
        wanted = access_key(settings, source)
        if access_key_of(run.connection, source) == wanted:
            return {}
        changed = regroup(run.connection, run.lease, wanted, lambda key: settings.access_groups(source, key))
        return {"regrouped": changed} if changed else {}

    def _name(self, documents: Sequence[str]) -> None:
        from kb_pipeline.masking import mask_name

        run = self.run
        policy = run.settings.masking_for(run.source_system)
        mask_key = catalogue(run.settings, run.source_system)["mask"].key
        name_documents(run.connection, run.lease, documents, mask_key, lambda key: mask_name(key, policy))
