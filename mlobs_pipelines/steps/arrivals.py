"""Which labels each prediction day's last join has used, and so which days wait for labels that came since.

Kept as counts and digests per day of arrival. Joining is `labelled`; asking for runs is Dagster's part.
"""

import hashlib
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, date, timedelta

import pyarrow as pa
import pyarrow.compute as pc

from mlobs_pipelines.engine.arrivals import labels_by_day, unmatched
from mlobs_pipelines.engine.joins import EARLY_REACH_DAYS
from mlobs_pipelines.steps.holds import held, released
from mlobs_pipelines.steps.layouts import LABELS_USED, labelled_layout, labels_layout, log_layout
from mlobs_pipelines.steps.walk import CHUNK_DAYS, Walk, texts
from mlobs_pipelines.store.lake import Between, LakeError, Where
from mlobs_pipelines.store.tables import SAMPLED_OUT, as_of_key, moment_of

LABEL_COLUMNS = ["day", "prediction_id", "label", "outcome", "arrived_at", "revision"]
HELD = "held"
WAITING = "prediction_days"  # the fact that names days which were joined without labels that have arrived
DAY = timedelta(days=1)
Cells = dict[tuple[str, str], str]  # digest of labels by day of prediction and day of arrival


@dataclass(frozen=True, slots=True)
class Used:
    """What the last joins of some days have used.

    Attributes
    ----------
    cells
        Labels by day of prediction and day of arrival; those of days that were held back as well.
    since, version, log
        By day of prediction: the join's moment, the version of the table of labels, and the log's files.
    """

    cells: Mapping[tuple[str, str], str]
    since: Mapping[str, str]
    version: Mapping[str, int]
    log: Mapping[str, str]


def used(walk: Walk, days: Collection[date] | None = None) -> Used:
    """Read what the last joins of some days, or of all, have used."""
    months: Where = {} if days is None else {"month": sorted({_month(text) for text in texts(sorted(days))})}
    rows = walk.lake.read(walk.model, LABELS_USED, where=months).to_pylist()
    heads = [row for row in rows if not row["arrived_day"]]
    cells = {(row["day"], row["arrived_day"]): row["digest"] for row in rows if row["arrived_day"]}
    since, version, log = (
        {row["day"]: row[name] for row in heads} for name in ("as_of", "labels_version", "log_files")
    )
    return Used(cells, since, version, log)


def to_read(walk: Walk, days: Sequence[date]) -> list[str]:
    """Days of arrival whose labels the predictions of some days may have, as far as the run may know.

    Those that the last join has used, and those that have changed since; all where the day's log has changed.
    """
    before, last = used(walk, days), walk.as_of.astimezone(UTC).date()
    logs, asked = log_files(walk, days), texts(days)
    fresh = [text for text in asked if text in before.log and before.log[text] == logs[text]]
    found = _changed(walk, before, fresh, last)
    if found is None:
        fresh, found = [], set()
    found |= {arrived for day, arrived in before.cells if day in fresh}
    stale = [text for text in asked if text not in fresh]
    found |= _days_from(date.fromisoformat(min(stale)) - EARLY_REACH_DAYS * DAY, last) if stale else set()
    return sorted(day for day in found if day <= last.isoformat())


def _changed(walk: Walk, before: Used, days: Sequence[str], last: date) -> set[str] | None:
    """Days of arrival that may hold more than the last joins of some days saw; None where nothing tells."""
    if not days:
        return set()
    first = date.fromisoformat(min(days)) - EARLY_REACH_DAYS * DAY
    span: Where = {"day": Between(first.isoformat(), last.isoformat())}
    version = min(before.version[day] for day in days)
    try:
        then, now = (_files(walk, span, at) for at in (version, labels_version(walk)))
    except LakeError:  # that version's log has expired
        return None
    moment = moment_of(min(before.since[day] for day in days))
    # Of the day of the last join's moment, and after it, it may have left labels out.
    return {_day_of(path) for path in then ^ now} | _days_from(moment.date(), last)


def _files(walk: Walk, span: Where, version: int) -> set[str]:
    if version < 0:
        return set()
    return set(walk.lake.files(walk.model, labels_layout(walk.spec).name, where=span, version=version))


