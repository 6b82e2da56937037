"""How well documents are read, measured on renderings of known texts (make quality); docs/quality.md explains it."""
