"""Everything that is kept: objects, the ledger, and the tables that readers query."""
