"""Daily partitions of a model, and the days of a run."""

from datetime import date, timedelta
from functools import lru_cache

import dagster as dg

from mlobs_pipelines.contracts.monitor import Monitor


def daily(monitor: Monitor) -> dg.DailyPartitionsDefinition:
    """One partition per UTC day, from the first declared day to the last one or yesterday."""
    return _between(monitor.start_date, monitor.end_date)


@lru_cache(maxsize=1_000)
def _between(first: date, last: date | None) -> dg.DailyPartitionsDefinition:
    """One object for all assets and checks with the same days: what it costs is paid once."""
    end = None if last is None else (last + timedelta(days=1)).isoformat()
    return dg.DailyPartitionsDefinition(start_date=first.isoformat(), end_date=end)


def days_of(context: dg.AssetExecutionContext | dg.AssetCheckExecutionContext) -> list[date]:
    """The days that a run is about, one or many."""
    return [date.fromisoformat(key) for key in context.partition_keys]
