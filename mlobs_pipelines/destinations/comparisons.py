"""Charts that lay one thing beside another: segments of a version, and estimates beside what labels said.

Functions take metric rows and return Vega-Lite specifications as plain dictionaries.
"""

from collections.abc import Mapping, Sequence
from datetime import date
from typing import Any

import altair as alt

from mlobs_pipelines.destinations import report_words as words
from mlobs_pipelines.destinations.charts import (
    HALF_WIDTH,
    VERSION_COLOURS,
    Spec,
    day_axis,
    day_tooltip,
    finish,
    inline,
    rounded,
    thinned,
    version_colour,
)
from mlobs_pipelines.destinations.report_rows import Row


def by_segment(rows: Sequence[Row], days: Sequence[date], *, width: int = HALF_WIDTH) -> Spec:
    """One metric of one version, a line per value of a segment."""
    how = words.scale(rows[0]["metric"], rows[0]["unit"])
    values = sorted({words.segment(row) for row in rows})
    scale = alt.Scale(domain=values, range=[*VERSION_COLOURS, "#b03a6e", "#5c7a29"][: len(values)])
    y = alt.Y("y:Q", scale=alt.Scale(zero=False), axis=alt.Axis(format=how.axis, tickCount=5, title=None))
    base = alt.Chart(inline(_of_segment(row) for row in thinned(rows))).encode(
        x=day_axis(domain=days),
        color=alt.Color("s:N", scale=scale, legend=alt.Legend(title=None, orient="top", labelLimit=160)),
    )
    tips = [alt.Tooltip("s:N", title="segment"), *_tooltips(how)]
    layers = [base.mark_line().encode(y), base.mark_point(size=50, opacity=0).encode(y, tooltip=tips)]
    return finish(alt.layer(*layers, width=width, height=190))


def estimated(
    guessed: Sequence[Row],
    known: Sequence[Row],
    colours: Mapping[str, str],
    days: Sequence[date],
    *,
    width: int = HALF_WIDTH,
) -> Spec:
    """An estimate (dashed, with its band) beside the value that labels gave (solid), by day and version."""
    how = words.scale(known[0]["metric"] if known else guessed[0]["metric"], guessed[0]["unit"])
    points = [
        *(_point(row, "estimated") for row in thinned(guessed)),
        *(_point(row, "labels") for row in (thinned(known) if known else ())),
    ]
    y = alt.Y("y:Q", scale=alt.Scale(zero=False), axis=alt.Axis(format=how.axis, tickCount=5, title=None))
    dash = alt.Scale(domain=["estimated", "labels"], range=[[4, 3], [1, 0]])
    base = alt.Chart(inline(points)).encode(x=day_axis(domain=days), color=version_colour(colours))
    tips = [alt.Tooltip("v:N", title="version"), alt.Tooltip("k:N", title="known from"), *_tooltips(how)]
    band = base.transform_filter("datum.k == 'estimated'").mark_area(opacity=0.14)
    line = base.mark_line().encode(
        y, strokeDash=alt.StrokeDash("k:N", scale=dash, legend=alt.Legend(title=None, orient="top"))
    )
    layers = [
        band.encode(alt.Y("lo:Q", title=None), alt.Y2("hi:Q")),
        line,
        base.mark_point(size=50, opacity=0).encode(y, tooltip=tips),
    ]
    return finish(alt.layer(*layers, width=width, height=170))


def _of_segment(row: Row) -> dict[str, Any]:
    return {**_numbers(row), "s": words.segment(row), "v": row["model_version"]}


def _point(row: Row, known_from: str) -> dict[str, Any]:
    return {**_numbers(row), "v": row["model_version"], "k": known_from}


def _numbers(row: Row) -> dict[str, Any]:
    return {
        "d": row["last_day"].isoformat(),
        "y": rounded(row["value"]),
        "lo": rounded(row["lower"]),
        "hi": rounded(row["upper"]),
        "n": row["n"],
    }


def _tooltips(how: words.Scale) -> list[alt.Tooltip]:
    number = ".3~%" if how.axis == "~%" else ",.4~g"
    return [
        day_tooltip("last day"),
        alt.Tooltip("y:Q", title="value", format=number),
        alt.Tooltip("lo:Q", title="95 % from", format=number),
        alt.Tooltip("hi:Q", title="to", format=number),
        alt.Tooltip("n:Q", title="rows", format=","),
    ]
