"""A source's listing, streamed into a session table so that it is compared with the ledger as a set.

The listing is spooled to disk while it is digested: when it is the one that was compared last, the database is not
asked anything more, and memory does not grow with it.
"""

from __future__ import annotations

import tempfile
from collections.abc import Iterable
from typing import IO

from kb_pipeline.core.identity import ListingDigest, document_id
from kb_pipeline.core.selection import Selection
from kb_pipeline.store.database import Connection
from kb_pipeline.store.objects.object_store import ObjectInfo

SPOOL_BYTES = 4 * 1024 * 1024
_COPY_BYTES = 256 * 1024
_ESCAPES = str.maketrans({"\\": "\\\\", "\t": "\\t", "\n": "\\n", "\r": "\\r"})


class Listing:
    """A listing of one source system, read once. A context manager: leaving it removes the spool.

    `count` objects, of which the `selection` excludes `excluded`; `digest` changes with either.
    """

    def __init__(self, source_system: str, objects: Iterable[ObjectInfo], selection: Selection | None = None) -> None:
        digest, chosen = ListingDigest(), selection or Selection()
        self.excluded = 0
        self._spool: IO[bytes] = tempfile.SpooledTemporaryFile(SPOOL_BYTES)  # noqa: SIM115 - closed by __exit__
        try:
            for item in objects:
                digest.add(item.key, item.size, item.etag)
                excluded = not chosen.takes(item.key)
                self.excluded += excluded
                self._spool.write(_line(source_system, item, excluded))
        except BaseException:
            self._spool.close()
            raise
        self.count = digest.count
        self.digest = digest.hexdigest() + (f"-{chosen.key}" if chosen.key else "")

    def __enter__(self) -> Listing:
        return self

    def __exit__(self, *_: object) -> None:
        self._spool.close()

    def load(self, connection: Connection) -> None:
        """Put the listing into the session table `observed`, in place of what was there; nothing else is changed."""
        self._spool.seek(0)
        connection.execute(
            "CREATE TEMP TABLE IF NOT EXISTS observed (document_id text PRIMARY KEY, key text NOT NULL, size bigint,"
            " etag text, version_id text, modified_at timestamptz, excluded boolean NOT NULL)"
        )
        with connection.transaction():
            connection.execute("TRUNCATE observed")
            with (
                connection.cursor() as cursor,
                cursor.copy(
                    "COPY observed (document_id, key, size, etag, version_id, modified_at, excluded) FROM STDIN"
                ) as copy,
            ):
                while piece := self._spool.read(_COPY_BYTES):
                    copy.write(piece)
            connection.execute("ANALYZE observed")


def _line(source_system: str, item: ObjectInfo, excluded: bool) -> bytes:
    """One row in PostgreSQL's text format for COPY."""
    cells = (
        document_id(source_system, item.key),
        item.key.translate(_ESCAPES),
        str(item.size),
        _nullable(item.etag),
        _nullable(item.version_id),
        item.modified_at.isoformat(),
        "t" if excluded else "f",
    )
    return ("\t".join(cells) + "\n").encode()


def _nullable(text: str | None) -> str:
    return "\\N" if text is None else text.translate(_ESCAPES)
