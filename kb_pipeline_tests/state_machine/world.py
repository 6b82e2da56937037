"""The system under test: a real PostgreSQL, objects in a real folder, and the product's own way from a listing to
published rows. Reads what readers see, and what the ledger says, over a connection of its own."""

from __future__ import annotations

import itertools
import os
import shutil
from collections.abc import Callable, Iterable, Sequence
from functools import cache
from pathlib import Path
from typing import Any, NamedTuple, get_args

from pydantic import SecretStr

from kb_pipeline.core.contracts import StageName, Task
from kb_pipeline.core.identity import document_id, model_key, sha256_hex
from kb_pipeline.defs.running import syncing
from kb_pipeline.defs.running.syncing import SyncOptions
from kb_pipeline.pipeline.catalogue import raw_prefix
from kb_pipeline.pipeline.reports import SyncReport, run_report
from kb_pipeline.pipeline.source_run import report_json, run_one, source_run
from kb_pipeline.settings import Settings
from kb_pipeline.store.database import Connection, connect, migrate
from kb_pipeline.store.objects.object_store import ObjectStore, ObjectStoreConfig
from kb_pipeline_tests.state_machine.stages import TOKENS_A_LINE, How, NotesJob
from kb_pipeline_tests.support.inline import InlineExecutors
from kb_pipeline_tests.support.lines import LineModel

SOURCES = ("hr", "wiki")
KEYS = ("a.txt", "b.txt", "c.txt", "d.txt", "e.txt", "f.txt", "x/a b%.md", "call 13812345678.txt")
ACCESS: tuple[list[dict[str, Any]], ...] = (
    [],
    [{"match": "*", "groups": ["staff"]}],
    [{"match": "a*", "groups": ["board", "law"]}, {"match": "*.md", "groups": ["staff"]}],
)
MODEL = "m"
SPACE_TABLE = "vector_m_8"
TABLES = ("document", "document_version", "stage_state", "artifact", "vector_ref", "chunk", "hint", "space", "source")
KEPT_OUT = ("source", "source_lease")  # bookkeeping that a sync with nothing to do may write


class Row(NamedTuple):
    """A passage as readers see it."""

    source: str
    chunk_id: str
    ordinal: int
    content: str
    text_hash: str
    path: tuple[str, ...]


class Seen(NamedTuple):
    """Everything visible at one instant: rows by document id, and the vector of each text as PostgreSQL prints it."""

    rows: dict[str, tuple[Row, ...]]
    vectors: set[tuple[str, str]]
    torn: list[str]


@cache
def settings_of(dsn: str, url: str, how: How, access: tuple[int, ...], documents: int) -> Settings:
    """The settings in force."""
    return Settings.model_validate(
        {
            "database_dsn": SecretStr(dsn),
            "object_store": {"url": url},
            "embedding": {"model": MODEL},
            "chunking": {"max_tokens": TOKENS_A_LINE * how.lines, "prefix_section_path": how.prefixed},
            "defaults": {"masking": {"MONEY": "keep" if how.keeps_money else "mask"}},
            "deletes": {"share": 0.4, "least": 2},
            "runs": {"documents": documents, "retries": 5},
            "limits": {"document_mb": 1},
            "lease": {"wait_seconds": 0},
            "sources": {name: {"access": ACCESS[n]} for name, n in zip(SOURCES, access, strict=True)},
        }
    )


