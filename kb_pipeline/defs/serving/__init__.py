"""The Dagster UI, guarded, and the processes of `kb dev`."""
