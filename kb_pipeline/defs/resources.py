"""The resource that every asset, job and sensor takes: the settings of the knowledge base."""

from __future__ import annotations

from dataclasses import dataclass

from dagster import ConfigurableResource, InMemoryIOManager, IOManagerDefinition

from kb_pipeline.settings import Settings, load_settings


class KnowledgeBaseResource(ConfigurableResource):  # type: ignore[type-arg]
    """Settings of the knowledge base, read when a run starts: kb.yaml and the KB_* environment variables.

    It has no fields on purpose. Whoever can launch a run can write its configuration; which server gets the texts, and
    which files are read, is for those who write kb.yaml and the environment.
    """

    def settings(self) -> Settings:
        """Raises SettingsError naming the setting and the remedy."""
        return load_settings()


# No asset hands anything to Dagster to keep. Its own IO manager would let a run's configuration name a folder.
KEEPS_NOTHING = IOManagerDefinition(lambda _: InMemoryIOManager(), config_schema={})  # type: ignore[no-untyped-call]


@dataclass(frozen=True, slots=True)
class GivenSettings:
    """Takes the resource's place in a run of this very process, which was given its settings."""

    given: Settings

    def settings(self) -> Settings:
        """What was given."""
        return self.given
