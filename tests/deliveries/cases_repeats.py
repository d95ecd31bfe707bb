"""Rows that come again, late, early, under another name or not at all, and files that change or vanish."""

from tests.deliveries.promise import Case
from tests.deliveries.stage import Stage, csv_with
from tests.deliveries.toy import AFTER, BEFORE, DAY, Row, Toy, rows

CORRECTED = Toy(
    columns={"edition": {"logicalType": "integer", "required": True}},
    properties={"customProperties": [{"property": "correction", "value": "edition"}]},
)
DAYS = (BEFORE, DAY, AFTER)


def _again(count: int = 1, **columns: object) -> list[Row]:
    """Four rows, and then the first ones of them once more, but for some columns."""
    return [*rows(), *rows(count, **columns)]


def _replayed(stage: Stage) -> None:
    stage.csv(rows())
    stage.ingest()
    stage.ingest()


def _other_day_first(stage: Stage) -> None:
    """The delivery of the later day is ingested first: which one stands must not depend on it."""
    stage.csv(rows(), day=AFTER)
    stage.csv(rows(), day=DAY)
    stage.ingest(AFTER)


def _late(stage: Stage) -> None:
    stage.csv(rows(4, BEFORE), day=BEFORE)
    stage.ingest(BEFORE)
    stage.csv([*rows(2, BEFORE, start=10), *rows(2)])


def _several(stage: Stage) -> None:
    for number, name in enumerate(("-a.csv", "-b.csv", "-c.csv")):
        stage.csv(rows(2, start=2 * number), name)


def _one_unreadable(stage: Stage) -> None:
    stage.csv(rows(2), "-a.csv")
    stage.raw(b"", "-b.csv")
    stage.csv(rows(2, start=2, score=2), "-c.csv")


def _one_more(stage: Stage) -> None:
    stage.csv(rows(2), "-b.csv")
    stage.ingest()
    stage.csv(rows(3), "-a.csv")


def _vanished(stage: Stage) -> None:
    stage.csv(rows())
    stage.ingest()
    stage.path(".csv").unlink()


def _vanished_bad(stage: Stage) -> None:
    stage.csv(rows(score=[0.1, 2, 0.3, 0.4]))
    stage.ingest()
    stage.path(".csv").unlink()


def _replaced(first: list[Row], second: list[Row]):
    def write(stage: Stage) -> None:
        stage.csv(first)
        stage.ingest()
        stage.csv(second)

    return write


def _refused_beside(stage: Stage) -> None:
    stage.csv(rows())
    stage.ingest()
    stage.raw(b"prediction_id\ncanary-7f3a\n")


def _refused_then_mended(stage: Stage) -> None:
    stage.raw(b"prediction_id\ncanary-7f3a\n")
    stage.ingest()
    stage.csv(rows())


def _winner_vanishes(stage: Stage) -> None:
    """A repeat comes forward when the row it repeated is taken back by its producer."""
    stage.csv(rows(2), "-a.csv")
    stage.csv(rows(2), "-b.csv")
    stage.ingest()
    stage.csv(rows(2, start=7), "-a.csv")


def _delivered(stage: Stage, *files: tuple[str, list[Row]]) -> None:
    for name, made in files:
        stage.csv(made, name)


