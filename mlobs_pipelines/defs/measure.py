"""Measure in Dagster: baseline, statistics and metrics, and one check per family of metrics."""

import hashlib
from collections.abc import Iterator, Mapping, Sequence
from datetime import date

import dagster as dg
import polars as pl

from mlobs_pipelines.contracts.folder import ModelSpec
from mlobs_pipelines.defs.assets import Part, Upstream, common, table_asset
from mlobs_pipelines.defs.checks import Finding, Look, Looks, partitioned_check
from mlobs_pipelines.defs.lineage import asset_key, described, summary
from mlobs_pipelines.defs.pictures import of_family, with_picture
from mlobs_pipelines.defs.resources import Site
from mlobs_pipelines.defs.watched import counted
from mlobs_pipelines.engine.folding import OTHER
from mlobs_pipelines.steps.baseline import measure_baselines
from mlobs_pipelines.steps.layouts import BASELINE_LAYOUT, STATISTICS_LAYOUT
from mlobs_pipelines.steps.metrics import score
from mlobs_pipelines.steps.segments import folded_by_day
from mlobs_pipelines.steps.statistics import measure
from mlobs_pipelines.steps.walk import Walk
from mlobs_pipelines.store.metric_store import MetricStore
from mlobs_pipelines.store.tables import METRICS
from mlobs_pipelines.telemetry.work import working

SAYS = {
    "volume": "Row counts and null shares keep their objectives.",
    "drift": "Features and scores are distributed as in the version's training set (effect and noise).",
    "skew": "What was served equals what the feature views say was known at the prediction.",
    "quality": "Realized quality (AUC, accuracy, log loss, Brier) keeps its objectives.",
    "calibration": "Scores mean what they say: calibration error keeps its objectives.",
    "label_lag": "Labels arrive in time: coverage, backlog and lag keep their objectives.",
    "operations": "Requests are answered, and in time.",
}
SHOWN = 50
WINDOW_REACH = 27


def measure_parts(site: Site, spec: ModelSpec) -> Iterator[Part]:
    """Assets and checks of the measure step."""
    yield _baseline(site, spec)
    yield table_asset(
        site,
        spec,
        measure,
        STATISTICS_LAYOUT,
        "Mergeable statistics per version and segment: metrics are computed from these, never from rows.",
        upstream=[
            Upstream("prediction_log"),
            Upstream("feature_snapshots"),
            Upstream("labelled_predictions"),
            Upstream("baseline", partitioned=False),
        ],
        kinds={"numpy"},
    )
    if spec.monitor.segments:
        says = "No segment has more values than segment_cap: each has metrics of its own."
        yield partitioned_check(site, spec, "statistics", "segments", says, _segments)
    yield table_asset(
        site,
        spec,
        score,
        METRICS,
        "Metric store: drift, skew, quality, calibration, label lag, operations per window, with verdicts.",
        upstream=[Upstream("statistics", before=WINDOW_REACH), Upstream("baseline", partitioned=False)],
        kinds={"numpy"},
    )
    for family, (says, look) in metric_looks(spec).items():
        yield partitioned_check(site, spec, "metrics", family, says, look)


def metric_looks(spec: ModelSpec) -> Looks:
    """The checks of the metrics: one per family that an objective is about."""
    judged = {spec.metrics[objective.metric].family for objective in spec.monitor.objectives}
    return {family: (says, _family(spec, family)) for family, says in SAYS.items() if family in judged}


def _baseline(site: Site, spec: ModelSpec) -> dg.AssetsDefinition:
    says = (
        "What each version learned from, as statistics: the bins and shares that drift is measured against."
    )

    @dg.asset(
        key=asset_key(spec.monitor.model, "baseline"),
        **common(spec, says, {"deltalake", "numpy"}),
        metadata=described(spec, BASELINE_LAYOUT, None),
    )
    def baseline(context: dg.AssetExecutionContext) -> dg.MaterializeResult[None]:
        walk = site.walk_of(context, spec)
        with working("baseline", walk.model, walk.commit) as work:
            outcomes = measure_baselines(walk)
            work.counts.update(counted(outcomes))
        ids = {
            f"{name}_id": dg.MetadataValue.text(str(o.facts["baseline_id"])) for name, o in outcomes.items()
        }
        # Of what was measured, not of the code alone: other training rows are another version.
        version = "|".join(sorted(f"{name}={o.facts['baseline_id']}" for name, o in outcomes.items()))
        return dg.MaterializeResult(
            metadata={**summary(outcomes), **ids, "batch_id": walk.commit["batch_id"]},
            data_version=dg.DataVersion(hashlib.sha256(version.encode()).hexdigest()),
        )

    return baseline


