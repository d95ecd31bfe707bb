"""Tell: the report of a model, from the metric store and the declaration alone."""

from pathlib import Path

import pyarrow.compute as pc

from mlobs_pipelines.core.vocabulary import Window
from mlobs_pipelines.destinations.html import ReportFacts, VersionFacts, render_report
from mlobs_pipelines.steps.bins import load_baselines
from mlobs_pipelines.steps.walk import Walk
from mlobs_pipelines.store.metric_store import ANY, MetricStore


def write_report(walk: Walk, path: Path) -> int:
    """Write the self-contained HTML report of a model.

    Parameters
    ----------
    path
        The file to write; its folder is made.

    Returns
    -------
    int
        Metric rows the report is made from.
    """
    rows = MetricStore(walk.lake).query(walk.model, as_of=walk.as_of, maturities=[ANY])
    baselines = load_baselines(walk)
    monitor = walk.spec.monitor
    daily = rows.filter(pc.equal(rows.column("window"), str(Window.DAY)))
    covered = pc.min_max(daily.column("window_start")).as_py()
    facts = ReportFacts(
        model=monitor.model,
        description=monitor.description,
        owners=monitor.owners,
        runbook=monitor.runbook,
        as_of=walk.as_of,
        first_day=covered["min"] or monitor.start_date,
        last_day=covered["max"] or monitor.start_date,
        code_version=walk.commit["code_version"],
        contract_hash=walk.spec.hash,
        versions={
            name: VersionFacts(
                baseline.baseline_id, monitor.versions[name].threshold if monitor.task == "binary" else None
            )
            for name, baseline in baselines.items()
        },
        importance={
            name: {feature: binned.importance for feature, binned in baseline.features.items()}
            for name, baseline in baselines.items()
        },
    )
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(render_report(facts, rows), encoding="utf-8")
    return int(rows.num_rows)
