"""Broken deliveries: what is refused, what is set aside, what still flows, and what is never said."""

import json
import logging
import shutil
from datetime import UTC, datetime, time, timedelta
from pathlib import Path

import polars as pl
import pytest

from mlobs_pipelines.steps.baseline import measure_baselines
from mlobs_pipelines.steps.bins import BaselineError
from mlobs_pipelines.steps.ingest import ingest
from mlobs_pipelines.steps.join import join
from mlobs_pipelines.steps.log import log
from mlobs_pipelines.steps.metrics import score
from mlobs_pipelines.steps.privacy import hash_text
from mlobs_pipelines.steps.snapshot import snapshot
from mlobs_pipelines.steps.statistics import measure
from tests.steps import loans

DAY, OTHER = loans.DAYS[2], loans.DAYS[3]
CANARY = "canary-7f3a"


@pytest.fixture
def zone(landing, tmp_path):
    """A copy of the landing zone that may be broken."""
    return loans.copy_of(landing, tmp_path / "landing")


@pytest.fixture(scope="module")
def learned(landing, tmp_path_factory):
    """A home whose lake holds the baselines."""
    home = tmp_path_factory.mktemp("learned")
    measure_baselines(loans.walk_of(home, landing))
    return home


@pytest.fixture
def walk(zone, learned, tmp_path):
    """A walk over the copy, whose baselines are measured."""
    shutil.copytree(learned / "lake", tmp_path / "lake")
    return loans.walk_of(tmp_path, zone)


@pytest.fixture
def bare(zone, tmp_path):
    """A walk over the copy whose lake is empty."""
    return loans.walk_of(tmp_path, zone)


def break_day(zone, change):
    """Rewrite one day of predictions."""
    path = loans.day_file(zone, DAY)
    change(pl.read_parquet(path)).write_parquet(path)


def first(column, value, rows=3):
    """A change of the first rows of one column; the column takes the type of the value."""

    def change(frame):
        if frame.schema[column] == pl.Null or not isinstance(value, type(frame[column].drop_nulls()[0])):
            frame = frame.with_columns(pl.col(column).cast(pl.String))
        return frame.with_columns(
            pl.when(pl.int_range(pl.len()) < rows).then(pl.lit(value)).otherwise(pl.col(column)).alias(column)
        )

    return change


def later(frame, which, by):
    """Move the times of some rows."""
    moved = pl.when(which).then(pl.col("predicted_at") + by).otherwise("predicted_at")
    return frame.with_columns(predicted_at=moved)


def walked(walk, days=(DAY, OTHER)):
    """Everything after the ingest of predictions, over the broken day and its neighbour."""
    steps = {"snapshot": snapshot, "log": log, "join": join, "statistics": measure, "metrics": score}
    return {name: step(walk, list(days)) for name, step in steps.items()}


def table(walk, name):
    """Rows of one table as dictionaries."""
    return walk.lake.read(walk.model, name).to_pylist()


def delivery(walk, dataset="predictions", day=DAY):
    """What is on record about the delivery of one day."""
    (found,) = [
        row for row in table(walk, "deliveries") if (row["dataset"], row["day"]) == (dataset, day.isoformat())
    ]
    return found


ROW_FAULTS = {
    "wrong type": (first("amount", f"{CANARY} dollars"), {"type:amount"}, 3),
    "NaN score": (first("score", float("nan")), {"finite:score"}, 3),
    "score beyond one": (first("score", 1.5), {"range:score"}, 3),
    "null required": (
        lambda f: f.with_columns(pl.when(pl.int_range(pl.len()) >= 2).then("role").alias("role")),
        {"required:role"},
        2,
    ),
    "unknown word": (first("role", CANARY), {"allowed:role"}, 3),
    "rows of a day to come": (
        lambda f: later(f, pl.int_range(pl.len()) < 5, timedelta(days=2)),
        {"future:predicted_at"},
        5,
    ),
    "rows from before the history": (
        lambda f: later(f, pl.int_range(pl.len()) < 5, timedelta(days=-30)),
        {"history:predicted_at"},
        5,
    ),
    "two faults in one row": (
        lambda f: first("role", CANARY)(first("score", float("inf"))(f)),
        {"allowed:role", "finite:score"},
        3,
    ),
    "whole column of another type": (
        lambda f: f.with_columns(latency_ms=pl.lit(datetime(2024, 1, 1, tzinfo=UTC))),
        {"type:latency_ms"},
        loans.draw.__defaults__[1],
    ),
}


