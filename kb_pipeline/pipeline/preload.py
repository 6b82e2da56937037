"""What the fork server of the workers imports once: a replaced worker then starts without importing anything."""

import gc

from kb_pipeline import chunking, masking, parsing
from kb_pipeline.core.collector import collect_seldom
from kb_pipeline.pipeline import catalogue
from kb_pipeline.store.objects import artifacts

parsing.warm_up()
masking.warm_up()
artifacts.warm_up()
# What is loaded now stays for good: the collector need not look through it in every worker.
gc.freeze()
collect_seldom()

__all__ = ["artifacts", "catalogue", "chunking", "masking", "parsing"]
