"""Settings from kb.yaml and the environment, and what is said of a mistake in either."""

from __future__ import annotations

import os
from collections.abc import Hashable, Iterator, Mapping, Sequence
from difflib import get_close_matches
from pathlib import Path
from typing import Any, get_args

import yaml
from pydantic import BaseModel, ValidationError
from pydantic_core import ErrorDetails

from kb_pipeline.core.errors import SettingsError
from kb_pipeline.settings.policy import ENTITIES, PseudonymKey
from kb_pipeline.settings.root import Settings

_PASSWORDS = "KB_PASSWORDS_"
_FROM_ENVIRONMENT_ONLY = (
    "home",
    "config_path",
    "dagster_home",
    "database_dsn",
    "embedding_api_key",
    "pseudonym_key",
    "passwords",
    "progress",
)


def load_settings(
    environ: Mapping[str, str] | None = None, config: Path | None = None, home: Path | None = None
) -> Settings:
    """Read kb.yaml and the environment; `config` and `home` win over KB_CONFIG and KB_HOME.

    Raises SettingsError naming the file, the setting and the remedy.
    """
    environ = os.environ if environ is None else environ
    named, path = _named(environ, config), settings_path(environ, config)
    if named and not named.is_file():
        raise SettingsError(f"KB_CONFIG names {named}, and there is no such file.", "Correct KB_CONFIG or unset it.")
    if not path.is_file() and (path.exists() or path.is_symlink()):
        raise SettingsError(f"{path} is not a file that can be read.", "Put the settings file there, or remove it.")
    raw = _read_yaml(path) if path.is_file() else {}
    _refuse_other_encodings(environ)
    _refuse_environment_only(raw, path)
    origin = _overlay(raw, environ)
    raw["home"] = (home or Path(environ.get("KB_HOME") or ".kb")).absolute()
    raw["dagster_home"] = Path(environ["DAGSTER_HOME"]) if environ.get("DAGSTER_HOME") else None
    raw["config_path"] = path.absolute() if path.is_file() else None
    raw["database_dsn"] = environ.get("KB_DATABASE_DSN") or None
    raw["embedding_api_key"] = environ.get("KB_EMBEDDING_API_KEY") or None
    raw["pseudonym_key"] = _pseudonym_key(environ.get("KB_PSEUDONYM_KEY"))
    raw["passwords"] = _passwords(environ)
    raw["progress"] = environ.get("KB_PROGRESS") or "plain"
    origin["progress"] = "KB_PROGRESS"
    try:
        return Settings.model_validate(raw)
    except ValidationError as error:
        raise _explain(error, path, origin) from None


def settings_path(environ: Mapping[str, str] | None = None, config: Path | None = None) -> Path:
    """The settings file: `config`, else KB_CONFIG, else kb.yaml in the working directory. It need not be there."""
    return _named(os.environ if environ is None else environ, config) or Path("kb.yaml")


def _named(environ: Mapping[str, str], config: Path | None) -> Path | None:
    return config or (Path(environ["KB_CONFIG"]) if environ.get("KB_CONFIG") else None)


def _passwords(environ: Mapping[str, str]) -> dict[str, tuple[str, ...]]:
    """Passwords by source system as the variable names it: `KB_PASSWORDS_` and HR_DOCS for hr-docs and hr_docs, one a
    line."""
    named = ((name.removeprefix(_PASSWORDS), value) for name, value in environ.items() if name.startswith(_PASSWORDS))
    return {source: tuple(line for line in value.splitlines() if line) for source, value in named}


def _pseudonym_key(written: str | None) -> PseudonymKey | None:
    try:
        return PseudonymKey.read(written) if written else None
    except ValueError as error:
        raise SettingsError(f"KB_PSEUDONYM_KEY {error}.", "docs/privacy.md says how to make one.") from None


class _NameTwiceError(yaml.YAMLError):
    """A name that stands twice in one mapping."""


