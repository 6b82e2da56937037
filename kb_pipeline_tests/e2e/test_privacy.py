"""Personal data planted in documents of every kind is in no table, index, log, run record or embedding input.

The one exception is the design's: kb.document.key is the object's name as it is.
"""

from __future__ import annotations

import csv
import io
import itertools
import os
import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from urllib.parse import quote, urlsplit

import psycopg
import pytest
from psycopg import sql

from kb_pipeline.demo.writing import render
from kb_pipeline.masking.finding.checksums import luhn
from kb_pipeline_tests.e2e.recording_proxy import Recording, recording_proxy
from kb_pipeline_tests.e2e.workspace import Workspace, write_files
from kb_pipeline_tests.masking.synthetic import resident_id

# Runs and repetitions that documentation uses; nobody's known numbers.
MOBILES = itertools.cycle(["13412345678", "13512345678", "13612345678", "13712345678", "13812345678", "13800138000"])
UNREADABLE_EVEN_FOR_ROOT = Path("/proc/sys/vm/drop_caches")  # write-only


@dataclass
class Planted:
    """What was planted, by where: value -> place."""

    values: dict[str, str] = field(default_factory=dict)
    _numbers: Iterator[int] = field(default_factory=lambda: itertools.count(1))

    def person(self, place: str) -> dict[str, str]:
        """An identity number, mobile number, card and email of nobody, to be planted at `place`."""
        n = next(self._numbers)
        body = f"40000000{n:07d}"
        found = {
            "id": resident_id(order=n),
            "mobile": next(MOBILES),
            "card": next(body + str(check) for check in range(10) if luhn(body + str(check))),
            "email": f"planted.{n:03d}@example.com",
        }
        self.values.update(dict.fromkeys(found.values(), place))
        return found

    def text(self, place: str) -> str:
        return "ID {id}, mobile {mobile}, card {card}, mail {email}.".format(**self.person(place))

    def beside_chinese(self, place: str) -> str:
        return "身份证{id}手机{mobile}，卡号{card}邮箱{email}请核对".format(**self.person(place))

    def spaced(self, place: str) -> str:
        """As people write numbers; the plain forms are looked for once blanks are taken out."""
        p = self.person(place)
        card = " ".join(re.findall("....", p["card"]))
        return f"Call +86 {p['mobile'][:3]} {p['mobile'][3:7]} {p['mobile'][7:]}, pay from {card} for {p['id']}."

    def rows(self, place: str) -> str:
        """Two columns: a PDF breaks what is wider than its cell anywhere, and then nothing can tell what it was."""
        return "\n".join(f"| {kind} | {value} |" for kind, value in self.person(place).items())

    def name(self, place: str) -> str:
        return "{id} {mobile} {card} {email}".format(**self.person(place))

    def found_in(self, data: str | bytes) -> set[str]:
        """Where whatever `data` holds had been planted."""
        text = data if isinstance(data, str) else data.decode("utf-8", errors="ignore")
        squeezed = re.sub(r"[\s-]|\\u00a0", "", text)
        forms = {value: {value, quote(value), value.partition("@")[0]} for value in self.values}
        return {
            f"{self.values[value]}: {value}"
            for value, ways in forms.items()
            if any(way in text or way in squeezed for way in ways)
        }


def _markup(planted: Planted, kind: str) -> str:
    """One document with people in every place that its format has."""

    def at(place: str) -> str:
        return f"{kind}, {place}"

    head = {
        "eml": f"from: Someone <{planted.person(at('sender'))['email']}>\nto: service@example.com\n"
        f"subject: Case {planted.text(at('subject'))}\ndate: Tue, 17 Feb 2026 14:05:33 +0000\nform: multipart\n",
    }.get(kind, f"owner: {planted.text(at('author'))}\nheader: {planted.name(at('header'))}\n")
    beside = planted.beside_chinese(at("body beside Chinese"))
    return f"""{head}
# 报告 {planted.name(at("title"))}

## {planted.person(at("heading"))["id"]} 客户{planted.person(at("heading"))["mobile"]}的事

{planted.text(at("body"))}

{beside.replace("，", "，" + chr(10) * 2)}

{planted.spaced(at("body with blanks"))}

| 种类 | 值 |
{planted.rows(at("table"))}
| {planted.person(at("table"))["mobile"]}王 | 卡{planted.person(at("table"))["card"]}号 |

- {planted.text(at("list"))}

A sentence about lamps that holds nothing private, so that the document is found: {kind} lamps.
"""


