"""How the report fares at size: a year of 50 features and five versions, written and opened in Chromium.

Metrics are invented and stored as the product stores them, budgets and incidents invented too; timed is the
product's own writing of the report, and what a headless Chromium needs until the page has loaded, shows its
first chart, and has drawn them all. Limits: open under 2 s, under 10 MB.
"""

import argparse
import json
import resource
import shutil
import tempfile
import time
from collections.abc import Iterator
from datetime import UTC, date, datetime, timedelta
from pathlib import Path

import numpy as np
import pyarrow as pa

FIRST, AS_OF = date(2023, 1, 1), datetime(2024, 2, 1, tzinfo=UTC)
DAY = timedelta(days=1)
WINDOWS = {"1d": 1, "7d": 7, "28d": 28}
MODEL = "flight_delays"
LIMITS = {"auc": 0.65, "ece": 0.05, "latency_p95": 250.0, "label_lag_p50": 24.0, "psi": 0.25}
OF_FEATURES = ("psi", "null_share", "skew_mismatch_share", "skew_missing_share", "skew_extra_share")
MONTHS = [date(2023, month, 1) for month in range(1, 13)]


class Invented:
    """Metric rows as columns; every block is one metric of one version and window over all days."""

    def __init__(self, days: int, seed: int = 20260101) -> None:
        self.days, self.random, self.blocks = days, np.random.default_rng(seed), []
        self.ends = np.array([FIRST + (at + 1) * DAY for at in range(days)], dtype="datetime64[D]")

    def daily(self, version: str, metric: str, window: str, **given: str) -> None:
        """A metric that wanders, judged where it has a limit."""
        values = np.abs(0.02 + 0.05 * np.cumsum(self.random.normal(size=self.days)) / self.days**0.5)
        values = values + (0.7 if metric == "auc" else 0.0)
        values[values < (0.03 if "skew" in metric or "null" in metric else -1)] = 0.0
        starts = self.ends - np.timedelta64(WINDOWS[window], "D")
        self.block(version, metric, window, starts, self.ends, values, given)

    def monthly(self, version: str, metric: str, value: float, **given: str) -> None:
        """A metric of calendar months."""
        starts = np.array([month for month in MONTHS if month < self.last], dtype="datetime64[D]")
        ends = (starts.astype("datetime64[M]") + 1).astype("datetime64[D]")
        self.block(version, metric, "1mo", starts, ends, np.full(len(starts), value), given)

    @property
    def last(self) -> date:
        """The day after the last."""
        return FIRST + self.days * DAY

    def block(self, version, metric, window, starts, ends, values, given) -> None:  # noqa: ANN001 - arrays and texts of numpy
        """Add rows of one series."""
        limit = LIMITS.get(metric) if window == "28d" or metric.startswith("la") else None
        limit = None if given.get("maturity") or given.get("feature", "f00") > "f09" else limit
        worse = (values < (limit or 0)) if metric == "auc" else (values > (limit or 0))
        verdicts = np.where(worse, "fail", "pass") if limit is not None else np.full(len(values), "none")
        texts = {
            "model": MODEL,
            "model_version": version,
            "role": "champion" if version == "v1" else "shadow",
            "segment": given.get("segment", ""),
            "segment_value": given.get("segment_value", ""),
            "feature": given.get("feature", ""),
            "metric": metric,
            "window": window,
            "unit": "rows" if metric.endswith("_count") else "1",
            "maturity": given.get("maturity", "mature"),
            "severity": "error" if limit is not None else "",
            "reason": "",
            "inputs": '{"invented":true}',
            "run_id": "bench",
        }
        last = ends - np.timedelta64(1, "D")
        self.blocks.append((texts, starts, ends, last, values, verdicts, limit))

    def table(self) -> pa.Table:
        """All blocks with the columns of the metric store."""
        from mlobs_pipelines.store.tables import METRIC_COLUMNS

        sizes = [len(block[1]) for block in self.blocks]
        columns = {
            name: _repeated([block[0][name] for block in self.blocks], sizes) for name in self.blocks[0][0]
        }
        starts, ends, last, values, verdicts = (
            np.concatenate([block[at] for block in self.blocks]) for at in range(1, 6)
        )
        limits = np.repeat([np.nan if block[6] is None else block[6] for block in self.blocks], sizes)
        numbers = {"value": values, "lower": values * 0.9, "upper": values * 1.1, "bound": values * 0}
        columns |= {name: pa.array(array) for name, array in numbers.items()}
        columns |= {
            "window_start": pa.array(starts),
            "window_end": pa.array(ends),
            "verdict": pa.array(verdicts),
        }
        columns["threshold"] = pa.array(limits, from_pandas=True)
        columns["n"] = pa.array(np.full(len(values), 9_000))
        columns["day"] = pa.array(np.datetime_as_string(last))
        columns["as_of"] = pa.array([AS_OF] * len(values), pa.timestamp("us", tz="UTC"))
        empty = pa.nulls(len(values))
        filled = [columns.get(field.name, empty).cast(field.type) for field in METRIC_COLUMNS]
        return pa.Table.from_arrays(filled, schema=METRIC_COLUMNS)


