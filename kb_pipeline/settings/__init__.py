"""Typed settings: kb.yaml for what is not secret, the environment for what is. The only reader of the environment.

KB_HOME              folder for the embedded stack's state (default: .kb in the working directory)
KB_CONFIG            the settings file (default: kb.yaml in the working directory; none is needed)
KB_DATABASE_DSN      PostgreSQL; unset means the embedded one under KB_HOME
KB_OBJECT_STORE_URL  overrides object_store.url
KB_EMBEDDING_URLS    overrides embedding.urls, separated by commas
KB_EMBEDDING_API_KEY key for the embedding service, if it wants one
KB_PSEUDONYM_KEY     ID:SECRET, for entities that a masking policy replaces by pseudonyms
KB_PASSWORDS_<SOURCE> passwords of a source system's protected documents, one a line
KB_PROGRESS          json: progress on standard error as JSON lines, not as plain ones or a bar
KB_ALERT_WEBHOOK_URL overrides alerts.webhook_url
KB_NOTIFICATION_QUEUE_URL  overrides notifications.queue_url
AWS_*                credentials and region for s3:// URLs, as boto3 and obstore read them
"""

from __future__ import annotations

from kb_pipeline.settings.loading import load_settings, settings_path
from kb_pipeline.settings.policy import ENTITIES, MaskingPolicy, NamedEntityModel, PseudonymKey, strictest
from kb_pipeline.settings.root import SOURCE_NAME, Settings, check_source_name
from kb_pipeline.settings.sections import (
    DEFAULT_MODEL,
    AccessRule,
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
    SourceSettings,
    Strategy,
)

__all__ = [
    "DEFAULT_MODEL",
    "ENTITIES",
    "SOURCE_NAME",
    "AccessRule",
    "AlertSettings",
    "AutomationSettings",
    "ChunkingSettings",
    "DefaultSettings",
    "DeleteSettings",
    "EmbeddingSettings",
    "LeaseSettings",
    "LimitSettings",
    "MaskingPolicy",
    "NamedEntityModel",
    "NotificationSettings",
    "ObjectStoreSettings",
    "PseudonymKey",
    "RetentionSettings",
    "RunSettings",
    "Settings",
    "SourceSettings",
    "Strategy",
    "check_source_name",
    "load_settings",
    "settings_path",
    "strictest",
]
