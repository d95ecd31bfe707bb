"""Charts of values over days: trends of a metric, the verdict timeline, rows per day.

Curves and heat maps are in curves.py. Functions take metric rows and return Vega-Lite specifications as
plain dictionaries; nothing is rendered here.
"""

import json
import math
from collections.abc import Iterable, Mapping, Sequence
from datetime import date
from functools import cache
from typing import Any
from urllib.parse import quote

import altair as alt
from jsonschema_rs import Draft7Validator

from mlobs_pipelines.destinations import report_words as words
from mlobs_pipelines.destinations.report_checks import Stretch
from mlobs_pipelines.destinations.report_rows import Row, versions_of

Spec = dict[str, Any]

VEGA_LITE = ".".join(alt.SCHEMA_VERSION.removeprefix("v").split(".")[:2])
INK = "#1d2733"
QUIET = "#5b6875"
LINE = "#e3e8ed"
VERSION_COLOURS = ("#1f5fa8", "#d17a00", "#6f4aa0", "#1d8a7e", "#8a5a3c", "#56606b")
VERDICT_COLOURS = {"fail": "#a4161a", "undecided": "#e9b949", "pass": "#cfe3dc"}
FONT = "system-ui, -apple-system, 'Segoe UI', Roboto, 'Helvetica Neue', Arial, sans-serif"
FULL_WIDTH = 1150
HALF_WIDTH = 556
MOST_DAYS = 180


def colour_of(versions: Sequence[str]) -> dict[str, str]:
    """A colour per model version, the same in every chart of a report."""
    return {
        version: VERSION_COLOURS[i % len(VERSION_COLOURS)] for i, version in enumerate(sorted(set(versions)))
    }


def finish(chart: Any, *, fit: bool = True) -> Spec:  # noqa: ANN401 - any Altair chart
    """Apply the report's looks to a chart and turn it into a specification without network addresses.

    Raises
    ------
    altair.utils.schemapi.SchemaValidationError
        If Vega-Lite has no such chart.
    """
    styled = chart.configure(font=FONT, background="transparent", **_looks())
    spec: Spec = styled.to_dict(validate=False)
    if not _vega_lite().is_valid(spec):
        styled.to_dict(validate=True)  # says what is wrong, and takes a hundred times as long
    spec.pop("$schema")
    spec["datasets"] = {name: json.loads(text) for name, text in spec.get("datasets", {}).items()}
    if fit:
        spec["autosize"] = {"type": "fit", "contains": "padding"}
    return spec


@cache
def _vega_lite() -> Draft7Validator:
    return Draft7Validator(_with_addresses(alt.load_schema()))


def _with_addresses(schema: Any) -> Any:  # noqa: ANN401 - any part of the schema
    """Vega-Lite's schema with references that are URIs: those that it has hold names of types as they are."""
    if isinstance(schema, list):
        return [_with_addresses(one) for one in schema]
    if not isinstance(schema, dict):
        return schema
    referred = {"$ref": quote(schema["$ref"], safe="#/")} if isinstance(schema.get("$ref"), str) else {}
    return {name: _with_addresses(one) for name, one in schema.items()} | referred


def _looks() -> Mapping[str, Any]:
    return {
        "view": {"stroke": None},
        "axis": {
            "gridColor": LINE,
            "domainColor": "#b8c2cc",
            "tickColor": "#b8c2cc",
            "labelColor": QUIET,
            "titleColor": QUIET,
            "titleFontWeight": "normal",
            "labelFontSize": 11,
            "titleFontSize": 11,
        },
        "header": {"labelColor": INK, "labelFontSize": 11, "titleColor": QUIET},
        "legend": {"labelColor": INK, "titleColor": QUIET, "titleFontWeight": "normal"},
    }


def rounded(value: float | None) -> float | None:
    """A number cut to six significant digits: finer than a pixel, shorter in the file."""
    return None if value is None else float(f"{value:.6g}")


def inline(values: Iterable[Mapping[str, Any]]) -> alt.InlineData:
    """Rows as data inside the specification; as text until `finish`, since Altair copies every value."""
    return alt.InlineData(values=json.dumps(list(values)))


