"""The rows that a document's bytes must become, from the stages' own functions and without any table."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable

from kb_pipeline.core.contracts import MaskedChunk
from kb_pipeline.core.errors import KbError
from kb_pipeline.core.identity import document_id, sha256_hex
from kb_pipeline.core.media_type import HEAD_BYTES, detect
from kb_pipeline.pipeline.catalogue import WorkerJob
from kb_pipeline.settings import Settings
from kb_pipeline.store.objects.object_store import ObjectStoreConfig
from kb_pipeline.store.published.publish import chunk_rows

NOTHING = ""  # the digest of no rows


def digest(rows: Iterable[tuple[str, int, str]]) -> str:
    """One digest for (chunk id, ordinal, md5 of the text) rows, as reader.py has the database compute it."""
    told = ",".join(f"{chunk}:{ordinal}:{content}" for chunk, ordinal, content in sorted(rows))
    return hashlib.md5(told.encode()).hexdigest() if told else NOTHING


class Expected:
    """Digests of what a reader must see; equal bytes of one media type are parsed once."""

    def __init__(self, settings: Settings, source: str) -> None:
        policy = settings.masking_for(source)
        self._job = WorkerJob("parse", ObjectStoreConfig("file:///nowhere"), settings.chunking, policy)
        self._source = source
        self._chunks: dict[tuple[str, str], list[MaskedChunk] | None] = {}

    def rows(self, key: str, data: bytes) -> str | None:
        """The digest of the rows of `data` under `key`; None when no stage takes these bytes."""
        media_type = detect(data[:HEAD_BYTES], key)
        name = (sha256_hex(data), media_type)
        if name not in self._chunks:
            self._chunks[name] = self._masked(data, media_type)
        chunks = self._chunks[name]
        if chunks is None:
            return None
        rows = chunk_rows(document_id(self._source, key), chunks)
        return digest((of, r["ordinal"], hashlib.md5(r["content"].encode()).hexdigest()) for of, r in rows.items())

    def _masked(self, data: bytes, media_type: str) -> list[MaskedChunk] | None:
        try:
            return self._job.mask(self._job.chunk(self._job.parse(data, media_type)))
        except KbError:
            return None
