"""Jobs over all source systems: the nightly reconciliation and the weekly collection of what nothing needs."""

from dagster import Failure, MetadataValue, OpExecutionContext, in_process_executor, job, op

from kb_pipeline.core.errors import KbError
from kb_pipeline.defs.automation.ticks import counted
from kb_pipeline.defs.resources import KnowledgeBaseResource
from kb_pipeline.operations import maintenance
from kb_pipeline.pipeline import intake
from kb_pipeline.pipeline.opening import known_sources
from kb_pipeline.store.erasing.collect import Collected

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


@op(description="Says what would be collected, then collects it.")
def collect_what_nothing_needs(context: OpExecutionContext, knowledge_base: KnowledgeBaseResource) -> None:
    settings = knowledge_base.settings()
    try:
        foreseen = maintenance.collect(settings, dry_run=True)
        context.log.info(f"to be collected: {said_of_collected(foreseen)}")
        collected = maintenance.collect(settings, dry_run=False)
    except KbError as error:
        raise Failure(str(error), allow_retries=False) from error
    context.log.info(f"collected: {said_of_collected(collected)}")
    context.add_output_metadata(
        {
            "foreseen": MetadataValue.text(said_of_collected(foreseen)),
            "artifacts": collected.artifacts,
            "clear text past its retention": collected.cleared,
            "bytes": collected.bytes,
            "objects without a row": collected.objects_orphaned,
            "documents expired": collected.documents_expired,
            "by stage": MetadataValue.json(collected.by_stage),
        }
    )


def said_of_collected(collected: Collected) -> str:
    """What goes, or went."""
    artifacts, orphans = counted(collected.artifacts, "artifact"), counted(collected.objects_orphaned, "object")
    expired = counted(collected.documents_expired, "document")
    cleared = f", clear text of {counted(collected.cleared, 'artifact')}" if collected.cleared else ""
    size = counted(collected.bytes, "byte")
    return f"{artifacts}{cleared} and {orphans} without a row, {size}; {expired} past the retention"


@job(
    name=COLLECT,
    executor_def=in_process_executor,
    tags=LIMITED,
    description="Artifacts that nothing needs, and objects that no row names, are deleted; first it is said which.",
)
def collect_job() -> None:
    collect_what_nothing_needs()
