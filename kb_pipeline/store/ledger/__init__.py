"""What the ledger knows of documents, stages, hints, leases, backlog and deletes."""
