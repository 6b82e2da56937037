"""The only place that hashes: ids, fingerprints, content hashes.

All hashes are SHA-256 in lower-case hex. Ids are cut to 32 digits (128 bits: no collision is to be expected
below 2**60 rows); content hashes are kept whole. Parts are joined with a NUL byte, which can occur in none of them.
"""

from __future__ import annotations

import hashlib
import hmac
import json
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

ID_DIGITS = 32


def sha256_hex(data: bytes) -> str:
    """SHA-256 of `data`, 64 hex digits."""
    return hashlib.sha256(data).hexdigest()


def hash_stream(pieces: Iterable[bytes]) -> tuple[str, int]:
    """SHA-256 and total length in bytes of a stream, holding one piece at a time."""
    digest, size = hashlib.sha256(), 0
    for piece in pieces:
        digest.update(piece)
        size += len(piece)
    return digest.hexdigest(), size


def hash_file(path: Path) -> str:
    """SHA-256 of a file, read in pieces. Raises OSError."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


_ENCODER = json.JSONEncoder(sort_keys=True, ensure_ascii=False, separators=(",", ":"), default=str)


def canonical_json(value: Any) -> bytes:
    """One byte string for one value: keys sorted, no white space, UTF-8."""
    return _ENCODER.encode(value).encode()


def _digest(*parts: str) -> str:
    return sha256_hex("\0".join(parts).encode("utf-8", "surrogatepass"))


def document_id(source_system: str, key: str) -> str:
    """A document is one key in one source system; its id survives every edit."""
    return _digest("document", source_system, key)[:ID_DIGITS]


def stage_key(stage: str, version: int, settings: Mapping[str, Any]) -> str:
    """What a stage's work depends on besides its input: name, version and every setting that shapes its output."""
    return _digest("stage", stage, str(version), canonical_json(settings).decode())[:ID_DIGITS]


def fingerprint(key_of_stage: str, input_hash: str) -> str:
    """Names an artifact: this input through this stage. Chained on the content of the input, not on its name."""
    return _digest("fingerprint", key_of_stage, input_hash)


def content_hash_of_columns(columns: Mapping[str, Sequence[Any]]) -> str:
    """Hash of an artifact's logical content, a list of values a column: independent of how Arrow lays it out or
    compresses it."""
    return sha256_hex(canonical_json(columns))


def text_hash(text: str) -> str:
    """Names a text as sent to the model; equal texts share one vector a model."""
    return _digest("text", text)[:ID_DIGITS]


class ListingDigest:
    """An order-free digest of a listing: equal for equal sets of (key, size, ETag), in whatever order they come.

    The sum, modulo 2**128, of a hash of each object. Two listings that differ in any key, size or ETag differ in it.
    """

    def __init__(self) -> None:
        self.count = 0
        self._sum = 0

    def add(self, key: str, size: int, etag: str | None) -> None:
        """Count one object in."""
        part = hashlib.blake2b(f"{key}\0{size}\0{etag or ''}".encode("utf-8", "surrogatepass"), digest_size=16)
        self._sum += int.from_bytes(part.digest(), "big")
        self.count += 1

    def hexdigest(self) -> str:
        """Number of objects and sum: `<count>-<32 hex digits>`."""
        return f"{self.count}-{self._sum % 2**128:032x}"


def chunk_id(of_document: str, of_text: str, occurrence: int) -> str:
    """`occurrence` counts equal texts in one document from 0, so an insertion above changes no other id."""
    return _digest("chunk", of_document, of_text, str(occurrence))[:ID_DIGITS]


def model_key(model: str, revision: str) -> str:
    """Vectors with equal keys live in one space and may be reused for one another."""
    return f"{model}@{revision}" if revision else model


PSEUDONYM_BYTES = 5


def pseudonym(secret: bytes, entity: str, value: str) -> str:
    """A token for `value` that only who holds `secret` can make: HMAC-SHA-256, cut to 40 bits, in hex.

    40 bits: among 100,000 values of one entity two share a token with a probability of half a percent.
    """
    mac = hmac.new(secret, f"{entity}\0{value}".encode("utf-8", "surrogatepass"), hashlib.sha256)
    return mac.digest()[:PSEUDONYM_BYTES].hex()
