"""Six assets, one partition a source system. Each body makes its stage complete for one source and reports."""

from collections.abc import Callable, Sequence

from dagster import (
    AssetCheckResult,
    AssetCheckSpec,
    AssetExecutionContext,
    AssetRecordsFilter,
    AssetsDefinition,
    Config,
    DagsterExecutionInterruptedError,
    DataVersion,
    Failure,
    MaterializeResult,
    MetadataValue,
    asset,
)
from pydantic import Field

from kb_pipeline.core.contracts import StageName
from kb_pipeline.core.errors import KbError, NotFound
from kb_pipeline.defs.assets import checks, metadata
from kb_pipeline.defs.assets.partitions import SOURCE_SYSTEMS, source_systems
from kb_pipeline.defs.resources import KnowledgeBaseResource
from kb_pipeline.defs.tags import COMMAND_LINE, KEYS_ONLY, LAUNCHED_BY
from kb_pipeline.pipeline.catalogue import stage_versions
from kb_pipeline.pipeline.opening import no_such_source
from kb_pipeline.pipeline.runner import StageReport
from kb_pipeline.pipeline.sampling import sample
from kb_pipeline.pipeline.source_run import SourceRun, run_one, source_run
from kb_pipeline.settings import Settings
from kb_pipeline.store.views.overview import Passage

OWNERS = ["team:knowledge-base"]
# One group: the lineage page draws a single group open, several closed, and six assets are one picture.
GROUP = "knowledge_base"
STAGE_OF_ASSET: dict[str, StageName] = {
    "raw_documents": "raw",
    "cleaned_elements": "parse",
    "chunks": "chunk",
    "masked_chunks": "mask",
    "embeddings": "embed",
    "vector_tables": "publish",
}
# The tag by which Dagster notes a materialization's data version.
DATA_VERSION = "dagster/data_version"
Check = Callable[[SourceRun, StageReport, Sequence[Passage]], list[AssetCheckResult]]


VERSIONS = stage_versions()
# None is one run a source system, tagged with it. BackfillPolicy.multi_run(1) makes as many, but each over a range from
# a source to itself, without that tag: then the queue does not keep two runs of a source apart, no sensor goes on with
# its backlog, and its checks are of no partition.
BACKFILL_POLICY = None


def _stage_asset(
    name: str,
    description: str,
    *,
    kinds: set[str],
    before: str,
    check_specs: Sequence[AssetCheckSpec] = (),
    check: Check | None = None,
    pool: str | None = None,
) -> AssetsDefinition:
    @asset(
        name=name,
        description=description,
        group_name=GROUP,
        kinds=kinds,
        owners=OWNERS,
        partitions_def=source_systems,
        backfill_policy=BACKFILL_POLICY,
        code_version=str(VERSIONS[STAGE_OF_ASSET[name]]),
        metadata=metadata.of_definition(STAGE_OF_ASSET[name]),
        deps=[before],
        check_specs=check_specs,
        pool=pool,
    )
    def body(context: AssetExecutionContext, knowledge_base: KnowledgeBaseResource) -> MaterializeResult:  # type: ignore[type-arg] # Dagster reads this annotation and knows no generic
        return _materialize(context, name, knowledge_base.settings(), check)

    return body


def _materialize(
    context: AssetExecutionContext, name: str, settings: Settings, check: Check | None, **observing: bool
) -> MaterializeResult:  # type: ignore[type-arg]
    """Make the asset's stage complete for the partition, and say what was done."""
    stage = STAGE_OF_ASSET[name]
    try:
        source = _source_system(context)
        with source_run(settings, source, context.run.run_id, last=_is_last(context, name)) as run:
            report = run_one(run, stage, **observing)
            passages = sample(run, report) if stage in metadata.SAMPLED else []
            report.add_costs(run.object_costs())
            return MaterializeResult(
                metadata=metadata.describe(run, report, stage, passages),
                data_version=_data_version(context, report),
                check_results=check(run, report, passages) if check else [],
            )
    except DagsterExecutionInterruptedError:
        # Ctrl-C at the command line. Dagster asks its books whether someone wanted the end, and else says "failed".
        if context.run.tags.get(LAUNCHED_BY) == COMMAND_LINE:
            context.instance.report_run_canceling(context.run, "Interrupted at the command line.")
        raise
    except KbError as error:
        raise Failure(
            description=str(error),
            metadata={"error": type(error).__name__, "remedy": MetadataValue.text(error.remedy)},
            allow_retries=False,
        ) from error