@pytest.mark.parametrize("fault", ROW_FAULTS, ids=lambda name: name.replace(" ", "-"))
def test_bad_rows_are_set_aside_with_reasons_and_good_rows_flow(walk, zone, fault):
    """Rows that break a rule wait in quarantine, counted by rule; the others reach the metrics."""
    change, rules, bad = ROW_FAULTS[fault]
    break_day(zone, change)
    outcome = ingest(walk, "predictions", [DAY, OTHER])[DAY]
    assert outcome.quarantined == bad
    assert outcome.rows_in == outcome.rows_out + outcome.quarantined
    record = delivery(walk)
    assert (record["state"], record["rows_in"]) == ("partial", outcome.rows_in)
    assert (record["accepted"], record["quarantined"]) == (outcome.rows_out, bad)
    assert all(rule in record["reason"] for rule in rules)
    kept = table(walk, "quarantine")
    assert len(kept) == bad
    assert {rule for row in kept for rule in row["rules"]} == rules
    assert all(row["columns"] for row in kept)
    later = walked(walk)
    assert later["log"][DAY].rows_out == outcome.rows_out
    assert (later["metrics"][DAY].version.rows > 0) == (outcome.rows_out > 0)
    assert later["metrics"][OTHER].version.rows > 0


def truncate(path):
    """Cut a file in the middle."""
    content = path.read_bytes()
    path.write_bytes(content[: len(content) // 2])


FILE_FAULTS = {
    "truncated": (truncate, "refused", "cannot be read as parquet"),
    "empty": (lambda path: path.write_bytes(b""), "refused", "empty (0 bytes)"),
    "another format": (lambda path: path.write_text(f"{CANARY},b\n1,2\n"), "refused", "cannot be read"),
    "column missing": (
        lambda path: pl.read_parquet(path).drop("amount").write_parquet(path),
        "refused",
        "missing columns: amount",
    ),
    "column renamed": (
        lambda path: pl.read_parquet(path).rename({"amount": "amount_usd"}).write_parquet(path),
        "refused",
        "amount (renamed to amount_usd?)",
    ),
    "no rows": (lambda path: pl.read_parquet(path).clear().write_parquet(path), "accepted", ""),
}


@pytest.mark.parametrize("fault", FILE_FAULTS, ids=lambda name: name.replace(" ", "-"))
def test_a_file_that_cannot_be_used_is_refused_and_nothing_else_stops(walk, zone, fault):
    """The day stays empty with a reason on record; later steps run, and its neighbour has its metrics."""
    damage, state, reason = FILE_FAULTS[fault]
    damage(loans.day_file(zone, DAY))
    outcome = ingest(walk, "predictions", [DAY, OTHER])[DAY]
    record = delivery(walk)
    assert (record["state"], record["accepted"], record["quarantined"]) == (state, 0, 0)
    assert record["refused"] == record["rows_in"]
    assert reason in record["reason"]
    assert outcome.rows_out == 0
    assert reason in outcome.note
    later = walked(walk)
    assert {step[DAY].rows_out for step in later.values()} == {0}
    assert ("was refused" in later["log"][DAY].note) == (state == "refused")
    assert later["metrics"][OTHER].version.rows > 0


def test_a_day_without_a_file_has_no_record_and_nothing_stops(walk, zone):
    """Nothing was delivered, so nothing is on record; every step makes an empty day of it."""
    loans.day_file(zone, DAY).unlink()
    outcome = ingest(walk, "predictions", [DAY, OTHER])[DAY]
    assert (outcome.rows_in, outcome.rows_out, outcome.note) == (0, 0, "")
    assert {row["day"] for row in table(walk, "deliveries")} == {OTHER.isoformat()}
    later = walked(walk)
    assert {step[DAY].rows_out for step in later.values()} == {0}
    assert later["metrics"][OTHER].version.rows > 0


def test_a_version_that_nobody_declared_waits_in_quarantine(walk, zone):
    """Its rows are kept aside by the log with a rule of their own; the other rows flow."""
    break_day(zone, first("model_version", "nobody-knows"))
    ingested = ingest(walk, "predictions", [DAY, OTHER])[DAY]
    assert ingested.quarantined == 0
    logged = walked(walk)["log"][DAY]
    assert (logged.rows_in, logged.rows_out, logged.quarantined) == (ingested.rows_out, logged.rows_in - 3, 3)
    kept = [row for row in table(walk, "quarantine") if row["dataset"] == "prediction_log"]
    assert [row["rules"] for row in kept] == [["version:known"]] * 3
    assert "does not declare (declared: a, b)" in logged.note
    assert "nobody-knows" not in logged.note


def test_a_column_that_nobody_knows_is_kept_nowhere(walk, zone):
    """Its classification is unknown, so neither good nor quarantined rows carry it into the lake."""
    break_day(zone, lambda f: first("role", "wrong")(f).with_columns(diary=pl.lit(CANARY)))
    outcome = ingest(walk, "predictions", [DAY])[DAY]
    assert outcome.quarantined == 3
    assert outcome.rows_out > 0
    assert delivery(walk)["unknown_columns"] == ["diary"]
    for name in walk.lake.tables(walk.model):
        assert "diary" not in walk.lake.dataset(walk.model, name).schema.names
    assert not any("diary" in row["row_json"] for row in table(walk, "quarantine"))
    assert CANARY not in said_in_lake(walk)


def test_quarantine_holds_the_row_with_identifiers_hashed(walk, zone):
    """A row set aside can be read again, but for its customer, who is a keyed hash as everywhere."""
    break_day(zone, first("role", "wrong"))
    raw = pl.read_parquet(loans.day_file(zone, DAY)).head(3).to_dicts()
    ingest(walk, "predictions", [DAY])
    for row, was in zip(table(walk, "quarantine"), raw, strict=True):
        kept = json.loads(row["row_json"])
        assert kept["prediction_id"] == was["prediction_id"]
        customer = was["customer"]
        assert kept["customer"] == (None if customer is None else hash_text(customer, walk.keys.current))


@pytest.mark.parametrize("kind", [pl.Int64, pl.Binary, pl.List(pl.String), pl.Null, pl.Datetime("us")])
def test_identifiers_of_any_type_are_hashed_or_set_aside(walk, zone, kind):
    """Whatever a restricted column is delivered as, nothing breaks and no plain value is stored."""
    values = {
        pl.Int64: 271828182,
        pl.Binary: b"\xff\xfe" + CANARY.encode(),
        pl.List(pl.String): [CANARY],
        pl.Null: None,
        pl.Datetime("us"): datetime(1977, 7, 7, 7, 7, 7),  # noqa: DTZ001 - as a careless feed has it
    }
    column = pl.Series("customer", [values[kind]], dtype=kind)
    break_day(zone, lambda f: f.with_columns(column.new_from_index(0, f.height).alias("customer")))
    outcome = ingest(walk, "predictions", [DAY])[DAY]
    assert outcome.rows_in == outcome.rows_out + outcome.quarantined
    said = said_in_lake(walk)
    assert not [plain for plain in ("271828182", CANARY, "1977-07-07") if plain in said]


ODD_TYPES = {
    "bytes": pl.Series([b"\xff\xfe" + CANARY.encode()]),
    "lists of bytes": pl.Series([[CANARY.encode()]]),
    "lists": pl.Series([[CANARY]]),
    "structs": pl.Series([{"a": CANARY, "b": float("nan")}]),
    "categories": pl.Series([CANARY], dtype=pl.Categorical),
    "decimals": pl.Series(["1.25"]).cast(pl.Decimal(10, 2)),
    "durations": pl.Series([timedelta(hours=1)]),
    "times": pl.Series([time(1, 2)]),
    "nanoseconds": pl.Series([datetime(2024, 1, 1, tzinfo=UTC)], dtype=pl.Datetime("ns", "UTC")),
}


@pytest.mark.parametrize("kind", ODD_TYPES)
def test_columns_of_an_odd_type_break_nothing(walk, zone, kind):
    """Whatever Parquet can hold is either fit for the contract or set aside row by row, and readable."""
    odd = ODD_TYPES[kind]
    for day, column in zip(loans.DAYS, ("grade", "amount", "predicted_at", "employed"), strict=False):
        path = loans.day_file(zone, day)
        frame = pl.read_parquet(path).head(20)
        frame.with_columns(odd.new_from_index(0, 20).alias(column)).write_parquet(path)
    for outcome in ingest(walk, "predictions", loans.DAYS[:4]).values():
        assert outcome.rows_in == outcome.rows_out + outcome.quarantined == 20
        assert CANARY not in repr(outcome)
    for row in table(walk, "quarantine"):
        assert json.loads(row["row_json"]).keys() == set(walk.spec.predictions.tables[0].names)


def test_features_and_labels_break_like_predictions(walk, zone):
    """A bad value of a CSV, a bad line of JSON and a view without a file each stay where they are."""
    accounts = zone / "features" / "accounts" / f"{DAY.isoformat()}.csv"
    lines = accounts.read_text().splitlines()
    accounts.write_text("\n".join([lines[0], lines[1].replace("T", "Q", 1), *lines[2:]]) + "\n")
    (zone / "features" / "regions" / f"{DAY.isoformat()}.csv").unlink()
    labels = zone / "labels" / f"{DAY.isoformat()}.jsonl"
    labels.write_text(labels.read_text() + "{broken")
    features = ingest(walk, "features", [DAY])[DAY]
    assert (features.quarantined, features.rows_out) == (1, len(lines) - 2)
    assert features.facts == {"deliveries_partial": 1}
    refused = ingest(walk, "labels", [DAY])[DAY]
    assert (refused.rows_out, refused.facts) == (0, {"deliveries_refused": 1})
    ingest(walk, "predictions", [DAY, OTHER])
    assert walked(walk)["metrics"][DAY].version.rows > 0


def test_a_mistyped_label_is_set_aside_alone(walk, zone):
    """A label that is no number costs its own row, not the file."""
    labels = zone / "labels" / f"{DAY.isoformat()}.jsonl"
    rows = [json.loads(line) for line in labels.read_text().splitlines()]
    rows[0]["label"] = CANARY
    rows[1]["label"] = 0.5
    labels.write_text("".join(json.dumps(row) + "\n" for row in rows))
    outcome = ingest(walk, "labels", [DAY])[DAY]
    assert (outcome.rows_in, outcome.quarantined) == (len(rows), 2)
    assert "type:label: 2 rows" in outcome.note


def test_days_without_anything_are_empty_partitions(walk):
    """A day far from any delivery goes through every step without a row and without an error."""
    far = loans.DAYS[-1] + timedelta(days=20)
    for dataset in ("predictions", "features", "labels"):
        assert ingest(walk, dataset, [far])[far].rows_out == 0
    assert {step[far].rows_out for step in walked(walk, [far]).values()} == {0}


BASELINE_FAULTS = {
    "missing": lambda _, path: path.unlink(),
    "truncated": lambda _, path: truncate(path),
    "without a column": lambda frame, path: frame.drop("balance").write_parquet(path),
    "text for numbers": lambda frame, path: frame.with_columns(amount=pl.lit(CANARY)).write_parquet(path),
    "without scores": lambda frame, path: frame.with_columns(score=float("nan")).write_parquet(path),
    "broken facts": lambda _, path: path.with_suffix(".json").write_text(f'{{"importance": "{CANARY}"}}'),
}


@pytest.mark.parametrize("fault", BASELINE_FAULTS, ids=lambda name: name.replace(" ", "-"))
def test_a_broken_training_set_says_what_is_wrong(bare, zone, fault):
    """The error names version and file, and no value."""
    path = zone / "training" / "a.parquet"
    BASELINE_FAULTS[fault](pl.read_parquet(path), path)
    with pytest.raises(BaselineError, match=r"baseline of a: .*/training/a\.") as caught:
        measure_baselines(bare)
    assert CANARY not in str(caught.value)
    assert caught.value.__cause__ is None


def test_metrics_without_a_baseline_say_what_to_do(bare):
    """Statistics before the baseline is measured name the asset to materialize."""
    with pytest.raises(BaselineError, match="materialize loan_risk/baseline first"):
        measure(bare, [DAY])


def said_in_lake(walk):
    """Everything stored: every table as text, and every log of a table as it lies on disk."""
    stored = [repr(walk.lake.read(walk.model, name).to_pydict()) for name in walk.lake.tables(walk.model)]
    texts = [path.read_text(errors="replace") for path in Path(walk.lake.root).rglob("*.json")]
    return "\n".join([*stored, *texts])


def planted(frame, columns):
    """A canary in the first row's status, and in three further rows of each column."""
    frame = first("status", f"{CANARY} status", 1)(frame)
    for number, column in enumerate(columns):
        value = pl.when(pl.int_range(pl.len()) // 3 == number).then(pl.lit(CANARY))
        frame = frame.with_columns(value.otherwise(pl.col(column).cast(pl.String)).alias(column))
    return frame


@pytest.mark.parametrize(
    "columns",
    [("prediction_id", "customer", "role", "score", "amount", "region"), ("predicted_at",)],
    ids=["fields", "time"],
)
def test_no_value_of_a_row_is_ever_said(walk, zone, columns, caplog, capfd):
    """A canary in any column of good and bad rows shows up in no outcome, note, log or output."""
    caplog.set_level(logging.DEBUG)
    break_day(zone, lambda frame: planted(frame, columns))
    outcomes = [ingest(walk, "predictions", [DAY, OTHER]), *walked(walk).values()]
    said = [repr(outcomes), caplog.text, *capfd.readouterr()]
    said += [repr(row) for row in table(walk, "deliveries")]
    said += [repr(record.__dict__) for record in caplog.records]
    assert not [text for text in said if CANARY in text]
    assert f'"customer":"{CANARY}"' not in said_in_lake(walk)
    for name in walk.lake.tables(walk.model):
        assert CANARY not in {row.get("customer") for row in table(walk, name)}


def test_restricted_values_are_plain_nowhere(walk, rows):
    """No customer of any delivery can be found in the lake, and the same customer has one hash everywhere."""
    for dataset in ("predictions", "features"):
        ingest(walk, dataset, loans.DAYS)
    assert "customer-0" not in said_in_lake(walk)
    seen = {
        name: {row["customer"] for row in table(walk, name)} - {None} for name in ("predictions", "features")
    }
    hashes = {hash_text(name, walk.keys.current) for name in loans.CUSTOMERS}
    assert seen["predictions"] <= hashes
    assert seen["predictions"] & seen["features"]
    assert rows.predictions["customer"].drop_nulls().n_unique() == len(seen["predictions"])