def _repeated(texts: list[str], sizes: list[int]) -> pa.Array:
    distinct = sorted(set(texts))
    codes = np.repeat([distinct.index(text) for text in texts], sizes)
    return pa.DictionaryArray.from_arrays(pa.array(codes, pa.int32()), pa.array(distinct)).cast(pa.string())


def invent(days: int, features: int, versions: int) -> pa.Table:
    """Metric rows of every family, for all rows, three segment values and every feature."""
    from mlobs_pipelines.destinations.html import needs

    made = Invented(days)
    for version in (f"v{at + 1}" for at in range(versions)):
        for window in WINDOWS:
            _of_rows(made, version, window, needs.OF_ROWS)
            for at in range(features):
                for metric in OF_FEATURES:
                    made.daily(version, metric, window, feature=f"f{at:02d}")
            for metric in ("psi", "ks"):
                made.daily(version, metric, window, feature="score")
        for age in ("1d", "3d", "7d"):
            made.daily(version, "label_coverage", "1d", maturity=age)
            made.daily(version, "auc", "7d", maturity=age)
        _of_months(made, version)
    return made.table()


def _of_rows(made: Invented, version: str, window: str, metrics: list[str]) -> None:
    for metric in metrics:
        made.daily(version, metric, window)
        for value in ("EWR", "JFK", "LGA"):
            made.daily(version, metric, window, segment="origin", segment_value=value)


def _of_months(made: Invented, version: str) -> None:
    for at in range(15):
        for metric in ("reliability_score", "reliability_observed"):
            made.monthly(version, metric, (at + 0.5) / 15, feature=f"bin{at:02d}")
    for hours in (1, 2, 4, 8, 12, 24, 48, 72, 168, 336):
        made.monthly(version, "label_lag_cdf", 1 - 2 ** (-hours / 8), feature=f"{hours}h")
    for metric in ("row_count", "base_rate", "auc", "ece", "brier_score", "label_coverage"):
        made.monthly(version, metric, 0.2)


def budgets(days: int, versions: int) -> Iterator[dict[str, object]]:
    """Four SLOs of every version on every day."""
    for name in ("answered", "labelled", "in_time", "calibrated"):
        for version in range(versions):
            for at in range(days):
                left = 1 - 2 * at / days
                yield {
                    "slo": name,
                    "model_version": f"v{version + 1}",
                    "segment": "",
                    "segment_value": "",
                    "metric": "ece",
                    "window": "28d",
                    "target": 0.9,
                    "events": 28.0,
                    "bad": 3.0,
                    "budget_left": left,
                    "burn_1d": 1.0,
                    "burn_7d": 2.0,
                    "page_limit": 2.8,
                    "ticket_limit": 1.0,
                    "alert": "none",
                    "verdict": "pass",
                    "reason": "3 of 28 bad",
                    "owners": ["team:bench"],
                    "runbook": "",
                    "day": (FIRST + at * DAY).isoformat(),
                }


