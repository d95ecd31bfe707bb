"""Chart data made small for a file: every data set by column, repeated texts once.

The page's script unpacks them when a chart comes into view; what is drawn is not known here.
"""

import json
import math
from collections.abc import Mapping, Sequence
from typing import Any

from mlobs_pipelines.destinations.charts import Spec

Value = str | float | bool | None


def packed(spec: Spec) -> Spec:
    """The specification with its data sets by column.

    A column is a list of its values, or where these are texts ``{"t": distinct texts, "i": place of each}``.

    Examples
    --------
    >>> packed({"datasets": {"d": [{"v": "a", "y": 1}, {"v": "a", "y": None}]}})
    {'datasets': {'d': {'v': {'t': ['a'], 'i': [0, 0]}, 'y': [1, None]}}}
    """
    return {**spec, "datasets": {name: _columns(rows) for name, rows in spec["datasets"].items()}}


def unpacked(columns: Mapping[str, Any]) -> list[dict[str, Any]]:
    """The rows of a data set again; what was missing is None."""
    plain = {
        name: found if isinstance(found, list) else [None if i is None else found["t"][i] for i in found["i"]]
        for name, found in columns.items()
    }
    return [dict(zip(plain, values, strict=True)) for values in zip(*plain.values(), strict=True)]


def as_text(spec: Spec) -> str:
    """The packed specification as JSON that can stand inside a page's script element."""
    text = json.dumps(packed(spec), separators=(",", ":"), sort_keys=True, allow_nan=False)
    for mark, code in (("<", "\\u003c"), (">", "\\u003e"), ("&", "\\u0026")):
        text = text.replace(mark, code)
    return text


def _columns(rows: Sequence[Mapping[str, Value]]) -> dict[str, Any]:
    names = dict.fromkeys(name for row in rows for name in row)
    return {name: _column([row.get(name) for row in rows]) for name in names}


def _column(values: Sequence[Value]) -> list[Value] | dict[str, Any]:
    if not any(isinstance(value, str) for value in values):
        return [None if isinstance(value, float) and not math.isfinite(value) else value for value in values]
    places: dict[Value, int] = {}
    coded = [None if value is None else places.setdefault(value, len(places)) for value in values]
    return {"t": list(places), "i": coded}
