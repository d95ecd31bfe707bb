"""Charts: what Vega-Lite does not know is refused, and what is finished is what Altair holds to be right."""

import altair as alt
import pytest
from altair.utils.schemapi import SchemaValidationError, debug_mode

from mlobs_pipelines.destinations.charts import colour_of, finish, inline, trend
from tests.destinations.season import START, season


def test_a_chart_that_vega_lite_does_not_know_is_refused():
    """A word that is none of its own is an error that names it."""
    with debug_mode(False):  # noqa: FBT003 - Altair's own signature
        chart = alt.Chart(inline([{"x": 1}])).mark_line(interpolate="wavy").encode(x="x:Q")
    with pytest.raises(SchemaValidationError, match="wavy"):
        finish(chart)


def test_a_finished_chart_is_right_for_altair_too():
    """Altair's own validation, which is slower, accepts what the compiled one has accepted."""
    auc = [row for row in season(9, ("v1",)).to_pylist() if row["metric"] == "auc" and not row["segment"]]
    rows = [row | {"last_day": row["window_start"]} for row in auc]
    spec = trend(rows, colour_of(["v1"]), [START])
    assert alt.Chart.from_dict(spec, validate=True).to_dict(validate=True)["width"] == spec["width"]
