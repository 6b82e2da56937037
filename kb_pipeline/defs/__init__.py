"""What Dagster sees: assets, what starts them, and how the command line runs them."""