def _documents(planted: Planted) -> dict[str, str | bytes]:
    documents: dict[str, str | bytes] = {
        f"{kind}/{planted.name(f'{kind}, file name')}.{kind}": render(f"a.{kind}", _markup(planted, kind))
        for kind in ("docx", "md", "html", "pdf", "eml")
    }
    sheet = io.StringIO()
    people = [planted.person("csv, cell") for _ in range(3)]
    writer = csv.DictWriter(sheet, fieldnames=list(people[0]))
    writer.writeheader()
    writer.writerows(people)
    documents[f"csv/{planted.person('csv, file name')['email']}.csv"] = sheet.getvalue()
    documents[f"卡号{planted.person('folder name')['card']}的文件/broken.pdf"] = b"%PDF-1.7\n1 0 obj\n<<"
    documents[f"broken/{planted.name('name of a broken file')}.docx"] = (
        b"PK\x03\x04" + planted.text("broken file").encode()
    )
    return documents


@dataclass
class Leaks:
    """A sync over planted documents, and everything that could have kept what was planted."""

    planted: Planted
    workspace: Workspace
    stack_home: Path
    recording: Recording
    printed: dict[str, str]
    documents: int


@pytest.fixture(scope="module")
def leaks(
    new_workspace: Callable[..., Workspace], stack_home: Path, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Leaks]:
    planted = Planted()
    documents = _documents(planted)
    folder = write_files(tmp_path_factory.mktemp("planted"), documents)
    _unreadable(folder / f"{planted.name('name of an unreadable file')}.txt")
    workspace = new_workspace("privacy")
    server = urlsplit(workspace.environment["KB_EMBEDDING_URLS"])
    with recording_proxy(f"{server.scheme}://{server.netloc}") as recording:
        workspace = Workspace(
            workspace.home,
            workspace.config,
            {**workspace.environment, "KB_EMBEDDING_URLS": f"{recording.url}{server.path}"},
        )
        commands = (
            ("ingest", str(folder), "--source", "planted"),
            ("ingest", str(folder), "--source", "planted", "--json"),
            ("status",),
            ("quarantine", "list"),
            ("search", "a sentence about lamps", "--limit", "50"),
        )
        printed = {}
        for command in commands:
            done = workspace.kb(*command)
            assert done.returncode == (1 if command[0] == "ingest" else 0), done.stderr  # a file could not be read
            printed[" ".join(command[:1] + command[-1:])] = done.stdout + done.stderr
        yield Leaks(planted, workspace, stack_home, recording, printed, len(documents))


def _unreadable(path: Path) -> None:
    """Put a file there that cannot be opened."""
    if os.geteuid() == 0:
        path.symlink_to(UNREADABLE_EVEN_FOR_ROOT)
    else:
        path.touch(mode=0)


def test_the_documents_were_read(leaks: Leaks) -> None:
    """Else nothing below means anything."""
    with leaks.workspace.entered() as base:
        (source,) = base.status().sources
        masked = base.frame("masked_chunks", "planted")
        found = {result.source_file.partition("/")[0] for result in base.search("lamps", limit=50)}
    assert (source.documents, source.quarantined) == (leaks.documents, 2)
    assert {"docx", "md", "html", "pdf", "eml"} <= found
    counted: dict[str, int] = {}
    for spans in masked["masked"]:
        for entity, count in spans:
            counted[entity] = counted.get(entity, 0) + count
    assert min(counted[entity] for entity in ("CN_RESIDENT_ID", "PHONE_NUMBER", "BANK_CARD", "EMAIL_ADDRESS")) > 30


