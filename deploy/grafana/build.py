"""Write the Grafana dashboards beside this file: ``python deploy/grafana/build.py``.

Two dashboards, for the operator and for the data scientist, on the views of the PostgreSQL mirror. Names from
variables reach SQL as quoted strings only.
"""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from grafana_foundation_sdk.builders.bargauge import Panel as BarGauge
from grafana_foundation_sdk.builders.common import ReduceDataOptions
from grafana_foundation_sdk.builders.dashboard import Dashboard, QueryVariable, Row, ThresholdsConfig
from grafana_foundation_sdk.builders.stat import Panel as Stat
from grafana_foundation_sdk.builders.table import Panel as Table
from grafana_foundation_sdk.builders.timeseries import Panel as TimeSeries
from grafana_foundation_sdk.cog.builder import Builder
from grafana_foundation_sdk.cog.encoder import JSONEncoder
from grafana_foundation_sdk.cog.variants import Dataquery
from grafana_foundation_sdk.models.common import VisibilityMode
from grafana_foundation_sdk.models.dashboard import (
    DataSourceRef,
    Threshold,
    ThresholdsMode,
    VariableRefresh,
)

HERE = Path(__file__).parent / "dashboards"
SOURCE = DataSourceRef(type_val="grafana-postgresql-datasource", uid="mlobs")
MINE = "model = ${model:sqlstring} AND model_version IN (${version:sqlstring})"
BUDGET = "slo || ' ' || model_version || CASE segment_value WHEN '' THEN '' ELSE ' ' || segment_value END"
SHARE, MILLISECONDS, HOURS, COUNT = "percentunit", "ms", "h", "short"


@dataclass(frozen=True)
class Sql(Dataquery, Builder[Dataquery]):
    """One query of a panel."""

    text: str
    form: str = "time_series"

    def build(self) -> Dataquery:
        """Give the query itself."""
        return self

    def to_json(self) -> dict[str, Any]:
        """Give it as Grafana stores it."""
        return {
            "refId": "A",
            "datasource": {"type": SOURCE.type_val, "uid": SOURCE.uid},
            "editorMode": "code",
            "format": self.form,
            "rawQuery": True,
            "rawSql": self.text,
        }


def trend(title: str, unit: str, *wanted: tuple[str, str]) -> TimeSeries:
    """Metrics over time, each in one window; a line per metric and version."""
    pairs = ", ".join(f"('{metric}', '{window}')" for metric, window in wanted)
    named = "model_version" if len(wanted) == 1 else "model_version || ' ' || metric"
    return series(
        title,
        unit,
        f'SELECT "time", {named} AS metric, value FROM mlobs.trends WHERE $__timeFilter("time") AND {MINE} '
        f"AND feature = '' AND (metric, \"window\") IN ({pairs}) ORDER BY 1",
    )


def banded(title: str, unit: str, metric: str, window: str) -> TimeSeries:
    """One metric over time with the ends of its interval and its limit."""
    names = {"value": "''", "lower": "' lower'", "upper": "' upper'", "threshold": "' limit'"}
    parts = (
        f'SELECT "time", model_version || {name} AS metric, {column} AS value FROM mlobs.trends '
        f"WHERE $__timeFilter(\"time\") AND {MINE} AND metric = '{metric}' AND \"window\" = '{window}' "
        f"AND feature = '' AND {column} IS NOT NULL"
        for column, name in names.items()
    )
    return series(title, unit, " UNION ALL ".join(parts) + " ORDER BY 1")


def series(title: str, unit: str, text: str) -> TimeSeries:
    """Lines over time."""
    made = TimeSeries().title(title).unit(unit).datasource(SOURCE).with_target(Sql(text))
    return made.show_points(VisibilityMode.NEVER).line_width(1.5).height(8).span(12)


def table(title: str, about: str, text: str, height: int = 8) -> Table:
    """Rows as they are."""
    made = Table().title(title).description(about).datasource(SOURCE)
    return made.with_target(Sql(text, "table")).height(height).span(24)


def stat(title: str, about: str, text: str, unit: str = COUNT, red: float | None = 1) -> Stat:
    """One number, red from some value on."""
    made = (
        Stat().title(title).description(about).unit(unit).datasource(SOURCE).with_target(Sql(text, "table"))
    )
    return (
        made.reduce_options(ReduceDataOptions().values(False))
        .thresholds(_turning("red", red))
        .height(5)
        .span(6)
    )


