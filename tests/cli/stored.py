"""A small lake of the demo's model, written without a run: metrics, error budgets, incidents."""

from datetime import UTC, date, datetime, timedelta

import pyarrow as pa
from typer.testing import CliRunner

from mlobs_pipelines.store.lake import Lake
from mlobs_pipelines.store.metric_store import MetricStore
from mlobs_pipelines.store.tables import INCIDENTS, METRIC_COLUMNS, SLO_STATUS, as_of_key
from tests.destinations.season import AS_OF, START, budget, incident, row, season
from tests.test_readme import ROOT

MODEL = "flight_delays"
DAYS = 9
LAST = START + timedelta(days=DAYS - 1)
MORE = (
    *(("availability", "1d"), ("request_count", "1d"), ("label_backlog", "1d"), ("label_silence", "1d")),
    *(
        ("label_coverage", "7d"),
        ("label_coverage", "28d"),
        ("estimated_auc", "28d"),
        ("drifted_share", "28d"),
    ),
)
HOSTILE = "=cmd|'/c calc'!A1\x1b[31m\u202e\"\n\\"


def fill(root):
    """Write the tables; one segment value is hostile. Gives the lake."""
    lake = Lake(str(root), None)
    rows = [one for one in season(DAYS, ("v1", "v2")).to_pylist() if one["window"] != "1mo"]
    rows += [one | {"segment_value": HOSTILE} for one in rows if one["segment"]]
    rows += [one | {"window": "28d"} for one in rows if one["metric"] == "psi"]
    table = pa.Table.from_pylist([*rows, *_more()], schema=METRIC_COLUMNS)
    days = [START + timedelta(days=at) for at in range(DAYS)]
    MetricStore(lake).write(MODEL, [(day, AS_OF) for day in days], table, commit={})
    budgets = [_budget(day, left) for day in days for left in (0.4, -0.2)]
    keys = [(day.isoformat(), as_of_key(AS_OF)) for day in days]
    lake.replace(MODEL, SLO_STATUS, keys, pa.Table.from_pylist(budgets, schema=SLO_STATUS.schema), commit={})
    stood = [_incident(LAST, "a", START), _incident(LAST, "b", START, LAST)]
    incidents = pa.Table.from_pylist(stood, schema=INCIDENTS.schema)
    lake.replace(MODEL, INCIDENTS, [(LAST.isoformat(),)], incidents, commit={})
    return lake


def _more():
    """What the season has not: metrics that dashboards show."""
    for metric, window in MORE:
        for version in ("v1", "v2"):
            for at in range(DAYS):
                limit = 0.5 if metric == "drifted_share" else None
                day = START + timedelta(days=at)
                yield row(metric, version, day, 0.9 + at / 100, window=window, limit=limit)


def _budget(day, left):
    version = "v1" if left > 0 else "v2"
    given = {"period_start": day, "period_end": day, "as_of": AS_OF, "as_of_key": as_of_key(AS_OF)}
    return budget("calibrated", version, day, left, model=MODEL, feature="", **given)


def _incident(day, name, opened, resolved=None):
    given = {"model": MODEL, "cause": "drift of weather", "day": day.isoformat()}
    return incident(f"{MODEL}-20130301-{name}", opened, resolved, **given)


def environment(home):
    """What the command reads its settings from."""
    places = {"MLOBS_HOME": home, "MLOBS_LAKE": home / "lake", "MLOBS_CONTRACTS": ROOT / "data_contracts"}
    return {name: str(place) for name, place in places.items()}


def run(home, *arguments, code=0):
    """Run the command in this process and give what it printed."""
    from mlobs_pipelines.cli import app  # noqa: PLC0415 - the command line is slow to import

    done = CliRunner().invoke(app, list(arguments), env=environment(home))
    assert done.exit_code == code, done.output
    return done.output


def moment(day):
    """Midnight of a day."""
    return datetime(day.year, day.month, day.day, tzinfo=UTC)


def tomorrow(day):
    """The day after a day."""
    return date.fromordinal(day.toordinal() + 1)
