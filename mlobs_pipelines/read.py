"""Metrics, error budgets, incidents and stored statistics as data frames, for notebooks.

Functions read the lake that the settings name (``MLOBS_HOME``, ``MLOBS_LAKE``) and change nothing; filters
are those of the commands. Importing is light: a data frame library is loaded when a frame is made.
"""

import json
from collections.abc import Collection
from datetime import date, datetime
from typing import TYPE_CHECKING, Any, Literal

from mlobs_pipelines.settings import Settings

if TYPE_CHECKING:
    import pyarrow as pa

    from mlobs_pipelines.store.lake import Lake

Names = str | Collection[str] | None
Day = str | date | None
Moment = str | datetime | None
Kind = Literal["pandas", "polars", "arrow"]
Frame = Any  # a frame of the kind that was asked for

__all__ = ["incidents", "metrics", "signals", "slo", "statistics", "triangle"]


def metrics(  # noqa: PLR0913 - each filter is one optional keyword, as the command has it
    model: str,
    *,
    metric: Names = None,
    version: Names = None,
    window: Names = None,
    feature: Names = None,
    segment: str = "",
    verdict: Names = None,
    maturity: Names = None,
    first: Day = None,
    last: Day = None,
    as_of: Moment = None,
    history: bool = False,
    kind: Kind = "pandas",
) -> Frame:
    """Values of the metric store, the latest of every window: `mlobs metrics`.

    Parameters
    ----------
    model
        Name of the model.
    metric, version, window, feature, verdict
        A name or several; all by default.
    segment
        Segment column, "" for all rows together, or "any".
    maturity
        A declared age such as "7d" for values with the labels known at that age, or "any"; by default those
        with the labels known now.
    first, last
        Last days of the windows, both included.
    as_of
        Leaves out what was computed with knowledge of later instants.
    history
        Keeps every value that was ever known, not the latest of each window only.
    kind
        What is returned: a pandas or Polars DataFrame, or an Arrow table.

    Examples
    --------
    >>> from mlobs_pipelines import read
    >>> auc = read.metrics("flight_delays", metric="auc", window="28d")
    >>> auc.pivot(index="window_end", columns="model_version", values="value").shape
    (9, 2)
    """
    from mlobs_pipelines.store.metric_store import MetricStore  # noqa: PLC0415 - loaded when it is read

    found = MetricStore(_lake(model)).query(
        model,
        metrics=_names(metric),
        versions=_names(version),
        windows=_names(window),
        features=_names(feature),
        segments=None if segment == "any" else [segment],
        verdicts=_names(verdict),
        maturities=_names(maturity),
        first=_day(first),
        last=_day(last),
        as_of=_moment(as_of),
        latest=not history,
    )
    return _frame(found, kind)


def triangle(  # noqa: PLR0913 - as above
    model: str,
    *,
    metric: str = "label_coverage",
    version: Names = None,
    window: str = "1d",
    first: Day = None,
    last: Day = None,
    as_of: Moment = None,
    kind: Kind = "pandas",
) -> Frame:
    """How windows of one metric developed: a row per window and age of its labels, and now: `mlobs triangle`.

    Examples
    --------
    >>> from mlobs_pipelines import read
    >>> developed = read.triangle("flight_delays", version="v1")
    >>> sorted(developed["maturity"].unique())
    ['1d', '3d', '7d', 'mature']
    """
    return metrics(
        model,
        metric=metric,
        version=version,
        window=window,
        maturity="any",
        first=first,
        last=last,
        as_of=as_of,
        kind=kind,
    )


def slo(
    model: str,
    *,
    name: Names = None,
    first: Day = None,
    last: Day = None,
    as_of: Moment = None,
    kind: Kind = "pandas",
) -> Frame:
    """Error budgets of every day: `mlobs slo`.

    Parameters
    ----------
    name
        Name of an SLO, or several; all by default.
    first, last
        Days at which a period ends, both included.

    Examples
    --------
    >>> from mlobs_pipelines import read
    >>> budgets = read.slo("flight_delays", last="2013-03-09")
    >>> budgets.groupby("model_version")["budget_left"].last().to_dict()
    {'v1': 0.4, 'v2': -0.2}
    """
    from mlobs_pipelines.store.latest import latest  # noqa: PLC0415 - loaded when it is read
    from mlobs_pipelines.store.tables import SLO_STATUS  # noqa: PLC0415 - as above

    found = latest(_lake(model), model, SLO_STATUS, _day(first), _day(last), _moment(as_of))
    wanted = _names(name)
    mine = [wanted is None or one in wanted for one in found["slo"].to_pylist()]
    return _frame(found.filter(mine).drop_columns(["as_of_key"]), kind)


