"""Speed and memory of ingestion under contract, in one run beside DuckDB and Great Expectations.

One Parquet file of a day (50 columns) is invented under .mlobs/bench. DuckDB only reads and writes it again;
Great Expectations only validates the same rules, as does `rules`, the part of ours that does so; ours reads,
looks for personal data, validates, finds repeats and publishes in the lake. Each in a process of its own:
wall time of the work, imports aside, and peak memory of the process.
"""

import argparse
import json
import platform
import resource
import shutil
import subprocess
import sys
import time
from datetime import UTC, date, datetime
from importlib.metadata import version
from pathlib import Path
from statistics import median

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import yaml

HOME = Path(".mlobs/bench/ingestion")
DAY = date(2024, 1, 1)
NUMBERS = [f"f{i:02d}" for i in range(40)]
RANGED = NUMBERS[:16]
WORDS = {
    "role": ["champion", "shadow", "canary"],
    "status": ["ok", "error", "timeout"],
    "region": ["eu", "us", "ap"],
}
PART = 250_000


def make(rows: int) -> Path:
    """Write the day's file once."""
    path = HOME / f"landing-{rows}" / "bench" / "predictions" / f"{DAY}.parquet"
    if path.exists():
        return path
    path.parent.mkdir(parents=True)
    rng, writer = np.random.default_rng(7), None
    for start in range(0, rows, PART):
        part = _part(rng, start, min(PART, rows - start))
        writer = writer or pq.ParquetWriter(path, part.schema, compression="snappy")
        writer.write_table(part)
    writer.close()
    return path


def _part(rng: np.random.Generator, start: int, rows: int) -> pa.Table:
    at = np.datetime64(f"{DAY}T00:00:00", "us") + rng.integers(0, 86_400 * 10**6, rows).astype(
        "timedelta64[us]"
    )
    columns = {
        "prediction_id": pa.array([f"p{start + i:010d}" for i in rng.permutation(rows)]),
        "correlation_id": pa.array([f"c{start + i:010d}" for i in range(rows)]),
        "predicted_at": pa.array(at).cast(pa.timestamp("us", tz="UTC")),
        "model_version": pa.array(["v1", "v2"]).take(pa.array(rng.integers(0, 2, rows))),
        "training_dataset_id": pa.array(["t1"] * rows),
        "feature_set_version": pa.array(["fs1"] * rows),
        "score": pa.array(rng.random(rows)),
    }
    for name, words in WORDS.items():
        columns[name] = pa.array(words).take(pa.array(rng.integers(0, 3, rows)))
    columns["latency_ms"] = pa.array(rng.gamma(2, 20, rows))
    columns |= {name: pa.array(rng.normal(size=rows)) for name in NUMBERS[:39]}
    return pa.table(columns)


def declare() -> None:
    """Write the model's folder."""
    folder = HOME / "contracts" / "bench"
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    documents = {
        "monitor": _monitor(),
        "predictions.odcs": _predictions(),
        "features.odcs": _features(),
        "labels.odcs": _labels(),
    }
    for name, document in documents.items():
        (folder / f"{name}.yaml").write_text(yaml.safe_dump(document, sort_keys=False))


def _contract(name: str, form: str, path: str, properties: list[dict[str, object]]) -> dict[str, object]:
    return {
        "apiVersion": "v3.2.0",
        "kind": "DataContract",
        "id": f"bench-{name}",
        "version": "1.0.0",
        "status": "active",
        "team": {"name": "bench"},
        "servers": [{"server": "landing", "type": "local", "format": form, "path": path}],
        "schema": [{"name": name, "logicalType": "object", "properties": properties}],
    }


def _column(name: str, kind: str = "string", **more: object) -> dict[str, object]:
    return {"name": name, "logicalType": kind, **more}


