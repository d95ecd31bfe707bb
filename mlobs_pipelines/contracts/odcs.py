"""What an Open Data Contract Standard document means here: contracts, tables, columns, expectations.

Values only. Reading a document into them is `odcs_reader`; enforcing them is `rows` and `expectations`.
"""

from dataclasses import dataclass
from datetime import date, datetime
from enum import StrEnum
from typing import Any, Literal

Dataset = Literal["predictions", "features", "labels"]
DATASETS: tuple[Dataset, ...] = ("predictions", "features", "labels")
RESTRICTED = frozenset({"restricted", "confidential", "pii"})

Limit = float | int | datetime | date


class Kind(StrEnum):
    """The types a column of a contract can have."""

    STRING = "string"
    INTEGER = "integer"
    NUMBER = "number"
    BOOLEAN = "boolean"
    TIMESTAMP = "timestamp"
    DATE = "date"


@dataclass(frozen=True, slots=True)
class Column:
    """One column and the rules its values must keep.

    Attributes
    ----------
    name
        Its name at the source and in the lake.
    kind
        Its logical type.
    required
        Whether null is a failure.
    unique
        Whether a value may occur once only.
    primary_key
        Whether it is part of the table's primary key.
    classification
        As declared: "" or a word such as public, internal, restricted.
    minimum, maximum
        Inclusive limits: numbers, or UTC instants and days for timestamps and dates.
    min_length, max_length
        Inclusive limits of a text's length in characters.
    pattern
        Regular expression that the whole text must match.
    allowed
        The only texts that are valid; empty where any is.
    description
        What a reader is told.
    """

    name: str
    kind: Kind
    required: bool = False
    unique: bool = False
    primary_key: bool = False
    classification: str = ""
    minimum: Limit | None = None
    maximum: Limit | None = None
    min_length: int | None = None
    max_length: int | None = None
    pattern: str | None = None
    allowed: tuple[str, ...] = ()
    description: str = ""

    @property
    def restricted(self) -> bool:
        """Whether values must be replaced by a keyed hash before they are stored."""
        return self.classification.lower() in RESTRICTED


@dataclass(frozen=True, slots=True)
class Expectation:
    """One Great Expectations expectation on the rows of a delivery."""

    type: str
    kwargs: dict[str, Any]
    severity: Literal["error", "warn"] = "error"
    description: str = ""


@dataclass(frozen=True, slots=True)
class Table:
    """One table of a contract: a schema object of the document.

    Attributes
    ----------
    name
        The dataset's name, or the name of the feature view.
    description
        What one row is.
    columns
        In the order of the document.
    expectations
        Rules about a delivery as a whole.
    min_rows_per_day
        Fewest rows a day may have, None where the contract does not say.
    """

    name: str
    description: str
    columns: tuple[Column, ...]
    expectations: tuple[Expectation, ...] = ()
    min_rows_per_day: int | None = None

    @property
    def names(self) -> tuple[str, ...]:
        """Names of the columns, in the order of the document."""
        return tuple(column.name for column in self.columns)

    @property
    def primary_key(self) -> tuple[str, ...]:
        """Names of the columns that identify a row together; empty where none are declared."""
        return tuple(column.name for column in self.columns if column.primary_key)

    @property
    def restricted(self) -> tuple[str, ...]:
        """Names of the columns whose values must be hashed before they are stored."""
        return tuple(column.name for column in self.columns if column.restricted)

    def column(self, name: str) -> Column:
        """Return the column called `name`.

        Raises
        ------
        KeyError
            If the table has none of that name.
        """
        for column in self.columns:
            if column.name == name:
                return column
        raise KeyError(f"table {self.name!r} has no column {name!r}; it has {', '.join(self.names)}")


@dataclass(frozen=True, slots=True)
class Server:
    """Where deliveries lie, as a path template.

    Attributes
    ----------
    format
        File format of a delivery.
    path
        Template with `{landing}`, `{table}` and `{date}`.
    """

    format: Literal["parquet", "csv", "jsonl"]
    path: str

    def location(self, landing: str, table: str, day: date) -> str:
        """Return the path of one table's delivery of one day."""
        return self.path.format(landing=landing, table=table, date=day.isoformat())


@dataclass(frozen=True, slots=True)
class Contract:
    """One document: what a producer promises about one dataset.

    Attributes
    ----------
    dataset
        Which of a model's three datasets it describes.
    id, version
        As declared by its owner.
    hash
        SHA-256 (hex) of what the document says; comments and layout do not change it.
    description
        What the dataset is for.
    owner
        Name of the team that answers for it.
    support
        Where to ask: channels or addresses.
    tables
        One for predictions and labels, one per feature view for features.
    server
        Where its deliveries lie.
    latency_h
        Hours after the end of a day by which its delivery must be there; None where not promised.
    retention_days
        Days that rows are kept; None where not promised.
    file
        The document it was read from.
    """

    dataset: Dataset
    id: str
    version: str
    hash: str
    description: str
    owner: str
    support: tuple[str, ...]
    tables: tuple[Table, ...]
    server: Server
    latency_h: float | None
    retention_days: int | None
    file: str

    @property
    def names(self) -> tuple[str, ...]:
        """Names of the tables, in the order of the document."""
        return tuple(table.name for table in self.tables)

    def table(self, name: str) -> Table:
        """Return the table called `name`.

        Raises
        ------
        KeyError
            If the contract has none of that name.
        """
        for table in self.tables:
            if table.name == name:
                return table
        raise KeyError(f"contract {self.id!r} has no table {name!r}; it has {', '.join(self.names)}")
