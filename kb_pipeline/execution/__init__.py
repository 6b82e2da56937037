"""Where the work of a stage runs: limited worker processes, the model service."""