def _predictions() -> dict[str, object]:
    key = {"primaryKey": True, "required": True}
    word = {"required": True, "logicalTypeOptions": {"minLength": 1, "maxLength": 63}}
    columns = [
        _column("prediction_id", **key, primaryKeyPosition=1, logicalTypeOptions={"pattern": "p[0-9]{10}"}),
        _column("correlation_id", **word),
        _column("predicted_at", "timestamp", required=True),
        _column("model_version", **key, primaryKeyPosition=2),
        _column("training_dataset_id", **word),
        _column("feature_set_version", **word),
        _column("score", "number", logicalTypeOptions={"minimum": 0, "maximum": 1}),
        *(_column(name, required=True, enum=[{"value": w} for w in words]) for name, words in WORDS.items()),
        _column("latency_ms", "number", required=True, logicalTypeOptions={"minimum": 0, "maximum": 1e6}),
        *(
            _column(
                name,
                "number",
                **({"logicalTypeOptions": {"minimum": -50, "maximum": 50}} if name in RANGED else {}),
            )
            for name in NUMBERS[:39]
        ),
    ]
    return _contract("predictions", "parquet", "{landing}/predictions/{date}.parquet", columns)


def _features() -> dict[str, object]:
    columns = [
        _column("region", required=True),
        _column("observed_at", "timestamp", required=True),
        _column("available_at", "timestamp", required=True),
        _column("f00", "number"),
    ]
    return _contract("regions", "parquet", "{landing}/features/{table}/{date}.parquet", columns)


def _labels() -> dict[str, object]:
    columns = [
        _column("prediction_id", primaryKey=True, primaryKeyPosition=1, required=True),
        _column("label", "integer"),
        _column("outcome", required=True),
        _column("arrived_at", "timestamp", required=True),
        _column("revision", "integer", primaryKey=True, primaryKeyPosition=2, required=True),
        _column("source"),
    ]
    return _contract("labels", "jsonl", "{landing}/labels/{date}.jsonl", columns)


def _monitor() -> dict[str, object]:
    return {
        "model": "bench",
        "description": "Speed.",
        "task": "binary",
        "owners": ["team:bench"],
        "runbook": "https://example.org/bench",
        "start_date": "2023-12-01",
        "features": [{"name": "f00", "kind": "numeric", "view": "regions"}],
        "feature_views": {"regions": {"entity": "region", "ttl": "1d"}},
        "labels": {"horizon": "7d", "horizons": ["1d", "7d"]},
        "versions": {"v1": {"baseline": "{landing}/v1.parquet", "facts": "{landing}/v1.json"}},
        "windows": ["1d"],
        "schedule": {"cron": "0 6 * * *"},
    }


def ours(path: Path) -> None:
    """Ingest the day under its contract into a fresh lake."""
    from mlobs_pipelines.contracts.folder import load_model
    from mlobs_pipelines.defs.resources import Site
    from mlobs_pipelines.settings import Settings
    from mlobs_pipelines.steps.ingest import ingest

    home = HOME / "home"
    shutil.rmtree(home, ignore_errors=True)
    site = Site(Settings(home=home, landing=path.parents[2]))
    walk = site.walk(load_model(HOME / "contracts" / "bench"), "bench", datetime(2024, 2, 1, tzinfo=UTC))
    with Timed():
        outcome = ingest(walk, "predictions", [DAY])[DAY]
    assert outcome.rows_out == pq.ParquetFile(path).metadata.num_rows, outcome


def rules(path: Path) -> None:
    """Read the day and check every row, and no more."""
    from mlobs_pipelines.contracts.folder import load_model
    from mlobs_pipelines.contracts.rows import Seen, check_frame
    from mlobs_pipelines.sources.deliveries import Place, Slot
    from mlobs_pipelines.sources.files import deliveries

    table = load_model(HOME / "contracts" / "bench").predictions.tables[0]
    seen = Seen()
    with Timed():
        for delivery in deliveries(Place("local", "parquet", str(path)), Slot(table.name, DAY, table.names)):
            failures = sum(check_frame(table, frame, seen).failures.height for frame in delivery.frames())
    assert failures == 0


def duckdb(path: Path) -> None:
    """Read the file and write it again."""
    import duckdb as engine

    connection = engine.connect()
    connection.execute("SET threads = 2")
    target = HOME / "again.parquet"
    with Timed():
        connection.execute(
            f"COPY (FROM read_parquet('{path}')) TO '{target}' (FORMAT parquet, COMPRESSION snappy)"
        )
    target.unlink()


