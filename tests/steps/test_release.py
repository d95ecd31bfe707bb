"""Rows leave quarantine once: after the contract is fixed they flow on, and nothing brings them twice."""

import json
import shutil
from dataclasses import replace
from datetime import UTC, date, datetime, timedelta

import polars as pl
import pytest

from mlobs_pipelines.contracts.folder import load_model
from mlobs_pipelines.core.metrics import METRICS
from mlobs_pipelines.settings import HashKey, HashKeys
from mlobs_pipelines.steps.ingest import ingest
from mlobs_pipelines.steps.ingest import release as module
from mlobs_pipelines.steps.ingest.release import Asked, release
from tests.steps import loans
from tests.steps.waiting import ALLOWED, DAY, RANGE, STRICT, contracts, deliver, rows

NOW = datetime(2024, 3, 5, 9, tzinfo=UTC)
LATER = NOW + timedelta(hours=1)
PLACE = {"delivery", "delivered_on", "delivery_row"}


def changed(walk, tmp_path, *edits):
    """Give the same walk under contracts in which texts were replaced."""
    folder = contracts(tmp_path / f"contracts-{len(list(tmp_path.iterdir()))}", *edits)
    return replace(walk, spec=load_model(folder, METRICS))


def let_out(walk, asked=None, now=NOW, **options):
    """Release predictions."""
    return release(walk, "predictions", asked or Asked(), now=now, who="tester", **options)


def table(walk, name):
    """Rows of a table as a frame; no rows where there is no table."""
    return (
        pl.DataFrame(walk.lake.read(walk.model, name))
        if walk.lake.exists(walk.model, name)
        else pl.DataFrame()
    )


def content(walk):
    """Content of every table."""
    return {summary.table: summary.content_hash for summary in walk.lake.summary(walk.model)}


def adds_up(walk):
    """Hold the records of all deliveries to their sum."""
    found = table(walk, "deliveries")
    parts = pl.sum_horizontal("accepted", "repeated", "quarantined", "refused", "sampled_out")
    return found.select((parts == pl.col("rows_in")).all()).item()


@pytest.fixture
def walk(tmp_path):
    """A walk under a strict contract after a day of which six rows are in quarantine."""
    landing = tmp_path / "landing"
    deliver(landing, rows())
    walk = changed(loans.walk_of(tmp_path, landing), tmp_path, *STRICT)
    ingest(walk, "predictions", [DAY])
    assert table(walk, "quarantine").height == 6
    return walk


@pytest.fixture
def fixed(walk, tmp_path):
    """The same walk after the contract lets grades be."""
    return changed(walk, tmp_path, STRICT[1])


def test_rows_that_keep_the_fixed_contract_flow_on(fixed):
    """Four rows pass and are published, two stay with the reason, and every record adds up."""
    told = let_out(fixed)
    assert (told.rows, told.passed) == (6, 4)
    assert told.by_rule == {ALLOWED: 4}
    assert told.failing == {(RANGE, RANGE): 2, (ALLOWED, RANGE): 1}
    assert told.changed == {DAY}
    published = table(fixed, "predictions")
    assert published.height == 38
    released = published.filter(pl.col("grade") == "E").sort("delivery_row")
    assert released["delivery"].unique().to_list() == [f"predictions/{DAY}.parquet (released)"]
    assert released["delivery_row"].to_list() == [10, 11, 12, 13]
    aside = table(fixed, "quarantine")
    assert aside.filter(pl.col("released_at") == NOW)["row_number"].to_list() == [10, 11, 12, 13]
    assert aside["released_at"].null_count() == 2
    record = (
        table(fixed, "deliveries").filter(pl.col("delivery").str.ends_with(" (released)")).row(0, named=True)
    )
    assert (record["state"], record["rows_in"], record["accepted"]) == ("accepted", 4, 4)
    assert adds_up(fixed)


def test_under_the_same_contract_nothing_leaves(walk):
    """Without a fix every row stays, with today's reasons, and no table changes."""
    before = content(walk)
    told = let_out(walk)
    assert (told.rows, told.passed) == (6, 0)
    assert told.failing[ALLOWED, ALLOWED] == 5
    assert content(walk) == before


