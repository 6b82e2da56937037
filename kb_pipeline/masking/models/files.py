"""Where a model's files lie on this machine, and what tells them from another model's."""

from __future__ import annotations

import importlib.util
from functools import cache
from pathlib import Path

from kb_pipeline.core import identity
from kb_pipeline.core.errors import SettingsError
from kb_pipeline.settings.policy import NamedEntityModel

_CONFIG = {"spacy": "config.cfg", "transformers": "config.json"}
_REMEDY = {
    "spacy": "Name a spaCy pipeline's folder or package (zh_core_web_sm, say), and install the package with pip",
    "transformers": "Name a folder with config.json, or fetch the model beforehand (`hf download NAME`)",
}


def folder_of(language: str, model: NamedEntityModel) -> Path:
    """The folder of a model. Nothing is downloaded. Raises SettingsError if there is none."""
    folder = Path(model.model)
    if not folder.is_dir():
        folder = _installed(model.model) if model.library == "spacy" else _cached(model.model)
    if not (folder / _CONFIG[model.library]).is_file():
        raise SettingsError(
            f"masking_models.{language}: there is no {model.library} model {model.model} on this machine.",
            f"{_REMEDY[model.library]}; nothing is downloaded here.",
        )
    return folder


def _installed(name: str) -> Path:
    """The data of an installed spaCy package, found without loading spaCy."""
    package = importlib.util.find_spec(name) if name.isidentifier() else None
    found = [
        data for folder in (package and package.submodule_search_locations) or () for data in Path(folder).glob("*/")
    ]
    return next((data for data in found if (data / _CONFIG["spacy"]).is_file()), Path(name))


def _cached(name: str) -> Path:
    """A model's snapshot in the Hugging Face cache."""
    try:
        from huggingface_hub import try_to_load_from_cache
        from huggingface_hub.errors import HFValidationError
    except ImportError:
        return Path(name)
    try:
        config = try_to_load_from_cache(name, _CONFIG["transformers"])
    except HFValidationError:
        return Path(name)
    return Path(config).parent if isinstance(config, str) else Path(name)


def contents_of(folder: Path) -> str:
    """A hash of all files of a model: the same elsewhere is the same model, other weights are another."""
    files = []
    for path in sorted(folder.rglob("*")):
        if path.is_file():
            status = path.stat()
            files.append((path.relative_to(folder).as_posix(), str(path), status.st_size, status.st_mtime_ns))
    return _hashed(tuple(files))


@cache
def _hashed(files: tuple[tuple[str, str, int, int], ...]) -> str:
    digests = {name: identity.hash_file(Path(path)) for name, path, _, _ in files}
    return identity.sha256_hex(identity.canonical_json(digests))
