"""Questions that people ask of the ledger."""
