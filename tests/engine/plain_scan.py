"""Statistics of rows by a loop over them: slow, plain, and independent of how the product counts."""

import math
from collections import Counter, defaultdict
from dataclasses import replace

import numpy as np

from mlobs_pipelines.core.buckets import bucket_codes, cell_codes, score_codes
from mlobs_pipelines.engine.requests import STATUS_CODES
from mlobs_pipelines.engine.scan import CONFUSION_CODES, SKEW_CODES, STATE_CODES

BINS, EPS, SAME = 15, float(np.finfo(float).eps), 1e-9


class Book:
    """Counts, Σx, Σx² and the excess of weights by (group, subject, part) and code, row by row."""

    def __init__(self, plan):
        self.cuts = [(), *((name,) for name in plan.segments), *plan.crosses]
        self.cells = defaultdict(lambda: defaultdict(lambda: [0, *[0.0] * 8]))
        self.heavy = set()
        self.values = defaultdict(list)

    def groups(self, row):
        """Groups of a row, one per segmentation."""
        for cut in self.cuts:
            values = [_text(row[name]) for name in cut]
            yield (row["day"], row["model_version"], row["role"], "+".join(cut), "+".join(values))

    def write(self, row, subject, part, code, x=None):
        """Count a row under a code, with x where the part adds it up."""
        weight = row.get("sample_weight") or 1.0
        for group in self.groups(row):
            entry = self.cells[*group, subject, part][code]
            entry[0] += 1
            y = 0.0 if x is None else x
            amounts = [y, y * y]
            if weight != 1:
                once, twice = weight - 1, weight * weight - 1
                amounts += [once, twice, once * y, once * y * y, twice * y, twice * y * y]
            for position, amount in enumerate(amounts, 1):
                entry[position] += amount

    def mark(self, row):
        """Remember the groups in which a row stands for more than itself."""
        if (row.get("sample_weight") or 1.0) != 1:
            self.heavy.update(self.groups(row))

    def keep(self, row, subject, value):
        """Remember a value of which the extremes are stored."""
        for group in self.groups(row):
            self.values[*group, subject, "extremes"].append(value)

    def rows(self, valued):
        """Stored rows by key: codes with counts and, where kept, sums and squares."""
        found = {key: ([0], [len(v)], [[min(v)], [max(v)]]) for key, v in self.values.items()}
        for (*group, subject, part), cells in self.cells.items():
            codes = sorted(cells)
            sums = (1, 2) if part in valued else None
            found[*group, subject, part] = _row(cells, codes, sums)
            if tuple(group) in self.heavy:
                signs = {":w": (3, 4), ":wx": (5, 6), ":wwx": (7, 8)}
                for sign, pair in signs.items():
                    if sign == ":w" or part in valued:
                        found[*group, subject, part + sign] = _row(cells, codes, pair)
        return found


VALUED = (
    "moments",
    "skew",
    "attribution",
    "log_loss",
    "squared_error",
    "reliability_positive",
    "reliability_negative",
)


def _row(cells, codes, pair):
    sums = None if pair is None else [[cells[code][position] for code in codes] for position in pair]
    return codes, [cells[code][0] for code in codes], sums


def _text(value):
    return "__null__" if value is None else str(value).lower() if isinstance(value, bool) else str(value)


def plain_log(rows, plan):
    """What `scan_log` stores, by key."""
    book = Book(plan)
    for row in rows:
        book.mark(row)
        for feature in plan.features:
            _feature(book, row, feature)
        bad = "timeout" if row["status"] in plan.timeout_status else "error"
        kind = "good" if row["status"] in plan.good_status else bad
        book.write(row, "requests", "status", STATUS_CODES[kind])
        for part, column in {"latency": "latency_ms", "queue": "queue_ms"}.items():
            time = row.get(column)
            if time is not None and math.isfinite(time):
                book.write(row, "requests", part, int(bucket_codes(np.array([time]))[0]))
        for feature, column in plan.attributions.items():
            _attribution(book, row, feature, row[column])
    return book.rows(VALUED)


def _attribution(book, row, feature, value):
    if value is not None and math.isfinite(value):
        book.write(row, feature, "attribution", 0, abs(value))
        book.write(row, feature, "attribution_cells", int(bucket_codes(np.array([abs(value)]))[0]))


def _feature(book, row, feature):
    value, name = row[feature.name], feature.name
    finite = value is not None and (feature.grid is None or math.isfinite(value))
    book.write(row, name, "rows", 0 if finite else 1 if value is None else 2)
    if finite and feature.grid is None:
        book.write(row, name, "categories", _text(value))
    elif finite:
        book.write(row, name, "cells", int(cell_codes(np.array([value + 0.0]), feature.grid)[0]))
        book.write(row, name, "moments", 0, value - feature.grid.location)
        book.keep(row, name, value)
    if feature.recomputed:
        _skew(book, row, feature)


def _skew(book, row, feature):
    value, other, name = row[feature.name], row[f"pit__{feature.name}"], feature.name
    if value is None and other is None:
        return
    book.write(row, name, "skew", SKEW_CODES["pairs"], 0.0)
    if value is None or other is None:
        book.write(row, name, "skew", SKEW_CODES["missing" if value is None else "extra"], 0.0)
        return
    delta = abs(value - other) if feature.grid is not None else 0.0
    total = abs(value) + abs(other) if feature.grid is not None else 0.0
    if not (delta <= SAME * total if feature.grid is not None else value == other):
        book.write(row, name, "skew", SKEW_CODES["mismatched"], 0.0)
    book.write(row, name, "skew", SKEW_CODES["delta"], delta)
    book.write(row, name, "skew", SKEW_CODES["sum"], total)


