"""What must hold of a source system on every object store, from the first load to a deletion.

Each test changes a document of its own, so that they may run in any order.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from kb_pipeline.knowledge_base import KnowledgeBase
from kb_pipeline.pipeline.reports import SyncReport
from kb_pipeline_tests.e2e.workspace import Workspace, write_files

TOTALS = ("object_reads", "object_writes", "model_calls", "model_texts")
# Everything a sync may write, but for the lease.
LEDGER = ("document", "document_version", "stage_state", "artifact", "vector_ref", "chunk", "hint", "space")
HANDBOOK = """# Machine room handbook

## Access
Badges open the outer door; the inner door needs a second person at the keypad, and both of them stay until the work is
done and the visit is written into the book beside the door.

## Cooling
Both cooling units run at half load, and either one can carry the whole room alone while the other one is in repair,
as long as the doors stay shut and the floor plates lie where they belong.

## 断电处理
市电中断后由电池供电二十分钟，值班员应在五分钟内启动柴油机，并在值班日志中记录启动时间、负载和油位，恢复市电后再逐台停机。
"""


def page(title: str, text: str) -> str:
    """A small HTML page."""
    return f"<html><head><meta charset='utf-8'></head><body><h1>{title}</h1><p>{text}</p></body></html>"


FILES: dict[str, str | bytes] = {
    "handbook.md": HANDBOOK,
    "to-rename.html": page("Lost keys", "Report a lost key to the reception before noon."),
    "to-copy.txt": "Spare fuses lie in the third drawer of the grey cabinet.\n",
    "to-delete.md": "# Old pager\n\nThe pager was replaced by the telephone on the desk.\n",
    "damaged.pdf": b"%PDF-1.7\n1 0 obj\n<< /Type /Catalog /Pages",
    "numbers.csv": "room,lamps\nnorth,12\nsouth,8\n",
    "人事/休假 制度.md": "# 休假制度\n\n员工每年享有带薪休假，需提前两周提出申请。\n",
    "odd names/50% off + C#/a%20b&c=d@e!~'(1).md": "# Odd\n\nEven a name like this one is just a name.\n",
    "odd names/50% off + C#/a b&c=d@e!~'(1).md": "# Odd too\n\nA blank is no percent sign, twenty or not.\n",
}
QUARANTINED = {"damaged.pdf"}


@dataclass(frozen=True)
class Source:
    """A folder that a source system mirrors."""

    name: str
    folder: Path
    workspace: Workspace
    base: KnowledgeBase

    def ingest(self) -> SyncReport:
        return self.base.ingest(self.folder, self.name).sync

    def ask(self, query: str, *values: object) -> list[tuple[Any, ...]]:
        with self.workspace.database() as connection:
            return connection.execute(query, (self.name, *values)).fetchall()

    def texts(self) -> set[str]:
        """Hashes of every text that has a row."""
        return {row[0] for row in self.ask(f"SELECT text_hash FROM {CHUNKS}")}

    def chunks(self, key: str) -> dict[str, str]:
        """chunk_id -> content of one document."""
        return dict(self.ask(f"SELECT chunk_id, content FROM {CHUNKS} AND d.key = %s", key))

    def rows(self) -> dict[str, list[tuple[Any, ...]]]:
        """Where every row of the ledger and the tables lies, and which transaction wrote it."""
        with self.workspace.database() as connection:
            tables = [*LEDGER, *(name for (name,) in connection.execute("SELECT table_name FROM kb.space"))]
            return {
                table: connection.execute(f"SELECT ctid::text, xmin::text FROM kb.{table}").fetchall()
                for table in tables
            }

    def vectors(self) -> int:
        """Rows of the source in the active space's table."""
        (space,) = self.base.status().spaces
        ((table,),) = self.ask("SELECT table_name FROM kb.space WHERE %s <> '' AND status = 'active'")
        ((count,),) = self.ask(f"SELECT count(*) FROM kb.{table} WHERE source_system = %s")
        assert space.status == "active"
        return int(count)


CHUNKS = "kb.chunk c JOIN kb.document d USING (document_id) WHERE d.source_system = %s"