def _source_system(context: AssetExecutionContext) -> str:
    """The run's partition, one that Dagster's books have. The launchpad and GraphQL take any text for one, and whatever
    the ledger is asked to work on it knows from then on. Raises NotFound."""
    known = context.instance.get_dynamic_partitions(SOURCE_SYSTEMS)
    if not context.has_partition_key:
        raise NotFound("The run names no source system.", f"Choose a partition: {', '.join(known) or 'none is there'}.")
    source: str = context.partition_key
    if source not in known:
        raise no_such_source(source, known)
    return source


def _data_version(context: AssetExecutionContext, report: StageReport) -> DataVersion:
    """A new version if this run changed what the stage holds for the partition, else the last one."""
    if not (report.done or report.deleted):
        of_partition = AssetRecordsFilter(context.asset_key, asset_partitions=[context.partition_key])
        for record in context.instance.fetch_materializations(of_partition, limit=1).records:
            last = (record.asset_materialization.tags or {}).get(DATA_VERSION) if record.asset_materialization else None
            if last:
                return DataVersion(last)
    return DataVersion(context.run.run_id)


class RawDocumentsConfig(Config):
    """How a run looks at its source."""

    compare_listing: bool = Field(
        default=True,
        description="Compare the source's whole listing with the ledger first. Off: take on what is known to be left "
        "to do.",
    )
    confirm_deletes: bool = Field(
        default=False,
        description="Delete what is gone from the source although it is a large share of it, as kb sync "
        "--confirm-deletes does.",
    )


def _is_last(context: AssetExecutionContext, name: str) -> bool:
    """Whether no later stage of this run follows: the source's lease is then given back."""
    selection = context.run.asset_selection
    selected = {key.to_user_string() for key in selection} if selection else set(STAGE_OF_ASSET)
    order = list(STAGE_OF_ASSET)
    return not any(later in selected for later in order[order.index(name) + 1 :])


@asset(
    description="What the source system holds now: its listing compared with the ledger as a set. Only objects "
    "whose ETag, size or time changed are read, to hash them; documents that are gone are deleted, unless they are "
    "a suspiciously large share. A run takes on a bounded number of documents. How work is found: "
    "`docs/design.md`.",
    group_name=GROUP,
    kinds={"s3", "python"},
    owners=OWNERS,
    partitions_def=source_systems,
    backfill_policy=BACKFILL_POLICY,
    code_version=str(VERSIONS["raw"]),
    check_specs=checks.raw_documents_checks,
)
def raw_documents(
    context: AssetExecutionContext, config: RawDocumentsConfig, knowledge_base: KnowledgeBaseResource
) -> MaterializeResult:  # type: ignore[type-arg]
    return _materialize(
        context,
        "raw_documents",
        knowledge_base.settings(),
        checks.check_raw,
        listing=config.compare_listing,
        confirm_deletes=config.confirm_deletes,
        hinted_only=KEYS_ONLY in context.run.tags,
    )


cleaned_elements = _stage_asset(
    "cleaned_elements",
    "Documents read into titles, paragraphs, lists and tables, each in a worker process of its own with a time and a "
    "memory limit. One bad file goes to quarantine and costs only itself. What is read: `docs/formats.md`.",
    kinds={"python", "arrow"},
    before="raw_documents",
)
chunks = _stage_asset(
    "chunks",
    "Passages cut along the heading structure, with heading path, pages and order. How well they are cut: "
    "`docs/quality.md`.",
    kinds={"python", "arrow"},
    before="cleaned_elements",
)
masked_chunks = _stage_asset(
    "masked_chunks",
    "Passages with personal data and amounts replaced by labels, by the source's policy. Masking checks its own "
    "output: a document that still holds something detectable goes to quarantine. What is found: `docs/privacy.md`.",
    kinds={"python", "arrow"},
    before="chunks",
    check_specs=checks.masked_chunks_checks,
    check=checks.check_masked,
)
embeddings = _stage_asset(
    "embeddings",
    "One vector a distinct masked text, in the model's native dimension. A text that already has a vector of this "
    "model is not sent again. Models and servers: `docs/settings.md`.",
    kinds={"sglang", "python"},
    before="masked_chunks",
    pool="embedding",
)
vector_tables = _stage_asset(
    "vector_tables",
    "Chunk and vector rows in PostgreSQL, written by difference, each document with the ledger in one transaction: "
    "readers see its old version or its new one. What to query: `docs/design.md`.",
    kinds={"postgres", "pgvector"},
    before="embeddings",
    check_specs=checks.vector_tables_checks,
    check=checks.check_published,
)

ALL_ASSETS = [raw_documents, cleaned_elements, chunks, masked_chunks, embeddings, vector_tables]
