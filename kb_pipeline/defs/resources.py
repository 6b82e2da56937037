"""Resources: the knowledge base's settings, and the embedding service it attaches to."""

from __future__ import annotations

from pathlib import Path

from dagster import ConfigurableResource
from pydantic import Field

from kb_pipeline.settings import Settings, load_settings


class SGLangResource(ConfigurableResource):  # type: ignore[type-arg]
    """One or several SGLang servers (or any OpenAI-compatible embedding service).

    Left empty, kb.yaml and the environment decide, and without those the embedded server of `kb up`.
    """

    urls: list[str] = Field(
        default_factory=list, description="Base URLs, with or without /v1; calls go to all in turn."
    )
    model: str = Field(default="", description="Served model name; empty means embedding.model of kb.yaml.")

    def apply(self, settings: Settings) -> Settings:
        """`settings` with what is configured here taking the place of kb.yaml's."""
        change: dict[str, object] = {}
        if self.urls:
            change["urls"] = tuple(self.urls)
        if self.model:
            change["model"] = self.model
        if not change:
            return settings
        return settings.model_copy(update={"embedding": settings.embedding.model_copy(update=change)})


class KnowledgeBaseResource(ConfigurableResource):  # type: ignore[type-arg]
    """Settings of the knowledge base, read when a run starts: kb.yaml and the KB_* environment variables."""

    config_path: str = Field(default="", description="Path of kb.yaml; empty means KB_CONFIG or the working directory.")
    home: str = Field(default="", description="KB_HOME; empty means the environment's.")

    def settings(self) -> Settings:
        """Raises SettingsError naming the setting and the remedy."""
        return load_settings(
            config=Path(self.config_path) if self.config_path else None, home=Path(self.home) if self.home else None
        )
