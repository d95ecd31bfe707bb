"""The shapes of request and response bodies that model servers speak, as one input or output per row.

KServe and Seldon V1 and V2, TensorFlow Serving, MLflow and pandas JSON, and CSV. Where a log keeps its bodies
is the log formats' business; what a value is called in the lake is `records`.
"""

import csv
import io
import math
from collections.abc import Sequence
from typing import Any


class UnmappedError(ValueError):
    """A record that does not say what a row needs; its row gets no id. Never quotes the record."""


def inputs(body: object, features: Sequence[str] = ()) -> list[Any]:
    """Return the inputs of a request, one per row.

    Parameters
    ----------
    body
        The decoded body; None where there is none.
    features
        Names for the values of inputs that are bare arrays.

    Returns
    -------
    list
        Of dicts by feature name, or of lists where nobody says the names.

    Raises
    ------
    UnmappedError
        If the body has no known shape, or an array is not as long as `features`.
    """
    return [_named(row, features) for row in _rows(body, _INPUT_KEYS)]


def outputs(body: object, expected: int = 0) -> list[Any]:
    """Return the outputs of a response, one per row.

    A single line of values answers a batch of as many inputs: that is how some servers write CSV.
    """
    found = _rows(body, _OUTPUT_KEYS)
    if len(found) == 1 and isinstance(found[0], list) and 1 < expected == len(found[0]):
        return list(found[0])
    return found


def single(output: object) -> object:
    """Return the one number an output is: itself, its `score`, or the only thing in it; None otherwise."""
    if isinstance(output, dict) and "score" in output:
        return single(output["score"])
    if isinstance(output, dict | list):
        parts = list(output.values()) if isinstance(output, dict) else output
        return single(parts[0]) if len(parts) == 1 else None
    return output


def table(text: str) -> list[Any]:
    """Return the rows of a CSV body, which has no header, as lists of texts; an empty cell is null."""
    try:
        found = [[cell or None for cell in row] for row in csv.reader(io.StringIO(text), strict=True) if row]
    except csv.Error:
        found = []
    if not found:
        raise UnmappedError("no CSV")
    return found


_INPUT_KEYS = ("dataframe_records", "instances", "inputs")
_OUTPUT_KEYS = ("predictions", "outputs")


def _rows(body: object, keys: tuple[str, ...]) -> list[Any]:
    if body is None:
        return []
    if isinstance(body, dict):
        return _of_object(body, keys)
    if isinstance(body, list):
        return body if body and all(isinstance(row, dict | list) for row in body) else _flat(body, keys)
    return [body]


def _flat(body: list[Any], keys: tuple[str, ...]) -> list[Any]:
    if any(isinstance(row, dict | list) for row in body) or not body:
        raise UnmappedError("rows and bare values in one array")
    return [body] if keys is _INPUT_KEYS else list(body)


def _of_object(body: dict[str, Any], keys: tuple[str, ...]) -> list[Any]:
    if "dataframe_split" in body:
        return _split(body["dataframe_split"])
    if isinstance(body.get("columns"), list) and isinstance(body.get("data"), list):
        return _split(body)
    if isinstance(body.get("data"), dict):
        return _seldon(body["data"])
    if "jsonData" in body:
        return _rows(body["jsonData"], keys)
    held = next((body[key] for key in keys if key in body), None)
    return [body] if held is None else _held(held)


def _held(held: object) -> list[Any]:
    if isinstance(held, dict):
        return _by_column(held)
    if not isinstance(held, list):
        return [held]
    if held and all(isinstance(part, dict) and "datatype" in part for part in held):
        return _tensors(held)
    return held


def _by_column(columns: dict[str, Any]) -> list[Any]:
    if not all(isinstance(values, list) for values in columns.values()):
        return [columns]
    lengths = {len(values) for values in columns.values()}
    if len(lengths) != 1:
        raise UnmappedError("columns of different lengths")
    cells = {name: [_alone(value) for value in values] for name, values in columns.items()}
    return [{name: cells[name][row] for name in cells} for row in range(lengths.pop())]


def _split(frame: object) -> list[Any]:
    if not isinstance(frame, dict) or not isinstance(frame.get("data"), list):
        raise UnmappedError("a split frame without its data")
    names = frame.get("columns")
    if not isinstance(names, list):
        return list(frame["data"])
    return [_named(row, names) for row in frame["data"]]


def _seldon(data: dict[str, Any]) -> list[Any]:
    names = data.get("names") or ()
    if "tensor" in data:
        tensor = data["tensor"]
        held = _shaped(tensor.get("values"), tensor.get("shape")) if isinstance(tensor, dict) else []
    else:
        held = data.get("ndarray", [])
    if not isinstance(held, list) or not held:
        raise UnmappedError("neither ndarray nor tensor")
    held = held if isinstance(held[0], list) else [held]
    return [_named(row, names) for row in held]


def _tensors(tensors: list[dict[str, Any]]) -> list[Any]:
    columns = {str(one.get("name", "")): _shaped(one.get("data"), one.get("shape")) for one in tensors}
    lengths = {len(rows) for rows in columns.values()}
    if len(lengths) != 1 or len(columns) != len(tensors):
        raise UnmappedError("tensors of different lengths, or of one name")
    if len(columns) == 1 and all(len(row) > 1 for row in next(iter(columns.values()))):
        return next(iter(columns.values()))
    return [{name: _alone(rows[row]) for name, rows in columns.items()} for row in range(lengths.pop())]


def _shaped(data: object, shape: object) -> list[Any]:
    """Return a tensor's data, flat or nested, as one list per row; further axes are laid out in a line."""
    told = isinstance(shape, list) and all(str(size).isdecimal() for size in shape)
    sizes = [int(size) for size in shape] if isinstance(shape, list) and told else []
    flat = _leaves(data)
    if not sizes or min(sizes) < 1 or math.prod(sizes) != len(flat):
        raise UnmappedError("a tensor whose data is missing, or not of its shape")
    width = len(flat) // sizes[0]
    return [flat[start : start + width] for start in range(0, len(flat), width)]


def _leaves(data: object) -> list[Any]:
    if not isinstance(data, list):
        return [data]
    found, waiting = [], [iter(data)]
    while waiting:
        part = next(waiting[-1], waiting)
        if part is waiting:
            waiting.pop()
        elif isinstance(part, list):
            waiting.append(iter(part))
        else:
            found.append(part)
    return found


def _alone(value: object) -> object:
    return value[0] if isinstance(value, list) and len(value) == 1 else value


def _named(row: object, names: Sequence[Any]) -> object:
    if not isinstance(row, list) or not names:
        return row
    if len(row) != len(names) or len(set(map(str, names))) != len(names):
        raise UnmappedError("not as many values as names")
    return dict(zip(map(str, names), row, strict=True))
