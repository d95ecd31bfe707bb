"""Tell: the report of a model, from metrics, error budgets, incidents and the declaration alone."""

import os
from collections.abc import Iterator
from datetime import date, timedelta
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc

from mlobs_pipelines.core.vocabulary import Verdict, Window
from mlobs_pipelines.destinations.html import Operations, ReportFacts, VersionFacts, needs, render_report
from mlobs_pipelines.steps.bins import load_baselines
from mlobs_pipelines.steps.walk import Walk
from mlobs_pipelines.store.latest import latest
from mlobs_pipelines.store.metric_store import ANY, MetricStore
from mlobs_pipelines.store.standing import current
from mlobs_pipelines.store.tables import SLO_STATUS

DAY = timedelta(days=1)
JUDGED = [str(Verdict.PASS), str(Verdict.FAIL), str(Verdict.UNDECIDED)]


def write_report(walk: Walk, path: Path) -> int:
    """Write the self-contained HTML report of a model; whoever reads it meanwhile sees the one before.

    Parameters
    ----------
    path
        The file to write; its folder is made.

    Returns
    -------
    int
        Metric rows the report is made from.
    """
    path.parent.mkdir(parents=True, exist_ok=True)  # first: a place that cannot be written costs no time
    rows = report_rows(walk)
    page = render_report(_facts(walk, rows), rows, operations(walk))
    aside = path.with_name(f".{path.name}.{os.getpid()}")
    aside.write_text(page, encoding="utf-8")
    aside.replace(path)
    return int(rows.num_rows)


def operations(walk: Walk) -> Operations:
    """Error budgets of every day, and incidents as they stood last."""
    budgets = latest(walk.lake, walk.model, SLO_STATUS, as_of=walk.as_of).to_pylist()
    return Operations(budgets, current(walk.lake, walk.model))


def report_rows(walk: Walk) -> pa.Table:
    """What the report shows: values over all rows, whatever is judged, and the newest weeks of segments."""
    judged = _read(walk, verdicts=JUDGED)
    whole = pa.concat_tables(_of_all_rows(walk, judged))
    last = pc.max(pa.concat_tables([judged, whole])["window_end"]).as_py()
    sliced = _of_segments(walk, last) if walk.spec.monitor.segments and last else []
    plain = pa.concat_tables([whole, *sliced])
    return pa.concat_tables([judged, plain.filter(pc.invert(pc.is_in(plain["verdict"], pa.array(JUDGED))))])


def _of_all_rows(walk: Walk, judged: pa.Table) -> Iterator[pa.Table]:
    everything = {"segments": [""]}
    names = [*needs.OF_ROWS, *sorted(walk.spec.custom.metrics)]
    yield _read(walk, metrics=names, maturities=[ANY], **everything)
    yield _read(walk, metrics=needs.CURVES, windows=[str(Window.MONTH)], **everything)
    yield _read(walk, metrics=needs.OF_SCORE, features=["score"], **everything)
    shown: dict[tuple[str, ...], list[str]] = {}
    for name, (leading, preferred) in needs.OF_FEATURES.items():
        shown.setdefault(_windows(walk, judged, leading, preferred), []).append(name)
    for windows, together in shown.items():
        rows = _read(walk, metrics=together, windows=windows, **everything)
        yield rows.filter(pc.not_equal(rows["feature"], "score"))


def _windows(walk: Walk, judged: pa.Table, metric: str, preferred: str) -> tuple[str, ...]:
    """Windows in which a metric is shown: one that was judged, else the preferred one, else any."""
    mine = judged.filter(pc.equal(judged["metric"], metric))
    limited = set(mine.filter(pc.is_valid(mine["threshold"]))["window"].to_pylist()) - {str(Window.MONTH)}
    there = {str(window) for window in walk.spec.monitor.windows}
    if limited:
        return (min(limited, key=lambda window: (window != preferred, window)),)
    return (preferred,) if preferred in there else tuple(sorted(there))


def _of_segments(walk: Walk, last: date) -> list[pa.Table]:
    """The headline of every segment value on every day, the other figures on the newest one."""
    window = {"windows": [needs.SLICE_WINDOW]}
    found = [
        _read(walk, metrics=needs.HEADLINES, **window),
        _read(walk, metrics=sorted({*needs.SLICED} - {*needs.HEADLINES}), first=last - DAY, **window),
    ]
    return [rows.filter(pc.not_equal(rows["segment"], "")) for rows in found]


def _read(walk: Walk, **asked: Any) -> pa.Table:  # noqa: ANN401 - the filters of the metric store
    return MetricStore(walk.lake).query(walk.model, columns=needs.COLUMNS, as_of=walk.as_of, **asked)


def _facts(walk: Walk, rows: pa.Table) -> ReportFacts:
    baselines, monitor = load_baselines(walk), walk.spec.monitor
    daily = rows.filter(pc.equal(rows.column("window"), str(Window.DAY)))
    covered = pc.min_max(daily.column("window_start")).as_py()
    return ReportFacts(
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
