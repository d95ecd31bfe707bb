"""One declared model as Dagster definitions, and the component that offers the same to other projects."""

from pathlib import Path

import dagster as dg
from dagster._core.definitions.assets.graph.asset_graph import AssetGraph  # Dagster has no public name for it

from mlobs_pipelines.contracts.folder import ModelSpec, load_model
from mlobs_pipelines.core.metrics import METRICS
from mlobs_pipelines.defs.alerts import alert_sensors
from mlobs_pipelines.defs.cadence import schedules
from mlobs_pipelines.defs.freshness import freshness_parts
from mlobs_pipelines.defs.incidents import incident_parts
from mlobs_pipelines.defs.ingest import ingest_parts
from mlobs_pipelines.defs.jobs import jobs
from mlobs_pipelines.defs.join import join_parts
from mlobs_pipelines.defs.judge import judge_parts
from mlobs_pipelines.defs.leakage import leakage_parts
from mlobs_pipelines.defs.measure import measure_parts
from mlobs_pipelines.defs.rescore import late_labels_sensor, rescore_job
from mlobs_pipelines.defs.resources import Site
from mlobs_pipelines.defs.retention import retention_job, retention_schedule
from mlobs_pipelines.defs.snapshot import log_parts, snapshot_parts
from mlobs_pipelines.defs.tell import tell_parts
from mlobs_pipelines.defs.touched import touched_sensor
from mlobs_pipelines.settings import Settings

STEPS = (
    ingest_parts,
    snapshot_parts,
    log_parts,
    join_parts,
    measure_parts,
    judge_parts,
    incident_parts,
    tell_parts,
    leakage_parts,
)


def model_definitions(site: Site, spec: ModelSpec) -> dg.Definitions:
    """Assets, checks, jobs, schedules and sensors of one model."""
    parts = [part for step in STEPS for part in step(site, spec)]
    assets = [part for part in parts if not isinstance(part, dg.AssetChecksDefinition)]
    cleaning, (fresh, freshness) = retention_job(site, spec), freshness_parts(site, spec)
    checks = [*(part for part in parts if isinstance(part, dg.AssetChecksDefinition)), fresh]
    return dg.Definitions(
        assets=assets,
        asset_checks=checks,
        jobs=[*_jobs(spec, assets, checks), rescore_job(site, spec), cleaning],
        schedules=[*schedules(site, spec), retention_schedule(spec, cleaning)],
        sensors=[touched_sensor(spec), late_labels_sensor(spec), freshness, *alert_sensors(site, spec)],
    )


def _jobs(
    spec: ModelSpec, assets: list[dg.AssetsDefinition], checks: list[dg.AssetChecksDefinition]
) -> list[dg.JobDefinition]:
    """A model's jobs, resolved among its own assets.

    Dagster would look through the assets of all models for every job: for fifty models that takes longer than
    all the rest.
    """
    own = AssetGraph.from_assets([*assets, *checks])
    return [job.resolve(own, default_executor_def=dg.in_process_executor) for job in jobs(spec)]


class MonitoredModel(dg.Component, dg.Model, dg.Resolvable):
    """A monitored model as a component: ``folder`` is its folder of contracts."""

    folder: str

    def build_defs(self, context: dg.ComponentLoadContext) -> dg.Definitions:
        """Build the model's definitions; a relative folder is looked for in the project."""
        folder = Path(context.project_root) / self.folder
        return model_definitions(Site(Settings()), load_model(folder, METRICS))
