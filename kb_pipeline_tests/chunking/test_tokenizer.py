"""Sizes by a tokenizer of one's own, which is part of what the chunks depend on."""

from pathlib import Path

import pytest
from tokenizers import Tokenizer, models, pre_tokenizers

from kb_pipeline.chunking import chunk
from kb_pipeline.core.contracts import Element
from kb_pipeline.core.errors import SettingsError
from kb_pipeline.pipeline.catalogue import catalogue
from kb_pipeline.settings import ChunkingSettings, Settings

WORDS = Element(" ".join(f"word{n}" for n in range(100)), "paragraph")


@pytest.fixture
def tokenizer(tmp_path: Path) -> Path:
    """One token a word, and nothing for white space."""
    made = Tokenizer(models.WordLevel({"[UNK]": 0}, unk_token="[UNK]"))
    made.pre_tokenizer = pre_tokenizers.WhitespaceSplit()
    made.enable_truncation(10)
    path = tmp_path / "tokenizer.json"
    made.save(str(path))
    return path


def counts(name: str) -> list[int]:
    settings = ChunkingSettings(max_tokens=30, min_tokens=0, tokenizer=name)
    return [len(one.text.split()) for one in chunk([WORDS], settings)]


def test_chunks_hold_as_many_of_its_tokens_as_fit(tokenizer: Path) -> None:
    by_file, by_folder = counts(str(tokenizer)), counts(str(tokenizer.parent))
    assert by_file == by_folder != counts("")
    assert sum(by_file) == 100
    assert all(20 < count <= 30 for count in by_file[:-1])


def test_one_that_is_not_there_or_none_is_named(tmp_path: Path) -> None:
    with pytest.raises(SettingsError, match="there is no tokenizer acme/none"):
        counts("acme/none")
    broken = tmp_path / "tokenizer.json"
    broken.write_text("{}")
    with pytest.raises(SettingsError, match="is no tokenizer"):
        counts(str(broken))


def test_it_is_part_of_the_fingerprint(tokenizer: Path) -> None:
    other = Settings(chunking=ChunkingSettings(tokenizer=str(tokenizer)))
    keys = {catalogue(settings, "hr")["chunk"].key for settings in (Settings(), other)}
    assert len(keys) == 2
