"""Everywhere that text can be, a piece at a time, with the policy that it must keep to."""

from __future__ import annotations

import os
import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

from kb_pipeline.local.dagster_home import POSTGRES_URL, prepare_dagster_home, run_records
from kb_pipeline.pipeline.opening import object_store
from kb_pipeline.settings import MaskingPolicy, Settings
from kb_pipeline.store.database import Connection, connect
from kb_pipeline.store.views.texts import BY_DESIGN, every_text, masked_texts, published_texts

LEFT_OUT = (*BY_DESIGN, "logs: IP_ADDRESS")
_WINDOW, _OVERLAP = 1 << 20, 4096
_ESCAPED = re.compile(r"\\u([0-9a-f]{4})")
# What programs write of themselves: where they listen, and times with fractions.
_OF_PROGRAMS = re.compile(r"\b127\.0\.0\.1\b|(?<=: )-?\d+\.\d+(?=[,}\s])")


@dataclass(frozen=True, slots=True)
class Seen:
    """A text that stands at `place`, and what of it only a canary could be told in (`ours`: hashes, ids, raw bytes).
    Nothing that `policy` replaces may be detectable in the text."""

    place: str
    text: str
    policy: MaskingPolicy
    ours: str = ""


def everywhere(
    settings: Settings, connection: Connection, policy_of: Callable[[str], MaskingPolicy], common: MaskingPolicy
) -> Iterator[Seen]:
    """Every text there is. `policy_of` a source system is that of its own texts; `common` keeps what any source keeps,
    for where it is not said whose a text is."""
    for row in every_text(connection):
        text = row.text if row.table.startswith("kb.") else _of_people(row.text)
        yield Seen(row.table, text, common, row.ours)
    for source, text in published_texts(connection):
        yield Seen(f"passages of {source}", text, policy_of(source))
    for source, text in masked_texts(connection, object_store(settings)):
        yield Seen(f"masked artifacts of {source}", text, policy_of(source))
    yield from _run_records(settings, common)
    logged = MaskingPolicy({**common.actions, "IP_ADDRESS": "keep"}, common.key)
    for _, piece in _files(settings.home / "logs"):
        yield Seen("logs", _of_people(piece), logged, piece)


def _run_records(settings: Settings, policy: MaskingPolicy) -> Iterator[Seen]:
    """Dagster's storage: the rows of its databases, and all its files as they are (captured output; what a database
    deleted and did not overwrite)."""
    if url := os.environ.get(POSTGRES_URL):
        with connect(url) as connection:
            for row in every_text(connection):
                yield Seen("run records", _of_people(row.text), policy, row.text)
    for path, piece in _files(prepare_dagster_home(settings)):
        if path.suffix.startswith(".db"):
            yield Seen("Dagster's storage", "", policy, piece)
        else:
            yield Seen("Dagster's storage", _of_people(piece), policy, piece)
    for path in sorted(prepare_dagster_home(settings).rglob("*.db")):
        for text in run_records(path):
            yield Seen("run records", _of_people(text), policy, text)


def _of_people(text: str) -> str:
    """What programs wrote, as people wrote it: without escapes, and without what programs say of themselves."""
    return _OF_PROGRAMS.sub(" ", _ESCAPED.sub(lambda found: chr(int(found[1], 16)), text))


def _files(folder: Path) -> Iterator[tuple[Path, str]]:
    """Files below a folder as text, in pieces that overlap."""
    for path in sorted(folder.rglob("*")) if folder.is_dir() else ():
        if not path.is_file() or path.is_symlink():
            continue
        with path.open("rb") as file:
            before = b""
            while piece := file.read(_WINDOW):
                yield path, (before + piece).decode("utf-8", "replace")
                before = piece[-_OVERLAP:]
