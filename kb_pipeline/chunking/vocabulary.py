"""How many tokens a text costs the model, by its own tokenizer instead of the estimate."""

from __future__ import annotations

from collections.abc import Sequence
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING

from kb_pipeline.core.errors import MissingExtra, SettingsError

if TYPE_CHECKING:
    from tokenizers import Tokenizer

_FILE = "tokenizer.json"


class Vocabulary:
    """Counts by a tokenizer: a file tokenizer.json, a folder that holds one, or the name of a model in this machine's
    Hugging Face cache. Nothing is downloaded. Raises SettingsError, or MissingExtra where the library is not there."""

    def __init__(self, name: str) -> None:
        self._tokenizer = _load(name)

    def count_each(self, texts: Sequence[str]) -> list[int]:
        """Tokens of each text, without those that a model wants at its ends."""
        return [len(encoding.ids) for encoding in self._tokenizer.encode_batch(list(texts), add_special_tokens=False)]

    def reach(self, text: str, budget: int) -> int:
        """How many characters of `text` cost at most `budget` tokens."""
        offsets = self._tokenizer.encode(text, add_special_tokens=False).offsets
        return len(text) if len(offsets) <= budget else int(offsets[budget][0])


@cache
def _load(name: str) -> Tokenizer:
    try:
        from tokenizers import Tokenizer
    except ImportError:
        raise MissingExtra(
            f"chunking.tokenizer names {name}, and the package tokenizers is not installed.",
            "pip install 'kb_pipeline[local]', or leave chunking.tokenizer out: sizes are estimated then.",
        ) from None
    path = _file_of(name)
    if path is None:
        raise SettingsError(
            f"chunking.tokenizer: there is no tokenizer {name} on this machine.",
            f"Name a {_FILE}, a folder that holds one, or a model in the Hugging Face cache; nothing is downloaded.",
        )
    try:
        loaded: Tokenizer = Tokenizer.from_file(str(path))
    except Exception as error:  # noqa: BLE001 - the library raises Exception itself
        raise SettingsError(
            f"chunking.tokenizer: {path} is no tokenizer ({type(error).__name__}).", f"Name a valid {_FILE}."
        ) from None
    loaded.no_truncation()
    loaded.no_padding()
    return loaded


def _file_of(name: str) -> Path | None:
    for path in (Path(name), Path(name) / _FILE):
        if path.is_file():
            return path
    try:
        from huggingface_hub import try_to_load_from_cache
        from huggingface_hub.errors import HFValidationError
    except ImportError:
        return None
    try:
        cached = try_to_load_from_cache(name, _FILE)
    except HFValidationError:
        return None
    return Path(cached) if isinstance(cached, str) else None
