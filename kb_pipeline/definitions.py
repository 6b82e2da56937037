"""The composition root: everything Dagster loads. Nothing is read or connected to at import."""

from dagster import Definitions, definitions, in_process_executor

from kb_pipeline.defs.assets.graph import ALL_ASSETS
from kb_pipeline.defs.automation.alerts import alert_braked, alert_failed
from kb_pipeline.defs.automation.schedules import schedules
from kb_pipeline.defs.automation.sensors import continue_backlog, lost_runs, new_documents_sensor
from kb_pipeline.defs.automation.upkeep import collect_job, reconcile_job
from kb_pipeline.defs.jobs import sync_job
from kb_pipeline.defs.resources import KEEPS_NOTHING, KnowledgeBaseResource
from kb_pipeline.settings import Settings, load_settings


def build_definitions(settings: Settings) -> Definitions:
    """Assets, jobs, sensors and the schedules that these settings ask for."""
    return Definitions(
        assets=ALL_ASSETS,
        jobs=[sync_job, reconcile_job, collect_job],
        schedules=schedules(settings),
        sensors=[new_documents_sensor(settings), continue_backlog, lost_runs, alert_failed, alert_braked],
        resources={"knowledge_base": KnowledgeBaseResource(), "io_manager": KEEPS_NOTHING},
        executor=in_process_executor,
    )


@definitions
def defs() -> Definitions:
    """What Dagster calls when it loads, or reloads, the code location: settings are read then. A wrong kb.yaml is an
    error of the code location, in the words of SettingsError."""
    return build_definitions(load_settings())
