"""No value of a row may be told: planted values are searched for in all that is kept anywhere."""

import json
import shutil
from datetime import date
from pathlib import Path
from typing import Any, NamedTuple

import polars as pl
import pytest

from mlobs_pipelines.definitions import build_defs
from mlobs_pipelines.defs.jobs import range_tags
from mlobs_pipelines.defs.launch import instance as open_instance
from mlobs_pipelines.store.tables import QUARANTINE
from tests import canary
from tests.defs.conftest import MODEL, execute, site_at

WORD, NUMBER = "CANARY7Q", 31415926.535
# A column that may be stored, a restricted one, one that nobody declared, and a file that is refused.
MAIL, TAIL, STRAY, REFUSED = "canary7q@example.org", "TAILQ7", "stray7q@example.net", "refused7q@example.com"
STRAY_FORMS = (STRAY, "4111111111111111", REFUSED, "+41791234567")
ROWS, GARBLED, TYPES = date(2013, 6, 20), date(2013, 6, 21), date(2013, 6, 22)
VERSION = "v1"


class Poisoned(NamedTuple):
    """A walked installation that planted values went through, and what was said on the way."""

    home: Path
    site: Any
    run: Any
    failed: Any
    logs: list
    output: str

    @property
    def landing(self):
        """Where the planted values were delivered."""
        return self.home / "landing"


def _poisoned(frame):
    """Add rows of canaries that the types can hold, and rows that keep the contract with canaries in them."""
    typed = frame.head(5).select(*(_canary(name, kind) for name, kind in frame.schema.items()))
    free = {"training_dataset_id": pl.lit(f"{WORD}-set"), "feature_set_version": pl.lit(MAIL)}
    numbered = pl.lit(f"{WORD}-") + pl.int_range(pl.len()).cast(pl.String)
    valid = frame.tail(4).with_columns(
        **free,
        tailnum=pl.lit(TAIL) + pl.int_range(pl.len()).cast(pl.String),
        correlation_id=numbered,
        carrier=pl.lit("QQ"),
        prediction_id=pl.lit("QQ") + pl.col("prediction_id").str.slice(2),
        model_version=pl.when(pl.int_range(pl.len()) < 2).then(pl.lit(WORD)).otherwise("model_version"),
    )
    stray = {"contact": pl.lit(STRAY), "card": pl.lit("4111111111111111"), "phone": pl.lit("+41791234567")}
    return pl.concat([frame, typed, valid]).with_columns(**stray)


def _canary(name, kind):
    if kind == pl.String:
        word = TAIL if name == "tailnum" else f"{WORD}-{name}-"
        return (pl.lit(word) + pl.int_range(pl.len()).cast(pl.String)).alias(name)
    return pl.lit(NUMBER).cast(kind).alias(name) if kind.is_numeric() else pl.col(name)


def _all_text(frame, word=WORD):
    """Replace every value of every column by text, which most columns' types refuse."""
    spoiled = (pl.lit(TAIL if name == "tailnum" else f"{word}-{name}").alias(name) for name in frame.columns)
    return frame.with_columns(spoiled)


def _renamed(frame):
    """Take a promised column away and fill the others: the file is refused with all that is in it."""
    spoiled = (pl.lit(f"{REFUSED}-{name}").alias(name) for name in frame.columns if name != "score")
    return frame.with_columns(spoiled).rename({"score": "probability"})


def _plant(root):
    predictions = root / "predictions"
    for day, spoil in ((TYPES, _all_text), (ROWS, _poisoned), (GARBLED, _renamed)):
        path = predictions / f"{day}.parquet"
        spoil(pl.read_parquet(path)).write_parquet(path)
    for view in (root / "features").iterdir():
        path = view / f"{ROWS}.csv"
        if path.exists():
            frame = pl.read_csv(path, infer_schema=False)
            pl.concat([frame, _all_text(frame.head(3))]).with_columns(contact=pl.lit(STRAY)).write_csv(path)
            (view / f"{GARBLED}.csv").write_text(f'"{REFUSED},"{WORD}\n"{REFUSED}"{WORD},{WORD},\n')
    label = dict.fromkeys(("prediction_id", "label", "outcome", "arrived_at", "revision", "source"), WORD)
    with (root / "labels" / f"{ROWS}.jsonl").open("a") as file:
        file.write(json.dumps({**label, "contact": STRAY}) + "\n")
    (root / "labels" / f"{GARBLED}.jsonl").write_text(f'{{"prediction_id": "{REFUSED}", "label": {REFUSED}\n')


