"""The command about what was delivered: `deliveries`.

The records are written by the ingest step; what they mean for a day is a check in `defs`.
"""

from collections.abc import Sequence
from datetime import datetime
from enum import StrEnum
from typing import TYPE_CHECKING, Annotated, Any

import typer

from mlobs_pipelines.cli.output import Format, Output, count, print_rows, sheet_of
from mlobs_pipelines.cli.root import DAY, Model, app, known, lake, spec_of
from mlobs_pipelines.contracts.odcs import DATASETS
from mlobs_pipelines.destinations.terminal import Sheet

if TYPE_CHECKING:
    from mlobs_pipelines.store.lake import Between, Lake, Where

COUNTS = ("rows_in", "accepted", "repeated", "quarantined", "refused", "sampled_out")
NAMES = ["day", "dataset", "delivery", "state", *COUNTS, "contract_version", "at_source", "reason"]
SHOWN = [
    ("day", "day", 0),
    ("dataset", "dataset", 0),
    ("delivery", "delivery", 0),
    ("state", "state", 0),
    *((name, name, 0) for name in COUNTS),
    ("version", "contract_version", 2),
    ("reason", "reason", 1),
]
First = Annotated[
    datetime | None, typer.Option("--from", formats=DAY, help="Delivered on this day or later.")
]
Last = Annotated[datetime | None, typer.Option("--to", formats=DAY, help="Delivered on this day or earlier.")]
Datasets = Annotated[
    list[str] | None, typer.Option("--dataset", help="predictions, features or labels; may be repeated.")
]


class State(StrEnum):
    """What can become of a delivery."""

    ACCEPTED = "accepted"
    PARTIAL = "partial"
    REFUSED = "refused"


@app.command()
def deliveries(
    model: Model,
    dataset: Datasets = None,
    first: First = None,
    last: Last = None,
    state: Annotated[list[State] | None, typer.Option(help="State; may be repeated.")] = None,
    form: Output = Format.TABLE,
) -> None:
    """List what was delivered, what became of its rows, and why; the sums of the last line add up.

    rows_in = accepted + repeated + quarantined + refused + sampled_out.
    """
    spec_of(model)
    known("dataset", dataset, DATASETS)
    rows = _records(lake(), model, dataset or DATASETS, span(first, last))
    print_rows([row for row in rows if not state or row["state"] in state], form, NAMES, _with_sums)


def span(first: datetime | None, last: datetime | None) -> "Between":
    """Days of delivery as a filter of partitions."""
    from mlobs_pipelines.store.lake import Between

    ends = [end.date().isoformat() if end else None for end in (first, last)]
    return Between(*ends)


def _records(stored: "Lake", model: str, datasets: Sequence[str], days: "Between") -> list[dict[str, Any]]:
    from mlobs_pipelines.store.tables import DELIVERIES

    where: Where = {"dataset": list(datasets), "day": days}
    rows: list[dict[str, Any]] = stored.read(model, DELIVERIES, where=where, columns=NAMES).to_pylist()
    return sorted(rows, key=lambda row: (row["day"], row["dataset"], row["delivery"]))


def _with_sums(rows: Sequence[dict[str, Any]]) -> Sheet:
    sums = {name: sum(row[name] for row in rows) for name in COUNTS}
    texts = {
        "day": "total",
        "dataset": "",
        "delivery": count(len(rows), "delivery", "deliveries"),
        "state": "",
    }
    return sheet_of([*rows, texts | sums | {"contract_version": "", "reason": ""}], SHOWN)
