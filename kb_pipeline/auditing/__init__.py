"""The leak proof: documents with known personal data go through the pipeline, and every place where text can be is
looked through for it. What the recognizers find in what is published is counted beside it.
"""

from __future__ import annotations

from kb_pipeline.auditing.audit import audit
from kb_pipeline.auditing.report import AuditReport, Leak, Place

__all__ = ["AuditReport", "Leak", "Place", "audit"]
