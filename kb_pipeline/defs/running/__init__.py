"""The sync job run from the command line, and where Dagster keeps what it knows."""
