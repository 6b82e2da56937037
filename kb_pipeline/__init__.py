"""An enterprise's documents as a searchable, private, always-current knowledge base."""
