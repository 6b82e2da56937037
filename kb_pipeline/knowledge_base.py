"""The Python API: one class, one method a verb of the command line."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from kb_pipeline.local import stack
from kb_pipeline.local.stack import ServiceStatus
from kb_pipeline.operations import querying
from kb_pipeline.operations.querying import Status
from kb_pipeline.pipeline.opening import connected, known_sources
from kb_pipeline.settings import Settings, load_settings, settings_path

if TYPE_CHECKING:
    import pandas as pd

    from kb_pipeline.auditing import AuditReport
    from kb_pipeline.masking import MaskedSample
    from kb_pipeline.operations.beginning import Begun
    from kb_pipeline.operations.forecasting import SourcePlan
    from kb_pipeline.operations.maintenance import Forgotten, KnownSource
    from kb_pipeline.operations.quarantine import QuarantineReport
    from kb_pipeline.operations.querying import Results
    from kb_pipeline.operations.readiness import Finding
    from kb_pipeline.operations.verifying import Repaired
    from kb_pipeline.pipeline.reports import IngestReport, SyncReport
    from kb_pipeline.sources.mirror import MirrorPlan
    from kb_pipeline.store.erasing.collect import Collected
    from kb_pipeline.store.erasing.erase import Erased
    from kb_pipeline.store.verify import Problem
    from kb_pipeline.store.views.finding import Found
    from kb_pipeline.store.views.history import DocumentHistory
    from kb_pipeline.store.views.overview import Quarantined

__all__ = ["KnowledgeBase", "Status"]


def _silent(event: str) -> None:
    """The default listener: says nothing."""


class KnowledgeBase:
    """A knowledge base by its settings. Nothing is read or connected to until a method needs it.

    `home` and `config` win over KB_HOME and KB_CONFIG. Every method raises errors of kb_pipeline.core.errors.
    """

    def __init__(self, home: Path | str | None = None, config: Path | str | None = None) -> None:
        self._home = Path(home) if home else None
        self._config = Path(config) if config else None
        self._settings: Settings | None = None

    @property
    def settings(self) -> Settings:
        """The settings in force, read once. Raises SettingsError."""
        if self._settings is None:
            self._settings = load_settings(config=self._config, home=self._home)
        return self._settings

    def init(self, place: str | None = None, source: str | None = None, *, force: bool = False) -> Begun:
        """Write a commented settings file for a folder of one's own, or a bucket (`place`), with one source system.

        Raises SettingsError when it is there already (unless `force`) or cannot be written, NotFound for no folder.
        """
        from kb_pipeline.operations.beginning import begin

        return begin(settings_path(config=self._config), place, source, overwrite=force)

    def up(self, on_event: Callable[[str], None] = _silent) -> list[ServiceStatus]:
        """Start what the embedded stack lacks, and bring the schema up to date."""
        from kb_pipeline.store.database import connect, database_errors, migrate

        services = stack.up(self.settings, on_event)
        with connect(stack.database_dsn(self.settings)) as connection, database_errors():
            for name in migrate(connection):
                on_event(f"schema: applied {name}")
        return services

    def down(self, on_event: Callable[[str], None] = _silent) -> list[ServiceStatus]:
        """Stop the embedded stack; data stays."""
        return stack.down(self.settings, on_event)

    def status(self) -> Status:
        """How the services and sources stand."""
        return querying.status(self.settings)

    def sources(self) -> list[str]:
        """Source systems known from kb.yaml and from the ledger, by name."""
        return known_sources(self.settings)

    def ingest(
        self, folder: Path | str, source: str, *, confirm_deletes: bool = False, rehash: bool = False
    ) -> IngestReport:
        """Make the source's raw prefix mirror `folder`, then sync it."""
        from kb_pipeline.defs.running import syncing

        return syncing.ingest(self.settings, folder, source, syncing.SyncOptions(confirm_deletes, rehash))

    def plan_ingest(self, folder: Path | str, source: str, *, confirm_deletes: bool = False) -> MirrorPlan:
        """What `ingest` would upload, replace, remove and leave out. Nothing is written."""
        from kb_pipeline.operations import ingesting

        return ingesting.plan_folder(self.settings, Path(folder), source, drop_excluded=confirm_deletes)

    def sync(
        self,
        *names: str,
        confirm_deletes: bool = False,
        rehash: bool = False,
        full: bool = False,
        keys: Sequence[str] | None = None,
    ) -> list[SyncReport]:
        """Bring the named sources in step, or all: the job of the UI, in this process, until nothing is left to do.

        `confirm_deletes` lets deletes pass the brake, `rehash` reads every object's bytes, `full` compares the listing
        even if it is the last one's, `keys` looks at these keys alone (of one source). Raises what stopped a single
        source; of several SourcesFailed, whose `errors` and `reports` say what became of each.
        """
        from kb_pipeline.defs.running import syncing

        return syncing.sync(self.settings, names, syncing.SyncOptions(confirm_deletes, rehash, full, keys))

    def plan(self, *names: str) -> list[SourcePlan]:
        """What syncing the named sources, or all, would do and cost. Nothing is written."""
        from kb_pipeline.operations import forecasting

        return forecasting.plan(self.settings, names)

    def register_sources(self) -> None:
        """Make every known source system a Dagster partition, so that the UI offers it."""
        from kb_pipeline.defs.running.in_process import register_sources

        register_sources(self.settings, self.sources())

    def search(self, text: str, source: str | None = None, limit: int = 10) -> Results:
        """The passages that best answer `text`, by meaning and by word: a list of Result, empty before the first sync.

        While the model does not answer words alone decide: then its `answered_by` is "words", and `reason` says why.
        """
        return querying.search(self.settings, text, source, limit)

    def mask(self, text: str, source: str | None = None) -> MaskedSample:
        """What the policy of a source system, or of the defaults, makes of `text`. Raises MaskingIncomplete."""
        from kb_pipeline.masking import show_masking

        return show_masking(text, self.settings.masking_for(source or ""))

    def audit(self, *, plant: bool = True, on_event: Callable[[str], None] = _silent) -> AuditReport:
        """Look everywhere for what masking should have caught, with planted canaries, and write a dated report."""
        from kb_pipeline.auditing import audit

        return audit(self.settings, plant=plant, on_event=on_event)

    def history(self, document: str, source: str | None = None) -> DocumentHistory:
        """A document's versions and stages, by its id, the unique beginning of one, or its name."""
        return querying.history(self.settings, document, source)

    def quarantine(self, source: str | None = None) -> list[Quarantined]:
        """Documents in quarantine, the newest first. Raises NotFound for a source system that is not there."""
        from kb_pipeline.operations import quarantine

        return quarantine.listed(self.settings, source)

    def quarantined(self, document: str, source: str | None = None) -> QuarantineReport:
        """Everything about one document in quarantine."""
        from kb_pipeline.operations import quarantine

        return quarantine.show(self.settings, document, source)

    def retry(self, documents: Sequence[str] | None = None, source: str | None = None) -> int:
        """Let the next sync try quarantined documents again (by id, its beginning, or name; None means all).

        Returns how many. Raises NotFound, before any is marked, when one is not in quarantine."""
        from kb_pipeline.operations import quarantine

        return quarantine.retry(self.settings, documents, source)

    def verify(self, source: str | None = None, *, deep: bool = False) -> list[Problem]:
        """Check what must always hold, of one source or of all; empty when it does. `deep` reads every artifact too."""
        from kb_pipeline.operations import verifying

        return verifying.verify(self.settings, source, deep=deep)

    def repair(self, source: str | None = None, *, deep: bool = False) -> Repaired:
        """Verify, and mend what can be: at once, or by giving it to the next sync."""
        from kb_pipeline.operations import verifying

        return verifying.repair(self.settings, source, deep=deep)

    def collect(self, dry_run: bool = True) -> Collected:
        """Collect artifacts that nothing needs any more, and objects that no row names; a dry run changes nothing."""
        from kb_pipeline.operations import maintenance

        return maintenance.collect(self.settings, dry_run=dry_run)

    def find(self, document: str, source: str | None = None) -> Found:
        """The one document of that id, beginning of an id, or name."""
        from kb_pipeline.operations import maintenance

        return maintenance.find(self.settings, document, source)

    def forget(self, document: str, source: str | None = None) -> Forgotten:
        """Erase what was made of a document at once; no later sync brings it back."""
        from kb_pipeline.operations import maintenance

        return maintenance.forget(self.settings, document, source)

    def remember(self, document: str, source: str | None = None) -> Found:
        """Take a forgotten document's tombstone away: the next sync takes it in again, if its source still has it."""
        from kb_pipeline.operations import maintenance

        return maintenance.remember(self.settings, document, source)

    def known_sources(self) -> list[KnownSource]:
        """Source systems of kb.yaml and of the ledger with where they are known from, removed ones too."""
        from kb_pipeline.operations import maintenance

        return maintenance.sources(self.settings)

    def add_source(self, name: str) -> KnownSource:
        """Look after a source system from now on; one that was removed comes back."""
        from kb_pipeline.operations import maintenance

        return maintenance.add_source(self.settings, name)

    def remove_source(self, name: str) -> Erased:
        """Erase a source system from every table, space and artifact; its raw documents stay where they lie."""
        from kb_pipeline.defs.running.in_process import forget_source
        from kb_pipeline.operations import maintenance

        erased = maintenance.remove_source(self.settings, name)
        forget_source(self.settings, name)
        return erased

    def masked_spans(self, source: str) -> int:
        """How many spans masking replaced in the current documents of a source."""
        from kb_pipeline.store.views import overview

        with connected(self.settings) as connection:
            return overview.stats(connection, source, "mask").get("masked", 0)

    def doctor(self) -> list[Finding]:
        """Check the installation; each finding has a remedy."""
        from kb_pipeline.operations.doctor import examine

        return examine(self._config, self._home)

    def obstacles(self) -> list[Finding]:
        """What would refuse the next sync, each with a remedy; empty when nothing would."""
        from kb_pipeline.operations.readiness import obstacles

        return obstacles(self.settings)

    def frame(self, stage: str, source: str, limit: int | None = None) -> pd.DataFrame:
        """A stage's current artifacts of one source as a DataFrame: a row an element, chunk or vector.

        `stage` is a stage (parse, chunk, mask, embed) or its asset (cleaned_elements, chunks, masked_chunks,
        embeddings); `limit` caps the documents read. Columns document_id and source_file come first.
        Documents whose clear text expired have no elements and chunks.
        """
        return querying.frame(self.settings, stage, source, limit)