@pytest.fixture(scope="module")
def poisoned(landing, tmp_path_factory):
    """Walk days with planted values, and fail over a training set, with everything kept below one folder."""
    home = tmp_path_factory.mktemp("canary")
    shutil.copytree(landing, home / "landing")
    _plant(home / "landing" / MODEL)
    training = home / "landing" / MODEL / "training" / f"{VERSION}.parquet"
    with pytest.MonkeyPatch.context() as patch:
        patch.delenv("MLOBS_POSTGRES_URL", raising=False)
        patch.setenv("DAGSTER_HOME", str(home / "dagster"))
        site = site_at(home, home / "landing")
        defs = build_defs(site)
        with open_instance(site) as opened:
            assert execute(defs, opened, "baseline").success
            run = execute(defs, opened, "daily", range_tags(ROWS, TYPES), run_config=None)
            assert execute(defs, opened, "report").success
            _all_text(pl.read_parquet(training).head(3)).write_parquet(training)
            failed = execute(defs, opened, "baseline", run_config=None)
            logs = [entry for one in opened.get_runs() for entry in opened.all_logs(one.run_id)]
        captured = [path for path in (home / "dagster").rglob("*") if path.suffix in (".out", ".err")]
        output = "\n".join(path.read_text() for path in captured)
        yield Poisoned(home, site, run, failed, logs, output)


def _forms():
    # As text, as a rounded or shortened number, and as the number's digits in scientific notation.
    return (WORD, MAIL, TAIL, *STRAY_FORMS, "31415926", "3.14159", "31,415,926")


def _identifiers(poisoned):
    """Every plane of the landing zone, as it was delivered."""
    read = (pl.read_parquet(path) for path in (poisoned.landing / MODEL / "predictions").glob("*.parquet"))
    planes = pl.concat([frame.select(pl.col("tailnum").cast(pl.String)) for frame in read]).to_series()
    return sorted(plane for plane in planes.drop_nulls().unique() if not plane.startswith(REFUSED))


def test_the_walk_goes_on(poisoned):
    """Planted rows and garbled files are refused or set aside, and the run succeeds."""
    assert poisoned.run.success
    assert not poisoned.failed.success
    failed = {
        (e.asset_key.path[-1], e.partition)
        for e in poisoned.run.get_asset_check_evaluations()
        if not e.passed
    }
    for asset in ("predictions", "features", "labels"):
        assert {(asset, str(ROWS)), (asset, str(GARBLED))} <= failed
    assert {("predictions", str(TYPES)), ("prediction_log", str(ROWS))} <= failed


def test_personal_data_is_found_where_nobody_classified_it(poisoned):
    """The privacy check names the columns with what their values look like, declared or not."""
    (found,) = [
        e
        for e in poisoned.run.get_asset_check_evaluations()
        if (e.asset_key.path[-1], e.check_name, e.partition) == ("predictions", "privacy", str(ROWS))
    ]
    assert not found.passed
    told = {row.data["column and kind"] for row in found.metadata["found"].records}
    columns = {said.split(":")[0] for said in told}
    assert {"feature_set_version", "contact", "card"} <= columns


def test_planted_values_did_go_through(poisoned):
    """Planted values are in the quarantine and in the log, so a leak would have something to tell."""
    lake = poisoned.site.lake
    assert WORD in str(lake.read(MODEL, QUARANTINE, columns=["row_json"]).to_pylist())
    log = str(lake.read(MODEL, "prediction_log", columns=["training_dataset_id"]).to_pylist())
    assert WORD in log
    assert canary.where(poisoned.home / "lake", [WORD, MAIL])
    assert len(_identifiers(poisoned)) > 20
    delivered = canary.where(poisoned.landing, [TAIL, *STRAY_FORMS, *_identifiers(poisoned)[:3]])
    assert {form for forms in delivered.values() for form in forms} >= {TAIL, STRAY, REFUSED}


def test_no_event_tells_a_value(poisoned):
    """No event of any run, with its metadata, messages and errors, holds a planted value."""
    assert len(poisoned.logs) > 100
    told = "\n".join(repr(entry) for entry in poisoned.logs)
    assert "StepFailure" in told or "STEP_FAILURE" in told
    assert [form for form in [*_forms(), *_identifiers(poisoned)] if form in told] == []


def test_no_output_tells_a_value(poisoned):
    """Nothing that the steps wrote to standard output or error holds a planted value."""
    assert "STEP_SUCCESS" in poisoned.output
    assert [form for form in [*_forms(), *_identifiers(poisoned)] if form in poisoned.output] == []


def test_no_file_but_the_lake_tells_a_value(poisoned):
    """No file of the installation but the lake's holds one: no event database, captured output or report."""
    named = {path.name for path in canary.files(poisoned.home / "dagster")}
    assert any(name.endswith((".out", ".err")) for name in named)
    assert list((poisoned.home / "reports").glob("*.html"))
    leave_out = [poisoned.landing, poisoned.home / "lake"]
    assert canary.where(poisoned.home, [*_forms(), *_identifiers(poisoned)], leave_out) == {}


def test_the_lake_has_no_identifier_and_nothing_undeclared(poisoned):
    """No file of the lake, its log and every column of its Parquet files included, holds what it must not."""
    looked_at = [path.suffix for path in canary.files(poisoned.home / "lake")]
    assert looked_at.count(".parquet") > 20
    forms = [TAIL, *STRAY_FORMS, *_identifiers(poisoned)]
    assert canary.where(poisoned.home / "lake", forms) == {}
