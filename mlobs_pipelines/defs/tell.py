"""Tell in Dagster: the report as an asset."""

from collections.abc import Iterator
from pathlib import Path

import dagster as dg

from mlobs_pipelines.contracts.folder import ModelSpec
from mlobs_pipelines.defs.assets import Part, common
from mlobs_pipelines.defs.lineage import asset_key
from mlobs_pipelines.defs.resources import Site
from mlobs_pipelines.telemetry.work import working


def report_path(site: Site, spec: ModelSpec) -> Path:
    """Where a model's report is written."""
    return site.settings.home / "reports" / f"{spec.monitor.model}.html"


def tell_parts(site: Site, spec: ModelSpec) -> Iterator[Part]:
    """The report asset."""
    model = spec.monitor.model
    says = (
        "Self-contained HTML report with two views: of the data scientist (trends, calibration, drift, "
        "slices, labels) and of the operator (error budgets, incidents, requests)."
    )

    @dg.asset(
        key=asset_key(model, "report"),
        deps=[
            dg.AssetDep(asset_key(model, name), partition_mapping=dg.AllPartitionMapping())
            for name in ("metrics", *(["slo_status"] if spec.monitor.slos else []), "incidents")
        ],
        **common(spec, says, {"html"}),
    )
    def report(context: dg.AssetExecutionContext) -> dg.MaterializeResult[None]:
        from mlobs_pipelines.steps.tell import write_report  # noqa: PLC0415 - slow, brings the charts along

        path = report_path(site, spec)
        walk = site.walk_of(context, spec)
        with working("report", walk.model, walk.commit):
            rows = write_report(walk, path)
        size = path.stat().st_size
        return dg.MaterializeResult(
            metadata={"path": dg.MetadataValue.path(path.absolute()), "metric_rows": rows, "bytes": size}
        )

    yield report
