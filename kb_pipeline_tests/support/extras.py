"""Tests that need an extra of pyproject.toml: skipped without it, saying how to install it."""

import importlib.util
import os

import pytest

HAS_MODELS = importlib.util.find_spec("sentence_transformers") is not None
WHY_NOT = "needs the extra models (torch): run `make models`"
needs_models = pytest.mark.skipif(not HAS_MODELS, reason=WHY_NOT)
if os.environ.get("CI") == "true" and not HAS_MODELS:  # `make test` installs it: a skip there hides a broken install
    raise RuntimeError(WHY_NOT)
