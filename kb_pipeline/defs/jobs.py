"""The job that `kb sync` and the UI run: all six stages of one source system, in one process."""

from dagster import AssetSelection, define_asset_job, in_process_executor

SYNC = "sync"
# Who started a run: the command line goes on with the backlog itself and tells the alert webhook itself.
LAUNCHED_BY = "kb/launched_by"
COMMAND_LINE = "cli"

sync_job = define_asset_job(
    SYNC,
    selection=AssetSelection.all(),
    # Six steps take 5 CPU-seconds in one process and 43 in six: the stages parallelise inside themselves.
    executor_def=in_process_executor,
    description="Bring one source system in step, from raw documents to vectors.",
)