def test_a_second_release_releases_nothing(fixed):
    """What was released is not released again, and nothing changes."""
    let_out(fixed)
    before = content(fixed)
    told = let_out(fixed, now=LATER)
    assert (told.rows, told.passed) == (2, 0)
    assert content(fixed) == before


def test_a_second_release_adds_to_the_first(fixed, tmp_path):
    """Rows released under a later fix join those released before; the record counts all."""
    let_out(fixed)
    wider = changed(fixed, tmp_path)
    told = let_out(wider, now=LATER)
    assert (told.rows, told.passed) == (2, 2)
    published = table(wider, "predictions")
    assert published["prediction_id"].n_unique() == published.height == 40
    record = (
        table(wider, "deliveries").filter(pl.col("delivery").str.ends_with(" (released)")).row(0, named=True)
    )
    assert (record["rows_in"], record["accepted"]) == (6, 6)
    assert adds_up(wider)


def test_a_dry_run_says_the_same_and_writes_nothing(fixed):
    """The counts of a dry run are those of the release after it; the lake is left alone."""
    before = content(fixed)
    dry = let_out(fixed, dry_run=True)
    assert content(fixed) == before
    told = let_out(fixed)
    assert (dry.rows, dry.passed, dry.by_rule, dry.failing) == (
        told.rows,
        told.passed,
        told.by_rule,
        told.failing,
    )
    assert dry.changed == set()


def test_a_release_equals_reading_the_delivery_again(fixed, tmp_path):
    """Rows released are in every value those that the delivery gives under the fixed contract."""
    let_out(fixed)
    again = replace(fixed, lake=loans.walk_of(tmp_path / "again", fixed.landing).lake)
    ingest(again, "predictions", [DAY])
    frames = [table(one, "predictions").drop(PLACE).sort("prediction_id") for one in (fixed, again)]
    assert frames[0].equals(frames[1])


def test_the_delivery_read_again_duplicates_no_row(fixed):
    """After the original is ingested under the fixed contract each prediction is there once."""
    let_out(fixed)
    outcome = ingest(fixed, "predictions", [DAY])[DAY]
    published = table(fixed, "predictions")
    assert published["prediction_id"].n_unique() == published.height == outcome.rows_out == 38
    beaten = table(fixed, "predictions_repeats")
    assert beaten["reason"].to_list() == ["identical"] * 4
    assert adds_up(fixed)
    before = content(fixed)
    ingest(fixed, "predictions", [DAY])
    assert content(fixed) == before


def test_marks_survive_reading_the_delivery_again(walk, fixed):
    """Ingested again under the contract that set them aside, rows keep their mark and stay published."""
    let_out(fixed)
    ingest(walk, "predictions", [DAY])
    aside = table(walk, "quarantine")
    assert aside.height == 6
    assert aside["released_at"].null_count() == 2
    assert table(walk, "predictions").height == 38
    assert adds_up(walk)


def test_a_corrected_delivery_replaces_what_was_released(fixed):
    """A delivery that comes again with other content takes its released rows back with its accepted ones."""
    let_out(fixed)
    deliver(fixed.landing, rows().filter(pl.col("grade") == "A"))
    ingest(fixed, "predictions", [DAY])
    published = table(fixed, "predictions")
    assert published.filter(pl.col("grade") == "E").is_empty()
    assert published.height == 34
    assert table(fixed, "deliveries").height == 1
    assert adds_up(fixed)


@pytest.mark.parametrize("moment", ["_audit", "_mark", "judge", "publish"])
def test_killed_between_its_writes_a_release_is_done_again_without_loss(fixed, tmp_path, monkeypatch, moment):
    """Wherever it ends, the run after it leaves the tables of an undisturbed one."""
    whole = replace(fixed, lake=loans.walk_of(tmp_path / "whole", fixed.landing).lake)
    shutil.copytree(fixed.lake.root, whole.lake.root)
    let_out(whole)

    def dead(*_, **__):
        raise KeyboardInterrupt

    with monkeypatch.context() as patched:
        patched.setattr(module, moment, dead)
        with pytest.raises(KeyboardInterrupt):
            let_out(fixed)
    let_out(fixed)
    assert content(fixed) == content(whole)


