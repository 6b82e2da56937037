"""Typed settings: kb.yaml for what is not secret, the environment for what is. The only reader of the environment.

KB_HOME              folder for the embedded stack's state (default: .kb in the working directory)
KB_CONFIG            the settings file (default: kb.yaml in the working directory; none is needed)
KB_DATABASE_DSN      PostgreSQL; unset means the embedded one under KB_HOME
KB_OBJECT_STORE_URL  overrides object_store.url
KB_EMBEDDING_URLS    overrides embedding.urls, separated by commas
KB_EMBEDDING_API_KEY key for the embedding service, if it wants one
AWS_*                credentials and region for s3:// URLs, as boto3 and obstore read them
"""

from __future__ import annotations

import os
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Literal, get_args

import yaml
from pydantic import BaseModel, ConfigDict, Field, SecretStr, ValidationError, field_validator

from kb_pipeline.errors import SettingsError

SOURCE_NAME = re.compile(r"[a-z0-9][a-z0-9_-]{0,62}")

Entity = Literal["CN_RESIDENT_ID", "PHONE_NUMBER", "BANK_CARD", "EMAIL_ADDRESS", "MONEY", "IP_ADDRESS"]
Action = Literal["mask", "keep"]
DEFAULT_MODEL = "all-MiniLM-L6-v2"
ENTITIES: tuple[Entity, ...] = get_args(Entity)


class _Section(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True, strict=False)


class ObjectStoreSettings(_Section):
    """Where raw documents and artifacts lie. `url` is file:///folder or s3://bucket/prefix; None means KB_HOME."""

    url: str | None = None
    endpoint: str | None = None
    region: str | None = None

    @field_validator("url")
    @classmethod
    def _scheme(cls, url: str | None) -> str | None:
        if url is not None and not re.fullmatch(r"(file:///.*|s3://[^/]+(/.*)?)", url):
            raise ValueError("must be file:///folder or s3://bucket/prefix")
        return url


class EmbeddingSettings(_Section):
    """The model and its servers. `urls` are OpenAI-compatible base URLs; none means the embedded server.

    `dimension` is what the serving table holds (None: the model's own). `context_tokens` is the server's limit.
    `instruction` goes before queries only, as Qwen3-Embedding was trained: "Instruct: {instruction}\\nQuery:{text}".
    `languages` are those the model was trained on; None means English for the default model and all for any other. In
    a language it does not know, words decide the order of results and vectors only fill up.
    """

    urls: tuple[str, ...] = ()
    model: str = DEFAULT_MODEL
    revision: str = ""
    dimension: Annotated[int, Field(ge=1, le=4000)] | None = None
    instruction: str = ""
    languages: tuple[str, ...] | None = None
    batch_texts: Annotated[int, Field(ge=1, le=2048)] = 32
    concurrency: Annotated[int, Field(ge=1, le=256)] = 2
    timeout_seconds: Annotated[float, Field(gt=0)] = 120.0
    max_retries: Annotated[int, Field(ge=0, le=20)] = 4

    def knows(self, language: str) -> bool:
        """Whether the model was trained on this language (an ISO 639-1 code)."""
        if self.languages is None:
            return self.model != DEFAULT_MODEL or language == "en"
        return language in self.languages

    @field_validator("urls")
    @classmethod
    def _http(cls, urls: tuple[str, ...]) -> tuple[str, ...]:
        for url in urls:
            if not re.fullmatch(r"https?://[^\s/]+(/.*)?", url):
                raise ValueError("must be http:// or https:// addresses")
        return tuple(url.rstrip("/") for url in urls)


class LimitSettings(_Section):
    """What one document may cost in one stage before it is quarantined."""

    seconds: Annotated[float, Field(gt=0)] = 120.0
    memory_mb: Annotated[int, Field(ge=256)] = 2048
    document_mb: Annotated[int, Field(ge=1)] = 200
    workers: Annotated[int, Field(ge=1, le=256)] | None = None


class ChunkingSettings(_Section):
    """Sizes in tokens, by a calibrated estimate. `prefix_section_path` puts the heading path before the text sent to
    the model; the text stored and shown stays as it was."""

    max_tokens: Annotated[int, Field(ge=16, le=32768)] = 200
    min_tokens: Annotated[int, Field(ge=0)] = 24
    prefix_section_path: bool = True


class SourceSettings(_Section):
    """One source system. Anything left out is taken from `defaults`."""

    description: str = ""
    masking: Mapping[Entity, Action] = Field(default_factory=dict)


class DefaultSettings(_Section):
    """What holds for every source that does not say otherwise. An entity not named here is masked."""

    masking: Mapping[Entity, Action] = Field(default_factory=dict)


class LeaseSettings(_Section):
    """How two runs over one source system keep out of each other's way."""

    wait_seconds: Annotated[float, Field(ge=0)] = 60.0
    ttl_seconds: Annotated[float, Field(ge=5)] = 60.0


