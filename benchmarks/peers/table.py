"""The peers' driver writes results.jsonl; this makes the Markdown tables of docs/benchmarks.md from several of them.

    python benchmarks/peers/table.py NAME=results.jsonl NAME=results.jsonl ...

Of measurements made twice the later one counts. A cell without a measurement holds a dash.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

Record = Mapping[str, Any]
Cell = Callable[[Sequence[Record]], str]


def read(path: Path) -> list[Record]:
    """The last record of every measurement, in the order of the first."""
    found: dict[tuple[object, ...], Record] = {}
    for line in path.read_text(encoding="utf-8").splitlines():
        record = json.loads(line)
        found[(record["scn"], record["what"], "failed_doc_new_text" in record)] = record
    return list(found.values())


def _of(records: Iterable[Record], scenario: str, start: str = "", needs: str = "rc") -> list[Record]:
    return [r for r in records if r["scn"] == scenario and r["what"].startswith(start) and needs in r]


def _sum(*names: str) -> Cell:
    return lambda records: " / ".join(f"{sum(r[name] for r in records):,}" for name in names)


def _worst(*names: str) -> Cell:
    return lambda records: " / ".join(f"{max(r[name] for r in records):,}" for name in names)


def _all(name: str) -> Cell:
    return lambda records: "yes" if all(r[name] for r in records) else "no"


def _exact(records: Sequence[Record]) -> str:
    exact = sum(r["rc"] == 0 and not (r["missing"] or r["extra"] or r["dup"]) for r in records)
    return f"{exact} of {len(records)}"


_WRONG = _sum("missing", "extra", "dup")
_REPLAY, _RENAME, _EDIT = ("c", "replay"), ("d", "one file renamed"), ("d", "one file edited")
_KILL, _LOAD_KILL = ("e", "kill -9"), ("e", "kill -9 in initial load")
_BAD_LOAD, _BAD_EDIT, _RERUN = (
    ("f", "provider error on 1 document"),
    ("f", "provider error on 1 of 2"),
    ("f", "  rerun"),
)
CORRECTNESS: tuple[tuple[str, tuple[str, ...], Cell], ...] = (
    ("replay, worst snapshot: rows missing / extra / twice", _REPLAY, _worst("missing", "extra", "dup")),
    ("replay, worst snapshot: rows of deleted files left", _REPLAY, _worst("rows_of_deleted_files")),
    (
        "replay: texts of renamed files embedded again / chunks",
        _REPLAY,
        _sum("renamed_embedded_known", "renamed_chunks"),
    ),
    ("replay: texts embedded that had a vector before", _REPLAY, _sum("embedded_known_before")),
    ("one rename: texts embedded / chunks", _RENAME, _sum("texts", "chunks_of_file")),
    ("one rename: old rows left", _RENAME, _sum("old_rows_left")),
    ("one edit: texts embedded / chunks changed", _EDIT, _sum("texts", "changed_chunks")),
    ("kill -9 and rerun: exact at the end", _KILL, _exact),
    ("kill -9 and rerun: rows missing / extra / twice", _KILL, _WRONG),
    (
        "kill -9 in the load: texts embedded before / by the rerun / rows",
        _LOAD_KILL,
        _sum("texts_before", "texts_rerun", "want"),
    ),
    ("provider error on 1 document of a load: documents without rows", _BAD_LOAD, _sum("n_docs_without_rows")),
    ("the same after a healthy rerun", (*_RERUN, "n_docs_without_rows"), _sum("n_docs_without_rows")),
    (
        "provider error on 1 of 2 edits: its old rows kept / of",
        _BAD_EDIT,
        _sum("old_rows_still_there", "old_rows_of_failed_doc"),
    ),
    ("the other edit applied", _BAD_EDIT, _all("healthy_edit_applied")),
    ("other documents lost", _BAD_EDIT, _sum("other_docs_lost")),
    ("the failed edit applied by a healthy rerun", (*_RERUN, "failed_doc_new_text"), _all("failed_doc_new_text")),
)
COSTS = (
    ("load 303 files", "a", "initial load snapshot 8"),
    ("303 files, nothing changed", "b", "nothing changed, 303 files (run 2)"),
    ("load 5,000 files", "d", "initial load"),
    ("5,000 files, nothing changed", "b", "nothing changed, 5000 files (run 2)"),
    ("one edit among 5,000", *_EDIT),
    ("one rename among 5,000", *_RENAME),
)
COST_COLUMNS = (
    "texts embedded",
    "CPU s",
    "without imports",
    "PostgreSQL CPU s",
    "wall s",
    "without imports",
    "memory MB",
)


def costs(record: Record) -> list[str]:
    """The cost columns of one run. Imports are CPU-bound, so their wall seconds are taken off both figures."""
    imports = record["wall_s"] - record["sync_s"] if record.get("sync_s") is not None else 0.0
    seconds = (
        record["cpu_s"],
        max(0.0, record["cpu_s"] - imports),
        record["pg_cpu_s"],
        record["wall_s"],
        record["wall_s"] - imports,
    )
    return [f"{record['texts']:,}", *(f"{s:.1f}" for s in seconds), f"{record['rss_mb']:,}"]


def _row(cells: Iterable[str]) -> str:
    return f"| {' | '.join(cells)} |"


def correctness_table(peers: Mapping[str, Sequence[Record]]) -> list[str]:
    """A row a question, a column a peer."""
    lines = [_row(("", *peers)), _row(["---"] * (1 + len(peers)))]
    for question, where, cell in CORRECTNESS:
        found = [_of(records, *where) for records in peers.values()]
        lines.append(_row((question, *(cell(records) if records else "-" for records in found))))
    return lines


def cost_table(peers: Mapping[str, Sequence[Record]]) -> list[str]:
    """A row a scenario and peer; the replay's figures are sums over its runs."""
    lines = [_row(("", "", *COST_COLUMNS)), _row(["---"] * (2 + len(COST_COLUMNS)))]
    for label, scenario, start in COSTS:
        for name, records in peers.items():
            lines += [_row((label, name, *costs(record))) for record in _of(records, scenario, start)[-1:]]
    for name, records in peers.items():
        if runs := _of(records, *_REPLAY):
            total = {key: sum(r[key] for r in runs) for key in ("cpu_s", "pg_cpu_s", "wall_s", "sync_s")}
            texts = sum(r["embedded"] for r in runs)
            lines.append(
                _row((f"replay, {len(runs)} runs", name, *costs({**total, "texts": texts, "rss_mb": 0})[:-1], "-"))
            )
    return lines


def main() -> None:
    """Print both tables."""
    peers = {}
    for argument in sys.argv[1:]:
        name, _, path = argument.partition("=")
        peers[name] = read(Path(path))
    print("\n".join([*correctness_table(peers), "", *cost_table(peers)]))


if __name__ == "__main__":
    main()