def _segments(walk: Walk, days: Sequence[date]) -> Mapping[date, Finding]:
    found = folded_by_day(walk, days)
    return {day: _folded(found.get(day, {}), walk.spec.monitor.segment_cap) for day in days}


def _folded(rows: Mapping[str, int], cap: int) -> Finding:
    metadata = {f"rows_folded_{name}": dg.MetadataValue.int(count) for name, count in sorted(rows.items())}
    if not rows:
        return Finding(passed=True, description="Every value of a segment is counted by itself.")
    named = ", ".join(f"{name} ({count:,} rows)" for name, count in sorted(rows.items()))
    text = (
        f"More than {cap:,} values: counted together as {OTHER} are those that are not among the training "
        f"set's most frequent ones of {named}. Raise segment_cap, or segment by something coarser."
    )
    return Finding(passed=False, description=text, severe=False, metadata=metadata)


def _family(spec: ModelSpec, family: str) -> Look:
    names = [metric.name for metric in spec.metrics.values() if metric.family == family]

    def look(walk: Walk, days: Sequence[date]) -> Mapping[date, Finding]:
        store = MetricStore(walk.lake)
        rows = store.query(walk.model, metrics=names, first=min(days), last=max(days), as_of=walk.as_of)
        frame = pl.DataFrame(rows)
        by_day = {key[0]: part for key, part in frame.partition_by("day", as_dict=True).items()}
        found = {day: _judge(by_day.get(day.isoformat(), frame.clear())) for day in days}
        last = max(days)
        png = of_family(family, walk, by_day.get(last.isoformat(), frame.clear()), last)
        return with_picture(found, last, png, family)

    return look


def _judge(rows: pl.DataFrame) -> Finding:
    judged = rows.filter(pl.col("verdict") != "none")
    counts = {name: judged.filter(pl.col("verdict") == name).height for name in ("pass", "fail", "undecided")}
    metadata: dict[str, dg.MetadataValue] = {
        name: dg.MetadataValue.int(count) for name, count in counts.items()
    }
    failed = judged.filter(pl.col("verdict") == "fail")
    open_rows = pl.concat([failed, judged.filter(pl.col("verdict") == "undecided")])
    if open_rows.height:
        metadata["evidence"] = dg.MetadataValue.table(
            [_evidence(row) for row in open_rows.head(SHOWN).to_dicts()]
        )
    if failed.height:
        severe = "error" in failed.get_column("severity")
        text = f"{failed.height} of {judged.height} objectives failed: {_list(failed)}"
        return Finding(passed=False, description=text, severe=severe, metadata=metadata)
    if counts["undecided"]:
        text = f"{counts['undecided']} of {judged.height} objectives are undecided: {_because(open_rows)}"
        return Finding(passed=True, undecided=True, description=text, metadata=metadata)
    if not judged.height and rows.height:
        text = "No objective of this family judges a window that ends on this day."
        return Finding(passed=True, description=text, metadata=metadata)
    if not judged.height:
        return Finding(
            passed=True,
            undecided=True,
            description="This day has no predictions, so no window that ends on it is judged.",
            metadata=metadata,
        )
    return Finding(passed=True, description=f"All {judged.height} objectives are met.", metadata=metadata)


def _list(rows: pl.DataFrame, most: int = 3) -> str:
    said = [f"{_name(row)}: {row['reason']}" for row in rows.head(most).to_dicts()]
    more = f"; and {rows.height - most} more" if rows.height > most else ""
    return "; ".join(said) + more


def _because(rows: pl.DataFrame, most: int = 2) -> str:
    """Say why, the commonest reason first; which objectives those are is in the evidence."""
    reasons = rows.get_column("reason").value_counts().sort(["count", "reason"], descending=[True, False])
    said = [f"{reason} ({count})" for reason, count in reasons.head(most).iter_rows()]
    more = f"; and {reasons.height - most} other reasons" if reasons.height > most else ""
    return "; ".join(said) + more


def _name(row: Mapping[str, object]) -> str:
    of = f" of {row['feature']}" if row["feature"] else ""
    where = f", {row['segment']} {row['segment_value']}" if row["segment"] else ""
    return f"{row['model_version']} {row['metric']}{of} ({row['window']}{where})"


def _evidence(row: Mapping[str, object]) -> dg.TableRecord:
    shown = {"value": "value", "limit": "threshold", "rows": "n"}
    numbers = {title: "" if row[name] is None else f"{row[name]:.6g}" for title, name in shown.items()}
    said = {"objective": _name(row), "verdict": str(row["verdict"]), "reason": str(row["reason"])}
    return dg.TableRecord({**said, **numbers})
