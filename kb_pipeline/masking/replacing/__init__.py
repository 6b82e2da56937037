"""What stands in place of what was found, and the second look at it."""
