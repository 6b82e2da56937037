"""The object store by URL: file:// or s3://, one small API, errors in our own words, every request counted."""

from __future__ import annotations

import os
import re
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any
from urllib.parse import unquote, urlsplit

from kb_pipeline.errors import DiskFull, ObjectChanged, ObjectStoreUnavailable

STREAM_BYTES = 4 * 1024 * 1024


@dataclass(frozen=True, slots=True)
class ObjectStoreConfig:
    """Enough to open the store in another process. Credentials are not in it: they stay in the environment."""

    url: str
    endpoint: str | None = None
    region: str | None = None


@dataclass(frozen=True, slots=True)
class ObjectInfo:
    """One object of a listing. `key` is relative to the prefix that was listed; `size` in bytes."""

    key: str
    size: int
    etag: str | None
    modified_at: datetime
    version_id: str | None = None


@dataclass(slots=True)
class Counter:
    """Requests for object bodies. Listings are not counted: they read no body."""

    reads: int = 0
    writes: int = 0
    deletes: int = 0


@dataclass(slots=True)
class ObjectStore:
    """Objects by path below the URL's prefix. Raises ObjectStoreUnavailable, DiskFull, or ObjectChanged when gone."""

    config: ObjectStoreConfig
    counter: Counter = field(default_factory=Counter)
    _store: Any = None

    def list(self, prefix: str) -> Iterator[ObjectInfo]:
        """Stream what lies below `prefix`, in the store's order, holding one page at a time."""
        import obstore

        start = len(prefix.rstrip("/")) + 1
        with self._errors("list"):
            for page in obstore.list(self._open(), prefix=prefix):
                for meta in page:
                    yield ObjectInfo(
                        meta["path"][start:], meta["size"], meta["e_tag"], meta["last_modified"], meta["version"]
                    )

    def folders(self, prefix: str) -> Sequence[str]:
        """Names of the folders right below `prefix`, without what is in them."""
        import obstore

        start = len(prefix.rstrip("/")) + 1
        with self._errors("list"):
            found = obstore.list_with_delimiter(self._open(), prefix=prefix)
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
            obstore.put(self._open(), path, data)

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
        """List, write, read and delete a probe object. Raises what the first step that fails raises."""
        probe = f"artifacts/.probe-{os.getpid()}"
        next(self.list("raw"), None)
        self.put(probe, b"probe")
        self.get(probe)
        self.delete(probe)

    def _open(self) -> Any:
        if self._store is None:
            self._store = _connect(self.config)
        return self._store

    @contextmanager
    def _errors(self, verb: str) -> Iterator[None]:
        import obstore.exceptions as ex

        try:
            yield
        except FileNotFoundError as error:
            if "NoSuchBucket" in str(error) or verb != "read":
                raise self._missing_place() from None
            raise ObjectChanged("An object is gone that the ledger or a listing names.", "Sync again.") from None
        except (ex.BaseError, OSError) as error:
            raise self._explain(verb, error) from None

    def _missing_place(self) -> ObjectStoreUnavailable:
        return ObjectStoreUnavailable(
            f"The bucket or folder of {self.config.url} does not exist.",
            "Create it, or correct object_store.url (KB_OBJECT_STORE_URL).",
        )

    def _explain(self, verb: str, error: Exception) -> Exception:
        text = str(error)
        if "No space left" in text or "StorageFull" in text:
            return DiskFull(
                f"No space left on the disk that holds {self.config.url}.",
                "Free some space or point KB_HOME (or object_store.url) at a larger disk, then sync again.",
            )
        if "NoSuchBucket" in text:
            return self._missing_place()
        kind = type(error).__name__
        if "/latest/api/token" in text or "/latest/meta-data" in text:
            return ObjectStoreUnavailable(
                f"There are no credentials for {self.config.url}: none in the environment, and no cloud gives any.",
                "Set AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY.",
            )
        # A refused listing comes as a GenericError.
        refused = kind in ("PermissionDeniedError", "UnauthenticatedError", "PermissionError")
        if refused or re.search(r"AccessDenied|status code: 40[13]", text):
            return ObjectStoreUnavailable(
                f"The object store {self.config.url} refuses to {verb} ({kind}).",
                "Check AWS_ACCESS_KEY_ID, AWS_SECRET_ACCESS_KEY and the rights on object_store.url.",
            )
        if kind == "InvalidPathError":
            return ObjectStoreUnavailable(
                f"A file name below {self.config.url} holds a line break or another control character.",
                "Rename that file, then sync again.",
            )
        return ObjectStoreUnavailable(
            f"The object store {self.config.url} does not answer a request to {verb} ({kind}).",
            "Check object_store.url and object_store.endpoint (AWS_ENDPOINT_URL) and that the server runs.",
        )


def _connect(config: ObjectStoreConfig) -> Any:
    from obstore.store import LocalStore, S3Store

    parts = urlsplit(config.url)
    if parts.scheme == "file":
        folder = Path(unquote(parts.path))
        folder.mkdir(parents=True, exist_ok=True, mode=0o700)
        return LocalStore(prefix=folder)
    options: dict[str, Any] = {"prefix": parts.path.strip("/") or None, "virtual_hosted_style_request": False}
    if config.region:
        options["region"] = config.region
    client: dict[str, Any] = {"timeout": "60s", "connect_timeout": "5s"}
    if config.endpoint:
        options["endpoint"] = config.endpoint
        client["allow_http"] = config.endpoint.startswith("http://")
    return S3Store(
        parts.netloc,
        client_options=client,
        retry_config={"max_retries": 3, "retry_timeout": timedelta(seconds=30)},
        **options,
    )


_OPEN: dict[ObjectStoreConfig, ObjectStore] = {}


def open_store(config: ObjectStoreConfig) -> ObjectStore:
    """The process's own store for this configuration: connections are kept from one task to the next."""
    if config not in _OPEN:
        _OPEN[config] = ObjectStore(config)
    return _OPEN[config]