def incidents(days: int, count: int = 60) -> Iterator[dict[str, object]]:
    """Incidents of a year with twelve signals each; the last two are open."""
    told = {"metric": "psi", "feature": "f01", "window": "28d", "reason": "0.4 is above 0.25"}
    for at in range(count):
        opened = FIRST + (days - 1 - at * days // count) * DAY
        signals = [
            {
                "first": opened.isoformat(),
                "failures": 3,
                "signal": {"tier": 4, "key": f"{k}", "check": "metrics/drift", "told": told},
            }
            for k in range(12)
        ]
        over = None if at < 2 else opened + 5 * DAY
        yield {
            "incident": f"{MODEL}-{opened:%Y%m%d}-{at:06x}",
            "title": "drift of weather",
            "failing": 1,
            "severity": "critical" if at % 9 == 0 else "ticket",
            "state": "resolved" if over else "open",
            "opened_on": opened,
            "resolved_on": over,
            "reopened": 0,
            "muted_until": None,
            "acted_by": "",
            "note": "",
            "versions": ["v1"],
            "owners": ["team:bench"],
            "runbook": "",
            "signals": json.dumps(signals),
        }


def write(home: Path, days: int, features: int, versions: int) -> tuple[Path, dict[str, float]]:
    """Store the invented year, write its report, and say what that took."""
    from mlobs_pipelines.contracts.folder import load_models
    from mlobs_pipelines.core.metrics import METRICS
    from mlobs_pipelines.defs.resources import Site
    from mlobs_pipelines.destinations.html import Operations, ReportFacts, VersionFacts, render_report
    from mlobs_pipelines.settings import Settings
    from mlobs_pipelines.steps.tell import report_rows
    from mlobs_pipelines.store.metric_store import MetricStore

    walk = Site(Settings(home=home)).walk(load_models(Path("data_contracts"), METRICS)[MODEL], "bench", AS_OF)
    rows = invent(days, features, versions)
    spans = [(FIRST + at * DAY, AS_OF) for at in range(days)]
    MetricStore(walk.lake).write(MODEL, spans, rows, commit={})
    stored = rows.num_rows
    del rows
    started = time.perf_counter()
    found = report_rows(walk)
    weights = {f"f{at:02d}": 0.2 / (1 + at) for at in range(features)}
    named = [f"v{at + 1}" for at in range(versions)]
    facts = ReportFacts(
        *(MODEL, "An invented year.", ("team:bench",), "https://example.org/runbook", AS_OF),
        *(FIRST, FIRST + (days - 1) * DAY, "bench", "0" * 64),
        versions={name: VersionFacts("b", 0.5) for name in named},
        importance=dict.fromkeys(named, weights),
    )
    path = home / "report.html"
    given = Operations(list(budgets(days, versions)), list(incidents(days)))
    path.write_text(render_report(facts, found, given), encoding="utf-8")
    took = time.perf_counter() - started
    return path, {"stored rows": stored, "rows read": found.num_rows, "seconds to write": took}


def opened(path: Path) -> dict[str, float]:
    """Milliseconds that Chromium takes, from the start of the navigation; the median of five openings."""
    from selenium import webdriver
    from selenium.webdriver.support.ui import WebDriverWait

    options = webdriver.ChromeOptions()
    options.binary_location = shutil.which("chromium") or shutil.which("google-chrome") or ""
    for flag in ("--headless", "--no-sandbox", "--disable-gpu", "--no-first-run", "--window-size=1280,1000"):
        options.add_argument(flag)
    driver = webdriver.Chrome(options=options, service=webdriver.ChromeService(shutil.which("chromedriver")))
    ask = (
        "var t = performance.timing; return [t.loadEventEnd - t.navigationStart, "
        "performance.getEntriesByName('first-chart')[0].startTime, performance.now()]"
    )
    try:
        found = []
        for _ in range(5):
            driver.get(path.as_uri())
            WebDriverWait(driver, 120, poll_frequency=0.1).until(
                lambda page: page.execute_script("return document.body.dataset.charts")
            )
            found.append(driver.execute_script(ask))
    finally:
        driver.quit()
    names = ("ms until loaded", "ms until the first chart", "ms until all charts")
    return dict(zip(names, np.median(found, axis=0).tolist(), strict=True))


def main() -> None:
    """Print what the report takes, and fail where a limit is broken."""
    asked = argparse.ArgumentParser(description=__doc__)
    for name, usual in (("days", 365), ("features", 50), ("versions", 5)):
        asked.add_argument(f"--{name}", type=int, default=usual)
    asked.add_argument("--keep", type=Path, help="folder that the report is left in")
    given = asked.parse_args()
    with tempfile.TemporaryDirectory() as scratch:
        path, took = write(Path(scratch), given.days, given.features, given.versions)
        took["GB of memory at most"] = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1e6
        took["MB of the file"] = path.stat().st_size / 1e6
        took |= opened(path)
        if given.keep:
            shutil.copy(path, given.keep)
    for name, number in took.items():
        print(f"{name:26} {number:14,.2f}")
    assert took["MB of the file"] < 10
    assert took["ms until the first chart"] < 2_000


if __name__ == "__main__":
    main()
