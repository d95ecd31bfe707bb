"""The development triangle as a heat map: day of prediction by the age at which labels were known.

Takes metric rows at fixed maturities; returns a chart or its Vega-Lite specification.
"""

from collections.abc import Sequence
from typing import Any

import altair as alt

from mlobs_pipelines.core.limits import metric_range
from mlobs_pipelines.destinations import report_words as words
from mlobs_pipelines.destinations.charts import (
    FULL_WIDTH,
    INK,
    Spec,
    day_axis,
    day_tooltip,
    finish,
    inline,
    rounded,
)
from mlobs_pipelines.destinations.report_rows import DAY, Row

HOURS = {"s": 1 / 3600, "m": 1 / 60, "h": 1, "d": 24}
CELL_HEIGHT = 26


def age_hours(maturity: str) -> float:
    """Hours of an age as it is written.

    Examples
    --------
    >>> age_hours("3d")
    72
    """
    return int(maturity[:-1]) * HOURS[maturity[-1]]


def triangle(rows: Sequence[Row]) -> Spec:
    """Draw one metric of one version and window: a column per window, a line per age, youngest on top.

    A cell is missing where predictions of the window had not reached the age yet.
    """
    return finish(cells(rows), fit=False)


def title(rows: Sequence[Row]) -> str:
    """What one metric of one version and window is called."""
    first = rows[0]
    return f"{words.title(first['metric'])}, {first['model_version']}, {words.window(first['window'])}"


def cells(rows: Sequence[Row]) -> alt.Chart:
    """The chart of `triangle` without its looks."""
    ages = sorted({row["maturity"] for row in rows}, key=age_hours)
    step = DAY * (7 if rows[0]["window"] == "7d" else 1)
    axis = alt.Axis(title="labels known at", labelColor=INK, ticks=False, domain=False)
    return (
        alt.Chart(inline(_cell(row, step) for row in rows))
        .mark_rect(stroke="white", strokeWidth=0.5)
        .encode(
            x=day_axis(),
            x2="e:T",
            y=alt.Y("m:O", sort=ages, axis=axis),
            color=alt.Color("y:Q", scale=_scale(rows), legend=alt.Legend(title=None)),
            tooltip=[
                day_tooltip("window to"),
                alt.Tooltip("m:N", title="labels known at"),
                alt.Tooltip("y:Q", title=words.title(rows[0]["metric"]), format=",.4~g"),
                alt.Tooltip("n:Q", title="rows", format=","),
            ],
        )
        .properties(width=FULL_WIDTH - 170, height=CELL_HEIGHT * len(ages))
    )


def _scale(rows: Sequence[Row]) -> alt.Scale:
    """Yellow is little and dark blue much; shares of labels always run from 0 to 1."""
    metric = rows[0]["metric"]
    domain: Any = list(metric_range(metric)) if metric == "label_coverage" else alt.Undefined
    return alt.Scale(scheme="yellowgreenblue", domain=domain, zero=False)


def _cell(row: Row, step: Any) -> dict[str, Any]:  # noqa: ANN401 - a timedelta
    return {
        "d": row["last_day"].isoformat(),
        "e": (row["last_day"] + step).isoformat(),
        "m": row["maturity"],
        "y": rounded(row["value"]),
        "n": row["n"],
    }
