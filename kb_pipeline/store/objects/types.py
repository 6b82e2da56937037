"""What the object store is opened with, and what a listing says of an object."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

CLEAR = "artifacts/clear/"


@dataclass(frozen=True, slots=True)
class Encryption:
    """What an S3 store is asked to encrypt objects with: AES256, or aws:kms with a key (None: the account's own)."""

    algorithm: str
    kms_key_id: str | None = None


@dataclass(frozen=True, slots=True)
class ObjectStoreConfig:
    """Enough to open the store in another process. Credentials are not in it: they stay in the environment.
    `clear_encryption` goes with what is written below CLEAR."""

    url: str
    endpoint: str | None = None
    region: str | None = None
    clear_encryption: Encryption | None = None

    @property
    def is_folder(self) -> bool:
        """Whether it is a folder of this machine, not a bucket."""
        return self.url.startswith("file:")


@dataclass(frozen=True, slots=True)
class ObjectInfo:
    """One object of a listing. `key` is relative to the prefix that was listed; `size` in bytes."""

    key: str
    size: int
    etag: str | None
    modified_at: datetime
    version_id: str | None = None
