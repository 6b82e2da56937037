"""Names that no word announces, found by named-entity models of the user."""
