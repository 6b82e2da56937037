"""The object store by URL: file:// or s3://, one small API, errors in our own words, every request counted."""

from __future__ import annotations

import os
import threading
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import timedelta
from pathlib import Path
from typing import Any
from urllib.parse import unquote, urlsplit

from kb_pipeline.core.errors import ObjectChanged
from kb_pipeline.store.objects import s3_listing
from kb_pipeline.store.objects.errors import explain, missing_place, of_one_object, unusable_key
from kb_pipeline.store.objects.types import CLEAR, Encryption, ObjectInfo, ObjectStoreConfig

__all__ = ["STREAM_BYTES", "Counter", "Encryption", "ObjectInfo", "ObjectStore", "ObjectStoreConfig", "open_store"]

STREAM_BYTES = 4 * 1024 * 1024
STALL_SECONDS = 30
SLOW_SECONDS = 5.0
SLOW_FAILURES = 5


@dataclass(slots=True)
class Counter:
    """Requests for object bodies. Listings are not counted: they read no body."""

    reads: int = 0
    writes: int = 0
    deletes: int = 0


@dataclass(slots=True)
class ObjectStore:
    """Objects by path below the URL's prefix. Raises ObjectStoreUnavailable and DiskFull, which concern the store, and
    for one object ObjectChanged when it is gone, ObjectUnavailable when the store answers for others, UnusableKey when
    nobody can ask for it."""

    config: ObjectStoreConfig
    counter: Counter = field(default_factory=Counter)
    _store: Any = None
    _clear_store: Any = None
    _slow_failures: int = 0

    def list(self, prefix: str) -> Iterator[ObjectInfo]:
        """Stream what lies below `prefix`, in the store's order, holding one page at a time."""
        import obstore
        from obstore.exceptions import InvalidPathError

        start, key = len(prefix.rstrip("/")) + 1, ""
        with self._errors("list"):
            try:
                for page in obstore.list(self._open(), prefix=prefix):
                    for meta in page:
                        key = meta["path"][start:]
                        yield ObjectInfo(key, meta["size"], meta["e_tag"], meta["last_modified"], meta["version"])
            except InvalidPathError:  # one key is enough
                if self.config.is_folder:
                    raise
                yield from s3_listing.objects_after(self.config, prefix, key)

    def folders(self, prefix: str) -> Sequence[str]:
        """Names of the folders right below `prefix`, without what is in them."""
        import obstore
        from obstore.exceptions import InvalidPathError

        start = len(prefix.rstrip("/")) + 1
        with self._errors("list"):
            try:
                found = obstore.list_with_delimiter(self._open(), prefix=prefix)
            except InvalidPathError:
                if self.config.is_folder:
                    raise
                return s3_listing.folders(self.config, prefix)
        return [path.rstrip("/")[start:] for path in found["common_prefixes"]]

    def head(self, prefix: str, key: str) -> ObjectInfo | None:
        """One object by name, without its body; None when there is none."""
        import obstore

        with self._errors("look up"):
            try:
                meta = obstore.head(self._open(), f"{prefix}/{key}")
            except FileNotFoundError as error:
                if "NoSuchBucket" in str(error):
                    raise
                return None
        return ObjectInfo(key, meta["size"], meta["e_tag"], meta["last_modified"], meta["version"])

    def get(self, path: str) -> bytes:
        """The whole body. For objects whose size the caller has bounded."""
        import obstore

        with self._errors("read"):
            self.counter.reads += 1
            return bytes(obstore.get(self._open(), path).bytes())

    def stream(self, path: str) -> Iterator[bytes]:
        """The body in pieces of about 4 MiB."""
        import obstore

        with self._errors("read"):
            self.counter.reads += 1
            for piece in obstore.get(self._open(), path).stream(min_chunk_size=STREAM_BYTES):
                yield bytes(piece)

    def put(self, path: str, data: bytes | Path) -> None:
        """Write an object whole: readers see all of it or none. A Path is streamed from disk."""
        import obstore

        with self._errors("write"):
            self.counter.writes += 1
            obstore.put(self._open_clear() if path.startswith(CLEAR) else self._open(), path, data)

    def delete(self, path: str) -> None:
        """Delete one object; one that is gone already is no error."""
        import obstore

        with self._errors("delete"):
            self.counter.deletes += 1
            try:
                obstore.delete(self._open(), path)
            except FileNotFoundError:
                return

    def check(self) -> None:
        """List, write, read and delete a probe object, and one as clear text is written. Raises what the first step
        that fails raises."""
        name = f".probe-{os.getpid()}"
        next(self.list("raw"), None)
        for probe in (f"artifacts/{name}", *((CLEAR + name,) if self.config.clear_encryption else ())):
            self.put(probe, b"probe")
            self.get(probe)
            self.delete(probe)

    def _open(self) -> Any:
        if self._store is None:
            self._store = _connect(self.config)
        return self._store

    def _open_clear(self) -> Any:
        """What writes below CLEAR: obstore knows encryption as a property of a whole store."""
        if self.config.clear_encryption is None:
            return self._open()
        if self._clear_store is None:
            self._clear_store = _connect(self.config, self.config.clear_encryption)
        return self._clear_store

    @contextmanager
    def _errors(self, verb: str) -> Iterator[None]:
        import obstore.exceptions as ex

        began = time.monotonic()
        try:
            yield
            self._slow_failures = 0
        except FileNotFoundError as error:
            if "NoSuchBucket" in str(error) or verb != "read":
                raise missing_place(self.config.url) from None
            raise ObjectChanged("An object is gone that the ledger or a listing names.", "Sync again.") from None
        except ValueError as error:
            if "Could not parse path" not in str(error):
                raise
            raise unusable_key() from None
        except (ex.BaseError, OSError) as error:
            explained = explain(self.config.url, verb, error)
            if explained.perhaps_the_object and self._is_well(time.monotonic() - began > SLOW_SECONDS):
                raise of_one_object(verb, error) from None
            raise explained.error from None

    def _is_well(self, failed_slowly: bool) -> bool:
        """Whether the store writes, reads and deletes another object. One that keeps us waiting again and again, and
        answers nothing in between, is taken as down: each time costs a time limit."""
        import obstore
        import obstore.exceptions as ex

        self._slow_failures += failed_slowly
        if self._slow_failures >= SLOW_FAILURES:
            return False
        probe = f"artifacts/.probe-{os.getpid()}-{threading.get_ident()}"
        try:
            obstore.put(self._open(), probe, b"probe")
            obstore.get(self._open(), probe).bytes()
            obstore.delete(self._open(), probe)
        except (ex.BaseError, OSError):
            return False
        return True


