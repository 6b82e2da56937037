"""The composition root: everything Dagster loads. Nothing is read or connected to at import."""

from dagster import Definitions, in_process_executor

from kb_pipeline.defs.assets import ALL_ASSETS
from kb_pipeline.defs.jobs import sync_job
from kb_pipeline.defs.resources import KnowledgeBaseResource, SGLangResource

defs = Definitions(
    assets=ALL_ASSETS,
    jobs=[sync_job],
    resources={"knowledge_base": KnowledgeBaseResource(), "sglang": SGLangResource()},
    executor=in_process_executor,
)
