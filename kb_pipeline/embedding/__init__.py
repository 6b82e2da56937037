"""Embed: from masked texts to unit vectors, over any OpenAI-compatible service."""
