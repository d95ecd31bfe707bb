"""Where labels come from, from delivered rows to the metric store."""

from datetime import date, timedelta

import numpy as np
import polars as pl
import pyarrow as pa
import pytest

from mlobs_pipelines.core.vocabulary import Window
from mlobs_pipelines.core.windows import Span
from mlobs_pipelines.engine.cells import WEIGHT
from mlobs_pipelines.engine.scan import ScanPlan, scan_labels
from mlobs_pipelines.steps.arranged import arranged
from mlobs_pipelines.steps.label_sources import label_sources

FIRST = date(2024, 1, 1)
PLAN = ScanPlan((), ("site",), {"v": 0.5})


def drawn(n=500):
    """Labelled and waiting rows of one day, of which some do not tell their source."""
    rng = np.random.default_rng(4)
    label = rng.integers(0, 2, n)
    source = rng.choice(["nightly", "live", "hand|made"], n, p=[0.3, 0.6, 0.1])
    columns = {"day": FIRST.isoformat(), "model_version": "v", "role": "champion", "state": "labelled"}
    return pa.table(
        {
            **{name: [text] * n for name, text in columns.items()},
            "site": rng.choice(["north", "south"], n),
            "score": rng.random(n),
            "label": pa.array(label.astype(float), mask=rng.random(n) < 0.2),
            "source": pa.array(source, mask=rng.random(n) < 0.1),
            "lag_s": np.zeros(n),
            "age_s": np.full(n, 9e6),
        }
    )


def summaries(table):
    """The summary of the day: all rows, then one entry per site."""
    span = Span(Window.DAY, FIRST, FIRST + timedelta(days=1))
    return list(label_sources(arranged(scan_labels(table, PLAN), [span]), ("0", "1")))


@pytest.mark.parametrize("site", [None, "north", "south"])
def test_labels_are_counted_by_source_and_class(site):
    """Rows with a label and a source, by both, in every group."""
    (found,) = summaries(drawn())
    rows = pl.from_arrow(drawn()).drop_nulls(["label", "source"])
    rows = rows if site is None else rows.filter(site=site)
    assert found.sources == ("hand|made", "live", "nightly")
    expected = [[rows.filter(source=s, label=k).height for k in (0.0, 1.0)] for s in found.sources]
    assert found.labels[[None, "north", "south"].index(site), 0].tolist() == expected


def test_weighted_labels_are_counted_as_those_repeated():
    """Weighted counts are those of the rows repeated, beside the rows seen."""
    weights = np.random.default_rng(8).choice([1, 2, 5], 500)
    (heavy,) = summaries(drawn().append_column(WEIGHT, pa.array(weights.astype(float))))
    (again,) = summaries(drawn().take(pa.array(np.repeat(np.arange(500), weights))))
    np.testing.assert_allclose(heavy.labels, again.labels)
    np.testing.assert_array_equal(heavy.seen.labels, summaries(drawn())[0].labels)


def test_labels_without_sources_have_no_such_metric():
    """Where no label tells its source, or there are none, nothing is said."""
    assert not summaries(drawn().drop_columns(["source"]))
    assert not summaries(drawn().slice(0, 0))
