"""What Dagster has recorded since a moment: the walk through its event log that sensors share.

What an event means to a sensor is the sensor's business.
"""

from collections.abc import Iterator

import dagster as dg

PAGE = 1_000


def materialized_since(
    instance: dg.DagsterInstance, key: dg.AssetKey, after: int
) -> Iterator[dg.EventLogRecord]:
    """Materializations of an asset that were stored after an event, the oldest first."""
    wanted = dg.AssetRecordsFilter(asset_key=key, after_storage_id=after)
    cursor: str | None = None
    while True:
        page = instance.fetch_materializations(wanted, limit=PAGE, cursor=cursor, ascending=True)
        yield from page.records
        if not page.has_more:
            return
        cursor = page.cursor
