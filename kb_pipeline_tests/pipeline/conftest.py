"""The fixtures of store/: real PostgreSQL, objects in a real folder, and a source of documents of lines."""

from __future__ import annotations

from kb_pipeline_tests.store.conftest import lease, source, store, take
from kb_pipeline_tests.support.databases import _template, connection, dsn, new_database, server_dsn

__all__ = ["_template", "connection", "dsn", "lease", "new_database", "server_dsn", "source", "store", "take"]
