"""Daily partitions of a model, and the days of a run."""

from datetime import date, timedelta

import dagster as dg

from mlobs_pipelines.contracts.monitor import Monitor


def daily(monitor: Monitor) -> dg.DailyPartitionsDefinition:
    """One partition per UTC day, from the first declared day to the last one or yesterday."""
    end = None if monitor.end_date is None else (monitor.end_date + timedelta(days=1)).isoformat()
    return dg.DailyPartitionsDefinition(start_date=monitor.start_date.isoformat(), end_date=end)


def days_of(context: dg.AssetExecutionContext | dg.AssetCheckExecutionContext) -> list[date]:
    """The days that a run is about, one or many."""
    return [date.fromisoformat(key) for key in context.partition_keys]
