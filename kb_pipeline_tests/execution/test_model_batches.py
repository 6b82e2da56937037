"""Texts of many documents through the model: each one once, also while the ledger has not heard of it yet."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence

import numpy as np
import pytest

from kb_pipeline.core.contracts import ArtifactRef, MaskedText, Task
from kb_pipeline.embedding.batch import EmbeddingUsage
from kb_pipeline.embedding.client import EmbeddingResult
from kb_pipeline.execution import model
from kb_pipeline.execution.model import ModelBatches, ModelPorts
from kb_pipeline_tests.support.lines import masked_chunks, vectors_of

DOCUMENTS = [["shared", f"own {n}", "shared too"] for n in range(6)]


def run(sent: list[str]) -> dict[str, np.ndarray]:
    """Embed DOCUMENTS before anything is committed; what was saved for each."""
    saved: dict[str, np.ndarray] = {}

    def embed(texts: Sequence[MaskedText]) -> EmbeddingResult:
        sent.extend(texts)
        return EmbeddingResult(vectors_of(texts), {}, EmbeddingUsage())

    def save(task: Task, names: Sequence[str], matrix: np.ndarray) -> tuple[ArtifactRef, str]:
        saved[task.key] = matrix
        return ArtifactRef(task.key, 1, ""), task.key

    tasks = [Task(str(n), "hr", str(n), "", "text/plain", "", 1, "", str(n)) for n in range(len(DOCUMENTS))]
    ports = ModelPorts(lambda task: masked_chunks(DOCUMENTS[int(task.key)]), lambda names: {}, embed, save)
    assert [outcome.status for outcome in ModelBatches(ports).run(tasks)] == ["ok"] * len(DOCUMENTS)
    return saved


def test_a_text_of_two_groups_is_sent_once(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(model, "TEXTS_PER_GROUP", 4)
    sent: list[str] = []
    saved = run(sent)
    assert Counter(sent) == Counter({text for document in DOCUMENTS for text in document})
    for n, document in enumerate(DOCUMENTS):
        np.testing.assert_allclose(saved[str(n)], vectors_of(document), atol=1e-3)


def test_only_so_many_are_remembered(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(model, "TEXTS_PER_GROUP", 1)
    monkeypatch.setattr(model, "TEXTS_REMEMBERED", 1)
    sent: list[str] = []
    run(sent)
    counts = Counter(sent)
    assert counts["shared too"] < counts["shared"] == len(DOCUMENTS)