def labels_version(walk: Walk) -> int:
    """Version of the table of labels; -1 where there is none."""
    name = labels_layout(walk.spec).name
    return walk.lake.version(walk.model, name) if walk.lake.exists(walk.model, name) else -1


def log_files(walk: Walk, days: Sequence[date]) -> dict[str, str]:
    """Short hash of the names of the files that hold each day's prediction log."""
    layout = log_layout(walk.spec)
    found: dict[str, list[str]] = {text: [] for text in texts(days)}
    if walk.lake.exists(walk.model, layout.name):
        for path in walk.lake.files(walk.model, layout.name, where={"day": texts(days)}):
            found[_day_of(path)].append(path.rsplit("/", 1)[-1])
    said = {day: "|".join(sorted(paths)) for day, paths in found.items()}
    return {day: hashlib.sha256(text.encode()).hexdigest()[:16] for day, text in said.items()}


def cells_of(walk: Walk, labels: pa.Table, predictions: pa.Table) -> Cells:
    """Labels by day of prediction and day of arrival."""
    ids = predictions.select(["day", "prediction_id"])
    rows = labels_by_day(walk.duck, labels.select(LABEL_COLUMNS), ids).to_pylist()
    return {(row["day"], row["arrived_day"]): f"{row['labels']}:{row['digest']}" for row in rows}


@dataclass(frozen=True, slots=True)
class Use:
    """What one join has used: its cells, the days it found held back, and what it had read.

    Attributes
    ----------
    cells
        Labels by day of prediction and day of arrival.
    held
        Days of arrival that were held back.
    version
        Version of the table of labels, read before its rows were.
    log
        Files of each day's log, read before their rows were.
    """

    cells: Cells
    held: Collection[str]
    version: int
    log: Mapping[str, str]


def keep(walk: Walk, use: Use) -> None:
    """Write down what a join has used, for the days that have not been joined with later knowledge."""
    moment = as_of_key(walk.as_of)
    months = sorted({(_month(day),) for day in use.log})

    def compute() -> pa.Table:
        stored = walk.lake.read(walk.model, LABELS_USED, where={"month": [month for (month,) in months]})
        newer = {row["day"] for row in stored.to_pylist() if row["as_of"] > moment}
        mine = set(use.log) - newer
        others = stored.filter(pc.invert(pc.is_in(stored.column("day"), pa.array(sorted(mine), pa.string()))))
        fresh = [row for row in _rows(use, moment) if row["day"] in mine]
        return pa.concat_tables([others.select(LABELS_USED.schema.names), _table(fresh)])

    if months:
        walk.lake.update(walk.model, LABELS_USED, months, compute, commit=walk.commit)


def _rows(use: Use, moment: str) -> Iterator[dict[str, object]]:
    for day, files in use.log.items():
        digests = dict.fromkeys(use.held, HELD) | {"": ""}
        digests |= {arrived: digest for (of, arrived), digest in use.cells.items() if of == day}
        common = {"month": _month(day), "day": day, "as_of": moment}
        for arrived, digest in digests.items():
            yield {
                **common,
                "arrived_day": arrived,
                "digest": digest,
                "labels_version": use.version,
                "log_files": files,
            }


def _table(rows: Sequence[Mapping[str, object]]) -> pa.Table:
    return pa.Table.from_pylist(list(rows), schema=LABELS_USED.schema)


def waiting(walk: Walk, arrived: Sequence[date]) -> dict[date, list[date]]:
    """Prediction days that have been joined, but not with what arrived on some days: by day of arrival.

    Ids are looked for in the days that labels usually come from, and the rest in all days before.
    """
    found: dict[date, list[date]] = {day: [] for day in arrived}
    layout = labelled_layout(walk.spec)
    if not walk.lake.exists(walk.model, layout.name):
        return found
    joined_days = {day for (day,) in walk.lake.partitions(walk.model, layout.name)}
    before = {cell: digest for cell, digest in used(walk).cells.items() if digest != HELD}
    for start in range(0, len(arrived), CHUNK_DAYS):
        some = arrived[start : start + CHUNK_DAYS]
        now, names = _matched(walk, some), set(texts(some))
        was = {cell: said for cell, said in before.items() if cell[1] in names}
        for day, day_of_arrival in sorted(now.keys() | was.keys()):
            cell = (day, day_of_arrival)
            if day in joined_days and now.get(cell) != was.get(cell):
                found[date.fromisoformat(day_of_arrival)].append(date.fromisoformat(day))
    return found


