"""Hybrid search: by meaning and by word, in one statement."""