def test_a_large_day_is_marked_by_batches(fixed, tmp_path, monkeypatch):
    """Where a day's quarantine does not fit into memory, the same rows get the same marks."""
    whole = replace(fixed, lake=loans.walk_of(tmp_path / "whole", fixed.landing).lake)
    shutil.copytree(fixed.lake.root, whole.lake.root)
    let_out(whole)
    monkeypatch.setattr(module, "LARGE_ASIDE", 3)
    let_out(fixed)
    assert table(fixed, "quarantine").equals(table(whole, "quarantine"))
    assert let_out(fixed, now=LATER).rows == 2


def test_identifiers_stay_joinable(fixed):
    """A hashed column of a released row is the hash that the same value has anywhere else."""
    from mlobs_pipelines.steps.privacy import hash_text  # noqa: PLC0415 - only this test needs it

    let_out(fixed)
    found = table(fixed, "predictions").filter(pl.col("prediction_id") == "p-011").row(0, named=True)
    assert found["customer"] == hash_text("customer-011", fixed.keys.current)


def test_a_hash_under_a_lost_key_stays(fixed):
    """Rows hashed under a key that is not set any more are not published; the message names the setting."""
    rotated = replace(fixed, keys=HashKeys(HashKey(b"another key that is long enough", "aaaaaaaa")))
    told = let_out(rotated)
    assert told.passed == 0
    assert any("MLOBS_HMAC_PREVIOUS_KEY" in reason for _, reason in told.failing)


def test_a_hash_under_the_previous_key_flows(fixed):
    """While the previous key is set, rows that it hashed are released as they are."""
    new = HashKey(b"another key that is long enough", "aaaaaaaa")
    rotated = replace(fixed, keys=HashKeys(new, fixed.keys.current, date(2024, 3, 31)))
    assert let_out(rotated).passed == 4


def test_what_only_the_value_could_show_is_not_guessed(tmp_path):
    """A row set aside by a rule about a hashed column stays while the rule stands, and leaves without it."""
    walk = loans.walk_of(tmp_path, tmp_path / "landing")
    before, rule = (
        "name: customer, logicalType: string, classification: restricted, description: The customer}",
        "logicalTypeOptions: {maxLength: 12}}",
    )
    strict = changed(walk, tmp_path, (before, before[:-1] + ", " + rule))
    deliver(walk.landing, rows().with_columns(customer=pl.lit("customer-with-a-long-name")).head(9))
    ingest(strict, "predictions", [DAY])
    told = let_out(strict)
    assert told.passed == 0
    (((broken, reason), count),) = told.failing.items()
    assert (broken, count) == ("length:customer", 9)
    assert "ingest the delivery again" in reason
    assert let_out(walk).passed == 9


def test_unique_holds_between_released_and_accepted_rows(tmp_path):
    """A row whose value an accepted row of its delivery has stays, however it is asked for."""
    walk = loans.walk_of(tmp_path, tmp_path / "landing")
    before = "name: correlation_id, logicalType: string, "
    strict = changed(walk, tmp_path, (before, before + "unique: true, "))
    deliver(walk.landing, rows(9).with_columns(correlation_id=pl.lit("same")))
    ingest(strict, "predictions", [DAY])
    assert table(strict, "predictions").height == 1
    assert let_out(strict).failing == {("unique:correlation_id", "unique:correlation_id"): 8}
    assert let_out(walk).passed == 8


def test_filters_choose_rows(fixed):
    """Rules, deliveries and days narrow what is released; what they leave out keeps waiting."""
    assert let_out(fixed, Asked(rules=[RANGE])).rows == 2
    assert let_out(fixed, Asked(deliveries=["predictions/none"])).rows == 0
    assert let_out(fixed, Asked(first=DAY + timedelta(days=1))).rows == 0
    assert let_out(fixed, Asked(last=DAY, rules=[ALLOWED])).passed == 4


