"""Charts of the operator's view: what is left of an error budget, how fast it goes, and when incidents were.

Functions take rows of the tables ``slo_status`` and ``incidents``; they return Vega-Lite specifications.
"""

from collections.abc import Mapping, Sequence
from datetime import date, timedelta
from typing import Any

import altair as alt

from mlobs_pipelines.destinations.charts import (
    FULL_WIDTH,
    HALF_WIDTH,
    INK,
    VERDICT_COLOURS,
    Spec,
    day_axis,
    day_tooltip,
    finish,
    inline,
    rounded,
    version_colour,
)

DAY = timedelta(days=1)
SEVERITIES = {"critical": VERDICT_COLOURS["fail"], "ticket": VERDICT_COLOURS["undecided"]}
DEEPEST = -3.0  # budgets are drawn down to here: further down it matters no more how far
Status = Mapping[str, Any]


def left(
    rows: Sequence[Status], colours: Mapping[str, str], days: Sequence[date], *, width: int = HALF_WIDTH
) -> Spec:
    """What is left of one SLO's budget by day and version; below the red line the target is missed."""
    y = alt.Y(
        "y:Q",
        scale=alt.Scale(domain=[_lowest(rows), 1.0], clamp=True),
        axis=alt.Axis(format="~%", tickCount=5, title=None),
    )
    base = alt.Chart(inline(_point(row) for row in rows)).encode(
        x=day_axis(domain=days), color=version_colour(colours)
    )
    layers = [
        base.mark_line(clip=True).encode(y),
        _rule(0.0, y),
        base.mark_point(size=120, opacity=0).encode(y, tooltip=_tooltips()),
    ]
    return finish(alt.layer(*layers, width=width, height=150))


def burn(
    rows: Sequence[Status], colours: Mapping[str, str], days: Sequence[date], *, width: int = HALF_WIDTH
) -> Spec:
    """Burn rates of one SLO: lines over seven days, points of single days; dashed lines tell people."""
    base = alt.Chart(inline(_point(row) for row in rows)).encode(
        x=day_axis(domain=days), color=version_colour(colours)
    )
    y = alt.Axis(format=",~f", tickCount=5, title=None)
    layers = [
        base.mark_point(size=16, filled=True, opacity=0.6).encode(alt.Y("b1:Q", axis=y)),
        base.mark_line().encode(alt.Y("b7:Q", axis=y)),
        *(_limit(rows, name, word) for name, word in (("page_limit", "page"), ("ticket_limit", "ticket"))),
        base.mark_point(size=120, opacity=0).encode(alt.Y("b7:Q", axis=y), tooltip=_tooltips()),
    ]
    return finish(alt.layer(*layers, width=width, height=150))


def incidents(rows: Sequence[Mapping[str, Any]], last: date) -> Spec:
    """A bar per incident from its first day until it was over, the one opened last on top."""
    shown = [_bar(row, last) for row in rows]
    scale = alt.Scale(domain=list(SEVERITIES), range=list(SEVERITIES.values()))
    names = [bar["i"] for bar in shown]
    axis = alt.Axis(title=None, labelLimit=330, ticks=False, domain=False, labelColor=INK)
    chart = alt.Chart(inline(shown)).mark_bar(height=alt.RelativeBandSize(0.6), cornerRadius=2)
    encoded = chart.encode(
        x=day_axis("d", grid=True, tickCount=14),
        x2="e:T",
        y=alt.Y("i:N", sort=names, axis=axis),
        color=alt.Color("severity:N", scale=scale, legend=None),
        tooltip=[
            alt.Tooltip("i:N", title="incident"),
            alt.Tooltip("what:N"),
            alt.Tooltip("severity:N"),
            alt.Tooltip("state:N"),
            day_tooltip("since"),
            alt.Tooltip("until:N"),
        ],
    )
    return finish(encoded.properties(width=FULL_WIDTH, height=22 * len(shown) + 30))


def _bar(row: Mapping[str, Any], last: date) -> dict[str, Any]:
    until = row["resolved_on"]
    return {
        "i": row["incident"],
        "what": row["title"],
        "severity": row["severity"],
        "state": row["state"],
        "d": row["opened_on"].isoformat(),
        "e": max(until or last + DAY, row["opened_on"] + DAY).isoformat(),
        "until": until.isoformat() if until else "not over",
    }


def _point(row: Status) -> dict[str, Any]:
    return {
        "d": row["day"],
        "v": row["model_version"],
        "s": f"{row['segment']} = {row['segment_value']}" if row["segment"] else None,
        "y": rounded(row["budget_left"]),
        "b1": rounded(row["burn_1d"]),
        "b7": rounded(row["burn_7d"]),
        "bad": rounded(row["bad"]),
        "n": rounded(row["events"]),
        "q": row["verdict"],
        "a": row["alert"],
    }


def _tooltips() -> list[alt.Tooltip]:
    return [
        day_tooltip("period to"),
        alt.Tooltip("v:N", title="version"),
        alt.Tooltip("y:Q", title="budget left", format=".0~%"),
        alt.Tooltip("b1:Q", title="burn rate, 1 day", format=",.3~g"),
        alt.Tooltip("b7:Q", title="burn rate, 7 days", format=",.3~g"),
        alt.Tooltip("bad:Q", title="bad", format=",.4~g"),
        alt.Tooltip("n:Q", title="of", format=",.6~g"),
        alt.Tooltip("a:N", title="alert"),
        alt.Tooltip("q:N", title="verdict"),
    ]


def _lowest(rows: Sequence[Status]) -> float:
    known = [row["budget_left"] for row in rows if row["budget_left"] is not None]
    return max(DEEPEST, min(0.0, *known)) if known else 0.0


def _rule(at: float, y: alt.Y) -> alt.Chart:
    rule = alt.Chart(inline([{"y": at}])).mark_rule(color=VERDICT_COLOURS["fail"], strokeWidth=1.2)
    return rule.encode(y)


def _limit(rows: Sequence[Status], name: str, word: str) -> alt.LayerChart:
    base = alt.Chart(inline({"l": at} for at in {row[name] for row in rows[-1:]})).encode(alt.Y("l:Q"))
    colour = {"page": VERDICT_COLOURS["fail"], "ticket": "#a06b00"}[word]
    rule = base.mark_rule(color=colour, strokeDash=[5, 3], strokeWidth=1.2)
    text = base.mark_text(align="left", dx=3, dy=-6, color=colour, fontSize=10, x=0)
    return alt.layer(rule, text.encode(text=alt.value(word)))
