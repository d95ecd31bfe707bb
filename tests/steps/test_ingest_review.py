"""Ingestion where contracts change between two readings of a file, and where two runs meet."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from datetime import UTC, date, datetime, timedelta
from functools import partial
from itertools import count
from pathlib import Path
from typing import Any

import polars as pl
import pytest

from mlobs_pipelines.steps.holds import held
from mlobs_pipelines.steps.ingest.release import Asked, release
from mlobs_pipelines.store import delta
from tests.deliveries.stage import Stage
from tests.deliveries.toy import AFTER, BEFORE, DAY, Toy, rows

RECORD = ["day", "delivery", "state", "rows_in", "accepted", "repeated", "quarantined", "refused"]
PLACE = ["day", "delivered_on", "delivery", "delivery_row"]
NOW = datetime(2024, 5, 1, tzinfo=UTC)
STRICT = {"extra": {"required": True}}


def _table(stage: Stage, name: str, columns: list[str]) -> list[tuple[Any, ...]]:
    if not stage.walk.lake.exists(stage.walk.model, name):
        return []
    return sorted(pl.DataFrame(stage.walk.lake.read(stage.walk.model, name, columns=columns)).rows(), key=str)


def _landed(stage: Stage) -> dict[str, int]:
    days = [day for day, *_ in _table(stage, "predictions", PLACE)]
    return {day: days.count(day) for day in days}


def _declare(stage: Stage, toy: Toy) -> None:
    stage.toy = toy
    stage.__dict__.pop("walk", None)


def test_the_same_file_refused_later_keeps_its_record(tmp_path: Path) -> None:
    """A file that a stricter contract refuses keeps its rows, their record, and its rows in quarantine."""
    stage = Stage(Toy(), tmp_path)
    stage.csv([*rows(3), *rows(2, BEFORE, start=100), *rows(1, start=200, score=7)])
    stage.ingest()
    _declare(stage, Toy(columns=STRICT))
    stage.ingest()
    stage.ingest()
    assert _table(stage, "deliveries", RECORD[2:]) == [
        ("partial", 6, 5, 0, 1, 0),
        ("refused", 6, 0, 0, 0, 6),
    ]
    assert _landed(stage) == {BEFORE.isoformat(): 2, DAY.isoformat(): 3}
    assert len(_table(stage, "quarantine", ["row_number"])) == 1


def test_rows_of_a_file_that_was_refused_in_between_leave_when_it_is_mended(tmp_path: Path) -> None:
    """A mended file takes its earlier rows of other days out, though a contract refused it in between."""
    stage = Stage(Toy(), tmp_path)
    stage.csv([*rows(3), *rows(2, BEFORE, start=100)])
    stage.ingest()
    _declare(stage, Toy(columns=STRICT))
    stage.ingest()
    stage.csv([row | {"extra": "x"} for row in rows(3)])
    stage.ingest()
    assert _landed(stage) == {DAY.isoformat(): 3}
    assert _table(stage, "deliveries", RECORD[2:]) == [("accepted", 3, 3, 0, 0, 0)]


def test_a_day_is_free_once_its_contract_has_no_rules(tmp_path: Path) -> None:
    """A day that a rule held back is free after it was ingested under a contract without any rule."""
    rule = {"metric": "rowCount", "mustBeGreaterThan": 100, "severity": "error", "name": "many"}
    stage = Stage(Toy(quality=[{"type": "library", **rule}]), tmp_path)
    stage.csv(rows(3))
    stage.ingest()
    assert list(held(stage.walk, "predictions", [DAY])) == [DAY.isoformat()]
    _declare(stage, Toy())
    stage.ingest()
    assert held(stage.walk, "predictions", [DAY]) == {}


def test_a_day_touched_twice_in_a_run_says_that_it_changed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What a run says of a day is its last state, and changed if any of its publications changed it."""
    monkeypatch.setattr("mlobs_pipelines.steps.ingest.step.LARGE", 0)  # every day is published by itself
    stage = Stage(Toy(), tmp_path)
    stage.csv([*rows(2), *rows(2, BEFORE, start=100)], day=DAY)
    stage.ingest(DAY)
    stage.csv([*rows(2, AFTER, start=10), *rows(3, BEFORE, start=200)], day=AFTER)
    stage.ingest(DAY, AFTER)
    said = stage.outcomes[-1][BEFORE]
    assert (said.rows_out, said.version.rows, said.version.changed) == (5, 5, True)


