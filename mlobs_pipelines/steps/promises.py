"""What a contract promises of its deliveries: when a day's is due, and which tables have not come by then."""

from datetime import UTC, date, datetime, time, timedelta

import polars as pl

from mlobs_pipelines.contracts.odcs import Contract

DAY = timedelta(days=1)


def due(contract: Contract, day: date) -> datetime:
    """When the delivery of a day is due."""
    return datetime.combine(day + DAY, time(), UTC) + timedelta(hours=contract.latency_h or 0.0)


def absent_tables(contract: Contract, day: date, as_of: datetime, records: pl.DataFrame) -> list[str]:
    """Tables of a contract that were promised by now and not delivered.

    Parameters
    ----------
    as_of
        What is due later than this is not missing yet.
    records
        Records of deliveries, at least those of the contract's last period.
    """
    if contract.frequency_days is None or as_of < due(contract, day):
        return []
    since = (day - contract.frequency_days * DAY).isoformat()
    recent = pl.col("day").is_between(pl.lit(since), pl.lit(day.isoformat()), closed="right")
    delivered = set(records.filter(recent).get_column("table"))
    return [name for name in contract.names if name not in delivered]
