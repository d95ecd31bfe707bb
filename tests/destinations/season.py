"""Metric rows of an invented season: two versions, twenty features, one story per check family."""

import json
import math
from datetime import UTC, date, datetime, timedelta

import pyarrow as pa

from mlobs_pipelines.destinations.report_facts import Operations, ReportFacts, VersionFacts

SCHEMA = pa.schema(
    [
        *[
            (name, pa.string())
            for name in ("model", "model_version", "role", "segment", "segment_value", "feature")
        ],
        ("metric", pa.string()),
        ("window", pa.string()),
        ("window_start", pa.date32()),
        ("window_end", pa.date32()),
        ("as_of", pa.timestamp("us", tz="UTC")),
        *[(name, pa.float64()) for name in ("value", "lower", "upper")],
        ("n", pa.int64()),
        ("unit", pa.string()),
        ("verdict", pa.string()),
        ("threshold", pa.float64()),
        ("reason", pa.string()),
        ("maturity", pa.string()),
        ("label_coverage", pa.float64()),
        ("baseline_id", pa.string()),
        *[(name, pa.float64()) for name in ("bound", "noise")],
        *[(name, pa.string()) for name in ("inputs", "run_id", "severity", "day")],
    ]
)
AS_OF = datetime(2013, 8, 1, 12, tzinfo=UTC)
START = date(2013, 3, 1)
IMPORTANT = {"origin_delay_2h": 0.131, "hour": 0.127, "carrier": 0.012, "dest": 0.008, "temp": 0.004}
OTHERS = (
    "origin",
    "dewp",
    "humid",
    "wind_speed",
    "precip",
    "pressure",
    "visib",
    "origin_departures_2h",
    "carrier_late_share_7d",
)
MORE = ("plane_age", "plane_seats", "weekday", "day_of_year", "distance", "sched_minutes")
FEATURES = [*IMPORTANT, *OTHERS, *MORE]
BLANK = {
    "model": "flight_delays",
    "role": "champion",
    "segment": "",
    "segment_value": "",
    "feature": "",
    "as_of": AS_OF,
    "lower": None,
    "upper": None,
    "n": 900,
    "unit": "1",
    "verdict": "none",
    "threshold": None,
    "reason": "",
    "maturity": "mature",
    "label_coverage": 0.97,
    "baseline_id": "train-1",
    "bound": 0.0,
    "noise": None,
    "inputs": "",
    "run_id": "r",
    "severity": "",
}


def row(metric, version, day, value, *, window="1d", width=0.0, limit=None, below=False, **given):
    """One metric row ending on `day`; with a limit it is judged, failing above it (or below)."""
    days = {"1d": 1, "7d": 7, "28d": 28}.get(window)
    start = day.replace(day=1) if days is None else day - timedelta(days=days - 1)
    made = BLANK | {
        "metric": metric,
        "model_version": version,
        "window": window,
        "value": value,
        "threshold": limit,
    }
    made |= {"window_start": start, "window_end": day + timedelta(days=1), "day": day.isoformat()}
    if width:
        made |= {"lower": value - width, "upper": value + width}
    if limit is not None:
        bad = value < limit if below else value > limit
        made |= {"verdict": "fail" if bad else "pass", "severity": "error"}
        made["reason"] = f"{value:.3f} is {'below' if below else 'above'} {limit}" if bad else ""
    return made | given


def wave(i, height, length=23.0):
    """A smooth deterministic ripple."""
    return height * math.sin(i / length * 6.283) + 0.3 * height * math.sin(i * 1.7)


def daily(version, i, day):
    """Operations, volume and label rows of one day."""
    common = {"role": "shadow" if (version == "v1") == (day >= date(2013, 5, 15)) else "champion"}
    late = day >= date(2013, 7, 25)
    stalled = date(2013, 6, 10) <= day <= date(2013, 6, 14)
    common |= {"maturity": "provisional" if late else "mature"}
    coverage = 0.97 if not late else 0.97 - 0.11 * (day - date(2013, 7, 24)).days
    lag = 5.6 + wave(i, 0.4) + (40 if stalled else 0)
    yield row("row_count", version, day, 900 + wave(i, 60, 7), unit="rows", **common)
    yield row("row_count", version, day, 6300 + wave(i, 90), window="7d", unit="rows", **common)
    yield row("label_coverage", version, day, coverage, width=0.005, limit=0.9, below=True, **common)
    for age, share in {"1d": 0.94, "3d": 0.96, "7d": 0.97}.items():
        known = 0.02 if stalled and age == "1d" else share
        yield row("label_coverage", version, day, known, maturity=age)
    yield row("label_lag_p50", version, day, lag, unit="h", limit=24.0, **common)
    yield row("latency_p95", version, day, 118 + wave(i, 20), window="7d", unit="ms", limit=250.0, **common)
    yield row(
        "error_share", version, day, 0.004 + wave(i, 0.001), window="7d", width=0.001, limit=0.01, **common
    )


