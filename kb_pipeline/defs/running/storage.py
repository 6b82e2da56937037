"""Dagster's own storage, chosen by the environment: PostgreSQL if KB_DAGSTER_POSTGRES_URL is set, else SQLite.

dagster.yaml cannot choose by itself, so it names this class. Every process of Dagster makes one before anything else.
"""

from __future__ import annotations

import os
import sys
from typing import Any

from dagster import Field, StringSource

from kb_pipeline.defs.dagster_private import DagsterSqliteStorage
from kb_pipeline.local.dagster_home import POSTGRES_URL, make_dagster_home


class EnvironmentStorage(DagsterSqliteStorage):
    """PostgreSQL, or SQLite in `base_dir`: DAGSTER_HOME, or where `kb` keeps it when that is not set."""

    @classmethod
    def config_type(cls) -> Any:
        """What dagster.yaml may say under `config`. Nothing is needed."""
        return {"base_dir": Field(StringSource, is_required=False)}

    @classmethod
    def from_config_value(cls, inst_data: Any, config_value: Any) -> Any:
        """What Dagster calls with the config of dagster.yaml."""
        if "dagster_webserver" in sys.modules:
            from kb_pipeline.defs.serving.webserver import guard_dagsters_own

            guard_dagsters_own()
        url = os.environ.get(POSTGRES_URL)
        if not url:
            base = config_value.get("base_dir") or str(make_dagster_home(os.environ))
            return super().from_config_value(inst_data, {"base_dir": base})
        from dagster_postgres import DagsterPostgresStorage

        return DagsterPostgresStorage.from_config_value(inst_data, {"postgres_url": url})
