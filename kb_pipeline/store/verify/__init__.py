"""Verifying: whether the invariants hold on a live knowledge base, and precisely where they do not.

problems.py    what is expected, a check as data, a problem
checks.py      the checks that the database answers alone
asking.py      asks them, from one snapshot
deep.py        reads every current artifact and compares what is published with it
outside.py     lists objects and the source
repairs.py     mends what can be made again
"""

from kb_pipeline.store.verify.asking import verify
from kb_pipeline.store.verify.deep import verify_deep
from kb_pipeline.store.verify.outside import verify_listing, verify_objects
from kb_pipeline.store.verify.problems import Check, Expected, Problem
from kb_pipeline.store.verify.repairs import repair, repair_shared

__all__ = [
    "Check",
    "Expected",
    "Problem",
    "repair",
    "repair_shared",
    "verify",
    "verify_deep",
    "verify_listing",
    "verify_objects",
]
