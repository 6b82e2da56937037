"""Where the client's CPU goes in a first load of small Markdown files: each part of the work by itself, one process.

Over the last snapshot of the history in ../shared/corpus. Left out are the workers' forks and messages, the ledger's
rows, and what PostgreSQL and the embedding server use themselves.
"""

from __future__ import annotations

import json
import multiprocessing
import tarfile
import tempfile
import time
from collections import defaultdict
from collections.abc import Iterator, Sequence
from contextlib import closing, contextmanager
from multiprocessing.connection import Connection as Pipe
from pathlib import Path
from typing import Any

import numpy as np
from pgvector import HalfVector
from pgvector.psycopg import register_vector

from benchmarks.result import Result
from kb_pipeline import chunking, masking, parsing
from kb_pipeline.core.contracts import Chunk, Element, MaskedChunk, StageName
from kb_pipeline.core.identity import document_id, fingerprint, sha256_hex
from kb_pipeline.core.media_type import MARKDOWN
from kb_pipeline.embedding.client import EmbeddingClient
from kb_pipeline.embedding.vectors import to_half, truncate_and_renormalise
from kb_pipeline.local import stack
from kb_pipeline.settings import ENTITIES, ChunkingSettings, EmbeddingSettings, MaskingPolicy, Settings
from kb_pipeline.store.database import Connection, connect
from kb_pipeline.store.objects.artifacts import (
    read_table,
    records_to_table,
    table_to_records,
    table_to_vectors,
    vectors_to_table,
    write_table,
)
from kb_pipeline.store.objects.object_store import ObjectStore, ObjectStoreConfig
from kb_pipeline.store.published.publish import chunk_rows
from kb_pipeline.store.published.words import words
from kb_pipeline_tests.support.embedding_stub import DIMENSION, MODEL, embedding_stub

HISTORY = Path(__file__).parents[2] / "shared/corpus/history/dolphinscheduler-docs"
GROUP = 64  # documents to a call of the model and to a transaction, as the executors have it
POLICY = MaskingPolicy(dict.fromkeys(ENTITIES, "mask"))
_STORED = (
    "CREATE TEMP TABLE stored AS SELECT *, ''::tsvector AS lexemes FROM jsonb_to_recordset('[]') AS r(chunk_id text,"
    " document_id text, ordinal int, content text, words text, page_start int, page_end int, boxes jsonb,"
    " section_path jsonb, language text, text_hash text)"
)
_INSERT = (
    "INSERT INTO stored SELECT *, to_tsvector('simple', words) FROM jsonb_to_recordset(%s::jsonb) AS r(chunk_id text,"
    " document_id text, ordinal int, content text, words text, page_start int, page_end int, boxes jsonb,"
    " section_path jsonb, language text, text_hash text)"
)


def run() -> list[Result]:
    """Milliseconds of CPU a document of each part, beside the whole."""
    documents = _documents()
    spent: dict[str, float] = defaultdict(float)
    with tempfile.TemporaryDirectory(prefix="kb-bench-") as name, _stub() as url:
        folder = Path(name)
        folder.chmod(0o755)  # PostgreSQL's account must be able to enter it
        load = _Load(spent, ObjectStore(ObjectStoreConfig(f"file://{folder}/objects")))
        _warm_up(load.store)
        with _database(folder / "home", url) as connection, closing(EmbeddingClient([url], MODEL)) as client:
            client.probe()
            for at in range(0, len(documents), GROUP):
                load.group(documents[at : at + GROUP], client, connection)
    whole = sum(spent.values())
    return [
        Result(part, 1000 * seconds / len(documents), "all parts", 1000 * whole / len(documents), "ms")
        for part, seconds in spent.items()
    ]


def _warm_up(store: ObjectStore) -> None:
    parsing.parse(b"# Title\n\n<p>text</p>\n", MARKDOWN)
    masking.warm_up()
    words("text")
    table, _ = records_to_table([Element("text", "paragraph")], Element)
    table_to_records(read_table(store, write_table(store, "parse", "0" * 64, table)), Element)


