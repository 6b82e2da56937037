"""All settings as one value, and what follows from several of them together."""

from __future__ import annotations

import re
from collections.abc import Mapping
from fnmatch import fnmatchcase
from pathlib import Path
from typing import Literal

from pydantic import Field, SecretStr, field_validator

from kb_pipeline.core.errors import SettingsError
from kb_pipeline.core.selection import Selection
from kb_pipeline.settings.policy import ENTITIES, MASK, Language, MaskingPolicy, NamedEntityModel, PseudonymKey
from kb_pipeline.settings.sections import (
    AlertSettings,
    AutomationSettings,
    ChunkingSettings,
    DefaultSettings,
    DeleteSettings,
    EmbeddingSettings,
    LeaseSettings,
    LimitSettings,
    NotificationSettings,
    ObjectStoreSettings,
    RetentionSettings,
    RunSettings,
    Section,
    SourceSettings,
    Strategy,
)

SOURCE_NAME = re.compile(r"[a-z0-9][a-z0-9_-]{0,62}")


class Settings(Section):
    """Everything in kb.yaml, with the parts of the environment that belong to it filled in."""

    object_store: ObjectStoreSettings = ObjectStoreSettings()
    embedding: EmbeddingSettings = EmbeddingSettings()
    chunking: ChunkingSettings = ChunkingSettings()
    limits: LimitSettings = LimitSettings()
    lease: LeaseSettings = LeaseSettings()
    runs: RunSettings = RunSettings()
    deletes: DeleteSettings = DeleteSettings()
    retention: RetentionSettings = RetentionSettings()
    notifications: NotificationSettings = NotificationSettings()
    alerts: AlertSettings = AlertSettings()
    automation: AutomationSettings = AutomationSettings()
    masking_models: Mapping[Language, NamedEntityModel] = Field(default_factory=dict)
    defaults: DefaultSettings = DefaultSettings()
    sources: Mapping[str, SourceSettings] = Field(default_factory=dict)

    home: Path = Field(default=Path(".kb"), exclude=True)
    config_path: Path | None = Field(default=None, exclude=True)
    dagster_home: Path | None = Field(default=None, exclude=True)
    database_dsn: SecretStr | None = Field(default=None, exclude=True)
    embedding_api_key: SecretStr | None = Field(default=None, exclude=True)
    pseudonym_key: PseudonymKey | None = Field(default=None, exclude=True)
    passwords: Mapping[str, tuple[str, ...]] = Field(default_factory=dict, exclude=True, repr=False)
    progress: Literal["plain", "json"] = Field(default="plain", exclude=True)

    @field_validator("sources")
    @classmethod
    def _names(cls, sources: Mapping[str, SourceSettings]) -> Mapping[str, SourceSettings]:
        for name in sources:
            check_source_name(name)
        return sources

    def masking_for(self, source_system: str) -> MaskingPolicy:
        """The masking policy of a source, every entity named. Raises SettingsError if it needs a key and has none."""
        own = self.sources.get(source_system, SourceSettings()).masking
        actions: dict[str, str] = dict.fromkeys(ENTITIES, MASK)
        for layer in (self.defaults.masking, own):
            actions.update(layer.items())
        policy = MaskingPolicy(actions, self.pseudonym_key, self.masking_models)
        if policy.makes_pseudonyms and policy.key is None:
            raise SettingsError(
                f"The masking policy of {source_system or 'defaults'} makes pseudonyms, and there is no key for them.",
                "Set KB_PSEUDONYM_KEY to ID:SECRET; docs/privacy.md says how to make and change one.",
            )
        return policy

    def selection_for(self, source_system: str) -> Selection:
        """Which names of a source are taken in."""
        own = self.sources.get(source_system, SourceSettings())
        include = self.defaults.include if own.include is None else own.include
        return Selection(include, (*self.defaults.exclude, *own.exclude))

    def strategy_for(self, source_system: str) -> Strategy:
        """How pages that may be pictures are read in a source."""
        return self.sources.get(source_system, SourceSettings()).strategy or self.defaults.strategy

    def passwords_for(self, source_system: str) -> tuple[str, ...]:
        """Passwords that are tried on a source's protected documents."""
        return self.passwords.get(source_system.replace("-", "_").upper(), ())

    def access_groups(self, source_system: str, key: str) -> list[str]:
        """Who may read a document of a source, by the first rule that matches its key."""
        rules = self.sources.get(source_system, SourceSettings()).access
        return next((sorted(rule.groups) for rule in rules if fnmatchcase(key, rule.match)), [])

    def cron_for(self, source_system: str) -> str | None:
        """When a source of kb.yaml is synced by its own schedule; `cron: null` switches off that of `defaults`."""
        own = self.sources.get(source_system, SourceSettings())
        return own.cron if "cron" in own.model_fields_set else self.defaults.cron

    def timezone_for(self, source_system: str) -> str:
        """The time zone in which the source's cron is read."""
        own = self.sources.get(source_system, SourceSettings())
        return own.timezone or self.defaults.timezone or self.automation.timezone

    @property
    def object_store_url(self) -> str:
        return self.object_store.url or (self.home / "objects").as_uri()


def check_source_name(name: str) -> str:
    """Return `name` if it can name a source system; raise ValueError otherwise."""
    if not SOURCE_NAME.fullmatch(name):
        raise ValueError(
            f"source system name {name!r}: use 1 to 63 lower-case letters, digits, '-' and '_', "
            "beginning with a letter or digit"
        )
    return name