@contextmanager
def _before_commit(place: int, other: Callable[[], None]) -> Iterator[list[str]]:
    """Run something just before the commit of that number, when all it was made of has been read."""
    commit, seen = delta.overwrite, list[str]()
    with pytest.MonkeyPatch.context() as patch:

        def spy(table: Any, layout: Any, *args: Any) -> None:
            seen.append(layout.name)
            if len(seen) == place:
                patch.setattr(delta, "overwrite", commit)
                other()
                patch.setattr(delta, "overwrite", spy)
            commit(table, layout, *args)

        patch.setattr(delta, "overwrite", spy)
        yield seen


def _meeting(home: Path) -> Stage:
    """Two days whose files are about to change: rows of both are of one day, and repeat each other."""
    stage = Stage(Toy(properties=CORRECTED, columns={"items": {"required": True}}), home)
    stage.csv([*rows(2), *rows(2, BEFORE, start=50, items=2)], day=DAY)
    stage.csv([*rows(3, BEFORE, start=10), *rows(1, BEFORE, start=50, items=3)], day=BEFORE)
    stage.csv(rows(6, BEFORE, start=50, items=1), day=BEFORE - timedelta(days=1), name="-x.csv")
    stage.ingest(BEFORE - timedelta(days=1), BEFORE, DAY)
    stage.csv([*rows(3), *rows(2, BEFORE, start=52, items=5)], day=DAY)
    stage.csv([*rows(4, BEFORE, start=10), *rows(2, BEFORE, start=53, items=4)], day=BEFORE)
    return stage


CORRECTED = {"customProperties": [{"property": "correction", "value": "items"}]}


def _state(stage: Stage) -> dict[str, list[tuple[Any, ...]]]:
    return {
        "predictions": _table(stage, "predictions", PLACE),
        "predictions_repeats": _table(stage, "predictions_repeats", [*PLACE, "reason"]),
        "deliveries": _table(stage, "deliveries", [*RECORD, "event_days"]),
    }


def _expected(home: Path, order: tuple[date, date]) -> dict[str, list[tuple[Any, ...]]]:
    stage = _meeting(home)
    for day in order:
        stage.ingest(day)
    return _state(stage)


@pytest.mark.parametrize("order", [(DAY, BEFORE), (BEFORE, DAY)], ids=["later", "earlier"])
def test_two_runs_that_meet_leave_what_one_after_the_other_leaves(
    tmp_path: Path, order: tuple[date, date]
) -> None:
    """Wherever a run is overtaken by one of a neighbouring day, no row and no record of either is lost."""
    first, second = order
    expected = _expected(tmp_path / "expected", order)
    assert expected["predictions_repeats"]
    for place in count(1):
        stage = _meeting(tmp_path / f"at-{place}")
        with _before_commit(place, partial(stage.ingest, second)) as commits:
            stage.ingest(first)
        if len(commits) < place:  # a commit of that number was never made
            break
        assert _state(stage) == expected, f"before commit {place} of {commits}"
    assert place > 4


def test_a_row_released_and_accepted_later_is_there_once_without_a_key(tmp_path: Path) -> None:
    """A row of a table without a key that left quarantine and is accepted later is there once."""
    stage = Stage(Toy(), tmp_path)
    rates = [{"region": f"r{i}", "region_rate": 7 if i else 0.5} for i in range(3)]
    times = {"observed_at": "2024-03-10T08:00:00Z", "available_at": "2024-03-10T09:00:00Z"}
    stage.jsonl([rate | times for rate in rates], dataset="features/regions")
    _without_key(stage, maximum=1.0)
    stage.ingest(dataset="features")
    _without_key(stage, maximum=None)
    release(stage.walk, "features", Asked(), now=NOW, who="tests")
    stage.ingest(dataset="features")
    assert _table(stage, "features", ["delivery_row"]) == [(0,), (1,), (2,)]
    names = ["rows_in", "accepted", "repeated"]
    assert _table(stage, "deliveries", names) == [(2, 0, 2), (3, 3, 0)]


def _without_key(stage: Stage, maximum: float | None) -> None:
    """Declare the view anew, without a primary key, and with a limit for its rates."""
    stage.__dict__.pop("walk", None)
    spec = stage.walk.spec
    table = spec.features.tables[0]
    columns = tuple(
        replace(column, primary_key=False, maximum=maximum if column.name == "region_rate" else None)
        for column in table.columns
    )
    contract = replace(spec.features, tables=(replace(table, columns=columns),))
    stage.__dict__["walk"] = replace(stage.walk, spec=replace(spec, features=contract))
