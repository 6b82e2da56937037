"""The `kb` command: what it prints, what it ends with."""
