"""What an Open Data Contract Standard document means here: contracts, tables, columns, expectations.

Values only. Reading a document into them is `odcs_reader`; enforcing them is `rows` and `expectations`.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import date, datetime
from enum import StrEnum
from typing import Any, Literal

Dataset = Literal["predictions", "features", "labels"]
DATASETS: tuple[Dataset, ...] = ("predictions", "features", "labels")
RESTRICTED = frozenset({"restricted", "confidential", "pii"})

Severity = Literal["error", "warn"]
Limit = float | int | datetime | date


class Kind(StrEnum):
    """The types a column of a contract can have."""

    STRING = "string"
    INTEGER = "integer"
    NUMBER = "number"
    BOOLEAN = "boolean"
    TIMESTAMP = "timestamp"
    DATE = "date"


class Privacy(StrEnum):
    """What is kept of a column whose values identify somebody."""

    HASH = "hash"
    DROP = "drop"
    BUCKET = "bucket"
    KEEP = "keep"


@dataclass(frozen=True, slots=True)
class Spelling:
    """How a producer writes the values of a column that is delivered as text or as a bare number.

    Attributes
    ----------
    pattern
        Form of timestamps and dates, as of `datetime.strptime`; "" for ISO 8601.
    zone
        IANA zone of timestamps without an offset.
    epoch
        Unit of timestamps delivered as numbers since 1970: s, ms, us or ns; "" where they are refused.
    decimal_comma
        Whether numbers are written 1.234,5.
    percent
        Whether numbers are written in percent, with or without the sign; they are divided by 100.
    trim
        Whether white space around texts is taken off; otherwise it is a failure of key columns.
    nulls
        Texts that mean null.
    """

    pattern: str = ""
    zone: str = "UTC"
    epoch: Literal["", "s", "ms", "us", "ns"] = ""
    decimal_comma: bool = False
    percent: bool = False
    trim: bool = False
    nulls: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Column:
    """One column and the rules its values must keep.

    Attributes
    ----------
    name
        Its name at the source and in the lake.
    kind
        Its logical type.
    physical
        Its declared physical type in lower case, held against typed deliveries; "" where not declared.
    required
        Whether null is a failure.
    unique
        Whether a value may occur once only in a delivery.
    primary_key
        Whether it is part of the table's primary key.
    classification
        As declared: "" or a word such as public, internal, restricted.
    privacy
        What is kept of its values; `Privacy.KEEP` for a column that is not classified as identifying.
    bucket
        Width of the buckets of `Privacy.BUCKET`: a number for numbers, day, month or year for times, a
        length for texts, which keep their beginning.
    privacy_reason
        Why values that identify somebody are kept as they are; "" otherwise.
    spelling
        How its values are written.
    minimum, maximum
        Inclusive limits: numbers, or UTC instants and days for timestamps and dates.
    multiple_of
        Number that every value is a whole multiple of.
    single
        Whether a number must be exact in 32 bits (format f32).
    min_length, max_length
        Inclusive limits of a text's length in characters.
    pattern
        Regular expression that the whole text must match.
    form
        Named format of a text: email, uuid, uri, ipv4, ipv6, hostname, date, time, date-time; "" for any.
    allowed
        The only values that are valid; empty where any is.
    description
        What a reader is told.
    """

    name: str
    kind: Kind
    physical: str = ""
    required: bool = False
    unique: bool = False
    primary_key: bool = False
    classification: str = ""
    privacy: Privacy = Privacy.KEEP
    bucket: float | str = ""
    spelling: Spelling = Spelling()
    minimum: Limit | None = None
    maximum: Limit | None = None
    multiple_of: float | int | None = None
    single: bool = False
    min_length: int | None = None
    max_length: int | None = None
    pattern: str | None = None
    form: str = ""
    allowed: tuple[str | int | float | bool, ...] = ()
    description: str = ""
    privacy_reason: str = ""

    @property
    def restricted(self) -> bool:
        """Whether values must be replaced by a keyed hash before they are stored."""
        return self.classification.lower() in RESTRICTED


@dataclass(frozen=True, slots=True)
class Expectation:
    """One Great Expectations expectation on the accepted rows of a day."""

    type: str
    kwargs: dict[str, Any]
    severity: Severity = "error"
    description: str = ""
    name: str = ""
    runbook: str = ""


@dataclass(frozen=True, slots=True)
class DayRule:
    """One `library` or `sql` rule on the accepted rows of a day.

    Attributes
    ----------
    name
        The rule's id or name; unique within its table.
    metric
        nullValues, missingValues, invalidValues, duplicateValues or rowCount; "sql" for a query.
    columns
        The columns it looks at; empty for the whole table.
    arguments
        Of the metric: validValues, pattern, missingValues, properties.
    query
        Of an `sql` rule, with `${table}` and `${column}` still in it.
    operator
        mustBe, mustNotBe, mustBeGreaterThan and so on.
    value
        What the result is compared with: one number, or two for mustBeBetween and mustNotBeBetween.
    percent
        Whether the metric is a percentage of the rows instead of a count.
    severity, description, runbook
        As declared.
    """

    name: str
    metric: str
    columns: tuple[str, ...]
    arguments: Mapping[str, Any]
    query: str
    operator: str
    value: tuple[float, ...]
    percent: bool = False
    severity: Severity = "error"
    description: str = ""
    runbook: str = ""


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
    expectations, day_rules
        Rules about the accepted rows of a day as a whole.
    correction
        Column whose highest value wins where a key comes twice with different rows; "" where the first does.
    """

    name: str
    description: str
    columns: tuple[Column, ...]
    expectations: tuple[Expectation, ...] = ()
    day_rules: tuple[DayRule, ...] = ()
    correction: str = ""

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
    """Where deliveries lie.

    Attributes
    ----------
    name
        The document's name for it; credentials are set under this name.
    type
        The standard's server type: local, s3, azure, gcs, postgresql and so on.
    format
        How records are written; "" where the type implies it.
    location
        Template of a path, URL or table with `{landing}`, `{table}`, `{date}`, `{year}`, `{month}`, `{day}`
        and `*`; `{landing}` is the only one that is filled in before a source sees it.
    options
        What else is said about reading: encoding, delimiter, endpoint, watermark column and so on.
    """

    name: str
    type: str
    format: str
    location: str
    options: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Older:
    """A schema version that producers may still deliver, and how its rows become rows of the present one.

    Attributes
    ----------
    version
        Of the older document.
    accepted_until
        Last day of a delivery under it.
    tables
        As the older document has them.
    upcasts
        By table, the present column and what fills it: ("from", older column), ("factor", older column,
        number) or ("value", constant).
    """

    version: str
    accepted_until: date
    tables: tuple[Table, ...]
    upcasts: Mapping[str, Mapping[str, tuple[str | float | int | bool | None, ...]]]


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
    older
        Schema versions that are still accepted, newest first.
    latency_h
        Hours after the end of a day by which its delivery must be there; None where not promised.
    frequency_days
        Every how many days something is delivered; None where not promised.
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
    frequency_days: int | None = None
    older: tuple[Older, ...] = ()

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
