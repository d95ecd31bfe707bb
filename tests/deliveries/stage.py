"""Where a case happens: a landing zone to write deliveries to, a fresh lake, and ingestion over both."""

import csv
import io
import json
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, date, datetime
from functools import cached_property
from pathlib import Path
from typing import Any

import polars as pl
import pyarrow as pa
import pyarrow.parquet as pq

from mlobs_pipelines.contracts.odcs import Dataset
from mlobs_pipelines.engine.duck import Duck
from mlobs_pipelines.steps.ingest import ingest
from mlobs_pipelines.steps.walk import Outcomes, Walk
from mlobs_pipelines.store.lake import Lake
from tests.deliveries.toy import DAY, KEYS, Row, Toy, rows


@dataclass
class Stage:
    """One case's landing zone and lake.

    Attributes
    ----------
    toy
        The declaration.
    home
        Folder of everything.
    ran
        Dataset and days of every run so far.
    done
        Whether nothing is to be run any more.
    outcomes
        What the runs have returned.
    """

    toy: Toy
    home: Path
    ran: list[tuple[Dataset, tuple[date, ...]]] = field(default_factory=list)
    outcomes: list[Outcomes] = field(default_factory=list)
    done: bool = False

    @cached_property
    def walk(self) -> Walk:
        """The walk of the model."""
        return Walk(
            spec=self.toy.spec(),
            lake=Lake(str(self.home / "lake")),
            duck=Duck("500MB", 2, self.home / "spill"),
            landing=self.home / "landing",
            keys=KEYS,
            access={},
            commit={"run_id": "run", "batch_id": "batch", "code_version": "0"},
            as_of=datetime(2024, 12, 1, tzinfo=UTC),
        )

    def ingest(self, *days: date, dataset: Dataset = "predictions") -> None:
        """Run the ingest step."""
        wanted = days or (DAY,)
        (self.home / "landing" / dataset).mkdir(parents=True, exist_ok=True)
        self.ran.append((dataset, wanted))
        self.outcomes.append(ingest(self.walk, dataset, wanted))

    def path(self, name: str, day: date = DAY, dataset: str = "predictions") -> Path:
        """Where a file of a day lies; a name begins behind the day."""
        path = self.home / "landing" / dataset / f"{day.isoformat()}{name}"
        path.parent.mkdir(parents=True, exist_ok=True)
        return path

    def raw(self, data: bytes, name: str = "", day: date = DAY) -> None:
        """Deliver bytes."""
        self.path(name or f".{self.toy.form}", day).write_bytes(data)

    def csv(self, made: Iterable[Row], name: str = ".csv", day: date = DAY, **how: str) -> None:
        """Deliver rows as CSV."""
        self.raw(csv_of(made, **how), name, day)

    def jsonl(
        self, made: Iterable[Row], name: str = ".jsonl", day: date = DAY, dataset: str = "predictions"
    ) -> None:
        """Deliver rows as JSON lines."""
        text = "".join(json.dumps(row, ensure_ascii=False) + "\n" for row in made)
        self.path(name, day, dataset).write_text(text, encoding="utf-8")

    def parquet(
        self,
        made: Sequence[Row],
        name: str = ".parquet",
        day: date = DAY,
        size: int | None = None,
        stamps: str = "us",
        **arrays: object,
    ) -> None:
        """Deliver rows as Parquet, some columns as Arrow arrays of other types; of `size` rows."""
        table = arrow(made, arrays).slice(0, size)
        pq.write_table(table, self.path(name, day), use_deprecated_int96_timestamps=stamps == "int96")

    def frame(self, frame: pl.DataFrame, name: str = ".parquet") -> None:
        """Deliver a frame as Parquet."""
        frame.write_parquet(self.path(name))


def csv_of(made: Iterable[Row], *, delimiter: str = ",", end: str = "\n", encoding: str = "utf-8") -> bytes:
    """Write rows as CSV."""
    whole = list(made)
    text = io.StringIO(newline="")
    writer = csv.DictWriter(text, list(whole[0]), delimiter=delimiter, lineterminator=end)
    writer.writeheader()
    for row in whole:
        writer.writerow({name: _spelled(value) for name, value in row.items()})
    return text.getvalue().encode(encoding)


def _spelled(value: object) -> object:
    return str(value).lower() if isinstance(value, bool) else value


def arrow(made: Sequence[Row], arrays: Mapping[str, Any]) -> pa.Table:
    """Make rows a table: times as instants and days as dates, as a producer would type them."""
    table = pa.Table.from_pylist(list(made))
    for name, kind in (("predicted_at", pa.timestamp("us", "UTC")), ("since", pa.date32())):
        if name in table.column_names and pa.types.is_string(table.schema.field(name).type):
            place = table.column_names.index(name)
            table = table.set_column(place, name, table.column(name).cast(kind))
    for name, values in arrays.items():
        table = table.set_column(table.column_names.index(name), name, values)
    return table


Write = Callable[[Stage], None]


def csv_with(**columns: object) -> Write:
    """Deliver good rows as CSV, but for some columns."""
    return lambda stage: stage.csv(rows(**columns))


def jsonl_with(**columns: object) -> Write:
    """Deliver good rows as JSON lines, but for some columns."""
    return lambda stage: stage.jsonl(rows(**columns))


def parquet_with(**columns: object) -> Write:
    """Deliver good rows as Parquet, but for some columns."""
    return lambda stage: stage.parquet(rows(**columns))


def arrow_with(**arrays: object) -> Write:
    """Deliver good rows as Parquet, some columns as Arrow arrays of other types."""
    return lambda stage: stage.parquet(rows(), **arrays)


def raw(data: bytes, name: str = "") -> Write:
    """Deliver bytes."""
    return lambda stage: stage.raw(data, name)
