"""Small pictures of metrics for places that show an image beside a run, such as asset metadata.

The pictures are PNG bytes, drawn without a browser. The interactive charts of the report live
in charts.py and curves.py.
"""

import base64
import struct
import zlib
from collections.abc import Sequence

import altair as alt
import pyarrow as pa
import pyarrow.compute as pc
import vl_convert

from mlobs_pipelines.destinations import charts, curves, triangles
from mlobs_pipelines.destinations.report_rows import MetricRows, Row, newest, split, versions_of

PNG_SIGNATURE = b"\x89PNG\r\n\x1a\n"
PSI_TICKS = [0, 0.1, 0.25, 1, 4, 16]
SIDE = 240
MOST_FEATURES = 15
DEEPEST = -1.0


def markdown_image(png: bytes, description: str) -> str:
    """A Markdown image that carries its own bytes."""
    safe = description.translate(str.maketrans("[]()", "    "))
    return f"![{safe}](data:image/png;base64,{base64.b64encode(png).decode()})"


def reliability_picture(rows: pa.Table) -> bytes:
    """Draw the newest reliability curve of every model version in the rows.

    Parameters
    ----------
    rows
        Metric rows; those of `reliability_score` and `reliability_observed` over all segments are drawn.

    Returns
    -------
    bytes
        A PNG; the bare diagonal where no bin has labels.
    """
    points = curves.reliability_points(
        newest(MetricRows(rows).select(["reliability_score", "reliability_observed"], feature=None))
    )
    colours = charts.colour_of([point["v"] for point in points])
    chart = alt.layer(*curves.reliability_layers(colours, legend=bool(points)), data=charts.inline(points))
    return _png(chart.properties(width=SIDE, height=SIDE))


def drift_picture(rows: pa.Table) -> bytes:
    """Draw the newest PSI of the features that drift most, with the limit where one is set.

    Parameters
    ----------
    rows
        Metric rows; those of `psi` over all segments are drawn, for every model version its own bars.

    Returns
    -------
    bytes
        A PNG.
    """
    found = [
        row for row in newest(MetricRows(rows).select(["psi"], feature=None)) if row["value"] is not None
    ]
    strongest = sorted(
        {row["feature"] for row in found}, key=lambda feature: (-_strongest(found, feature), feature)
    )
    shown = strongest[:MOST_FEATURES]
    kept = [row for row in found if row["feature"] in shown]
    layers = [_drift_bars(kept, shown), *_drift_limit(kept)]
    return _png(alt.layer(*layers).properties(width=1.5 * SIDE, height=max(60, 22 * len(shown))))


def budget_picture(rows: pa.Table) -> bytes:
    """Draw what was left of every error budget, by day: a line per SLO and version, of segments the least.

    Parameters
    ----------
    rows
        Rows of the table ``slo_status``.

    Returns
    -------
    bytes
        A PNG.
    """
    least: dict[tuple[str, str, str], float] = {}
    for row in rows.select(["day", "slo", "model_version", "budget_left"]).to_pylist():
        if row["budget_left"] is not None:
            key = (row["slo"], row["model_version"], row["day"])
            least[key] = min(row["budget_left"], least.get(key, 1.0))
    values = [
        {"b": f"{slo} {version}", "d": day, "y": charts.rounded(max(left, DEEPEST))}
        for (slo, version, day), left in sorted(least.items())
    ]
    y = alt.Y("y:Q", axis=alt.Axis(title="budget left", format="~%"))
    lines = alt.Chart(charts.inline(values)).mark_line(point=True)
    zero = alt.Chart(charts.inline([{"y": 0.0}])).mark_rule(color=charts.VERDICT_COLOURS["fail"])
    colour = alt.Color("b:N", legend=alt.Legend(title=None, columns=1))
    layers = [lines.encode(x=charts.day_axis(), y=y, color=colour), zero.encode(y=y)]
    return _png(alt.layer(*layers).properties(width=1.5 * SIDE, height=SIDE))


def triangle_picture(rows: pa.Table) -> bytes:
    """Draw how one metric of one model version developed: a column per window, a line per age of its labels.

    Parameters
    ----------
    rows
        Metric rows of one metric, version and window over all segments; those at fixed maturities are drawn.

    Returns
    -------
    bytes
        A PNG.

    Raises
    ------
    ValueError
        If the rows at fixed maturities are none, or of more than one version.
    """
    _, aged = split(rows)
    found = aged.select(pc.unique(rows["metric"]).to_pylist())
    if len(versions_of(found)) != 1:
        raise ValueError("a picture shows one version that has values at fixed maturities: name it")
    return _png(triangles.cells(found).properties(title=triangles.title(found)))


def _strongest(rows: Sequence[Row], feature: str) -> float:
    return max(float(row["value"]) for row in rows if row["feature"] == feature)


def _drift_bars(rows: Sequence[Row], features: Sequence[str]) -> alt.Chart:
    colours = charts.colour_of(versions_of(rows))
    values = [
        {"f": row["feature"], "v": row["model_version"], "y": charts.rounded(row["value"])} for row in rows
    ]
    encoded = alt.Chart(charts.inline(values)).encode(
        y=alt.Y("f:N", sort=list(features), title=None),
        x=alt.X(
            "y:Q",
            axis=alt.Axis(title="PSI", values=PSI_TICKS, format=".2~f"),
            scale=alt.Scale(type="symlog", constant=0.1),
        ),
        color=charts.version_colour(colours, legend=bool(values)),
    )
    return encoded.mark_bar() if len(colours) < 2 else encoded.mark_bar().encode(yOffset="v:N")


def _drift_limit(rows: Sequence[Row]) -> list[alt.Chart]:
    limits = sorted({row["threshold"] for row in rows if row["threshold"] is not None})
    values = charts.inline({"x": limit} for limit in limits)
    rule = alt.Chart(values).mark_rule(color=charts.VERDICT_COLOURS["fail"], strokeDash=[5, 3])
    return [rule.encode(x="x:Q")] if limits else []


def _png(chart: alt.LayerChart | alt.Chart) -> bytes:
    png: bytes = vl_convert.vegalite_to_png(charts.finish(chart, fit=False) | {"background": "white"})
    return packed(png)


def packed(png: bytes) -> bytes:
    """The same PNG with its pixels compressed as far as they go; the renderer hardly tries."""
    chunks, pixels, at = [], b"", len(PNG_SIGNATURE)
    while at < len(png):
        length, kind = struct.unpack(">I4s", png[at : at + 8])
        body = png[at + 8 : at + 8 + length]
        if kind == b"IDAT":
            pixels += body
        else:
            chunks.append((kind, body))
        at += 12 + length
    chunks.insert(-1, (b"IDAT", zlib.compress(zlib.decompress(pixels), 9)))
    return PNG_SIGNATURE + b"".join(_chunk(kind, body) for kind, body in chunks)


def _chunk(kind: bytes, body: bytes) -> bytes:
    return struct.pack(">I", len(body)) + kind + body + struct.pack(">I", zlib.crc32(kind + body))