def great_expectations(path: Path) -> None:
    """Validate the same row rules, the file's reading included, no publication."""
    import great_expectations as gx
    import pandas as pd

    context = gx.get_context(mode="ephemeral")
    context.variables.progress_bars = {"globally": False}
    rules = list(_expectations(gx.expectations))
    with Timed():
        source = context.data_sources.add_pandas("bench").add_dataframe_asset("rows")
        batch = source.add_batch_definition_whole_dataframe("all").get_batch(
            {"dataframe": pd.read_parquet(path)}
        )
        found = batch.validate(gx.ExpectationSuite(name="bench", expectations=rules))
    assert found.success


def _expectations(e: object) -> object:
    for column in _predictions()["schema"][0]["properties"]:
        name, options = column["name"], column.get("logicalTypeOptions", {})
        if column.get("required"):
            yield e.ExpectColumnValuesToNotBeNull(column=name)
        if "minimum" in options:
            yield e.ExpectColumnValuesToBeBetween(
                column=name, min_value=options["minimum"], max_value=options["maximum"]
            )
        if "minLength" in options:
            yield e.ExpectColumnValueLengthsToBeBetween(column=name, min_value=1, max_value=63)
        if "pattern" in options:
            yield e.ExpectColumnValuesToMatchRegex(column=name, regex=f"^{options['pattern']}$")
        if "enum" in column:
            yield e.ExpectColumnValuesToBeInSet(
                column=name, value_set=[item["value"] for item in column["enum"]]
            )
    yield e.ExpectCompoundColumnsToBeUnique(column_list=["prediction_id", "model_version"])


class Timed:
    """Prints what a block took."""

    def __enter__(self) -> None:
        self.started, self.cpu = time.perf_counter(), time.process_time()

    def __exit__(self, *_: object) -> None:
        peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024 / 1e6
        seconds, cpu = time.perf_counter() - self.started, time.process_time() - self.cpu
        print(json.dumps({"seconds": seconds, "cpu": cpu, "peak_mb": peak}))


WORK = {"ours": ours, "rules": rules, "duckdb": duckdb, "great_expectations": great_expectations}


def _measured(name: str, path: Path, times: int) -> dict[str, float]:
    found = []
    for _ in range(times):
        done = subprocess.run(
            [sys.executable, __file__, "--work", name, "--file", str(path)],
            capture_output=True,
            text=True,
            check=True,
        )
        found.append(json.loads(done.stdout.strip().splitlines()[-1]))
    return {key: median(one[key] for one in found) for key in found[0]}


def main() -> None:
    """Measure, and print ratios first."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rows", type=int, nargs="*", default=[1_000_000, 4_000_000])
    parser.add_argument("--times", type=int, default=3)
    parser.add_argument("--work", choices=WORK, help=argparse.SUPPRESS)
    parser.add_argument("--file", type=Path, help=argparse.SUPPRESS)
    given = parser.parse_args()
    if given.work:
        WORK[given.work](given.file)
        return
    declare()
    print(
        f"{platform.machine()}, Python {platform.python_version()}",
        *(f"{p} {version(p)}" for p in ("duckdb", "polars", "pandera", "great-expectations", "deltalake")),
        sep=", ",
    )
    for rows in given.rows:
        path = make(rows)
        names = [name for name in WORK if name != "great_expectations" or rows <= 1_000_000]
        found = {
            name: _measured(name, path, 1 if name == "great_expectations" else given.times) for name in names
        }
        base = found["ours"]["seconds"]
        print(f"\n{rows:,} rows x 50 columns, {path.stat().st_size / 1e6:,.0f} MB")
        for name, one in found.items():
            took = f"{one['seconds']:7.2f} s  {one['cpu']:7.2f} CPU s  {one['peak_mb']:7,.0f} MB peak"
            print(f"  {name:20} {one['seconds'] / base:7.2f} of ours  {took}")
        print(f"  ours / duckdb {base / found['duckdb']['seconds']:.2f} (target 3)", end="")
        if "great_expectations" in found:
            theirs, alone = found["great_expectations"]["seconds"], found["rules"]["seconds"]
            print(f", great_expectations / ours {theirs / base:.1f} (target 5)", end="")
            print(f", great_expectations / rules {theirs / alone:.1f}", end="")
        print()


if __name__ == "__main__":
    main()