def test_the_search_for_leaks_finds_what_is_there(leaks: Leaks) -> None:
    with leaks.workspace.entered() as base:
        unmasked = base.frame("cleaned_elements", "planted")
    found = leaks.planted.found_in("\n".join(unmasked["text"]))
    assert {f"{kind}, body" for kind in ("docx", "md", "html", "pdf", "eml")} <= {
        item.partition(":")[0] for item in found
    }
    assert {f"{kind}, body with blanks" for kind in ("docx", "md", "html", "pdf", "eml")} <= {
        item.partition(":")[0] for item in found
    }


def test_no_table_of_the_database_holds_any(leaks: Leaks) -> None:
    with leaks.workspace.database() as connection:
        connection.execute("ANALYZE")  # statistics hold values, too
        tables = connection.execute(
            "SELECT n.nspname, c.relname FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace"
            " WHERE c.relkind IN ('r', 'm', 'p') ORDER BY 1, 2"
        ).fetchall()
        assert ("kb", "chunk") in tables
        found = {f"{schema}.{table}": _in_table(connection, leaks.planted, schema, table) for schema, table in tables}
    assert {name: places for name, places in found.items() if places} == {}


def _in_table(connection: psycopg.Connection[object], planted: Planted, schema: str, table: str) -> set[str]:
    """What the table's rows hold, but for the object's own name and the statistics of that column."""
    allowed = {
        ("kb", "document"): "to_jsonb(t) - 'key'",
        ("pg_catalog", "pg_statistic"): "CASE WHEN t.starelid = 'kb.document'::regclass AND t.staattnum ="
        " (SELECT attnum FROM pg_attribute WHERE attrelid = 'kb.document'::regclass AND attname = 'key')"
        " THEN '' ELSE t::text END",
    }.get((schema, table), "t")
    query = sql.SQL("SELECT ({})::text FROM {} t").format(sql.SQL(allowed), sql.Identifier(schema, table))
    return planted.found_in("\n".join(str(row[0]) for row in connection.execute(query)))  # type: ignore[index]


def test_the_view_for_people_holds_none(leaks: Leaks) -> None:
    with leaks.workspace.database() as connection:
        rows = connection.execute("SELECT t::text FROM knowledge_chunks t").fetchall()
    assert rows
    assert leaks.planted.found_in("\n".join(row[0] for row in rows)) == set()


def test_the_embedding_server_received_none(leaks: Leaks) -> None:
    received = b"\n".join(leaks.recording.requests)
    assert b"A sentence about lamps" in received
    assert leaks.planted.found_in(received) == set()


def test_masked_artifacts_hold_none(leaks: Leaks) -> None:
    with leaks.workspace.entered() as base:
        masked, vectors = base.frame("masked_chunks", "planted"), base.frame("embeddings", "planted")
    assert len(masked) > leaks.documents
    assert leaks.planted.found_in(masked.to_csv()) == set()
    assert leaks.planted.found_in(vectors.drop(columns="vector").to_csv()) == set()


def test_logs_and_run_records_hold_none(leaks: Leaks) -> None:
    """Dagster's storage and captured output under KB_HOME/dagster, and the logs of both servers."""
    folders = (leaks.workspace.home / "dagster", leaks.workspace.home / "logs", leaks.stack_home / "logs")
    files = [path for folder in folders for path in folder.rglob("*") if path.is_file()]
    assert any(path.name.endswith(".db") for path in files)
    assert any(path.name == "postgres.log" for path in files)
    found = {str(path): leaks.planted.found_in(path.read_bytes()) for path in files}
    assert {path: places for path, places in found.items() if places} == {}


def test_the_command_line_prints_none(leaks: Leaks) -> None:
    assert any("broken.pdf" in text for text in leaks.printed.values())
    found = {name: leaks.planted.found_in(text) for name, text in leaks.printed.items()}
    assert {name: places for name, places in found.items() if places} == {}
