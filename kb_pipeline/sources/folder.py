"""A folder compared with a source system's raw prefix, file by file: what mirroring it would do. Changes nothing."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

from kb_pipeline.core.errors import NotFound
from kb_pipeline.core.identity import hash_file
from kb_pipeline.core.selection import Selection
from kb_pipeline.store.objects.object_store import ObjectStore

Action = Literal["upload", "replace", "unchanged", "remove", "left out", "forgotten", "skip", "unreadable"]


@dataclass(frozen=True, slots=True)
class Step:
    """What mirroring does about one key. `held`: patterns exclude its name, and the knowledge base has it, so it is
    treated as any other. `size` in bytes of a file that goes up; `path` is None for what the folder lacks."""

    action: Action
    key: str
    path: Path | None = None
    held: bool = False
    size: int = 0


def _nothing(key: str) -> bool:
    """No document was forgotten."""
    return False


@dataclass(frozen=True, slots=True, kw_only=True)
class Rules:
    """What decides beside the folder itself. `known`: key -> (ETag, content hash) of the ledger's live documents;
    `forgotten` says of a key whether its document was forgotten. With `drop_excluded` what `selection` leaves out goes,
    although it is held."""

    known: Mapping[str, tuple[str | None, str | None]]
    selection: Selection = field(default_factory=Selection)
    forgotten: Callable[[str], bool] = _nothing
    drop_excluded: bool = False


def compare(store: ObjectStore, folder: Path, prefix: str, rules: Rules) -> Iterator[Step]:
    """A step a file of `folder` (recursively; links to folders are not followed), then one an object that the folder
    lacks.

    A file is unchanged when the object is the one the ledger knows and the file's bytes have the ledger's hash: names,
    sizes and times alone are not trusted. Raises NotFound when there is no such folder.
    """
    if not folder.is_dir():
        raise NotFound(f"There is no folder {folder}.", "Name an existing folder.")
    present = {item.key: item.etag for item in store.list(prefix)}
    for path in _files(folder):
        key = path.relative_to(folder).as_posix()
        if not _can_be_key(key):
            yield Step("skip", key, path)
            continue
        step = _step(path, key, present.get(key), rules)
        if step.action != "remove":
            present.pop(key, None)
            yield step
    for key in sorted(present):
        yield Step("remove", key, held=key in rules.known and not rules.selection.takes(key))


def _step(path: Path, key: str, etag: str | None, rules: Rules) -> Step:
    known, held = rules.known.get(key), False
    if rules.forgotten(key):
        return Step("forgotten", key, path)
    if not rules.selection.takes(key):
        if known is None:
            return Step("left out", key, path)
        if rules.drop_excluded:
            return Step("remove", key, path)
        held = True
    try:
        if etag and known and known[0] == etag and known[1] == hash_file(path):
            return Step("unchanged", key, path, held)
        with path.open("rb"):
            return Step("replace" if etag else "upload", key, path, held, path.stat().st_size)
    except OSError:
        return Step("unreadable", key, path, held)


def _files(folder: Path) -> Iterator[Path]:
    for root, folders, names in os.walk(folder):
        folders.sort()
        for name in sorted(names):
            path = Path(root) / name
            if path.is_file():
                yield path


def _can_be_key(key: str) -> bool:
    try:
        key.encode("utf-8")
    except UnicodeEncodeError:
        return False
    return all(character.isprintable() or character == "\u3000" for character in key)