def _turning(colour: str, at: float | None) -> ThresholdsConfig:
    steps = [Threshold(value=None, color="green"), *([Threshold(value=at, color=colour)] if at else [])]
    return ThresholdsConfig().mode(ThresholdsMode.ABSOLUTE).steps(steps)


def board(title: str, uid: str, about: str) -> Dashboard:
    """A dashboard with its variables: model, and versions of it."""
    versions = "SELECT DISTINCT model_version FROM mlobs.trends WHERE model = ${model:sqlstring} ORDER BY 1"
    made = Dashboard(title).uid(uid).description(about).tags(["mlobs"]).readonly().timezone("utc")
    return (
        made.time("now-90d", "now")
        .refresh("5m")
        .with_variable(_variable("model", "SELECT DISTINCT model FROM mlobs.current_metrics ORDER BY 1"))
        .with_variable(_variable("version", versions).multi(True).include_all(True))
    )


def _variable(name: str, text: str) -> QueryVariable:
    made = QueryVariable(name).label(name.capitalize()).datasource(SOURCE).query(text)
    return made.refresh(VariableRefresh.ON_TIME_RANGE_CHANGED)


def operator() -> Dashboard:
    """Error budgets, incidents, requests, labels."""
    about = "Error budgets and burn rates, incidents, requests, labels that are awaited."
    made = board("ML observability: operations", "mlobs-operator", about)
    for panel in (*_at_a_glance(), *_incidents()):
        made = made.with_panel(panel)
    for panel in _budgets():
        made = made.with_panel(panel)
    made = made.with_row(Row("Requests"))
    for panel in (
        banded("Availability, 1 day", SHARE, "availability", "1d"),
        banded("Failed requests, 7 days", SHARE, "error_share", "7d"),
        trend(
            "Latency, 7 days",
            MILLISECONDS,
            ("latency_p50", "7d"),
            ("latency_p95", "7d"),
            ("latency_p99", "7d"),
        ),
        trend("Requests a day", COUNT, ("request_count", "1d")),
    ):
        made = made.with_panel(panel)
    made = made.with_row(Row("Labels"))
    for panel in (
        trend("Overdue labels", COUNT, ("label_backlog", "1d")),
        trend("Label lag, 1 day", HOURS, ("label_lag_p50", "1d"), ("label_lag_p95", "1d")),
        trend("Silence of the labels", HOURS, ("label_silence", "1d")),
        banded("Labels that are there, 7 days", SHARE, "label_coverage", "7d"),
    ):
        made = made.with_panel(panel)
    return made


def _at_a_glance() -> list[Stat]:
    model = "model = ${model:sqlstring}"
    counted = f"SELECT count(*) AS value FROM mlobs.open_incidents WHERE {model}"
    slos = f"SELECT count(*) AS value FROM mlobs.slo_current WHERE {MINE} AND"
    until = "SELECT extract(epoch FROM now() - max(window_end)::timestamp AT TIME ZONE 'UTC') AS value"
    critical = f"{counted} AND severity = 'critical' AND state <> 'muted'"
    age = f"{until} FROM mlobs.current_metrics WHERE {model}"
    return [
        stat("Critical incidents", "Not over and not muted.", critical),
        stat("Open incidents", "All that are not over.", counted, red=None),
        stat("Budgets that burn too fast", "Alert is page or ticket.", f"{slos} alert IN ('page', 'ticket')"),
        stat("Time since the newest day", "Since the end of the newest measured day.", age, "s", 3 * 86_400),
    ]


def _incidents() -> list[Table]:
    mine = "WHERE model = ${model:sqlstring}"
    names = "severity, state, title, opened_on, failing, versions, segments, owners, runbook, incident"
    past = "incident, severity, state, title, opened_on, resolved_on, reopened, versions"
    return [
        table(
            "Open incidents",
            "What failed and belongs together; mlobs incidents show tells the rest.",
            f"SELECT {names} FROM mlobs.open_incidents {mine} ORDER BY severity, opened_on DESC",
        ),
        table(
            "Incidents in this time",
            "Those that were open in the time shown.",
            f"SELECT {past} FROM mlobs.incident_history {mine} AND opened_on <= $__timeTo()::date "
            "AND coalesce(resolved_on, $__timeTo()::date) >= $__timeFrom()::date ORDER BY opened_on DESC",
        ),
    ]


