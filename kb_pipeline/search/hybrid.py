"""Hybrid retrieval: nearest vectors and matching words, fused by reciprocal rank, in one SQL statement.

RRF (Cormack et al. 2009): score = sum over lists of 1 / (60 + rank). Words are ranked by the sum of their inverse
document frequencies, ln(1 + N/df); words in more than a fifth of all chunks only count when there are no others.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from pgvector import HalfVector
from pgvector.psycopg import register_vector
from psycopg import sql

from kb_pipeline.store.database import Connection, identifier
from kb_pipeline.store.published.spaces import Space
from kb_pipeline.store.published.words import words

RRF_K = 60
CANDIDATES = 50
EF_SEARCH = 100  # measured: recall@10 .988 at 100,000 x 1024
MAX_QUERY_WORDS = 64
# Below the difference between two neighbours of the word list, 1/61 - 1/62: it can only break ties there.
UNKNOWN_LANGUAGE_WEIGHT = 0.01
_HAN = re.compile("[\u3400-\u9fff\uf900-\ufaff]")
_LETTER = re.compile(r"[^\W\d_]")


def language_of_query(text: str) -> str:
    """`zh` when at least a third of the letters are Han characters, else `en`: by script, as short text demands."""
    letters = len(_LETTER.findall(text))
    return "zh" if letters and len(_HAN.findall(text)) * 3 >= letters else "en"


@dataclass(frozen=True, slots=True)
class Result:
    """One passage found. `source_file` is the masked name; pages count from 1, None where the format has none."""

    rank: int
    score: float
    chunk_id: str
    content: str
    source_system: str
    source_file: str
    page_start: int | None
    page_end: int | None
    section_path: tuple[str, ...]


_QUERY = """
WITH near AS (
    SELECT chunk_id, row_number() OVER (ORDER BY distance, chunk_id) AS place FROM (
        SELECT v.chunk_id, v.embedding <=> %(vector)s AS distance FROM {vectors} v
        WHERE %(sources)s::text[] IS NULL OR v.source_system = ANY(%(sources)s)
        ORDER BY v.embedding <=> %(vector)s LIMIT %(nearest)s) n
), term AS (
    SELECT q.term, greatest(1, (SELECT count(*) FROM kb.chunk c WHERE c.lexemes @@ q.term)) AS df, total.n
    FROM (SELECT DISTINCT t::tsquery AS term FROM unnest(%(terms)s::text[]) t) q,
         (SELECT count(*)::float8 AS n FROM kb.chunk) total
), kept AS (
    SELECT term, ln(1 + n / df) AS weight FROM term
    WHERE df <= greatest(1, n / 5) OR NOT EXISTS (SELECT FROM term WHERE df <= greatest(1, n / 5))
), lexical AS (
    SELECT chunk_id, row_number() OVER (ORDER BY weight DESC, chunk_id) AS place FROM (
        SELECT c.chunk_id, sum(k.weight) AS weight FROM kept k JOIN kb.chunk c ON c.lexemes @@ k.term
        JOIN kb.document d USING (document_id)
        WHERE %(sources)s::text[] IS NULL OR d.source_system = ANY(%(sources)s)
        GROUP BY c.chunk_id ORDER BY weight DESC, c.chunk_id LIMIT %(candidates)s) l
), fused AS (
    SELECT chunk_id,
           coalesce(%(weight)s / (%(k)s + near.place), 0) + coalesce(1.0 / (%(k)s + lexical.place), 0) AS score,
           lexical.place AS words_place
    FROM near FULL JOIN lexical USING (chunk_id)
    ORDER BY score DESC, words_place NULLS LAST, chunk_id LIMIT %(limit)s
)
SELECT f.score, c.chunk_id, c.content, d.source_system, coalesce(d.display_name, ''), c.page_start, c.page_end,
       c.section_path
FROM fused f JOIN kb.chunk c USING (chunk_id) JOIN kb.document d USING (document_id)
WHERE d.deleted_at IS NULL
ORDER BY f.score DESC, f.words_place NULLS LAST, c.chunk_id
"""


def search(
    connection: Connection,
    space: Space,
    vector: np.ndarray | None,
    text: str,
    *,
    sources: Sequence[str] | None = None,
    limit: int = 10,
    model_knows_language: bool = True,
) -> list[Result]:
    """The `limit` best passages for a query. `vector` is (d,) float32 of the space's served dimension, unit length;
    without one (None) words alone decide.

    Where the model does not know the query's language its vectors are noise: words decide, vectors only fill up.

    The connection must not prepare statements (prepare_threshold=None): a generic plan would ignore the settings here.
    """
    register_vector(connection)
    candidates = max(CANDIDATES, limit)
    values = {
        "vector": HalfVector(np.zeros(space.dimension) if vector is None else vector),
        "nearest": candidates if vector is not None else 0,
        "terms": [_term(word) for word in dict.fromkeys(words(text))][:MAX_QUERY_WORDS],
        "sources": list(sources) if sources else None,
        "candidates": candidates,
        "k": RRF_K,
        "weight": 1.0 if model_knows_language else UNKNOWN_LANGUAGE_WEIGHT,
        "limit": limit,
    }
    with connection.transaction():
        connection.execute("SELECT set_config('hnsw.iterative_scan', 'relaxed_order', true)")
        connection.execute("SELECT set_config('hnsw.ef_search', %s, true)", (str(max(EF_SEARCH, limit)),))
        rows = connection.execute(sql.SQL(_QUERY).format(vectors=identifier(space.table_name)), values).fetchall()
    return [_result(place, row) for place, row in enumerate(rows, start=1)]


def _result(place: int, row: Sequence[Any]) -> Result:
    score, chunk_id, content, source_system, source_file, page_start, page_end, section_path = row
    return Result(
        place,
        round(float(score), 6),
        chunk_id,
        content,
        source_system,
        source_file,
        page_start,
        page_end,
        tuple(section_path),
    )


def _term(word: str) -> str:
    """A word as a one-term tsquery literal, quoted so that no character in it is an operator."""
    return "'" + word.replace("\\", "\\\\").replace("'", "''") + "'"