class _EachNameOnce(yaml.SafeLoader):
    """YAML lets the last of two equal names win without a word: a masking policy could be lost so."""

    def construct_mapping(self, node: yaml.MappingNode, deep: bool = False) -> dict[Hashable, Any]:
        seen: set[str] = set()
        for key, _ in node.value:
            if key.value in seen:
                raise _NameTwiceError(f"{key.value} is set twice, again in line {key.start_mark.line + 1}")
            if isinstance(key.value, str) and key.value != "<<":
                seen.add(key.value)
        return super().construct_mapping(node, deep)


def _read_yaml(path: Path) -> dict[str, object]:
    try:
        raw = yaml.load(path.read_text(encoding="utf-8"), _EachNameOnce)  # noqa: S506 - a SafeLoader
    except _NameTwiceError as error:
        raise SettingsError(f"{path}: {error}.", "Remove one of the two.") from None
    except (yaml.YAMLError, UnicodeDecodeError) as error:
        where = getattr(error, "problem_mark", None)
        line = f", line {where.line + 1}" if where else ""
        raise SettingsError(f"{path} is not valid YAML{line}.", "Correct the syntax and try again.") from None
    if raw is None:
        return {}
    if not isinstance(raw, dict):
        raise SettingsError(f"{path} must hold settings by name.", "See the commented kb.yaml of the project.")
    return raw


def _refuse_other_encodings(environ: Mapping[str, str]) -> None:
    """Bytes that are not UTF-8 reach Python as halves of characters, which no library sends on."""
    for name, value in environ.items():
        if name.startswith(("KB_", "AWS_")) and name not in ("KB_HOME", "KB_CONFIG"):
            try:
                value.encode()
            except UnicodeEncodeError:
                raise SettingsError(f"{name} holds bytes that are not UTF-8.", f"Correct {name}.") from None


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
        ("notifications", "queue_url", "KB_NOTIFICATION_QUEUE_URL", environ.get("KB_NOTIFICATION_QUEUE_URL")),
        ("alerts", "webhook_url", "KB_ALERT_WEBHOOK_URL", environ.get("KB_ALERT_WEBHOOK_URL")),
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
        lines.append(f"{where}: {_wrong(item)}")
    wrong = " and ".join(sorted(places))
    count = f"{len(lines)} invalid setting{'s' if len(lines) > 1 else ''}"
    told = "; ".join(lines)
    end = "" if told.endswith("?") else "."
    return SettingsError(f"{count} in {wrong}: {told}{end}", f"Correct {wrong} and try again.")


def _wrong(item: ErrorDetails) -> str:
    """What is wrong at one place, and for a name that is not known the one that was meant."""
    if item["type"] == "extra_forbidden":
        return f"there is no such setting{_meant(str(item['loc'][-1]), item['loc'][:-1])}"
    if item["loc"][-1] == "[key]":
        close = _closest(str(item["loc"][-2]), ENTITIES)
        return f"there is no such name; did you mean {close}?" if close else item["msg"]
    return item["msg"].removeprefix("Value error, ")


def _meant(name: str, place: tuple[int | str, ...]) -> str:
    """What to say of a name that is none at this place: the one that was meant here, the section that it belongs to, or
    what there is here."""
    there = list(_settings_at(place))
    if close := _closest(name, there):
        return f"; did you mean {close}?"
    for section, field in Settings.model_fields.items():
        model = _model_in(field.annotation)
        if not field.exclude and model and section != "sources" and name in model.model_fields:
            return f"; did you mean {section}.{name}?"
    return f": known are {', '.join(there)}"


def _closest(name: str, known: Sequence[str]) -> str | None:
    begun = [one for one in known if len(name) > 2 and (one.startswith(name) or name.startswith(one))]
    return next(iter(begun or get_close_matches(name, known, 1)), None)


def _settings_at(place: tuple[int | str, ...]) -> Iterator[str]:
    """Names of the settings that a section may hold. Between a model and the next stand names of the user's."""
    model: type[BaseModel] = Settings
    for part in place:
        if isinstance(part, str) and part in model.model_fields:
            model = _model_in(model.model_fields[part].annotation) or model
    return (name for name, field in model.model_fields.items() if not field.exclude)


def _model_in(annotation: object) -> type[BaseModel] | None:
    """The model that a setting's type holds: itself, or in a map, a list or an alternative."""
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        return annotation
    return next((model for part in get_args(annotation) if (model := _model_in(part))), None)