class Lifecycle:
    """Subclasses give a `place` (class-scoped): the workspace, entered, in which the source lives."""

    @pytest.fixture(scope="class")
    @classmethod
    def source(cls, place: Workspace, tmp_path_factory: pytest.TempPathFactory) -> Source:
        folder = write_files(tmp_path_factory.mktemp("source"), FILES)
        source = Source("lifecycle", folder, place, place.base)
        source.ingest()
        return source

    def test_every_document_is_published_or_named_in_quarantine(self, source: Source) -> None:
        ((keys,),) = source.ask(
            "SELECT array_agg(d.key) FROM kb.document d WHERE d.source_system = %s AND d.deleted_at IS NULL"
        )
        published = {key for (key,) in source.ask(f"SELECT DISTINCT d.key FROM {CHUNKS}")}
        assert {q.name for q in source.base.quarantine(source.name)} == QUARANTINED
        assert published == set(keys) - QUARANTINED

    @pytest.mark.parametrize(
        ("key", "text"),
        [
            ("人事/休假 制度.md", "员工每年享有带薪休假"),
            ("odd names/50% off + C#/a%20b&c=d@e!~'(1).md", "Even a name like this one is just a name."),
            ("odd names/50% off + C#/a b&c=d@e!~'(1).md", "A blank is no percent sign, twenty or not."),
        ],
    )
    def test_names_come_through_as_they_are(self, source: Source, key: str, text: str) -> None:
        assert text in " ".join(source.chunks(key).values())
        (first, *_) = source.base.search(text)
        assert first.source_file == key

    def test_a_second_sync_is_free(self, source: Source) -> None:
        source.ingest()
        before = source.rows()
        report = source.ingest()
        assert {name: getattr(report, name) for name in TOTALS} == dict.fromkeys(TOTALS, 0)
        assert {name: stage["done"] for name, stage in report.stages.items()} == dict.fromkeys(report.stages, 0)
        assert len(report.stages) == 6
        assert source.rows() == before

    def test_an_edit_embeds_only_what_is_new(self, source: Source) -> None:
        before, texts = source.chunks("handbook.md"), source.texts()
        write_files(source.folder, {"handbook.md": HANDBOOK.replace("half load", "a third of their load")})
        report = source.ingest()
        after = source.chunks("handbook.md")
        assert report.model_texts == len(source.texts() - texts) == 1
        assert report.stages["parse"]["done"] == report.stages["publish"]["done"] == 1
        assert "a third of their load" in " ".join(after.values())
        assert len(before.keys() & after.keys()) == len(before) - 1

    def test_a_rename_calls_no_parser_and_no_model(self, source: Source) -> None:
        (content,) = set(source.chunks("to-rename.html").values())
        (source.folder / "to-rename.html").rename(source.folder / "改名 renamed.html")
        report = source.ingest()
        assert _work(report) == (0, 0, 0, 0)
        assert report.model_calls == 0
        assert source.chunks("to-rename.html") == {}
        assert set(source.chunks("改名 renamed.html").values()) == {content}

    def test_a_copy_calls_no_parser_and_no_model(self, source: Source) -> None:
        write_files(source.folder, {"copies/copy.txt": FILES["to-copy.txt"]})
        report = source.ingest()
        assert _work(report) == (0, 0, 0, 0)
        assert report.model_calls == 0
        copied, original = source.chunks("copies/copy.txt"), source.chunks("to-copy.txt")
        assert sorted(copied.values()) == sorted(original.values())
        assert not copied.keys() & original.keys()

    def test_a_deleted_document_leaves_no_row(self, source: Source) -> None:
        chunks, vectors, deleted = source.chunks("to-delete.md"), source.vectors(), _deleted(source)
        assert chunks
        (source.folder / "to-delete.md").unlink()
        report = source.ingest()
        assert report.deleted == report.stages["raw"]["deleted"] == 1
        assert source.chunks("to-delete.md") == {}
        assert source.vectors() == vectors - len(chunks)
        assert source.ask("SELECT 1 FROM knowledge_chunks WHERE %s <> '' AND chunk_id = ANY(%s)", list(chunks)) == []
        assert _deleted(source) == deleted + 1

    def test_a_retried_document_is_tried_again(self, source: Source) -> None:
        assert source.base.retry(source=source.name) == len(QUARANTINED)
        assert source.base.quarantine(source.name) == []
        report = source.ingest()
        assert report.stages["parse"]["quarantined"] == len(QUARANTINED)
        assert {q.name: q.error_class for q in source.base.quarantine(source.name)} == {
            "damaged.pdf": "CorruptDocument"
        }


def _work(report: SyncReport) -> tuple[int, ...]:
    """Documents done by the stages that cost something."""
    return tuple(report.stages[stage]["done"] for stage in ("parse", "chunk", "mask", "embed"))


def _deleted(source: Source) -> int:
    (overview,) = (s for s in source.base.status().sources if s.source_system == source.name)
    return overview.deleted
