"""The six assets, their checks, their metadata, their partitions."""
