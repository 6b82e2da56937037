"""Mail with its attachments, and archives: documents that hold documents."""