def quality(version, i, day):
    """Quality and calibration over 28 days; v1 loses its calibration in summer."""
    heat = max(0.0, min(1.0, (i - 50) / 60)) if version == "v1" else 0.0
    common = {
        "window": "28d",
        "n": 25_000,
        "maturity": "provisional" if day >= date(2013, 7, 20) else "mature",
    }
    yield row(
        "auc",
        version,
        day,
        (0.69 if version == "v1" else 0.76) + wave(i, 0.01),
        width=0.008,
        limit=0.65,
        below=True,
        **common,
    )
    yield row(
        "ece", version, day, 0.02 + 0.16 * heat + abs(wave(i, 0.004)), width=0.006, limit=0.05, **common
    )
    yield row("brier_score", version, day, 0.16 + 0.06 * heat + wave(i, 0.004), width=0.004, **common)
    yield row("log_loss", version, day, 0.48 + 0.18 * heat + wave(i, 0.01), width=0.01, **common)
    yield row("accuracy", version, day, 0.78 - 0.06 * heat + wave(i, 0.01), width=0.006, **common)


def drift(version, i, day):
    """Drift, missing values and skew per feature; weather drifts much and matters little."""
    for k, feature in enumerate(FEATURES):
        weather = feature in {"temp", "dewp", "humid", "pressure", "day_of_year"}
        value = abs(wave(i + 5 * k, 0.03)) + (8 * max(0, i - 40) / 110 if weather else 0)
        broken = (
            feature == "origin_delay_2h" and version == "v2" and date(2013, 7, 20) <= day <= date(2013, 7, 26)
        )
        limit = 0.25 if IMPORTANT.get(feature, 0) >= 0.02 else None
        given = {"feature": feature, "n": 6300}
        yield row("psi", version, day, value + (1.4 if broken else 0), window="7d", limit=limit, **given)
        empty = 0.11 + wave(i, 0.1) if feature == "pressure" else 0.17 if feature.startswith("plane") else 0.0
        yield row("null_share", version, day, empty, window="7d", **given)
        wrong = 0.83 if broken else 0.0
        yield row("skew_mismatch_share", version, day, wrong, limit=0.02, feature=feature)
        yield row("skew_smape", version, day, wrong, limit=0.05, feature=feature)
        yield row("skew_missing_share", version, day, 0.0, feature=feature)
        yield row("skew_extra_share", version, day, 0.0, feature=feature)
    yield row("psi", version, day, 0.05 + abs(wave(i, 0.06)), window="7d", feature="score", n=6300)
    yield row("ks", version, day, 0.04 + abs(wave(i, 0.03)), window="7d", feature="score", n=6300)


def monthly(version, first, last):
    """Month figures and curves."""
    common = {"window": "1mo", "n": 27_500}
    hot = version == "v1" and first.month >= 6
    yield row("row_count", version, last, 27_500.0, unit="rows", **common)
    yield row("base_rate", version, last, 0.22 + 0.03 * (first.month % 3), width=0.005, **common)
    yield row("auc", version, last, 0.685 if version == "v1" else 0.76, width=0.008, **common)
    yield row("ece", version, last, 0.17 if hot else 0.02, width=0.005, limit=0.05, **common)
    yield row("brier_score", version, last, 0.22 if hot else 0.16, width=0.003, **common)
    yield row("label_coverage", version, last, 0.97, width=0.002, **common)
    for k in range(15):
        score, n = (k + 0.5) / 15, int(9000 * math.exp(-k / 4)) + 5
        seen, feature = min(1.0, score * (0.6 if hot else 0.98)), f"bin{k:02d}"
        yield row("reliability_score", version, last, score, window="1mo", feature=feature, n=n)
        half = 1.96 * math.sqrt(seen * (1 - seen) / n + 1 / n**2)
        ends = {"lower": max(0, seen - half), "upper": min(1, seen + half)}
        yield row("reliability_observed", version, last, seen, window="1mo", feature=feature, n=n, **ends)
    for hours in (1, 2, 4, 8, 12, 24, 48, 72, 168, 336):
        known = 0.97 * (1 - math.exp(-hours / (10 + 4 * (first.month == 6))))
        yield row("label_lag_cdf", version, last, known, window="1mo", feature=f"{hours}h", n=27_500)


