"""What a sync must lead to, told from what the object store holds, the settings in force and the ledger before it."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from functools import cache
from typing import Any

from kb_pipeline.core.contracts import MaskedChunk, MaskedText
from kb_pipeline.core.identity import chunk_id, document_id, fingerprint, text_hash
from kb_pipeline.core.planning import Deletes, must_brake
from kb_pipeline.pipeline.catalogue import catalogue
from kb_pipeline.settings import Settings
from kb_pipeline.store.database import Connection
from kb_pipeline.store.ledger.backlog import ATTEMPTS
from kb_pipeline.store.objects.artifacts import records_to_table
from kb_pipeline.store.published.spaces import active_space
from kb_pipeline_tests.state_machine.stages import BROKEN, HUGE, SECTION, How, passages
from kb_pipeline_tests.state_machine.world import Row, World
from kb_pipeline_tests.support.lines import holds

Rows = tuple[Row, ...]
NONE: Rows = ()


@dataclass(frozen=True, slots=True)
class Standing:
    """A document as the ledger has it. `version` are its bytes as they were last read. It `carries` what an earlier
    version was made into: where parsing refuses the present one, that goes on."""

    version: bytes | None
    live: bool
    forgotten: bool
    first_seen: datetime
    gone_since: datetime | None
    publish_key: str | None
    embed: tuple[str, str, str] | None
    carries: bool
    too_large: bool
    attempts: int


@dataclass(slots=True)
class Expected:
    """`unsure` are documents that are gone, and kept by the brake: what became of them hangs on how far they had come.
    `final` are the rows of each document after a sync that came to its end, `during` what readers may see until
    then. `moves` leads from a document that is gone to those that hold the same bytes and are to be found in the end,
    `known_moves` to those of them that were read before. `kept` are gone, and stay while those wait for the model."""

    final: dict[str, set[Rows]] = field(default_factory=dict)
    during: dict[str, set[Rows]] = field(default_factory=dict)
    moves: dict[str, list[str]] = field(default_factory=dict)
    known_moves: dict[str, list[str]] = field(default_factory=dict)
    quarantined: set[str] = field(default_factory=set)
    failed: set[str] = field(default_factory=set)
    unsure: set[str] = field(default_factory=set)
    deleted: set[str] = field(default_factory=set)
    kept: set[str] = field(default_factory=set)
    braked: bool = False
    exact: bool = True


@cache
def rows_of(source: str, key: str, data: bytes, how: How) -> Rows | None:
    """The rows of a document; None when a stage refuses it."""
    made = passages(data, how)
    if made is None:
        return None
    seen: dict[str, int] = {}
    rows = []
    for n, passage in enumerate(made):
        name = text_hash(passage.sent)
        seen[name] = seen.get(name, -1) + 1
        chunk = chunk_id(document_id(source, key), name, seen[name])
        rows.append(Row(source, chunk, n, passage.content, name, (SECTION,)))
    return tuple(sorted(rows, key=lambda row: (row.ordinal, row.chunk_id)))


@cache
def embed_input(data: bytes, how: How) -> str:
    """The output hash of masking."""
    made = [
        MaskedChunk(
            n, MaskedText(p.content), MaskedText(p.sent), text_hash(p.sent), section_path=(MaskedText(SECTION),)
        )
        for n, p in enumerate(passages(data, how) or [])
    ]
    return records_to_table(made, MaskedChunk)[1]


def standings(connection: Connection, source: str, versions: Mapping[str, bytes]) -> dict[str, Standing]:
    """The ledger's documents of a source; `versions` leads from content hashes to bytes."""
    rows = connection.execute(
        "SELECT d.document_id, d.content_hash, d.deleted_at IS NULL, d.forgotten_at IS NOT NULL, d.first_seen_at,"
        " CASE WHEN h.gone AND d.deleted_at IS NULL THEN h.received_at END,"
        " (SELECT stage_key FROM kb.stage_state p WHERE p.document_id = d.document_id AND p.stage = 'publish'"
        "   AND p.rows > 0), e.status, e.input_hash, e.stage_key,"
        " EXISTS (SELECT FROM kb.stage_state m WHERE m.document_id = d.document_id AND m.stage IN ('chunk', 'mask')"
        "   AND m.status = 'ok'),"
        " EXISTS (SELECT FROM kb.stage_state r WHERE r.document_id = d.document_id AND r.stage = 'raw'"
        "   AND r.status = 'quarantined'), d.attempts"
        " FROM kb.document d LEFT JOIN kb.hint h ON h.source_system = d.source_system AND h.key = d.key"
        " LEFT JOIN kb.stage_state e ON e.document_id = d.document_id AND e.stage = 'embed'"
        " WHERE d.source_system = %s",
        (source,),
    )
    return {
        row[0]: Standing(versions[row[1]] if row[1] else None, *row[2:7], row[7:10] if row[7] else None, *row[10:])
        for row in rows
    }