def day_axis(field: str = "d", *, domain: Sequence[date] | None = None, **axis: Any) -> alt.X:  # noqa: ANN401
    """A time axis in UTC, so that a day is the same day wherever the report is opened."""
    ends = (
        [alt.DateTime(year=d.year, month=d.month, date=d.day, utc=True) for d in domain]
        if domain
        else alt.Undefined
    )
    scale = alt.Scale(type="utc", domain=ends)
    look = {"format": "%-d %b", "grid": False, "labelOverlap": True, "title": None, **axis}
    return alt.X(f"{field}:T", scale=scale, axis=alt.Axis(**look))


def day_tooltip(title: str, field: str = "d") -> alt.Tooltip:
    """The day of a mark, in UTC."""
    return alt.Tooltip(f"{field}:T", timeUnit="utcyearmonthdate", format="%Y-%m-%d", title=title)


def version_colour(colours: Mapping[str, str], *, legend: bool = False) -> alt.Color:
    """Colour by model version; without a legend where the page explains the colours once."""
    scale = alt.Scale(domain=list(colours), range=list(colours.values()))
    shown = alt.Legend(title=None, orient="top", symbolType="square") if legend else None
    return alt.Color("v:N", scale=scale, legend=shown)


def trend(
    rows: Sequence[Row], colours: Mapping[str, str], days: Sequence[date], *, width: int = HALF_WIDTH
) -> Spec:
    """One metric by day and version: line, 95 % band, hollow points while labels are provisional, limits."""
    metric, unit = rows[0]["metric"], rows[0]["unit"]
    how = words.scale(metric, unit)
    y = alt.Y(
        "y:Q",
        scale=alt.Scale(domain=_domain(rows), zero=False, nice=True, clamp=False),
        axis=alt.Axis(format=how.axis, tickCount=5, title=None),
    )
    base = alt.Chart(inline(_trend_point(row) for row in thinned(rows))).encode(
        x=day_axis(domain=days), color=version_colour(colours)
    )
    layers = [
        base.mark_area(opacity=0.16, clip=True).encode(alt.Y("lo:Q", title=None), alt.Y2("hi:Q")),
        base.mark_line(clip=True).encode(y, strokeWidth=_thinner_on_top(colours)),
        base.transform_filter("datum.m == 'p'")
        .mark_point(size=14, filled=False, fill="white", strokeWidth=1)
        .encode(y),
        *_limits(rows),
        base.mark_point(size=120, opacity=0).encode(y, tooltip=_trend_tooltips(how)),
    ]
    return finish(alt.layer(*layers, width=width, height=170))