def test_rows_keep_every_type_they_were_delivered_as(tmp_path):
    """Bytes, 32-bit floats, NaN beside numbers, times of any unit and large integers come back exactly."""
    walk = changed(loans.walk_of(tmp_path, tmp_path / "landing"), tmp_path, *STRICT)
    frame = rows(12).with_columns(
        prediction_id=pl.col("prediction_id").cast(pl.Binary),
        predicted_at=pl.col("predicted_at")
        .dt.convert_time_zone("America/New_York")
        .cast(pl.Datetime("ns", "America/New_York")),
        score=pl.when(pl.int_range(pl.len()) == 3).then(float("nan")).otherwise(0.1).cast(pl.Float32),
        cards=pl.lit(2**40),
        grade=pl.lit("E"),
    )
    deliver(walk.landing, frame)
    ingest(walk, "predictions", [DAY])
    assert table(walk, "quarantine").height == 12
    wider = changed(walk, tmp_path, STRICT[1])
    assert let_out(wider).passed == 11
    again = replace(wider, lake=loans.walk_of(tmp_path / "again", walk.landing).lake)
    ingest(again, "predictions", [DAY])
    frames = [table(one, "predictions").drop(PLACE).sort("prediction_id") for one in (wider, again)]
    assert frames[0].equals(frames[1])


def test_rows_of_another_day_land_in_their_day(tmp_path):
    """A released row goes to its event day, which is told as changed, and is there after later runs."""
    walk = changed(loans.walk_of(tmp_path, tmp_path / "landing"), tmp_path, *STRICT)
    earlier = DAY - timedelta(days=1)
    deliver(walk.landing, rows().with_columns(pl.col("predicted_at") - timedelta(days=1)))
    ingest(walk, "predictions", [DAY])
    wider = changed(walk, tmp_path, STRICT[1])
    assert let_out(wider).changed == {earlier}
    ingest(wider, "predictions", [earlier, DAY])
    published = table(wider, "predictions")
    assert published["day"].unique().to_list() == [earlier.isoformat()]
    assert published["prediction_id"].n_unique() == published.height == 38


def test_every_release_is_on_record(fixed):
    """Who released how many rows of what, and when, is in the audit; no value is."""
    let_out(fixed)
    (row,) = table(fixed, "audit").to_dicts()
    assert (row["at"], row["who"], row["action"]) == (NOW, "tester", "quarantine.release")
    assert row["object"] == f"predictions/{DAY}"
    assert json.loads(row["details"]) == {"rows": 4, "deliveries": 1}


def test_sampling_leaves_out_what_it_would_have_left_out(tmp_path):
    """Released rows are sampled by the same rule, with the same weights; what is left out counts as out."""
    walk = changed(loans.walk_of(tmp_path, tmp_path / "landing"), tmp_path, *STRICT)
    monitor = walk.spec.monitor.model_copy(update={"sampling": _sampling()})
    walk = replace(walk, spec=replace(walk.spec, monitor=monitor))
    deliver(walk.landing, rows().with_columns(grade=pl.lit("E")))
    ingest(walk, "predictions", [DAY])
    wider = changed(walk, tmp_path, STRICT[1])
    wider = replace(wider, spec=replace(wider.spec, monitor=monitor))
    told = let_out(wider, Asked())
    again = replace(wider, lake=loans.walk_of(tmp_path / "again", walk.landing).lake)
    ingest(again, "predictions", [DAY])
    frames = [table(one, "predictions").drop(PLACE).sort("prediction_id") for one in (wider, again)]
    assert frames[0].equals(frames[1])
    assert told.passed == 38
    assert told.sampled_out == table(wider, "sampled_out").height > 0
    assert adds_up(wider)
    ingest(walk, "predictions", [DAY])
    assert table(walk, "sampled_out").height == told.sampled_out


def _sampling():
    from mlobs_pipelines.contracts.samplings import Sampling  # noqa: PLC0415 - only this test needs it

    return Sampling(rate=0.5)
