"""Records that pass between stages, their Arrow schemas, and what a stage and a unit of work are.

Text is `str` until masking; from there on it is `MaskedText`, which only masking (and the reader of artifacts that
masking wrote) makes. What embeds or publishes takes `MaskedChunk`, so unmasked text does not type-check.
"""

from __future__ import annotations

import enum
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Literal, NewType

import pyarrow as pa

MaskedText = NewType("MaskedText", str)

ElementKind = Literal["title", "paragraph", "list_item", "table", "code", "image_text"]
StageName = Literal["raw", "parse", "chunk", "mask", "embed", "publish"]
Root = Literal["clear", "masked"]
Status = Literal["ok", "quarantined", "failed", "retry"]


@dataclass(frozen=True, slots=True)
class Box:
    """Where something stands on a page: points from the top left corner, as fractions of nothing (absolute)."""

    page: int
    x0: float
    y0: float
    x1: float
    y1: float


@dataclass(frozen=True, slots=True)
class Element:
    """One piece of a document in reading order. `level` is the heading level of a title, from 1; pages count from 1.

    `source_start` and `source_end` say where it stands in plain text and Markdown: offsets in bytes into the file as
    UTF-8 with newlines, which clean UTF-8 files are already.
    """

    text: str
    kind: ElementKind
    level: int | None = None
    page: int | None = None
    box: Box | None = None
    language: str | None = None
    source_start: int | None = None
    source_end: int | None = None


@dataclass(frozen=True, slots=True)
class Chunk:
    """A passage with where it came from. `tokens` is an estimate; `section_path` runs from the outermost heading in."""

    ordinal: int
    text: str
    section_path: tuple[str, ...] = ()
    page_start: int | None = None
    page_end: int | None = None
    boxes: tuple[Box, ...] = ()
    language: str = "und"
    tokens: int = 0


@dataclass(frozen=True, slots=True)
class MaskedChunk:
    """A chunk after masking. `content` is stored and shown, `embed_text` goes to the model and names the vector.

    `masked` counts the spans replaced in this chunk, by entity.
    """

    ordinal: int
    content: MaskedText
    embed_text: MaskedText
    text_hash: str
    section_path: tuple[MaskedText, ...] = ()
    page_start: int | None = None
    page_end: int | None = None
    boxes: tuple[Box, ...] = ()
    language: str = "und"
    tokens: int = 0
    masked: Mapping[str, int] = field(default_factory=dict)


_BOX = pa.struct(
    [("page", pa.int32()), ("x0", pa.float32()), ("y0", pa.float32()), ("x1", pa.float32()), ("y1", pa.float32())]
)
_PLACE = [
    pa.field("section_path", pa.list_(pa.string())),
    pa.field("page_start", pa.int32()),
    pa.field("page_end", pa.int32()),
    pa.field("boxes", pa.list_(_BOX)),
    pa.field("language", pa.string()),
    pa.field("tokens", pa.int32()),
]

ELEMENT_SCHEMA = pa.schema(
    [
        pa.field("text", pa.string(), nullable=False),
        pa.field("kind", pa.string(), nullable=False),
        pa.field("level", pa.int16()),
        pa.field("page", pa.int32()),
        pa.field("box", _BOX),
        pa.field("language", pa.string()),
        pa.field("source_start", pa.int64()),
        pa.field("source_end", pa.int64()),
    ]
)
CHUNK_SCHEMA = pa.schema(
    [pa.field("ordinal", pa.int32(), nullable=False), pa.field("text", pa.string(), nullable=False), *_PLACE]
)
MASKED_CHUNK_SCHEMA = pa.schema(
    [
        pa.field("ordinal", pa.int32(), nullable=False),
        pa.field("content", pa.string(), nullable=False),
        pa.field("embed_text", pa.string(), nullable=False),
        pa.field("text_hash", pa.string(), nullable=False),
        *_PLACE,
        pa.field("masked", pa.map_(pa.string(), pa.int32())),
    ]
)


def embedding_schema(dimension: int) -> pa.Schema:
    """Rows of an embedding artifact: one a distinct text, vectors in the model's native `dimension`, unit length."""
    return pa.schema(
        [
            pa.field("text_hash", pa.string(), nullable=False),
            pa.field("vector", pa.list_(pa.float16(), dimension), nullable=False),
        ]
    )


class Place(enum.Enum):
    """Where a stage runs."""

    WORKER = "limited worker processes, one document at a time"
    MODEL = "the model service, in batches that cross documents"
    DATABASE = "the database, one transaction a small batch"


@dataclass(frozen=True, slots=True)
class Stage:
    """A stage as a value: what it reads, what its output depends on, and where it runs.

    `settings` holds every setting that shapes the output and nothing else. `variant` tells rows of one stage apart
    (the model for embed, the space for publish). `input_stage` is None for parse, whose input is the raw object;
    `input_key` is the key of the stage before under the settings in force, so that no stage works on what a change of
    settings (a tightened masking policy, say) has made stale. `onward` are the keys of the stages after this one, up to
    the first whose artifacts do not expire; none for a stage whose own do not.
    """

    name: StageName
    version: int
    settings: Mapping[str, Any]
    place: Place
    input_stage: StageName | None
    key: str
    input_key: str = ""
    variant: str = ""
    onward: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class ArtifactRef:
    """An immutable object and how to tell that it is whole. `uri` is relative to the object store's root."""

    uri: str
    size: int
    sha256: str


@dataclass(frozen=True, slots=True)
class Task:
    """One document's turn in one stage. `input` is None for parse, which reads the raw object under `key`.

    `vectors` is the embedding artifact, for publish alone. `fresh`: no stage after this one was ever done for the
    document, so that a worker may go on with it.
    """

    document_id: str
    source_system: str
    key: str
    display_name: str
    media_type: str
    content_hash: str
    size: int
    input_hash: str
    fingerprint: str
    input: ArtifactRef | None = None
    vectors: ArtifactRef | None = None
    fresh: bool = False


@dataclass(frozen=True, slots=True)
class Outcome:
    """What became of a task. `stats` describe the artifact (tokens, masked spans) and are kept with it; `costs` are
    what this turn took (object reads, peak memory in bytes ...).

    `payload` is what the stage's commit writes besides the ledger row: vector references, rows to publish.
    `following` are the outcomes of the stages after this one that were done in the same turn.
    """

    task: Task
    status: Status
    artifact: ArtifactRef | None = None
    output_hash: str | None = None
    rows: int = 0
    error_class: str | None = None
    error_message: str | None = None
    duration_ms: int = 0
    stats: Mapping[str, int] = field(default_factory=dict)
    costs: Mapping[str, int] = field(default_factory=dict)
    payload: Any = None
    following: tuple[Outcome, ...] = ()