def _connect(config: ObjectStoreConfig, encryption: Encryption | None = None) -> Any:
    from obstore.store import LocalStore, S3Store

    parts = urlsplit(config.url)
    if config.is_folder:
        folder = Path(unquote(parts.path))
        folder.mkdir(parents=True, exist_ok=True, mode=0o700)
        return LocalStore(prefix=folder)
    options: dict[str, Any] = {"prefix": parts.path.strip("/") or None, "virtual_hosted_style_request": False}
    if encryption:
        options["server_side_encryption"] = encryption.algorithm
    if encryption and encryption.kms_key_id:
        options["sse_kms_key_id"] = encryption.kms_key_id
    if config.region:
        options["region"] = config.region
    # A read that stalls is given up well before limits.seconds, so that the store is blamed and not the document.
    client: dict[str, Any] = {"timeout": "300s", "connect_timeout": "5s", "read_timeout": f"{STALL_SECONDS}s"}
    if config.endpoint:
        options["endpoint"] = config.endpoint
        client["allow_http"] = config.endpoint.startswith("http://")
    return S3Store(
        parts.netloc,
        client_options=client,
        retry_config={"max_retries": 3, "retry_timeout": timedelta(seconds=STALL_SECONDS)},
        **options,
    )


_OPEN: dict[ObjectStoreConfig, ObjectStore] = {}


def open_store(config: ObjectStoreConfig) -> ObjectStore:
    """The process's own store for this configuration: connections are kept from one task to the next."""
    if config not in _OPEN:
        _OPEN[config] = ObjectStore(config)
    return _OPEN[config]
