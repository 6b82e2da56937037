"""Chunk: elements in reading order become passages of bounded size, each with its heading path, pages and boxes.

A pure function of the elements and the settings: no model, no network, no clock.
"""

from __future__ import annotations

from kb_pipeline.chunking.packing import chunk
from kb_pipeline.chunking.tokens import estimate_tokens

# Part of the stage's fingerprint: raise it whenever the same elements would give other chunks.
CHUNK_VERSION = 3

__all__ = ["CHUNK_VERSION", "chunk", "estimate_tokens"]
