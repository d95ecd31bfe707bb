"""Charts that are not a trend: reliability curves, label-lag curves, and heat maps of feature by week.

Functions take metric rows and return Vega-Lite specifications as plain dictionaries.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date, timedelta
from itertools import pairwise
from typing import Any

import altair as alt

from mlobs_pipelines.destinations import report_words as words
from mlobs_pipelines.destinations.charts import (
    FULL_WIDTH,
    INK,
    QUIET,
    VERDICT_COLOURS,
    Spec,
    finish,
    inline,
    rounded,
    version_colour,
)
from mlobs_pipelines.destinations.report_rows import Row, versions_of

MOST_MONTHS = 12
ON_CELL = "#14181d"  # of no theme: cells keep their colours in the dark
LAG_TICKS = {1: "1 h", 4: "4 h", 12: "12 h", 24: "1 d", 72: "3 d", 168: "7 d", 336: "14 d"}


@dataclass(frozen=True, slots=True)
class BandLook:
    """The bands of a heat map: title, edges, colours from light to dark, whether the values are shares."""

    title: str
    edges: tuple[float, ...]
    colours: tuple[str, ...]
    percent: bool = False

    @property
    def key(self) -> list[tuple[str, str]]:
        """Colour and range of every band, for the legend in the page."""
        said = [f"{100 * edge:g} %" if self.percent else f"{edge:g}" for edge in self.edges]
        between = [f"{low} to {high}" for low, high in pairwise(said)]
        return list(zip(self.colours, [f"under {said[0]}", *between, f"over {said[-1]}"], strict=True))


PSI_LOOK = BandLook("PSI", (0.1, 0.25, 1.0, 4.0), ("#eef3f8", "#c9dcee", "#8fb9dc", "#3f83bd", "#12406f"))
NULL_LOOK = BandLook(
    "share missing",
    (0.001, 0.01, 0.1, 0.5),
    ("#f4f5f3", "#dfe5d3", "#b9caa0", "#7f9c63", "#3f5c33"),
    percent=True,
)


def reliability_points(rows: Sequence[Row]) -> list[dict[str, Any]]:
    """Pair the two reliability curves bin by bin: mean score against observed rate with its interval."""
    curves: dict[tuple[Any, ...], dict[str, Row]] = {}
    for row in rows:
        key = (row["model_version"], row["window_start"], row["window_end"], row["feature"])
        curves.setdefault(key, {})[row["metric"]] = row
    return [
        {
            "v": key[0],
            "month": key[1].strftime("%Y-%m"),
            "s": rounded(pair["reliability_score"]["value"]),
            "y": rounded(pair["reliability_observed"]["value"]),
            "lo": rounded(pair["reliability_observed"]["lower"]),
            "hi": rounded(pair["reliability_observed"]["upper"]),
            "n": pair["reliability_observed"]["n"],
        }
        for key, pair in sorted(curves.items())
        if len(pair) == 2 and pair["reliability_score"]["value"] is not None
    ]


def reliability(rows: Sequence[Row], colours: Mapping[str, str]) -> Spec:
    """Small multiples: a reliability curve per month (columns) and model version (rows)."""
    points = reliability_points(rows)
    months = sorted({point["month"] for point in points})[-MOST_MONTHS:]
    side = min(208, (FULL_WIDTH - 70) // max(1, len(months)) - 8)
    layers = reliability_layers(colours)
    chart = alt.layer(*layers, data=inline(point for point in points if point["month"] in months))
    faceted = chart.properties(width=side, height=side).facet(
        column=alt.Column("month:O", title=None),
        row=alt.Row(
            "v:N", title=None, header=alt.Header(labelAngle=0, labelAlign="left", labelFontWeight="bold")
        ),
        spacing=8,
    )
    return finish(faceted, fit=False)


def reliability_layers(colours: Mapping[str, str], *, legend: bool = False) -> list[alt.Chart]:
    """The layers of one reliability curve: ideal diagonal, intervals, line, points sized by rows."""
    unit = alt.Scale(domain=[0, 1])
    look: dict[str, Any] = {"values": [0, 0.5, 1], "format": "~%"}
    x = alt.X("s:Q", scale=unit, axis=alt.Axis(title="mean score", **look))
    y = alt.Y("y:Q", scale=unit, axis=alt.Axis(title="observed", **look))
    base = alt.Chart().encode(x=x, color=version_colour(colours, legend=legend))
    number = ".1~%"
    tips = [
        alt.Tooltip("v:N", title="version"),
        alt.Tooltip("s:Q", title="mean score", format=number),
        alt.Tooltip("y:Q", title="observed", format=number),
        alt.Tooltip("lo:Q", title="95 % from", format=number),
        alt.Tooltip("hi:Q", title="to", format=number),
        alt.Tooltip("n:Q", title="labelled rows", format=","),
    ]
    size = alt.Size("n:Q", scale=alt.Scale(range=[6, 70]), legend=None)
    ideal = alt.Chart(inline([{"a": 0, "b": 0}, {"a": 1, "b": 1}])).mark_line(
        strokeDash=[3, 3], color="#9aa5b1", strokeWidth=1
    )
    return [
        ideal.encode(alt.X("a:Q", scale=unit), alt.Y("b:Q", scale=unit)),
        base.mark_rule(strokeWidth=1.4, opacity=0.55).encode(alt.Y("lo:Q", scale=unit), alt.Y2("hi:Q")),
        base.mark_line(strokeWidth=1).encode(y),
        base.mark_point(filled=True, opacity=1).encode(y, size=size, tooltip=tips),
    ]


def _lag_points(rows: Sequence[Row]) -> list[dict[str, Any]]:
    return [
        {
            "v": row["model_version"],
            "month": row["window_start"].strftime("%Y-%m"),
            "h": int(row["feature"].removesuffix("h")),
            "y": rounded(row["value"]),
        }
        for row in rows
        if row["value"] is not None and row["feature"].removesuffix("h").isdigit()
    ]


def label_lag(rows: Sequence[Row]) -> Spec:
    """Share of predictions with a label against the hours since the prediction, a line per month."""
    ticks = "{" + ",".join(f"'{hours}':'{text}'" for hours, text in LAG_TICKS.items()) + "}[datum.value]"
    x = alt.X(
        "h:Q",
        scale=alt.Scale(type="log", domain=[1, max(LAG_TICKS)], nice=False),
        axis=alt.Axis(values=list(LAG_TICKS), labelExpr=ticks, title="time since the prediction", grid=False),
    )
    base = alt.Chart(inline(_lag_points(rows))).encode(
        x=x,
        y=alt.Y(
            "y:Q",
            scale=alt.Scale(domain=[0, 1]),
            axis=alt.Axis(format="~%", title="labels known", tickCount=5),
        ),
        color=alt.Color(
            "month:O", scale=alt.Scale(scheme="viridis", reverse=True), title="month of prediction"
        ),
        tooltip=[
            "month:N",
            "v:N",
            alt.Tooltip("h:Q", title="hours"),
            alt.Tooltip("y:Q", format=".1~%", title="known"),
        ],
    )
    layer = alt.layer(base.mark_line(strokeWidth=1.4), base.mark_point(size=16, filled=True, opacity=1))
    width = min(480, (FULL_WIDTH - 210) // max(1, len(versions_of(rows))))
    return finish(
        layer.properties(width=width, height=220).facet(column=alt.Column("v:N", title=None)), fit=False
    )


def heat_map(
    rows: Sequence[Row],
    importance: Mapping[str, float],
    look: BandLook,
) -> Spec:
    """Feature by week: colour is the value's band, a cross marks a failing check, "?" an undecided one.

    Features stand in the order of their importance to the model, which is drawn at the left.
    """
    features = by_importance({row["feature"] for row in rows}, importance)
    height = 21 * len(features)
    cells = _cells(rows, _feature_axis(features, labels=not importance), look)
    if not importance:
        return finish(cells.properties(width=FULL_WIDTH - 120, height=height), fit=False)
    weights = _importance_bars(features, importance, height)
    heat = cells.properties(width=FULL_WIDTH - 250, height=height)
    return finish(alt.hconcat(weights, heat, spacing=6), fit=False)


def _feature_axis(features: Sequence[str], *, labels: bool) -> alt.Y:
    axis = alt.Axis(title=None, labels=labels, labelColor=INK, ticks=False, domain=False, labelLimit=190)
    return alt.Y("f:N", sort=list(features), axis=axis)


def by_importance(features: set[str], importance: Mapping[str, float]) -> list[str]:
    """Features with the most important first, equal ones by name."""
    return sorted(features, key=lambda feature: (-importance.get(feature, 0.0), feature))


def _importance_bars(features: Sequence[str], importance: Mapping[str, float], height: int) -> alt.LayerChart:
    values = [
        {"f": f, "i": rounded(importance.get(f)), "t": words.number(importance.get(f), "importance")}
        for f in features
    ]
    base = alt.Chart(inline(values)).encode(
        y=_feature_axis(features, labels=True),
        x=alt.X("i:Q", axis=None, scale=alt.Scale(domain=[0, 1.5 * max(1e-9, *importance.values())])),
    )
    bars = base.mark_bar(color="#aab6c2", height=alt.RelativeBandSize(0.55))
    text = base.mark_text(align="left", dx=3, fontSize=10, color=QUIET).encode(text="t:N")
    caption = alt.TitleParams("importance", fontSize=11, color=QUIET, fontWeight="normal", anchor="start")
    return alt.layer(bars, text).properties(width=110, height=height, title=caption)


def _cells(rows: Sequence[Row], y: alt.Y, look: BandLook) -> alt.LayerChart:
    scale = alt.Scale(type="threshold", domain=list(look.edges), range=list(look.colours))
    x = _week_axis(sorted({row["window_start"] for row in rows}))
    base = alt.Chart(inline(_cell(row) for row in rows))
    heat = (
        base.transform_filter("isValid(datum.y)")
        .mark_rect(stroke="white", strokeWidth=1)
        .encode(
            x=x,
            y=y,
            color=alt.Color("y:Q", scale=scale, legend=None),
            tooltip=[
                alt.Tooltip("f:N", title="feature"),
                alt.Tooltip("d:N", title="week from"),
                alt.Tooltip("e:N", title="to"),
                alt.Tooltip("y:Q", title=look.title, format=",.4~g"),
                alt.Tooltip("n:Q", title="rows", format=","),
                alt.Tooltip("q:N", title="verdict"),
            ],
        )
    )
    marks = base.transform_filter("datum.s").encode(x=x, y=y)
    glyph = marks.mark_text(fontSize=13, fontWeight="bold").encode(
        text="s:N",
        color=alt.condition("datum.q == 'fail'", alt.value("white"), alt.value(ON_CELL)),
    )
    ring = marks.transform_filter("datum.q == 'fail'").mark_point(
        shape="square", size=110, filled=True, color=VERDICT_COLOURS["fail"], opacity=1
    )
    return alt.layer(heat, ring, glyph)


def _week_axis(starts: Sequence[date]) -> alt.X:
    """One band per week from the first to the last, weeks without rows included."""
    weeks = (starts[-1] - starts[0]).days // 7 + 1
    domain = [(starts[0] + timedelta(days=7 * week)).isoformat() for week in range(weeks)]
    label = "utcFormat(utcParse(datum.value, '%Y-%m-%d'), '%-d %b')"
    axis = alt.Axis(title="week from", labelExpr=label, labelAngle=0, labelOverlap="parity", grid=False)
    return alt.X("d:O", scale=alt.Scale(domain=domain), axis=axis)


def _cell(row: Row) -> dict[str, Any]:
    return {
        "f": row["feature"],
        "d": row["window_start"].isoformat(),
        "e": row["last_day"].isoformat(),
        "y": rounded(row["value"]),
        "n": row["n"],
        "q": row["verdict"],
        "s": {"fail": "×", "undecided": "?"}.get(row["verdict"], ""),  # noqa: RUF001 - a cross in a cell
    }
