"""Questions to a knowledge base: how it stands, passages that answer a text, what a stage made."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal, get_args

from kb_pipeline.core.contracts import StageName
from kb_pipeline.core.errors import (
    DatabaseUnavailable,
    EmbeddingUnavailable,
    KbError,
    NotFound,
    SettingsError,
    TextUnanswered,
)
from kb_pipeline.local import stack
from kb_pipeline.local.stack import ServiceStatus
from kb_pipeline.pipeline.opening import connected, known_sources, no_such_source, object_store
from kb_pipeline.settings import Settings

if TYPE_CHECKING:
    import numpy as np
    import pandas as pd

    from kb_pipeline.search.hybrid import Result
    from kb_pipeline.store.published.spaces import Space
    from kb_pipeline.store.views.freshness import SourceStatus
    from kb_pipeline.store.views.history import DocumentHistory
    from kb_pipeline.store.views.overview import SpaceOverview


@dataclass(frozen=True, slots=True)
class Status:
    """Services of the embedded stack, and what the knowledge base holds (empty while the database is down)."""

    services: list[ServiceStatus]
    sources: list[SourceStatus]
    spaces: list[SpaceOverview]


def status(settings: Settings) -> Status:
    """How the services and sources stand. Raises DatabaseUnavailable only for a database of one's own."""
    from kb_pipeline.pipeline.catalogue import chain_key
    from kb_pipeline.store.views import freshness, overview

    services = stack.status(settings)
    try:
        with connected(settings) as connection:
            chains = {name: chain_key(settings, name) for name in freshness.source_names(connection)}
            return Status(services, freshness.sources(connection, chains), overview.spaces(connection))
    except DatabaseUnavailable:
        if settings.database_dsn:
            raise
        return Status(services, [], [])


def history(settings: Settings, document: str, source: str | None) -> DocumentHistory:
    """A document's versions and stages, by its id, the unique beginning of one, or its name. Raises NotFound."""
    from kb_pipeline.pipeline.catalogue import chain_key
    from kb_pipeline.store.views import history as store
    from kb_pipeline.store.views.finding import find_document

    with connected(settings) as connection:
        found = find_document(connection, document, source)
        told = store.history(connection, found.document_id, chain_key(settings, found.source_system))
    if told is None:
        raise NotFound(f"{found} was removed just now.", "`kb status` shows what the knowledge base holds.")
    return told


# A person waits for the answer, and words give one: the retries of the settings are for runs.
QUERY_RETRIES = 1


class Results(list["Result"]):
    """The passages found, the best first. `answered_by` is `words` when the model did not answer: then words alone
    decided, and `reason` says what was wrong with the model and what to do."""

    def __init__(self, found: list[Result], reason: str = "") -> None:
        super().__init__(found)
        self.reason = reason

    @property
    def answered_by(self) -> Literal["meaning and words", "words"]:
        """What decided the order."""
        return "words" if self.reason else "meaning and words"


def search(settings: Settings, text: str, source: str | None, limit: int) -> Results:
    """The passages that best answer `text`, by meaning and by word; by word alone while the model does not answer.
    Empty before the first sync.

    Raises NotFound, SettingsError (no text; a model that cannot be the right one), EmbeddingUnavailable (the server
    answers with another dimension), DatabaseUnavailable.
    """
    from kb_pipeline.masking import mask_query
    from kb_pipeline.search import hybrid
    from kb_pipeline.store.published.spaces import active_space

    if not text.strip():
        raise SettingsError("The search text is empty.", "Type a question or some words.")
    known = known_sources(settings)
    if source is not None and source not in known:
        raise no_such_source(source, known)
    in_scope = [source] if source is not None else known
    with connected(settings) as connection:
        connection.prepare_threshold = None
        space = active_space(connection)
        if space is None:
            return Results([])
        query = mask_query(text, [settings.masking_for(name) for name in in_scope])
        vector, down = _vector(settings, query.meaning)
        found = hybrid.search(
            connection,
            space,
            None if vector is None else _served(vector, space),
            query.wording,
            sources=[source] if source else None,
            limit=limit,
            model_knows_language=settings.embedding.knows(hybrid.language_of_query(text)),
        )
    return Results(found, str(down) if down else "")


def _vector(settings: Settings, text: str) -> tuple[np.ndarray | None, KbError | None]:
    """The model's own vector (d,) of a masked query, or why there is none for now."""
    from kb_pipeline.pipeline.executors import embedding_client

    try:
        client = embedding_client(settings, max_retries=QUERY_RETRIES)
        try:
            return client.embed_query(text, settings.embedding.instruction), None
        finally:
            client.close()
    except (EmbeddingUnavailable, TextUnanswered) as error:
        return None, error


def _served(native: np.ndarray, space: Space) -> np.ndarray:
    """The vector as the space holds vectors. Raises EmbeddingUnavailable for that of another model."""
    from kb_pipeline.embedding.vectors import truncate_and_renormalise
    from kb_pipeline.store.published.spaces import check_answered

    check_answered(space, native.shape[-1])
    served: np.ndarray = truncate_and_renormalise(native[None, :], space.dimension)[0]
    return served


def frame(settings: Settings, stage: str, source: str, limit: int | None) -> pd.DataFrame:
    """A stage's current artifacts of one source as a DataFrame (KnowledgeBase.frame)."""
    import pandas as pd

    from kb_pipeline.store.objects.artifacts import read_table
    from kb_pipeline.store.views import overview

    name = _stage(stage)
    store = object_store(settings)
    frames = []
    with connected(settings) as connection:
        for document_id, source_file, ref in overview.current_artifacts(connection, source, name, limit=limit):
            part = read_table(store, ref).to_pandas()
            part.insert(0, "document_id", document_id)
            part.insert(1, "source_file", source_file)
            frames.append(part)
    return pd.concat(frames, ignore_index=True) if frames else pd.DataFrame()


_STAGE_OF = {"cleaned_elements": "parse", "chunks": "chunk", "masked_chunks": "mask", "embeddings": "embed"}


def _stage(name: str) -> StageName:
    stage: Any = _STAGE_OF.get(name, name)
    if stage not in get_args(StageName) or stage in ("raw", "publish"):
        raise NotFound(f"There are no artifacts of {name!r}.", f"Use one of: {', '.join(_STAGE_OF)}.")
    return stage  # type: ignore[no-any-return]
