"""What the fork server imports when no pending document is for unstructured: half of what `preload` costs.

A document that comes later all the same finds its parser: the worker that gets it loads it, and keeps it.
"""

import gc

from kb_pipeline import chunking, masking, parsing
from kb_pipeline.core.collector import collect_seldom
from kb_pipeline.pipeline import catalogue
from kb_pipeline.store.objects import artifacts

parsing.warm_up(parsing.LIGHT)
masking.warm_up()
artifacts.warm_up()
gc.freeze()  # as in preload.py
collect_seldom()

__all__ = ["artifacts", "catalogue", "chunking", "masking", "parsing"]