class World:
    """One database and one object store, emptied for each history."""

    def __init__(self, dsn: str, folder: Path) -> None:
        self.dsn = dsn
        self.folder = folder
        self.store = ObjectStore(ObjectStoreConfig(folder.as_uri()))
        self.reader: Connection = connect(dsn)
        migrate(self.reader)
        self.model = LineModel()
        self.on_task: Callable[[StageName, Task], None] = lambda stage, task: None
        self.executors = InlineExecutors(NotesJob, self.model, before=lambda stage, task: self.on_task(stage, task))
        self._runs = itertools.count()

    def reset(self) -> None:
        """Empty everything."""
        with self.reader.transaction():
            names = ", ".join(f"kb.{name}" for name in (*TABLES, "source_lease"))
            self.reader.execute(f"TRUNCATE {names} CASCADE".encode())
            self.reader.execute(f"DROP TABLE IF EXISTS kb.{SPACE_TABLE} CASCADE".encode())
        for folder in ("raw", "artifacts"):
            shutil.rmtree(self.folder / folder, ignore_errors=True)
        self.model.__init__()  # type: ignore[misc]

    def put(self, source: str, key: str, data: bytes | None) -> None:
        """Put an object, or delete it (None)."""
        path = f"{raw_prefix(source)}/{key}"
        if data is None:
            self.store.delete(path)
        else:
            self.store.put(path, data)

    def sync(self, settings: Settings, source: str, options: SyncOptions) -> SyncReport:
        """`kb sync`, but for Dagster: its job is the loop below."""
        return syncing.sync_source(settings, source, options, self._run)

    def _run(self, settings: Settings, source: str, **observing: bool) -> SyncReport:
        run_id, stages = f"run-{next(self._runs)}", {}
        with source_run(settings, source, run_id, last=True, executors=self.executors) as run:
            for name in get_args(StageName):
                report = run_one(run, name, **(observing if name == "raw" else {}))
                stages[name] = report_json(report)
        return run_report(source, run_id, 0.0, stages)

    def alone(self, settings: Settings, source: str, name: StageName) -> None:
        """One stage over its whole source, as when its asset alone is materialized."""
        run_id = f"run-{next(self._runs)}"
        with source_run(settings, source, run_id, last=True, executors=self.executors) as run:
            run_one(run, name)

    def seen(self) -> Seen:
        """What readers see now, in one statement."""
        if self.reader.execute("SELECT to_regclass(%s)", (f"kb.{SPACE_TABLE}",)).fetchone() == (None,):
            torn = [row[0] for row in self.reader.execute("SELECT chunk_id FROM kb.chunk")]
            return Seen({}, set(), torn)
        rows: dict[str, list[Row]] = {}
        vectors, torn = set(), []
        query = (
            "SELECT d.document_id, d.source_system, c.chunk_id, c.ordinal, c.content, c.text_hash, c.section_path,"
            " v.source_system, v.embedding::text, d.deleted_at IS NULL FROM kb.chunk c FULL JOIN"
            f" kb.{SPACE_TABLE} v USING (chunk_id) LEFT JOIN kb.document d USING (document_id) ORDER BY 1, 4, 3"
        )
        for of, source, chunk, ordinal, content, text, path, vector_source, vector, live in self.reader.execute(
            query.encode()
        ):
            if content is None or vector is None or not live or vector_source != source:
                torn.append(str(chunk))
                continue
            rows.setdefault(of, []).append(Row(source, chunk, ordinal, content, text, tuple(path)))
            vectors.add((text, vector))
        return Seen({of: tuple(found) for of, found in rows.items()}, vectors, torn)

    def written(self, *without: str) -> dict[str, Any]:
        """Where every row lies and which transaction wrote it, but for tables `without`."""
        names = [name for name in TABLES if name not in without]
        if self.reader.execute("SELECT to_regclass(%s)", (f"kb.{SPACE_TABLE}",)).fetchone() != (None,):
            names.append(SPACE_TABLE)
        query = " UNION ALL ".join(
            f"SELECT '{name}', array_agg(ctid::text || ' ' || xmin::text ORDER BY ctid) FROM kb.{name}"
            for name in names
        )
        return dict(self.reader.execute(query.encode()).fetchall())

    def artifacts(self) -> list[tuple[str, int, str]]:
        """(uri, size, sha256) of every artifact that the ledger names and that did not expire."""
        query = "SELECT uri, size, sha256 FROM kb.artifact WHERE expired_at IS NULL ORDER BY uri"
        return self.reader.execute(query).fetchall()

    def path(self, uri: str) -> Path:
        return self.folder / uri

    def whole(self, uri: str, size: int, sha256: str) -> bool:
        """Whether an artifact's object is there as it was written."""
        path = self.path(uri)
        return path.exists() and path.stat().st_size == size and sha256_hex(path.read_bytes()) == sha256

    def held(self, hashes: Iterable[str]) -> set[str]:
        """Hashes of texts of which some whole artifact holds a vector."""
        rows = self.reader.execute(
            "SELECT v.text_hash, a.uri, a.size, a.sha256 FROM kb.vector_ref v JOIN kb.artifact a USING (fingerprint)"
            " WHERE v.model_key = %s AND v.text_hash = ANY(%s)",
            (model_key(MODEL, ""), list(hashes)),
        )
        whole = cache(self.whole)
        return {text for text, *ref in rows if whole(*ref)}

    def objects(self) -> set[str]:
        """Paths of all artifacts' objects."""
        top = self.folder / "artifacts"
        return {
            str((Path(folder) / name).relative_to(self.folder)) for folder, _, names in os.walk(top) for name in names
        }

    def expire(self, source: str) -> None:
        """The holder of the source's lease has lost touch for longer than a lease lasts."""
        self.reader.execute(
            "UPDATE kb.source_lease SET expires_at = now() - interval '1 s' WHERE source_system = %s", (source,)
        )

    def leave_dead_lease(self, source: str) -> None:
        """A killed process gives no lease back: its row stays, its backend is gone."""
        self.reader.execute(
            "UPDATE kb.source_lease SET holder = 'killed', backend_pid = 0, heartbeat_at = now() - interval '1 min',"
            " expires_at = now() + interval '1 min' WHERE source_system = %s",
            (source,),
        )

    def lease(self, source: str) -> tuple[int, str | None] | None:
        """(token, holder) of the source's lease."""
        row = self.reader.execute("SELECT token, holder FROM kb.source_lease WHERE source_system = %s", (source,))
        return row.fetchone()  # type: ignore[return-value]

    def disconnect(self) -> None:
        """PostgreSQL ends every connection of this process but the reader's."""
        self.reader.execute(
            "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = current_database()"
            " AND pid <> pg_backend_pid() AND application_name = 'kb_pipeline'"
        )

    def groups(self) -> dict[str, list[str]]:
        """Document id -> access groups of live documents."""
        rows = self.reader.execute("SELECT document_id, access_groups FROM kb.document WHERE deleted_at IS NULL")
        return dict(rows.fetchall())

    def ids(self, source: str, keys: Sequence[str] = KEYS) -> dict[str, str]:
        """Document id -> key."""
        return {document_id(source, key): key for key in keys}
