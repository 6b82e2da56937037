"""What the fork server imports when no pending document is for unstructured: half of what `stages_preload` costs.

A document that comes later all the same finds its parser: the worker that gets it loads it, and keeps it.
"""

import gc

from kb_pipeline import chunking, masking, parsing, stages
from kb_pipeline.store import artifacts

parsing.warm_up(parsing.LIGHT)
masking.warm_up()
artifacts.warm_up()
gc.freeze()  # as in stages_preload
gc.set_threshold(50_000, 20, 50)

__all__ = ["artifacts", "chunking", "masking", "parsing", "stages"]
