"""No value of a row may be told: values planted in every column are searched for in all Dagster keeps."""

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
from tests.defs.conftest import MODEL, execute, site_at

WORD, NUMBER = "CANARY7Q", 31415926.535
TYPES, ROWS, GARBLED = date(2013, 6, 21), date(2013, 6, 22), date(2013, 6, 24)


class Poisoned(NamedTuple):
    """A walked installation that planted values went through."""

    home: Path
    site: Any
    run: Any
    logs: list


def _poisoned(frame):
    """Add rows of canaries that the types can hold, and rows that keep the contract with canaries in them."""
    typed = frame.head(5).select(*(_canary(name, kind) for name, kind in frame.schema.items()))
    free = {name: pl.lit(f"{WORD}-{name}") for name in ("training_dataset_id", "feature_set_version")}
    numbered = pl.lit(f"{WORD}-") + pl.int_range(pl.len()).cast(pl.String)
    valid = frame.head(4).with_columns(
        **free,
        tailnum=numbered,
        correlation_id=numbered,
        carrier=pl.lit("QQ"),
        prediction_id=pl.lit("QQ") + pl.col("prediction_id").str.slice(2),
        model_version=pl.when(pl.int_range(pl.len()) < 2).then(pl.lit(WORD)).otherwise("model_version"),
    )
    return pl.concat([frame, typed, valid])


def _canary(name, kind):
    if kind == pl.String:
        return (pl.lit(f"{WORD}-{name}-") + pl.int_range(pl.len()).cast(pl.String)).alias(name)
    return pl.lit(NUMBER).cast(kind).alias(name) if kind.is_numeric() else pl.col(name)


def _all_text(frame):
    """Replace every value of every column by text, which most columns' types refuse."""
    return frame.select(pl.lit(f"{WORD}-{name}").alias(name) for name in frame.columns)


def _plant(root):
    predictions = root / "predictions"
    for day, spoil in ((TYPES, _all_text), (ROWS, _poisoned)):
        path = predictions / f"{day}.parquet"
        spoil(pl.read_parquet(path)).write_parquet(path)
    (predictions / f"{GARBLED}.parquet").write_bytes(f"PAR1 {WORD} PAR1".encode())
    for view in (root / "features").iterdir():
        path = view / f"{ROWS}.csv"
        if path.exists():
            frame = pl.read_csv(path, infer_schema=False)
            pl.concat([frame, _all_text(frame.head(3))]).write_csv(path)
            (view / f"{GARBLED}.csv").write_text(f'"{WORD},"{WORD}\n"{WORD}"{WORD},{WORD},\n')
    label = dict.fromkeys(("prediction_id", "label", "outcome", "arrived_at", "revision", "source"), WORD)
    with (root / "labels" / f"{ROWS}.jsonl").open("a") as file:
        file.write(json.dumps(label) + "\n")
    (root / "labels" / f"{GARBLED}.jsonl").write_text(f'{{"prediction_id": "{WORD}", "label": {WORD}\n')


@pytest.fixture(scope="module")
def poisoned(landing, tmp_path_factory):
    """Walk four days with planted values on an instance that keeps everything below one folder."""
    home = tmp_path_factory.mktemp("canary")
    shutil.copytree(landing, home / "landing")
    _plant(home / "landing" / MODEL)
    with pytest.MonkeyPatch.context() as patch:
        patch.delenv("MLOBS_POSTGRES_URL", raising=False)
        patch.setenv("DAGSTER_HOME", str(home / "dagster"))
        site = site_at(home, home / "landing")
        defs = build_defs(site)
        with open_instance(site) as opened:
            assert execute(defs, opened, "baseline").success
            run = execute(defs, opened, "daily", range_tags(TYPES, GARBLED), run_config=None)
            logs = opened.all_logs(run.run_id)
        yield Poisoned(home, site, run, logs)


def _forms():
    # As text, as a rounded or shortened number, and as the number's digits in scientific notation.
    return (WORD, "31415926", "3.14159", "31,415,926")


def test_the_walk_goes_on(poisoned):
    """Planted rows and garbled files are refused or set aside, and the run succeeds."""
    assert poisoned.run.success
    failed = {
        (e.asset_key.path[-1], e.partition)
        for e in poisoned.run.get_asset_check_evaluations()
        if not e.passed
    }
    for asset in ("predictions", "features", "labels"):
        assert {(asset, str(ROWS)), (asset, str(GARBLED))} <= failed
    assert {("predictions", str(TYPES)), ("prediction_log", str(ROWS))} <= failed


def test_planted_values_did_go_through(poisoned):
    """Planted values are in the quarantine and in the log, so a leak would have something to tell."""
    lake = poisoned.site.lake
    assert WORD in str(lake.read(MODEL, QUARANTINE, columns=["row_json"]).to_pylist())
    assert WORD in str(lake.read(MODEL, "prediction_log", columns=["training_dataset_id"]).to_pylist())


def test_no_event_tells_a_value(poisoned):
    """No event of the run, with its metadata and messages, holds a planted value."""
    assert len(poisoned.logs) > 100
    told = "\n".join(repr(entry) for entry in poisoned.logs)
    assert [form for form in _forms() if form in told] == []


def test_no_file_of_the_instance_tells_a_value(poisoned):
    """No byte that Dagster wrote, event databases and captured output included, holds a planted value."""
    files = [path for path in (poisoned.home / "dagster").rglob("*") if path.is_file()]
    assert any("compute_logs" in str(path) for path in files)
    for path in files:
        content = path.read_bytes()
        assert [form for form in _forms() if form.encode() in content] == [], path.name
