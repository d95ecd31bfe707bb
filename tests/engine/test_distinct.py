"""Categories past the cap of a day: how many there were stays known, over days and for any cut of rows."""

from datetime import timedelta

import numpy as np
import pyarrow as pa
import pytest

from mlobs_pipelines.core.distinct import BOUND
from mlobs_pipelines.core.metrics import METRICS
from mlobs_pipelines.core.vocabulary import Window
from mlobs_pipelines.core.windows import Span
from mlobs_pipelines.engine.features import DISTINCT, MAX_CATEGORIES, FeaturePlan
from mlobs_pipelines.engine.scan import LogScan, ScanPlan, batches, scan_log
from mlobs_pipelines.steps.against import feature_summary
from mlobs_pipelines.steps.arranged import arranged, single
from mlobs_pipelines.steps.binning import FeatureBaseline
from mlobs_pipelines.steps.merging import merged
from tests.engine.weighted_days import DAY, FIRST, calendar

PLAN = ScanPlan((FeaturePlan("id", None),), ("place",), {"v": 0.5})
BINNED = FeatureBaseline(None, np.empty(0, np.int32), ("a",), np.nan)
DAYS, ROWS = 4, 6_000


@pytest.fixture(scope="module")
def table():
    """Four days: thousands of ids on three of them, a hundred on the last; the south has few."""
    rng = np.random.default_rng(8)
    ids = rng.integers(0, 20_000, DAYS * ROWS)
    ids[-ROWS:] = 100_000 + rng.integers(0, 100, ROWS)
    south = np.arange(ids.size) % 10 == 0
    ids[south] = ids[south] % 40
    names = np.array([f"customer-{one}" for one in ids])
    columns = {
        "day": np.repeat([day.isoformat() for day in calendar(DAYS)], ROWS),
        "model_version": np.repeat("v", ids.size),
        "role": np.repeat("champion", ids.size),
        "status": np.repeat("ok", ids.size),
        "latency_ms": np.ones(ids.size),
        "place": np.where(south, "south", "north"),
        "id": names,
    }
    return pa.table(columns)


def spans():
    """Every day, and all four together."""
    return [
        *(Span(Window.DAY, day, day + DAY) for day in calendar(DAYS)),
        Span(Window.WEEK, FIRST, FIRST + DAYS * timedelta(days=1)),
    ]


def cardinality(stored):
    """Of every group and window."""
    counts = arranged(stored, spans())
    found = METRICS["cardinality"].function(feature_summary(counts, single(stored.slice(0, 0)), "id", BINNED))
    return counts.groups, found


def test_cardinality_is_within_its_bound_of_all_values(table):
    """Exact where no day folded a value, within the bound where one did, over several days too."""
    groups, found = cardinality(scan_log(table, PLAN))
    frame = table.to_pandas()
    for at, (segment, value) in enumerate(groups):
        mine = frame[frame[segment] == value] if segment else frame
        for window, span in enumerate(spans()):
            inside = mine["day"].between(span.start.isoformat(), (span.end - DAY).isoformat())
            exact = mine[inside]["id"].nunique()
            assert abs(found.value[at, window] - exact) <= found.bound[at, window]
            many = exact > MAX_CATEGORIES
            assert found.bound[at, window] == (BOUND * found.value[at, window] if many else 0)


def test_registers_are_the_same_for_any_order_and_cut(table):
    """Stored statistics do not change by a byte when rows are shuffled and come in other batches."""
    one_day = table.slice(0, ROWS)
    wanted = scan_log(one_day, PLAN)
    shuffled = one_day.take(pa.array(np.random.default_rng(1).permutation(ROWS)))
    scan = LogScan(PLAN)
    for batch in (
        some for at in (0, 17, 4_000) for some in batches(shuffled.slice(at, {0: 17, 17: 3_983}.get(at)))
    ):
        scan.add(batch)
    order = [(name, "ascending") for name in ("segment", "segment_value", "subject", "part")]
    found = scan.finish()
    assert DISTINCT in wanted.column("part").to_pylist()
    assert found.sort_by(order).equals(wanted.sort_by(order))


def test_days_merged_into_one_keep_the_largest_registers(table):
    """Statistics of days that are added up into one say as many values as the days in a window do."""
    stored = scan_log(table.slice(0, 3 * ROWS), PLAN)
    together = merged(stored, FIRST.isoformat(), "champion")
    _, found = cardinality(together)
    _, wanted = cardinality(stored)
    assert found.value[0, 0] == wanted.value[0, -1]