def undecided(version, day):
    """A segment too small to judge."""
    given = {
        "segment": "origin",
        "segment_value": "LGA",
        "n": 118,
        "verdict": "undecided",
        "severity": "warn",
    }
    return row(
        "ece",
        version,
        day,
        0.061,
        window="28d",
        width=0.04,
        threshold=0.05,
        reason="118 rows, 150 needed",
        **given,
    )


def season(days=153, versions=("v1", "v2")):
    """All rows of the season as the metric store returns them."""
    made = []
    for version in versions:
        for i in range(days):
            day = START + timedelta(days=i)
            made += [*daily(version, i, day), *quality(version, i, day), *drift(version, i, day)]
            made += [undecided(version, day)] if i < 9 else []
            if (day + timedelta(days=1)).day == 1:
                made += monthly(version, day.replace(day=1), day)
    return pa.Table.from_pylist(made, schema=SCHEMA)


def facts(days=153, **changes):
    """What the report is told besides the metrics."""
    given = {
        "model": "flight_delays",
        "description": "Will a flight arrive more than 15 minutes late? Asked one hour before departure.",
        "owners": ("team:flight-ops", "oncall@example.org"),
        "runbook": "https://runbooks.example.org/flight-delays",
        "as_of": AS_OF,
        "first_day": START,
        "last_day": START + timedelta(days=days - 1),
        "code_version": "0.1.0",
        "contract_hash": "9f2c1b7a5d3e4f60aa11",
        "versions": {"v1": VersionFacts("train-1", 0.5), "v2": VersionFacts("train-2", 0.5)},
        "importance": {version: dict.fromkeys(FEATURES, 0.001) | IMPORTANT for version in ("v1", "v2")},
    }
    return ReportFacts(**given | changes)


def budget(slo, version, day, left, **given):
    """One row of the status of an SLO."""
    made = {
        "slo": slo,
        "model_version": version,
        "segment": "",
        "segment_value": "",
        "metric": "ece",
        "window": "28d",
        "target": 0.75,
        "events": 27.0,
        "bad": 22.0,
        "budget_left": left,
        "burn_1d": 4.0,
        "burn_7d": 4.0,
        "page_limit": 2.8,
        "ticket_limit": 1.0,
        "alert": "ticket" if (left or 0) < 0 else "none",
        "verdict": "fail" if (left or 0) < 0 else "pass",
        "reason": f"22 of 27 windows bad, {100 * (left or 0):.0f} % of the budget left",
        "owners": ["team:flight-ops"],
        "runbook": "https://runbooks.example.org/slo",
        "day": day.isoformat(),
    }
    return made | given


def incident(name, opened, resolved=None, title="drift of weather; with it quality of v1", **given):
    """One incident as it stood last, of a drifting feature."""
    told = {"feature": "humid", "metric": "psi", "window": "28d", "model_version": "v1"}
    told["reason"] = "0.4 is above 0.25"
    signal = {"tier": 4, "key": "k", "check": "metrics/drift", "told": told}
    member = {"first": opened.isoformat(), "failures": 69, "signal": signal}
    made = {
        "incident": name,
        "title": title,
        "severity": "ticket",
        "state": "resolved" if resolved else "open",
        "opened_on": opened,
        "resolved_on": resolved,
        "failing": 1,
        "reopened": 0,
        "muted_until": None,
        "acted_by": "",
        "note": "",
        "versions": ["v1"],
        "owners": ["team:flight-ops"],
        "runbook": "https://runbooks.example.org/flight-delays",
        "signals": json.dumps([member]),
        "suspects": json.dumps([{"text": "drift of humid (psi 0.01 to 0.4 since 2013-04-06)"}]),
    }
    return made | given


def operations(evil=""):
    """A budget that is spent and one that is not, an open incident and a past one; names may be hostile."""
    days = [START + timedelta(days=i) for i in range(153)]
    budgets = [
        *(budget("calibrated" + evil, "v1", day, 1 - 3.26 * i / 152) for i, day in enumerate(days)),
        *(budget("answered", "v2", day, 0.7, metric="availability", window="1d") for day in days),
    ]
    given = {"title": evil, "note": evil, "acted_by": evil, "owners": [evil]} if evil else {}
    incidents = (
        incident("flight_delays-20130703-f75bcb", date(2013, 7, 3), date(2013, 7, 31), **given),
        incident("flight_delays-20130406-7b1e52", date(2013, 4, 6), **given),
    )
    return Operations(budgets, incidents)