def _budgets() -> list[Any]:
    columns = "slo, model_version, segment_value, target, bad, events, budget_left, burn_1d, burn_7d, alert"
    now = f"FROM mlobs.slo_current WHERE {MINE} ORDER BY budget_left"
    return [
        table("Error budgets", "As of the newest day.", f"SELECT {columns}, verdict, reason {now}"),
        _left(f"SELECT {BUDGET} AS metric, budget_left AS value {now}"),
        _spent("Budget left over time", SHARE, "budget_left"),
        _spent("Burn rate, 1 day", COUNT, "burn_1d"),
        _spent("Burn rate, 7 days", COUNT, "burn_7d"),
    ]


def _left(text: str) -> BarGauge:
    made = BarGauge().title("Budget left").description("Share of the error budget on the newest day.")
    made = made.unit(SHARE).min(0).max(1).datasource(SOURCE).with_target(Sql(text, "table"))
    made = made.reduce_options(ReduceDataOptions().values(True))
    return made.thresholds(_turning("green", None)).height(8).span(12)


def _spent(title: str, unit: str, column: str) -> TimeSeries:
    inside = f'WHERE $__timeFilter("time") AND {MINE} ORDER BY 1'
    return series(
        title, unit, f'SELECT "time", {BUDGET} AS metric, {column} AS value FROM mlobs.slo_history {inside}'
    )


def science() -> Dashboard:
    """Quality, calibration, drift and labels by version."""
    about = "Verdicts, quality, calibration, drift and labels by model version."
    made = board("ML observability: model health", "mlobs-science", about)
    verdicts = (
        "SELECT \"time\", model_version || ' ' || verdict AS metric, checks AS value "
        f'FROM mlobs.verdict_counts WHERE $__timeFilter("time") AND {MINE} ORDER BY 1'
    )
    for panel in (
        series("Checks by verdict", COUNT, verdicts).span(24),
        banded("AUC, 28 days", COUNT, "auc", "28d"),
        banded("Calibration error (ECE), 28 days", COUNT, "ece", "28d"),
        banded("Brier score, 28 days", COUNT, "brier_score", "28d"),
        banded("Accuracy, 28 days", SHARE, "accuracy", "28d"),
        trend(
            "AUC estimated while labels are late, 28 days", COUNT, ("estimated_auc", "28d"), ("auc", "28d")
        ),
        banded("Labels that are there, 28 days", SHARE, "label_coverage", "28d"),
    ):
        made = made.with_panel(panel)
    for panel in (*_drift(), _newest()):
        made = made.with_panel(panel)
    return made


def _drift() -> list[Any]:
    columns = 'place, model_version, feature, "window", value, threshold, verdict, n'
    of = f"FROM mlobs.drift_top WHERE {MINE} AND \"window\" = '28d' AND place <="
    over = (
        f"WITH top AS MATERIALIZED (SELECT model_version, feature {of} 8) "
        "SELECT \"time\", model_version || ' ' || feature AS metric, value FROM mlobs.trends "
        f"WHERE $__timeFilter(\"time\") AND {MINE} AND metric = 'psi' AND \"window\" = '28d' "
        "AND (model_version, feature) IN (SELECT model_version, feature FROM top) ORDER BY 1"
    )
    about = "PSI of the newest 28 days."
    return [
        table("Features that drift most", about, f"SELECT {columns} {of} 20 ORDER BY place"),
        series("PSI of the features that drift most, 28 days", COUNT, over),
        trend(
            "Drifted features, and their importance, 28 days",
            SHARE,
            ("drifted_share", "28d"),
            ("drifted_importance", "28d"),
        ),
    ]


def _newest() -> Table:
    columns = (
        'model_version, metric, feature, segment, segment_value, "window", value, lower, upper, threshold'
    )
    about = "Objectives that failed on the newest day."
    of = f"FROM mlobs.current_metrics WHERE {MINE} AND verdict = 'fail' ORDER BY 1, 2, 3"
    return table("What fails now", about, f"SELECT {columns}, n, reason {of}")


def text_of(dashboard: Dashboard) -> str:
    """The dashboard as Grafana reads it from a file."""
    return JSONEncoder(sort_keys=True, indent=2).encode(dashboard.build()) + "\n"


DASHBOARDS = {"operator": operator, "science": science}


def main() -> None:
    """Write every dashboard."""
    for name, make in DASHBOARDS.items():
        (HERE / f"{name}.json").write_text(text_of(make()), encoding="utf-8")


if __name__ == "__main__":
    main()
