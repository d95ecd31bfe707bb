"""A small table, a lake of it under a path with a space, and rows for it."""

import pyarrow as pa
import pytest

from mlobs_pipelines.store.lake import Lake, TableLayout

LAYOUT = TableLayout(
    name="scores",
    schema=pa.schema(
        [
            pa.field("day", pa.string(), nullable=False),
            pa.field("id", pa.string(), nullable=False),
            pa.field("count", pa.int64()),
            pa.field("score", pa.float64()),
            pa.field("at", pa.timestamp("us", tz="UTC")),
            pa.field("tags", pa.list_(pa.string())),
            pa.field("run_id", pa.string()),
        ],
    ),
    keys=("day",),
    sort_by=("id",),
    volatile=("run_id",),
)


def rows_of(*days: str, count: int = 5, score: float = 0.5, run_id: str = "r1") -> pa.Table:
    """Rows of `LAYOUT`: `count` for each day."""
    made = [
        {"day": day, "id": f"p{index}", "count": index, "score": score, "tags": ["a", None], "run_id": run_id}
        for day in days
        for index in range(count)
    ]
    return pa.Table.from_pylist(made, schema=LAYOUT.schema)


@pytest.fixture
def layout():
    """A layout with every kind of column that matters."""
    return LAYOUT


@pytest.fixture
def make_rows():
    """The function that makes rows of the layout."""
    return rows_of


@pytest.fixture
def lake(tmp_path):
    """An empty lake in a folder with a space."""
    return Lake(str(tmp_path / "my lake"))