def thinned(rows: Sequence[Row]) -> list[Row]:
    """Of windows that overlap, no more days than a line has room for, counted back from the newest.

    Single days are all kept: each says something of its own.
    """
    ends = [row["window_end"] for row in rows]
    newest = max(ends)
    step = -(-((newest - min(ends)).days + 1) // MOST_DAYS) if rows[0]["window"] != "1d" else 1
    return [row for row in rows if (newest - row["window_end"]).days % step == 0]


def _thinner_on_top(colours: Mapping[str, str]) -> alt.StrokeWidth:
    """Later versions are drawn thinner, so that a line below them stays visible where both coincide."""
    widths = [max(1.2, 2.8 - 1.3 * i) for i in range(len(colours))]
    return alt.StrokeWidth("v:O", scale=alt.Scale(domain=list(colours), range=widths), legend=None)


def _trend_point(row: Row) -> Row:
    point = {
        "d": row["last_day"].isoformat(),
        "v": row["model_version"],
        "y": rounded(row["value"]),
        "lo": rounded(row["lower"]),
        "hi": rounded(row["upper"]),
        "n": row["n"],
        "m": "p" if row["maturity"] == "provisional" else None,
        "q": row["verdict"] if row["verdict"] != "none" else None,
    }
    return {name: value for name, value in point.items() if value is not None or name == "y"}


def _trend_tooltips(how: words.Scale) -> list[alt.Tooltip]:
    number = ".2~%" if how.axis == "~%" else ",.4~g"
    return [
        day_tooltip("last day"),
        alt.Tooltip("v:N", title="version"),
        alt.Tooltip("y:Q", title="value", format=number),
        alt.Tooltip("lo:Q", title="95 % from", format=number),
        alt.Tooltip("hi:Q", title="to", format=number),
        alt.Tooltip("n:Q", title="rows", format=","),
        alt.Tooltip("q:N", title="verdict"),
    ]


def _domain(rows: Sequence[Row]) -> list[float]:
    """The span of values and limits, a little wider; intervals of tiny windows must not flatten the line."""
    seen = [row[name] for row in rows for name in ("value", "threshold") if row[name] is not None]
    low, high = min(seen, default=0.0), max(seen, default=1.0)
    pad = 0.12 * (high - low) or 0.1 * abs(high) or 0.1
    bottom = low - pad
    ceiling = 1.0 if words.is_share(rows[0]["metric"]) or rows[0]["metric"] in {"auc", "ece"} else math.inf
    return [max(bottom, 0.0) if low >= 0 else bottom, min(high + pad, max(ceiling, high))]


def _limits(rows: Sequence[Row]) -> list[alt.LayerChart]:
    limits = sorted({row["threshold"] for row in rows if row["threshold"] is not None})
    if not limits:
        return []
    base = alt.Chart(inline({"y": limit} for limit in limits)).encode(alt.Y("y:Q"))
    rule = base.mark_rule(color=VERDICT_COLOURS["fail"], strokeDash=[5, 3], strokeWidth=1.2)
    text = base.mark_text(align="left", dx=3, dy=-6, color=VERDICT_COLOURS["fail"], fontSize=10, x=0)
    label = "limit " + words.limit(limits[0], rows[0]["metric"], rows[0]["unit"])
    return [rule, text.encode(text=alt.value(label))] if len(limits) == 1 else [rule]


def timeline(spans: Sequence[Stretch]) -> Spec:
    """One line per judged metric and version, coloured by the worst verdict of each day."""
    scale = alt.Scale(domain=list(VERDICT_COLOURS), range=list(VERDICT_COLOURS.values()))
    lanes = sorted({_lane(span) for span in spans})
    chart = alt.Chart(inline(_timeline_bar(span) for span in spans)).mark_rect(
        height=alt.RelativeBandSize(0.72)
    )
    return finish(
        chart.encode(
            x=day_axis("d", grid=True, tickCount=14),
            x2="e:T",
            y=alt.Y(
                "lane:N",
                sort=lanes,
                axis=alt.Axis(title=None, labelLimit=330, ticks=False, domain=False, labelColor=INK),
            ),
            color=alt.Color("verdict:N", scale=scale, legend=None),
            tooltip=[
                alt.Tooltip("lane:N", title="check"),
                alt.Tooltip("verdict:N"),
                day_tooltip("from"),
                day_tooltip("to", "last"),
                alt.Tooltip("at_worst:N", title="at worst"),
            ],
        ).properties(width=FULL_WIDTH, height=24 * len(lanes) + 30)
    )


def _lane(span: Stretch) -> str:
    return f"{words.title(span.metric)}, {words.window(span.window)} · {span.version}"


def _timeline_bar(span: Stretch) -> Mapping[str, str]:
    return {
        "lane": _lane(span),
        "verdict": span.verdict,
        "d": span.start.isoformat(),
        "e": span.end.isoformat(),
        "last": date.fromordinal(span.end.toordinal() - 1).isoformat(),
        "at_worst": f"{span.worst} of {span.checks}",
    }


def bars(rows: Sequence[Row], colours: Mapping[str, str], days: Sequence[date]) -> Spec:
    """Rows per day, one strip per model version."""
    points = [
        {"d": r["last_day"].isoformat(), "v": r["model_version"], "y": rounded(r["value"])} for r in rows
    ]
    strips = [
        alt.Chart(
            inline(point for point in points if point["v"] == version), height=70, width=FULL_WIDTH - 70
        )
        .mark_bar(size=max(1.0, 0.8 * (FULL_WIDTH - 70) / max(1, (days[-1] - days[0]).days)))
        .encode(
            x=day_axis(domain=days),
            y=alt.Y("y:Q", axis=alt.Axis(title=f"{version}, rows", format="~s", tickCount=3)),
            color=version_colour(colours),
            tooltip=[day_tooltip("day"), alt.Tooltip("y:Q", title="rows", format=",")],
        )
        for version in versions_of(rows)
    ]
    return finish(alt.vconcat(*strips, spacing=8), fit=False)
