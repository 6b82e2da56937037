"""The one partition set: source systems, added as they appear. A document is never a partition."""

from dagster import DynamicPartitionsDefinition

SOURCE_SYSTEMS = "source_system"

source_systems = DynamicPartitionsDefinition(name=SOURCE_SYSTEMS)