class Settings(_Section):
    """Everything in kb.yaml, with the parts of the environment that belong to it filled in."""

    object_store: ObjectStoreSettings = ObjectStoreSettings()
    embedding: EmbeddingSettings = EmbeddingSettings()
    chunking: ChunkingSettings = ChunkingSettings()
    limits: LimitSettings = LimitSettings()
    lease: LeaseSettings = LeaseSettings()
    defaults: DefaultSettings = DefaultSettings()
    sources: Mapping[str, SourceSettings] = Field(default_factory=dict)

    home: Path = Field(default=Path(".kb"), exclude=True)
    config_path: Path | None = Field(default=None, exclude=True)
    dagster_home: Path | None = Field(default=None, exclude=True)
    database_dsn: SecretStr | None = Field(default=None, exclude=True)
    embedding_api_key: SecretStr | None = Field(default=None, exclude=True)

    @field_validator("sources")
    @classmethod
    def _names(cls, sources: Mapping[str, SourceSettings]) -> Mapping[str, SourceSettings]:
        for name in sources:
            check_source_name(name)
        return sources

    def masking_for(self, source_system: str) -> dict[str, str]:
        """The masking policy of a source: entity -> action, every entity named."""
        own = self.sources.get(source_system, SourceSettings()).masking
        policy: dict[str, str] = dict.fromkeys(ENTITIES, "mask")
        for layer in (self.defaults.masking, own):
            policy.update(layer.items())
        return policy

    @property
    def object_store_url(self) -> str:
        return self.object_store.url or (self.home / "objects").as_uri()


_FROM_ENVIRONMENT_ONLY = ("home", "config_path", "dagster_home", "database_dsn", "embedding_api_key")


def check_source_name(name: str) -> str:
    """Return `name` if it can name a source system; raise ValueError otherwise."""
    if not SOURCE_NAME.fullmatch(name):
        raise ValueError(
            f"source system name {name!r}: use 1 to 63 lower-case letters, digits, '-' and '_', "
            "beginning with a letter or digit"
        )
    return name


def load_settings(
    environ: Mapping[str, str] | None = None, config: Path | None = None, home: Path | None = None
) -> Settings:
    """Read kb.yaml and the environment; `config` and `home` win over KB_CONFIG and KB_HOME.

    Raises SettingsError naming the file, the setting and the remedy.
    """
    environ = os.environ if environ is None else environ
    named = config or (Path(environ["KB_CONFIG"]) if environ.get("KB_CONFIG") else None)
    path = named or Path("kb.yaml")
    if named and not named.is_file():
        raise SettingsError(f"KB_CONFIG names {named}, and there is no such file.", "Correct KB_CONFIG or unset it.")
    raw = _read_yaml(path) if path.is_file() else {}
    _refuse_environment_only(raw, path)
    origin = _overlay(raw, environ)
    raw["home"] = (home or Path(environ.get("KB_HOME") or ".kb")).absolute()
    raw["dagster_home"] = Path(environ["DAGSTER_HOME"]) if environ.get("DAGSTER_HOME") else None
    raw["config_path"] = path.absolute() if path.is_file() else None
    raw["database_dsn"] = environ.get("KB_DATABASE_DSN") or None
    raw["embedding_api_key"] = environ.get("KB_EMBEDDING_API_KEY") or None
    try:
        return Settings.model_validate(raw)
    except ValidationError as error:
        raise _explain(error, path, origin) from None


def _read_yaml(path: Path) -> dict[str, object]:
    try:
        raw = yaml.safe_load(path.read_text(encoding="utf-8"))
    except (yaml.YAMLError, UnicodeDecodeError) as error:
        where = getattr(error, "problem_mark", None)
        line = f", line {where.line + 1}" if where else ""
        raise SettingsError(f"{path} is not valid YAML{line}.", "Correct the syntax and try again.") from None
    if raw is None:
        return {}
    if not isinstance(raw, dict):
        raise SettingsError(f"{path} must hold settings by name.", "See the commented kb.yaml of the project.")
    return raw


def _refuse_environment_only(raw: dict[str, object], path: Path) -> None:
    for name in _FROM_ENVIRONMENT_ONLY:
        if name in raw:
            raise SettingsError(
                f"{path} sets {name}, which is read from the environment alone.",
                f"Remove it from {path}; `kb doctor` lists the environment variables.",
            )


def _overlay(raw: dict[str, object], environ: Mapping[str, str]) -> dict[str, str]:
    """The environment wins over kb.yaml, so that one kb.yaml serves a laptop and a cluster. Returns setting -> variable
    of what it set."""
    urls = environ.get("KB_EMBEDDING_URLS")
    origin = {}
    for section, key, variable, value in (
        ("object_store", "url", "KB_OBJECT_STORE_URL", environ.get("KB_OBJECT_STORE_URL")),
        ("object_store", "endpoint", "AWS_ENDPOINT_URL", environ.get("AWS_ENDPOINT_URL")),
        ("embedding", "urls", "KB_EMBEDDING_URLS", [u.strip() for u in urls.split(",") if u.strip()] if urls else None),
    ):
        current = raw.get(section) or {}
        if value and isinstance(current, dict):
            raw[section] = {**current, key: value}
            origin[f"{section}.{key}"] = variable
    return origin


def _explain(error: ValidationError, path: Path, origin: Mapping[str, str]) -> SettingsError:
    """One line a mistake, and where to correct it. Values are not repeated: one might be a secret in a wrong place."""
    lines, places = [], set()
    for item in error.errors(include_input=False, include_url=False):
        where = ".".join(str(part) for part in item["loc"]) or "(top level)"
        place = next((name for setting, name in origin.items() if f"{where}.".startswith(f"{setting}.")), str(path))
        places.add(place)
        lines.append(f"{where}: {item['msg'].removeprefix('Value error, ')}")
    wrong = " and ".join(sorted(places))
    count = f"{len(lines)} invalid setting{'s' if len(lines) > 1 else ''}"
    return SettingsError(f"{count} in {wrong}: {'; '.join(lines)}.", f"Correct {wrong} and try again.")
