"""Rows of some partitions of a table as files that are not read yet, for whichever engine reads them.

Which partitions and which version of the table is the caller's choice; how files are decoded is `reading`.
"""

from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass, field
from functools import reduce
from operator import and_
from typing import TYPE_CHECKING, Any

import pyarrow as pa
import pyarrow.compute as pc

from mlobs_pipelines.engine.reading import partition_batches

if TYPE_CHECKING:  # importing it takes longer than reading a file
    import pyarrow.dataset as ds


@dataclass(frozen=True, slots=True)
class Stored:
    """Live files of some partitions at one version of a table.

    Attributes
    ----------
    dataset
        The files, each with the values of its partition.
    schema
        Columns to read, those of the partition among them; what a file does not have reads as nulls.
    only
        Values of columns of texts that the rows must have.
    names
        New names of columns.
    """

    dataset: "ds.Dataset"
    schema: pa.Schema
    only: Mapping[str, str] = field(default_factory=dict)
    names: Mapping[str, str] = field(default_factory=dict)

    def table(self, columns: Collection[str] | None = None) -> pa.Table:
        """All rows, of some columns or all."""
        wanted = self.schema.names if columns is None else list(columns)
        rows = self.dataset.to_table(columns=wanted, filter=self._filter())
        return rows.rename_columns([self.names.get(name, name) for name in wanted])

    def batches(self, ordered_by: str) -> Iterator[pa.RecordBatch]:
        """All rows of files of one partition, ascending by a column of texts, under the names they have."""
        files = self.files()
        if files:
            yield from partition_batches(self.dataset, self.schema, next(iter(files.values())), ordered_by)

    def _filter(self) -> pc.Expression | None:
        wanted = [pc.field(name) == value for name, value in self.only.items()]
        return reduce(and_, wanted) if wanted else None

    def files(self) -> dict[str, Mapping[str, str]]:
        """Address of each file, and the values of its partition."""
        return {_address(file): _keys(file) for file in self.dataset.get_fragments()}


def _keys(file: Any) -> Mapping[str, str]:  # noqa: ANN401 - pyarrow is untyped here
    import pyarrow.dataset as ds  # noqa: PLC0415 - as above

    found: Mapping[str, str] = ds.get_partition_keys(file.partition_expression)
    return found


def _address(file: Any) -> str:  # noqa: ANN401 - pyarrow is untyped here
    kind = str(file.filesystem.type_name)
    return str(file.path) if kind == "local" else f"{kind}://{file.path}"
