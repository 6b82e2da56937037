"""What the fork server imports when no pending document is for unstructured: half of what `stages_preload` costs.

A document that comes later all the same finds its parser: the worker that gets it loads it, and keeps it.
"""

from kb_pipeline import chunking, masking, parsing, stages

parsing.warm_up(parsing.LIGHT)
masking.warm_up()

__all__ = ["chunking", "masking", "parsing", "stages"]
