"""One source system's run, from its listing to what is published. Nothing here knows Dagster."""
