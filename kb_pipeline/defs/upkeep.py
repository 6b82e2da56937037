"""Jobs over all source systems: the nightly reconciliation and the weekly collection of what nothing needs."""

from dagster import Failure, MetadataValue, OpExecutionContext, in_process_executor, job, op

from kb_pipeline import intake
from kb_pipeline.defs.resources import KnowledgeBaseResource
from kb_pipeline.defs.ticks import counted
from kb_pipeline.errors import KbError
from kb_pipeline.opening import known_sources

RECONCILE, COLLECT = "reconcile_sources", "collect_garbage"
# No lease tells whether their process lives: Dagster ends them after so long.
HOURS = 12
LIMITED = {"dagster/max_runtime": str(HOURS * 3600)}


@op(description="Lists every source system and compares the listing with the ledger, whatever its digest.")
def reconcile_every_source(context: OpExecutionContext, knowledge_base: KnowledgeBaseResource) -> None:
    settings = knowledge_base.settings()
    failed, said = [], {}
    for source in known_sources(settings):
        try:
            seen = intake.reconcile(settings, source, full=True)
        except KbError as error:
            failed.append(f"{source}: {error}")
            continue
        said[source] = f"{counted(seen.listed, 'object')} listed, {counted(seen.hinted, 'difference')}"
        context.log.info(f"{source}: {said[source]}")
    context.add_output_metadata({source: MetadataValue.text(words) for source, words in said.items()})
    if failed:
        raise Failure("\n".join(failed), allow_retries=False)


@job(
    name=RECONCILE,
    executor_def=in_process_executor,
    tags=LIMITED,
    description="Every source listed and compared in full. What differs is taken on by the runs that follow.",
)
def reconcile_job() -> None:
    reconcile_every_source()
