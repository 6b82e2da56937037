"""Dagster's own storage, chosen by the environment: PostgreSQL if KB_DAGSTER_POSTGRES_URL is set, else SQLite.

dagster.yaml cannot choose by itself, so it names this class.
"""

from __future__ import annotations

import os
from typing import Any

from kb_pipeline.defs.dagster_private import DagsterSqliteStorage
from kb_pipeline.local.dagster_home import POSTGRES_URL


class EnvironmentStorage(DagsterSqliteStorage):
    """SQLite under DAGSTER_HOME/storage, or PostgreSQL."""

    @classmethod
    def from_config_value(cls, inst_data: Any, config_value: Any) -> Any:
        """What Dagster calls with the config of dagster.yaml."""
        url = os.environ.get(POSTGRES_URL)
        if not url:
            return super().from_config_value(inst_data, config_value)
        from dagster_postgres import DagsterPostgresStorage

        return DagsterPostgresStorage.from_config_value(inst_data, {"postgres_url": url})
