"""Make a source system's raw prefix mirror a folder: new and changed files up, missing ones out."""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path

from kb_pipeline.core.errors import NotFound, ObjectUnavailable
from kb_pipeline.core.faults import fault_point
from kb_pipeline.core.identity import hash_file
from kb_pipeline.store.objects.object_store import ObjectStore


@dataclass(slots=True)
class MirrorReport:
    """What mirroring did, in files. `failed` names those that could not be read, or not stored alone.

    `skipped` ones cannot be object keys: their names hold control characters or bytes that are no text.
    """

    uploaded: int = 0
    unchanged: int = 0
    deleted: int = 0
    skipped: int = 0
    bytes_uploaded: int = 0
    failed: list[str] = field(default_factory=list)


def mirror(
    store: ObjectStore, folder: Path, prefix: str, known: Mapping[str, tuple[str | None, str | None]]
) -> MirrorReport:
    """Mirror `folder` (recursively; links to folders are not followed) below `prefix`.

    A file is left alone when the object is the one the ledger `known`s (key -> ETag, content hash) and the file's bytes
    have that hash: names, sizes and times alone are not trusted. Raises NotFound when there is no such folder.
    """
    if not folder.is_dir():
        raise NotFound(f"There is no folder {folder}.", "Name an existing folder.")
    report = MirrorReport()
    present = {item.key: item.etag for item in store.list(prefix)}
    seen: set[str] = set()
    for path in _files(folder):
        key = path.relative_to(folder).as_posix()
        if not _can_be_key(key):
            report.skipped += 1
            continue
        seen.add(key)
        _mirror_file(store, path, key, prefix, present.get(key), known.get(key), report)
    for key in sorted(present.keys() - seen):
        try:
            store.delete(f"{prefix}/{key}")
            fault_point("mirror.deleted")
            report.deleted += 1
        except ObjectUnavailable:
            report.failed.append(key)
    return report


def _mirror_file(
    store: ObjectStore,
    path: Path,
    key: str,
    prefix: str,
    etag: str | None,
    known: tuple[str | None, str | None] | None,
    report: MirrorReport,
) -> None:
    try:
        if etag and known and known[0] == etag and known[1] == hash_file(path):
            report.unchanged += 1
            return
        size = path.stat().st_size
        readable = path.open("rb")
    except OSError:
        report.failed.append(key)
        return
    readable.close()
    try:
        store.put(f"{prefix}/{key}", path)
    except ObjectUnavailable:
        report.failed.append(key)
        return
    fault_point("mirror.stored")
    report.uploaded += 1
    report.bytes_uploaded += size


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
