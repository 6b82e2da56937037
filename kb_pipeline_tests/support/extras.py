"""Tests that need an extra of pyproject.toml: skipped without it, saying how to install it."""

import importlib.util

import pytest

HAS_MODELS = importlib.util.find_spec("sentence_transformers") is not None
WHY_NOT = "needs the extra models (torch): run `make models`"
needs_models = pytest.mark.skipif(not HAS_MODELS, reason=WHY_NOT)
