"""Syncs from the command line and from Python."""
