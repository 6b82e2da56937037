"""The embedded stack on this machine: PostgreSQL, an embedding server, the Dagster folder."""