def _matched(walk: Walk, arrived: Sequence[date]) -> Cells:
    """Labels of some days of arrival by the day of their prediction; none of days that are held back."""
    labels, cells = _arrived(walk, arrived, LABEL_COLUMNS), Cells()
    for ids in _logged(walk, arrived):
        if labels.num_rows:
            cells |= cells_of(walk, labels, ids)
            labels = unmatched(walk.duck, labels, ids)
    return cells


@dataclass(frozen=True, slots=True)
class Orphans:
    """Labels by day of arrival, and those whose prediction is in no log, nor left out by sampling."""

    labels: Mapping[str, int]
    orphans: Mapping[str, int]


def orphans(walk: Walk, arrived: Sequence[date]) -> Orphans:
    """Count labels that arrived on some days, and those without a prediction."""
    labels = _arrived(walk, arrived, ["day", "prediction_id"])
    all_of_them = labels
    for ids in _logged(walk, arrived):
        if labels.num_rows:
            labels = unmatched(walk.duck, labels, ids)
    if labels.num_rows:
        left_out = walk.lake.read(walk.model, SAMPLED_OUT, columns=["prediction_id"])
        labels = unmatched(walk.duck, labels, left_out)
    return Orphans(_by_day(all_of_them), _by_day(labels))


def _by_day(labels: pa.Table) -> dict[str, int]:
    return {item["values"]: item["counts"] for item in pc.value_counts(labels.column("day")).to_pylist()}


def _arrived(walk: Walk, days: Sequence[date], columns: list[str]) -> pa.Table:
    where = {"day": texts(days)}
    labels = walk.lake.read(walk.model, labels_layout(walk.spec), where=where, columns=columns)
    return released(labels, held(walk, "labels", days))


def _logged(walk: Walk, arrived: Sequence[date]) -> Iterator[pa.Table]:
    """Ids of the log: first of the days that labels usually belong to, then of all days before."""
    layout, usual = log_layout(walk.spec), min(arrived) - 2 * walk.spec.monitor.labels.horizon
    until = max(arrived) + EARLY_REACH_DAYS * DAY
    for span in (
        Between(usual.isoformat(), until.isoformat()),
        Between(None, (usual - DAY).isoformat()),
    ):
        yield walk.lake.read(walk.model, layout, where={"day": span}, columns=["day", "prediction_id"])


def ranges(days: Collection[date]) -> list[tuple[date, date]]:
    """Days as first and last ones of stretches without a gap."""
    ordered = sorted(days)
    firsts = [day for place, day in enumerate(ordered) if place == 0 or day - ordered[place - 1] > DAY]
    lasts = [day for place, day in enumerate(ordered, 1) if day == ordered[-1] or ordered[place] - day > DAY]
    return list(zip(firsts, lasts, strict=True))


def spelled(days: Collection[date]) -> str:
    """Days in few words.

    Examples
    --------
    >>> spelled([date(2013, 6, 1), date(2013, 6, 2), date(2013, 6, 7)])
    '2013-06-01..2013-06-02, 2013-06-07'
    """
    return ", ".join(f"{a}" if a == b else f"{a}..{b}" for a, b in ranges(days))


def spelled_days(text: str) -> list[date]:
    """The days of `spelled`.

    Raises
    ------
    ValueError
        If it is not written so.

    Examples
    --------
    >>> [day.day for day in spelled_days("2013-06-01..2013-06-02, 2013-06-07")]
    [1, 2, 7]
    """
    found: list[date] = []
    for part in filter(None, text.split(", ")):
        first, _, last = part.partition("..")
        start, end = date.fromisoformat(first), date.fromisoformat(last or first)
        found += [start + offset * DAY for offset in range((end - start).days + 1)]
    return found


def _month(day: str) -> str:
    return day[:7]


def _days_from(first: date, last: date) -> set[str]:
    return {(first + offset * DAY).isoformat() for offset in range((last - first).days + 1)}


def _day_of(path: str) -> str:
    return path.rsplit("/", 2)[-2].partition("=")[2]
