"""Which source systems the object store holds, by the folders below raw/."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass

from kb_pipeline.core.errors import ObjectStoreUnavailable
from kb_pipeline.settings import SOURCE_NAME
from kb_pipeline.store.objects.object_store import ObjectStore


@dataclass(frozen=True, slots=True)
class NewPrefixes:
    """Folders below raw/ that no source system is known for: names with an object below them, and how many folders
    have names that no source system can have (not said: names of folders may hold anything)."""

    names: tuple[str, ...] = ()
    unusable: int = 0


def new_prefixes(store: ObjectStore, root: str, known: Collection[str]) -> NewPrefixes:
    """Folders below `root` (raw) beside the `known` ones: one listing with a delimiter, whatever the number of objects,
    and a look into each new folder. Raises ObjectStoreUnavailable."""
    unknown = [name for name in store.folders(root) if name not in known]
    usable = [name for name in unknown if SOURCE_NAME.fullmatch(name)]
    filled = [name for name in usable if _filled(store, f"{root}/{name}")]
    return NewPrefixes(tuple(sorted(filled)), len(unknown) - len(usable))


def _filled(store: ObjectStore, folder: str) -> bool:
    try:
        return next(store.list(folder), None) is not None
    except ObjectStoreUnavailable:  # this folder alone: listing it as a source system then says why
        return True