@dataclass(slots=True)
class Spec:
    """What is known before a sync of `source`: its `objects` by key, the ledger, and what readers see."""

    world: World
    settings: Settings
    source: str
    how: How
    objects: Mapping[str, bytes]
    ledger: Mapping[str, Standing]
    visible: Mapping[str, Rows]
    versions: Mapping[str, Collection[bytes]]
    confirmed: bool = False
    damaged: bool = False
    _stages: Mapping[str, Any] = field(init=False)
    _publish_key: str | None = field(init=False)

    def __post_init__(self) -> None:
        space = active_space(self.world.reader)
        self._stages = catalogue(self.settings, self.source, space)
        self._publish_key = self._stages["publish"].key if space else None

    def expect(self) -> Expected:
        """What a sync of the whole source must lead to."""
        found = Expected()
        keys = {document_id(self.source, key): key for key in self.objects}
        known = {**keys, **dict.fromkeys(self.ledger, "")}
        versions = {of: self._version(of, keys.get(of)) for of in known}
        gone = {of for of, s in self.ledger.items() if s.live and not s.forgotten and of not in keys}
        self._find_deletes(found, gone, versions)
        texts = [data for data in versions.values() if data is not None]
        held, made = self._held(texts)
        names = {**self.world.ids(self.source), **keys}
        for of in known:
            self._expect_one(found, of, names[of], versions[of], of in keys, held, made)
        self._keep_moving(found)
        refused = found.quarantined | {of for of in found.failed if self._gives_up(of)}
        found.moves = {of: [to for to in others if to not in refused] for of, others in found.moves.items()}
        found.moves = {of: others for of, others in found.moves.items() if passages(versions[of] or b"", self.how)}
        found.known_moves = {
            of: known
            for of, others in found.moves.items()
            if (known := [to for to in others if to in self.ledger and self.ledger[to].version == versions[of]])
        }
        return found

    def _keep_moving(self, found: Expected) -> None:
        """What is gone stays while one that holds its bytes waits for the model; then either may happen to it."""
        found.kept = {of for of in found.deleted if found.failed & set(found.moves.get(of, ()))}
        found.deleted -= found.kept
        found.unsure |= found.kept
        for of in found.kept:
            found.final[of] = found.during[of] | {NONE}

    def _gives_up(self, of: str) -> bool:
        standing = self.ledger.get(of)
        return standing is not None and standing.attempts >= ATTEMPTS - 1

    def _version(self, of: str, key: str | None) -> bytes | None:
        """The bytes that the ledger will have: those read last, when they cannot be read now."""
        standing = self.ledger.get(of)
        if key is None:
            return standing.version if standing else None
        if self.objects[key] != HUGE:
            return self.objects[key]
        return standing.version if standing and standing.live else None

    def _find_deletes(self, found: Expected, gone: set[str], versions: Mapping[str, bytes | None]) -> None:
        if not gone:
            return
        present = {
            document_id(self.source, key): data
            for key, data in self.objects.items()
            if not ((s := self.ledger.get(document_id(self.source, key))) and s.forgotten)
        }
        for of in gone:
            same = [to for to in present if versions[to] is not None and versions[to] == versions[of]]
            if same:
                found.moves[of] = same
        # Documents that came since the last of them was missed are counted apart.
        times = [self.ledger[of].gone_since for of in gone]
        since = None if None in times else max(at for at in times if at)
        here = {of for of, s in self.ledger.items() if s.live and not s.forgotten} | present.keys()
        before = {
            of for of in here if (s := self.ledger.get(of)) is not None and (since is None or s.first_seen < since)
        }
        rules = self.settings.deletes
        deletes = Deletes(len(gone), len(found.moves), len(before), len(here) - len(before))
        found.braked = must_brake(deletes, rules.share, rules.least) and not self.confirmed
        if not found.braked:
            found.deleted = gone

    def _held(self, texts: Sequence[bytes]) -> tuple[set[str], set[str]]:
        """Hashes of texts that have a vector, and fingerprints of embeddings that are there."""
        model = self.world.model
        if not (model.refused or model.silent):
            return set(), set()
        hashes = {text_hash(p.sent) for data in texts for p in passages(data, self.how) or []}
        rows = self.world.reader.execute("SELECT fingerprint FROM kb.artifact WHERE stage = 'embed'")
        return self.world.held(hashes), {row[0] for row in rows}

    def _expect_one(
        self,
        found: Expected,
        of: str,
        key: str,
        data: bytes | None,
        present: bool,
        held: set[str],
        made: set[str],
    ) -> None:
        standing, old = self.ledger.get(of), self.visible.get(of, NONE)
        read = (standing.version if standing else None, self.objects.get(key) if present else None)
        during = found.during[of] = {old} | {
            rows_of(self.source, key, version, self.how) or NONE
            for version in read
            if version not in (None, HUGE) and passages(version, self.how)
        }
        if standing and standing.forgotten:
            found.final[of] = found.during[of] = {NONE}
            return
        unread = standing is not None and standing.version == BROKEN and standing.carries
        if self.damaged or unread:  # what cannot be done at once is published as an earlier turn made it
            during |= self._earlier(of, key)
        if of in found.deleted or (standing and not standing.live and not present):
            found.final[of] = {NONE}
            during.add(NONE)
            return
        huge = self.objects[key] == HUGE if present else bool(standing and standing.too_large)
        if huge:
            found.quarantined.add(of)
        if data is None:
            found.final[of] = {old}
            return
        if not present:
            found.unsure.add(of)
        status = self._status(data, standing, held, made)
        if status == "ok":
            found.final[of] = {rows_of(self.source, key, data, self.how) or NONE}
        else:
            (found.quarantined if status == "quarantined" else found.failed).add(of)
            if data == BROKEN and standing and standing.live and standing.carries:
                during |= self._earlier(of, key)
                found.final[of] = during | {NONE}
                return
            outdated = standing is not None and standing.publish_key not in (None, self._publish_key)
            found.final[of] = {NONE} if outdated and of in found.quarantined else {old}
            if outdated:  # what fails again and again is given up, which is a quarantine too
                found.final[of].add(NONE)
        if not present or huge:  # its bytes cannot be read again: what was not parsed, or is lost, stays so
            found.final[of] |= {old, NONE} if self.damaged else {old}
        if self.damaged and (self.world.model.refused or self.world.model.silent):
            found.exact = False
            found.final[of] |= during | {NONE}
        during |= found.final[of]

    def _earlier(self, of: str, key: str) -> set[Rows]:
        """Rows of every version that the document ever had."""
        hows = [self.how._replace(lines=lines) for lines in (1, 2)]
        earlier = [data for data in self.versions.get(of, ()) if data != HUGE]
        return {rows_of(self.source, key, data, how) or NONE for data in earlier for how in hows}

    def _status(self, data: bytes, standing: Standing | None, held: set[str], made: set[str]) -> str:
        """What becomes of a version: ok, quarantined, or failed (it waits)."""
        texts = passages(data, self.how)
        if texts is None:
            return "quarantined"
        key, output = self._stages["embed"].key, embed_input(data, self.how)
        if standing and standing.embed and standing.embed[1:] == (output, key):
            if standing.embed[0] == "quarantined":
                return "quarantined"
            if standing.embed[0] == "ok":
                return "ok"
        if fingerprint(key, output) in made:
            return "ok"
        missing = [p.sent for p in texts if text_hash(p.sent) not in held]
        model = self.world.model
        if any(holds(text, model.refused) for text in missing):
            return "quarantined"
        return "failed" if any(holds(text, model.silent) for text in missing) else "ok"
