"""Where dagster.yaml of earlier releases looks for the storage: a DAGSTER_HOME of the user may still hold a copy."""

from kb_pipeline.defs.running.storage import EnvironmentStorage

__all__ = ["EnvironmentStorage"]
