"""Any sentence-transformers model in torch. All of it comes with the extra `models`."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from kb_pipeline.core.errors import INSTALL_MODELS, MissingExtra
from kb_pipeline.embedding.vectors import Vectors


class SentenceModel:
    """The model of `folder`. `context` is its limit of tokens, special tokens included. Calls come one at a time."""

    def __init__(self, folder: Path) -> None:
        """Raises MissingExtra without the extra `models`."""
        try:
            from sentence_transformers import SentenceTransformer
        except ImportError:
            raise MissingExtra("sentence-transformers is not installed.", INSTALL_MODELS) from None
        from transformers.utils import logging as transformers_logging

        transformers_logging.disable_progress_bar()
        self._model: Any = SentenceTransformer(str(folder), device="cpu", trust_remote_code=False)
        self.dimension = int(self._model.get_embedding_dimension())
        self.context = int(self._model.max_seq_length)

    def count_tokens(self, texts: Sequence[str]) -> list[int]:
        """Tokens of each text uncut, special tokens included."""
        encoded = self._model.tokenizer(list(texts), truncation=False, padding=False, verbose=False)
        return [len(ids) for ids in encoded["input_ids"]]

    def encode(self, texts: Sequence[str]) -> Vectors:
        """Vectors (n, dimension) float32 at unit length; what a text has beyond `context` tokens is left out."""
        import torch

        with torch.inference_mode():
            vectors = self._model.encode(
                list(texts), batch_size=len(texts), normalize_embeddings=True, show_progress_bar=False
            )
        return np.asarray(vectors, dtype=np.float32)