def incidents(
    model: str, *, state: Names = None, first: Day = None, last: Day = None, kind: Kind = "pandas"
) -> Frame:
    """Incidents as they stood last, the one that was opened last first: `mlobs incidents list`.

    Parameters
    ----------
    state
        open, acknowledged, muted, resolved; all by default.
    first, last
        Those that were there on the first day or later, as they stood on the last.

    Examples
    --------
    >>> from mlobs_pipelines import read
    >>> read.incidents("flight_delays", state="open")["title"].to_list()
    ['drift of weather; with it quality of v1']
    """
    import pyarrow as pa  # noqa: PLC0415 - loaded when it is read

    from mlobs_pipelines.store.tables import INCIDENTS  # noqa: PLC0415 - as above

    rows = _current(model, state, first, last)
    shape = pa.schema(field for field in INCIDENTS.schema if field.name != "signals")
    plain = [{name: row[name] for name in shape.names} for row in rows]
    return _frame(pa.Table.from_pylist(plain, shape), kind)


def signals(
    model: str, *, state: Names = None, first: Day = None, last: Day = None, kind: Kind = "pandas"
) -> Frame:
    """What failed in each incident: a row per signal with its check, days and last failing value.

    Examples
    --------
    >>> from mlobs_pipelines import read
    >>> failed = read.signals("flight_delays", state="open")
    >>> failed[["check", "metric", "feature", "failures"]].values.tolist()
    [['metrics/drift', 'psi', 'humid', 69]]
    """
    import pyarrow as pa  # noqa: PLC0415 - loaded when it is read

    texts = ("metric", "feature", "window", "model_version", "segment", "segment_value", "reason")
    kinds = {**dict.fromkeys(texts, pa.string()), "value": pa.float64(), "threshold": pa.float64()}
    days = {"first": pa.string(), "last": pa.string(), "failures": pa.int64()}
    shape = pa.schema({"incident": pa.string(), "check": pa.string(), **days, **kinds, "n": pa.int64()})
    rows = [
        {**one["signal"]["told"], **one, "check": one["signal"]["check"], "incident": row["incident"]}
        for row in _current(model, state, first, last)
        for one in json.loads(row["signals"])
    ]
    plain = [{name: row.get(name) for name in shape.names} for row in rows]
    return _frame(pa.Table.from_pylist(plain, shape), kind)


def statistics(
    model: str,
    *,
    day: Day,
    version: Names = None,
    subject: Names = None,
    part: Names = None,
    segment: str = "",
    kind: Kind = "pandas",
) -> Frame:
    """The stored counts of one day, known last, that metrics are computed from: a row per subject and part.

    Parameters
    ----------
    day
        The day; counts of days add up.
    subject
        A feature, ``score``, ``label`` or ``requests``; all by default.
    part
        Such as ``cells`` or ``rows``: docs/statistics.md says what each counts.
    """
    import polars as pl  # noqa: PLC0415 - loaded when it is read

    wanted = _day(day)
    if wanted is None:
        raise ValueError("statistics are read of one day: name it")
    where = {"day": wanted.isoformat()}
    found = pl.DataFrame(_lake(model).dataset(model, "statistics", where=where).to_table())
    found = found.filter(pl.col("as_of") == pl.col("as_of").max())
    for name, names in (("model_version", version), ("subject", subject), ("part", part)):
        chosen = _names(names)
        found = found if chosen is None else found.filter(pl.col(name).is_in(list(chosen)))
    if segment != "any":
        found = found.filter(pl.col("segment") == segment)
    return _frame(found.to_arrow(), kind)


def _current(model: str, state: Names, first: Day, last: Day) -> list[dict[str, Any]]:
    from mlobs_pipelines.store.standing import current  # noqa: PLC0415 - loaded when it is read

    wanted = _names(state)
    rows = current(_lake(model), model, _day(first), _day(last))
    return [row for row in rows if wanted is None or row["state"] in wanted]


def _lake(model: str) -> "Lake":
    """The tables of this installation, which hold this model's."""
    from mlobs_pipelines.store.lake import Lake  # noqa: PLC0415 - loaded when it is read

    settings = Settings()
    lake = Lake(settings.lake_root, settings.lake_options or None)
    if not lake.exists(model, "metrics"):
        raise ValueError(
            "the lake has no metrics of this model: check its name and MLOBS_HOME or MLOBS_LAKE, or backfill"
        )
    return lake


def _names(asked: Names) -> list[str] | None:
    return None if asked is None else [asked] if isinstance(asked, str) else list(asked)


def _day(asked: Day) -> date | None:
    return date.fromisoformat(asked) if isinstance(asked, str) else asked


def _moment(asked: Moment) -> datetime | None:
    """An instant; one without a time zone, or a day, is of UTC."""
    from datetime import UTC  # noqa: PLC0415 - only here

    if asked is None:
        return None
    moment = datetime.fromisoformat(asked) if isinstance(asked, str) else asked
    return moment if moment.tzinfo else moment.replace(tzinfo=UTC)


def _frame(rows: "pa.Table", kind: Kind) -> Frame:
    if kind == "arrow":
        return rows
    if kind == "polars":
        import polars as pl  # noqa: PLC0415 - loaded when it is asked for

        return pl.from_arrow(rows)
    if kind == "pandas":
        return rows.to_pandas()
    raise ValueError("frames are pandas, polars or arrow")
