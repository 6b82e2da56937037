"""The object store, and the artifacts in it."""
