"""`kb init`: a commented settings file for one's own documents."""

from __future__ import annotations

import json
import re
import shlex
from dataclasses import dataclass
from importlib import resources
from pathlib import Path

import yaml
from pydantic import ValidationError

from kb_pipeline.core.errors import NotFound, SettingsError
from kb_pipeline.pipeline.opening import checked
from kb_pipeline.settings import ObjectStoreSettings

_URL = re.compile(r"[a-z0-9]+://")
_STORE = "#object_store:\n#  url: null "


@dataclass(frozen=True, slots=True)
class Begun:
    """A settings file that was written: its `path`, the source system that it names, where documents come from (a URL
    or a folder, None when nothing was said), and the commands to type `next`."""

    path: str
    source_system: str
    documents: str | None
    next: list[str]


def begin(path: Path, place: str | None, source: str | None, *, overwrite: bool = False) -> Begun:
    """Write `path`: every setting with its default, commented, and a source system.

    `place` is a folder that is to be ingested, or the URL of a bucket (or folder) that holds raw/SOURCE/... already.
    `source` is made from the folder's name if it is None. Raises SettingsError when the file is there (unless
    `overwrite`) or cannot be written, or the URL or the name is none; NotFound when there is no such folder.
    """
    if path.exists() and not overwrite:
        raise SettingsError(f"{path} is there already.", "`kb init --force` writes it anew; what it says is lost.")
    url = place if place and _URL.match(place) else None
    folder = Path(place).absolute() if place and not url else None
    if folder and not folder.is_dir():
        raise NotFound(f"There is no folder {folder}.", "Name a folder, or s3://BUCKET/PREFIX.")
    name = checked(source or _name_of(folder))
    _write(path, _settings(name, url and _checked(url), folder))
    return Begun(str(path.absolute()), name, url or (str(folder) if folder else None), _next(name, url, folder))


def _checked(url: str) -> str:
    try:
        return ObjectStoreSettings(url=url).url or url
    except ValidationError:
        raise SettingsError(
            "That URL can hold no documents.", "Use s3://BUCKET/PREFIX, or file:///FOLDER, or a folder's path."
        ) from None


def _name_of(folder: Path | None) -> str:
    """A name for the source system: that of the folder, as far as its letters may stand in one."""
    name = re.sub(r"[^a-z0-9]+", "-", folder.name.lower()).strip("-")[:63] if folder else ""
    return name or "documents"


def _settings(name: str, url: str | None, folder: Path | None) -> str:
    text = resources.files("kb_pipeline.settings").joinpath("kb.yaml").read_text(encoding="utf-8")
    if url:
        text = text.replace(_STORE, f"object_store:\n  url: {json.dumps(url)}  ")
    key = name if yaml.safe_load(name) == name else json.dumps(name)  # 2026 and no are words only in quotes
    where = f"below {url.rstrip('/')}/raw/{name}/" if url else "put there by `kb ingest FOLDER --source " + name + "`"
    if folder:
        where = f"put there by `kb ingest`, from {json.dumps(str(folder), ensure_ascii=False)}"
    return f"""{text}
# Source systems: documents that are synced together, with settings of their own.
# Documents of {name}: {where}.
sources:
  {key}:
    description: ""
    #strategy: auto       # when pages are read by OCR: auto, fast, ocr, hi_res
    #cron: "*/15 * * * *"   # a schedule of its own; defaults.cron for all
    #timezone: Asia/Shanghai
    #access:             # who may read what: the first rule that matches a document's key
    #  - {{match: "board/*", groups: [board]}}
    #  - {{match: "*", groups: [staff]}}
    #masking:            # what differs from defaults.masking
    #  MONEY: keep
"""


def _write(path: Path, text: str) -> None:
    try:
        path.write_text(text, encoding="utf-8")
    except OSError as error:
        reason = error.strerror or type(error).__name__
        raise SettingsError(f"{path} cannot be written: {reason}.", "Name another file with --config.") from None


def _next(name: str, url: str | None, folder: Path | None) -> list[str]:
    take = f"kb sync {name}" if url else f"kb ingest {shlex.quote(str(folder)) if folder else 'FOLDER'} --source {name}"
    return ["kb up", take, 'kb search "your question"']
