"""The record of who did what."""

import json
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, date, datetime

from mlobs_pipelines.store.audit import Entry, append, entries

AT = datetime(2024, 3, 4, 18, tzinfo=UTC)


def test_entries_of_runs_at_once_are_all_kept(lake):
    """Runs that append at the same time lose nothing of each other."""
    made = [Entry(AT, f"user{index}", "backfill", "2024-03-01", {"days": index}) for index in range(4)]
    with ThreadPoolExecutor(4) as pool:
        list(pool.map(lambda one: append(lake, "m", one, {}), made))
    found = entries(lake, "m")
    assert [row["who"] for row in found] == [one.who for one in made]
    assert [json.loads(row["details"])["days"] for row in found] == [0, 1, 2, 3]


def test_a_second_attempt_takes_the_place_of_the_first(lake):
    """One act that was tried twice is one entry, with what the last attempt did."""
    for rows in (10, 12):
        append(lake, "m", Entry(AT, "ann", "retention.delete", "scores", {"rows": rows}), {})
    (found,) = entries(lake, "m")
    assert json.loads(found["details"]) == {"rows": 12}


def test_entries_are_found_by_day_and_action(lake):
    """Days and actions narrow; a lake without any act has none."""
    assert entries(lake, "m") == []
    append(lake, "m", Entry(AT, "ann", "backfill", "x"), {})
    append(lake, "m", Entry(AT.replace(day=5), "bob", "report", "y"), {})
    assert [row["who"] for row in entries(lake, "m", first=date(2024, 3, 5))] == ["bob"]
    assert [row["who"] for row in entries(lake, "m", actions=["backfill"])] == ["ann"]
