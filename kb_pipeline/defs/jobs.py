"""The job that `kb sync` and the UI run: all six stages of one source system, in one process."""

from dagster import AssetSelection, define_asset_job, in_process_executor

from kb_pipeline.defs.assets.graph import STAGE_OF_ASSET

SYNC = "sync"

sync_job = define_asset_job(
    SYNC,
    # By name: other assets that come to stand beside the six are no stages of a sync.
    selection=AssetSelection.assets(*STAGE_OF_ASSET),
    # Six steps take 5 CPU-seconds in one process and 43 in six: the stages parallelise inside themselves.
    executor_def=in_process_executor,
    description="Bring one source system in step, from raw documents to vectors.",
)