def _class_lag(book, row, plan):
    label, lag, unit, horizon = row["label"], row["lag_s"], plan.lag_unit_s, plan.horizons_s[-1]
    if label is None or lag is None:
        return
    stratum = 2 * int(label) + (row["score"] >= plan.thresholds[row["model_version"]])
    old, last = row["age_s"] >= horizon, math.ceil(horizon / unit)
    if old and lag <= horizon:
        book.write(row, "label", "class_lags", math.ceil(max(lag, 0.0) / unit) * 4 + stratum)
    age = last if old else min(math.floor(row["age_s"] / unit), last - 1)
    book.write(row, "label", "class_ages", age * 4 + stratum)


def plain_labels(rows, plan):
    """What `scan_labels` stores, by key."""
    book, whole = Book(plan), Book(replace(plan, segments=(), crosses=()))
    for row in rows:
        if row["score"] is not None:
            book.mark(row)
            whole.mark(row)
            _scored(book, row, plan)
            _lag(book, row, plan)
            _developed(whole, row, plan)
    return book.rows(VALUED) | whole.rows(VALUED)


def _said(row):
    """Everything said of a row, with its lag and the lag of what was said next."""
    labels, lags = row.get("said_labels"), row.get("said_lags_s")
    if labels is None:
        labels, lags = ([], []) if row["lag_s"] is None else ([row["label"]], [row["lag_s"]])
    return zip(labels, lags, [*lags, math.inf][1:], strict=True)


def _developed(book, row, plan):
    """Count a row under the stretch of horizons at which each thing said of it was the latest known."""
    for label, lag, until in _said(row):
        held = [int(horizon) for horizon in plan.horizons_s if lag <= horizon < until]
        later = [int(horizon) for horizon in plan.horizons_s if horizon >= until]
        if label is not None and held:
            name = "-".join(str(horizon) for horizon in (held[0], *later[:1]))
            _scored(book, {**row, "label": label}, plan, f"score@{name}")


def _scored(book, row, plan, subject="score"):
    score, label = row["score"], row["label"]
    kind = "unlabelled" if label is None else "positive" if label == 1 else "negative"
    book.write(row, subject, kind, int(score_codes(np.array([score]))[0]))
    if label is None:
        return
    right = (score >= plan.thresholds[row["model_version"]]) == (label == 1)
    sign = "p" if (label == 1) == right else "n"
    book.write(row, subject, "confusion", CONFUSION_CODES[("t" if right else "f") + sign])
    clipped = min(max(score, EPS), 1 - EPS)
    loss = -np.log(clipped) if label == 1 else -np.log1p(-clipped)
    book.write(row, subject, "log_loss", 0, float(loss))
    book.write(row, subject, "squared_error", 0, (score - label) ** 2)
    book.write(row, subject, f"reliability_{kind}", min(int(score * BINS), BINS - 1), score)


def _lag(book, row, plan):
    lag, age, unit = row["lag_s"], row["age_s"], plan.lag_unit_s
    if lag is None:
        book.write(row, "label", "pending", math.floor(age / unit))
    else:
        book.write(row, "label", "arrived", math.ceil(max(lag, 0.0) / unit))
    _progress(book, row, plan)
    old = age > plan.horizons_s[-1]
    _class_lag(book, row, plan)
    flags = {"predictions": True, "void": row["state"] == "void", "overdue": old and lag is None, "aged": old}
    history = {"early": row["early"], "revised": row["revisions"] > 1, "conflicting": row["conflict"]}
    flags |= {name: lag is not None and flag for name, flag in history.items()}
    for name, flag in flags.items():
        if flag:
            book.write(row, "label", "state", STATE_CODES[name])
    for position, horizon in enumerate(plan.horizons_s):
        if age >= horizon:
            book.write(row, "label", "mature", position)
            if lag is not None and lag <= horizon:
                book.write(row, "label", "in_time", position)


def _progress(book, row, plan):
    lag, age, unit, horizon = row["lag_s"], row["age_s"], plan.lag_unit_s, plan.horizons_s[-1]
    if lag is None:
        return
    if age < horizon:
        book.write(row, "label", "young", math.floor(age / unit))
    elif lag <= horizon:
        book.write(row, "label", "settled", math.ceil(max(lag, 0.0) / unit))
    if 0 <= math.floor((age - lag) / unit) < horizon / unit:
        book.write(row, "label", "fresh", math.floor((age - lag) / unit))


def as_stored(table):
    """Stored rows of a scan in the same form."""
    found, state = {}, Counter()
    for row in table.to_pylist():
        key = tuple(row[name] for name in table.column_names[:7])
        state[key] += 1
        sums = None if row["sums"] is None else [row["sums"], row["squares"]]
        found[key] = (row["codes"] if row["names"] is None else row["names"], row["counts"], sums)
    assert not state or max(state.values()) == 1
    return found


def agree(found, expected):
    """Stored rows are equal to the bit; moments, which batches add up on their own, to rounding."""
    assert found.keys() == expected.keys()
    for key, (codes, counts, sums) in found.items():
        if not key[-1].startswith("moments"):
            assert (codes, counts, sums) == expected[key], key
            continue
        assert (codes, counts) == expected[key][:2]
        scale = [math.sqrt(counts[0] * abs(expected[key][2][1][0])), expected[key][2][1][0]]
        for one, other, size in zip(sums, expected[key][2], scale, strict=True):
            assert abs(one[0] - other[0]) <= 1e-12 * abs(size), key