class _Load:
    """Each stage on its own, in the order of the pipeline; what a part takes is added up in `spent`, in seconds."""

    def __init__(self, spent: dict[str, float], store: ObjectStore) -> None:
        self.spent = spent
        self.store = store
        self.documents = 0

    @contextmanager
    def part(self, name: str) -> Iterator[None]:
        started = time.process_time()
        yield
        self.spent[name] += time.process_time() - started

    def group(self, documents: Sequence[bytes], client: EmbeddingClient, connection: Connection) -> None:
        """Some documents through all stages."""
        masked = [self._masked(data) for data in documents]
        texts = {chunk.text_hash: chunk.embed_text for chunks in masked for chunk in chunks}
        with self.part("embed: client"):
            answer = client.embed(list(texts.values()))
        vectors = dict(zip(texts, to_half(answer.vectors), strict=True))
        rows: dict[str, dict[str, Any]] = {}
        served: dict[str, np.ndarray] = {}
        for chunks in masked:
            self._keep_vectors(chunks, vectors)
            self.documents += 1
            with self.part("publish: rows"):
                owner = document_id("bench", str(self.documents))
                own = chunk_rows(owner, chunks)
                cut = truncate_and_renormalise(np.stack([vectors[row["text_hash"]] for row in own.values()]), DIMENSION)
                served |= dict(zip(own, cut, strict=True))
                rows |= {key: {"chunk_id": key, "document_id": owner, **row} for key, row in own.items()}
        self._publish(rows, served, connection)

    def _masked(self, data: bytes) -> list[MaskedChunk]:
        with self.part("hash"):
            sha256_hex(data)
        with self.part("parse"):
            elements = parsing.parse(data, MARKDOWN)
        elements = self._through_the_store("parse", elements, Element)
        with self.part("chunk"):
            chunks = chunking.chunk(elements, ChunkingSettings())
        chunks = self._through_the_store("chunk", chunks, Chunk)
        with self.part("mask"):
            masked = masking.mask_chunks(chunks, POLICY, prefix_section_path=True)
        return self._through_the_store("mask", masked, MaskedChunk)

    def _through_the_store(self, stage: StageName, records: Sequence[Any], kind: type) -> list[Any]:
        with self.part("store: to table, hash"):
            table, content = records_to_table(records, kind)
        with self.part("store: write"):
            ref = write_table(self.store, stage, fingerprint(stage, content), table)
        with self.part("store: read"):
            table = read_table(self.store, ref)
        with self.part("store: from table"):
            return table_to_records(table, kind)

    def _keep_vectors(self, chunks: Sequence[MaskedChunk], vectors: dict[str, np.ndarray]) -> None:
        names = list(dict.fromkeys(chunk.text_hash for chunk in chunks))
        with self.part("vectors: to table, hash"):
            table, content = vectors_to_table(names, np.stack([vectors[name] for name in names]))
        with self.part("store: write"):
            ref = write_table(self.store, "embed", fingerprint("embed", content), table)
        with self.part("store: read"):
            table = read_table(self.store, ref)
        with self.part("vectors: from table"):
            table_to_vectors(table)

    def _publish(self, rows: dict[str, dict[str, Any]], served: dict[str, np.ndarray], connection: Connection) -> None:
        with self.part("publish: words"):
            said = [words("\n".join((*row["section_path"], row["content"]))) for row in rows.values()]
        with self.part("publish: JSON"):
            records = [{**row, "words": " ".join(own)} for row, own in zip(rows.values(), said, strict=True)]
            text = json.dumps(records, ensure_ascii=False)
        with self.part("publish: send rows"):
            connection.execute(_INSERT, (text,))
        copy_into = "COPY vector (chunk_id, source_system, embedding) FROM STDIN WITH (FORMAT BINARY)"
        with self.part("publish: send vectors"), connection.cursor() as cursor, cursor.copy(copy_into) as copy:
            copy.set_types(["text", "text", "halfvec"])
            for key, vector in served.items():
                copy.write_row((key, "bench", HalfVector(vector)))


def _documents() -> list[bytes]:
    with tarfile.open(max(HISTORY.glob("[0-9]*.tar.gz"))) as archive:
        files = [archive.extractfile(entry) for entry in archive if entry.name.endswith(".md")]
        return [file.read() for file in files if file is not None]


@contextmanager
def _database(home: Path, url: str) -> Iterator[Connection]:
    settings = Settings(home=home, embedding=EmbeddingSettings(urls=(url,)))
    try:
        stack.up(settings)
        with connect(stack.database_dsn(settings)) as connection:
            connection.execute("CREATE EXTENSION IF NOT EXISTS vector")
            register_vector(connection)
            connection.execute(_STORED)
            connection.execute(
                f"CREATE TEMP TABLE vector (chunk_id text, source_system text, embedding halfvec({DIMENSION}))"
            )
            yield connection
    finally:
        stack.down(settings)


@contextmanager
def _stub() -> Iterator[str]:
    """The URL of the embedding stub in a process of its own, so that its CPU is not counted."""
    context = multiprocessing.get_context("spawn")
    ours, theirs = context.Pipe()
    process = context.Process(target=_serve, args=(theirs,), daemon=True)
    process.start()
    yield ours.recv()
    ours.send(None)
    process.join()


def _serve(pipe: Pipe) -> None:
    with embedding_stub() as stub:
        pipe.send(stub.url)
        pipe.recv()
