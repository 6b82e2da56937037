"""What the fork server of the workers imports once: a replaced worker then starts without importing anything."""

from kb_pipeline import chunking, masking, parsing, stages

parsing.warm_up()
masking.warm_up()

__all__ = ["chunking", "masking", "parsing", "stages"]