CASES = [
    Case("the same file ingested twice", _replayed, "accepted", accepted=4, landed={"2024-03-10": 4}),
    Case(
        "the same file under another name",
        lambda it: _delivered(it, ("-a.csv", rows()), ("-b.csv", rows())),
        "accepted",
        8,
        accepted=4,
        repeated=4,
        landed={"2024-03-10": 4},
    ),
    Case(
        "the same file on the next day",
        lambda it: (it.csv(rows()), it.csv(rows(), day=AFTER), it.ingest(), it.ingest(AFTER))[0],
        "accepted",
        8,
        accepted=4,
        repeated=4,
        landed={"2024-03-10": 4},
    ),
    Case(
        "the same file on the next day, ingested in the wrong order",
        _other_day_first,
        "accepted",
        8,
        accepted=4,
        repeated=4,
        landed={"2024-03-10": 4},
        values={"delivered_on": ["2024-03-10"] * 4},
    ),
    Case(
        "windows that overlap",
        lambda it: _delivered(it, ("-a.csv", rows(5)), ("-b.csv", rows(5, start=3))),
        "accepted",
        10,
        accepted=8,
        repeated=2,
        landed={"2024-03-10": 8},
    ),
    Case(
        "an id twice, identical",
        lambda it: it.csv(_again()),
        "accepted",
        5,
        accepted=4,
        repeated=1,
        finish=lambda it: _reasons(it, ["identical"]),
    ),
    Case(
        "an id twice, in conflict",
        lambda it: it.csv(_again(score=0.75)),
        "accepted",
        5,
        accepted=4,
        repeated=1,
        values={"score": [0.25] * 4},
        finish=lambda it: _reasons(it, ["conflict"]),
    ),
    Case(
        "an id three times, identical and in conflict",
        lambda it: it.csv([*_again(), *rows(1, score=0.75)]),
        "accepted",
        6,
        accepted=4,
        repeated=2,
        finish=lambda it: _reasons(it, ["conflict", "identical"]),
    ),
    Case(
        "an id twice, corrected",
        lambda it: it.csv([*rows(2, edition=1), *rows(1, edition=2, score=0.75)]),
        "accepted",
        3,
        accepted=2,
        repeated=1,
        toy=CORRECTED,
        values={"score": [0.25, 0.75]},
        finish=lambda it: _reasons(it, ["superseded"]),
    ),
    Case(
        "an id twice, the correction first",
        lambda it: it.csv([*rows(1, edition=2, score=0.75), *rows(2, edition=1)]),
        "accepted",
        3,
        accepted=2,
        repeated=1,
        toy=CORRECTED,
        values={"score": [0.75, 0.25]},
        finish=lambda it: _reasons(it, ["superseded"]),
    ),
    Case(
        "an id corrected by a later day's file",
        lambda it: (
            it.csv(rows(2, edition=1)),
            it.ingest(),
            it.csv(rows(1, edition=2, score=0.75), day=AFTER),
            it.ingest(AFTER),
        )[0],
        "accepted",
        3,
        accepted=2,
        repeated=1,
        toy=CORRECTED,
        values={"score": [0.25, 0.75]},
        landed={"2024-03-10": 2},
    ),
    Case(
        "an id corrected twice under one number",
        lambda it: it.csv([*rows(1, edition=2), *rows(1, edition=2, score=0.75)]),
        "accepted",
        2,
        accepted=1,
        repeated=1,
        toy=CORRECTED,
        values={"score": [0.25]},
        finish=lambda it: _reasons(it, ["conflict"]),
    ),
    Case(
        "one id, two versions of the model",
        lambda it: it.csv([*rows(), *rows(4, model_version="b", role="shadow")]),
        "accepted",
        8,
        accepted=8,
        landed={"2024-03-10": 8},
    ),
    Case(
        "one id on two event days",
        lambda it: it.csv([*rows(2), *rows(2, BEFORE)]),
        "accepted",
        accepted=4,
        landed={"2024-03-09": 2, "2024-03-10": 2},
    ),
    Case("rows out of order", lambda it: it.csv(list(reversed(rows()))), "accepted", accepted=4),
    Case("rows days late", _late, "accepted", 8, accepted=8, landed={"2024-03-09": 6, "2024-03-10": 2}),
    Case(
        "rows at both ends of a day",
        csv_with(predicted_at=[f"2024-03-10T{clock}Z" for clock in ("00:00:00", "23:59:59.999999")] * 2),
        "accepted",
        accepted=4,
        landed={"2024-03-10": 4},
    ),
    Case(
        "rows of tomorrow",
        lambda it: it.csv([*rows(2), *rows(2, AFTER, start=2)]),
        "accepted",
        accepted=4,
        landed={"2024-03-10": 2, "2024-03-11": 2},
    ),
    Case(
        "rows of the day after tomorrow",
        csv_with(predicted_at=["2024-03-12T00:00:00Z", *["2024-03-10T01:00:00Z"] * 3]),
        "partial",
        accepted=3,
        quarantined=1,
        rules={"future:predicted_at": 1},
    ),
    Case(
        "rows before the first day of the model",
        csv_with(predicted_at=["2024-02-29T23:59:59Z", *["2024-03-10T01:00:00Z"] * 3]),
        "partial",
        accepted=3,
        quarantined=1,
        rules={"history:predicted_at": 1},
    ),
    Case("three files in a day", _several, "accepted", 6, accepted=6, landed={"2024-03-10": 6}),
    Case(
        "three files, one unreadable, one bad",
        _one_unreadable,
        "accepted+refused+partial",
        4,
        accepted=2,
        quarantined=2,
        rules={"range:score": 2},
        says=["empty (0 bytes)"],
    ),
    Case(
        "a file more, found by a second run",
        _one_more,
        "accepted",
        5,
        accepted=3,
        repeated=2,
        landed={"2024-03-10": 3},
    ),
    Case(
        "a file that vanished",
        _vanished,
        "accepted",
        accepted=4,
        landed={"2024-03-10": 4},
        finish=lambda it: _at_source(it, [False]),
    ),
    Case(
        "a file that vanished with rows in quarantine",
        _vanished_bad,
        "partial",
        accepted=3,
        quarantined=1,
        rules={"range:score": 1},
        finish=lambda it: _at_source(it, [False]),
    ),
    Case(
        "a file delivered again, corrected",
        _replaced(rows(score=0.1), rows(score=0.2)),
        "accepted",
        accepted=4,
        values={"score": [0.2] * 4},
    ),
    Case(
        "a file delivered again, shorter",
        _replaced(rows(4), rows(2)),
        "accepted",
        2,
        accepted=2,
        landed={"2024-03-10": 2},
    ),
    Case(
        "a file delivered again, other event days",
        _replaced(rows(4, BEFORE), rows(4)),
        "accepted",
        accepted=4,
        landed={"2024-03-10": 4},
    ),
    Case("a bad file delivered again, mended", _replaced(rows(score=2), rows()), "accepted", accepted=4),
    Case(
        "a good file delivered again, worse",
        _replaced(rows(), rows(score=[0.1, 0.2, 2, 3])),
        "partial",
        accepted=2,
        quarantined=2,
        rules={"range:score": 2},
        landed={"2024-03-10": 2},
    ),
    Case(
        "an accepted file delivered again, useless",
        _refused_beside,
        "accepted+refused",
        5,
        accepted=4,
        refused=1,
        landed={"2024-03-10": 4},
    ),
    Case(
        "a useless file delivered again, mended",
        _refused_then_mended,
        "accepted",
        accepted=4,
        landed={"2024-03-10": 4},
    ),
    Case(
        "a row comes forward when its rival is taken back",
        _winner_vanishes,
        "accepted",
        4,
        accepted=4,
        landed={"2024-03-10": 4},
    ),
]


def _reasons(stage: Stage, wanted: list[str]) -> str:
    rows = stage.walk.lake.read("toy", "predictions_repeats").to_pylist()
    found = sorted(row["reason"] for row in rows)
    return "" if found == wanted else f"stands back for {found} instead of {wanted}"


def _at_source(stage: Stage, wanted: list[bool]) -> str:
    found = [row["at_source"] for row in stage.walk.lake.read("toy", "deliveries").to_pylist()]
    return "" if found == wanted else f"at source is {found} instead of {wanted}"
