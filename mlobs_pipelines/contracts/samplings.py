"""What of a model's predictions is kept: `sampling` of a monitor, and `multivariate`'s sample of whole rows.

How rows are drawn is the business of the steps.
"""

from typing import Annotated

from pydantic import AfterValidator, Field, StrictInt

from mlobs_pipelines.contracts.sections import Category, ColumnName, Columns, Rate, Section, Text, distinct


class Kept(Section):
    """Predictions that sampling never leaves out.

    Attributes
    ----------
    status
        Values of `status`, such as those of errors.
    labelled
        Whether those whose label is there when they are ingested are kept.
    segments
        By column, the values that are too rare to be sampled.
    """

    status: Annotated[tuple[Text, ...], AfterValidator(distinct)] = ()
    labelled: bool = False
    segments: dict[ColumnName, Annotated[tuple[Category, ...], Field(min_length=1)]] = Field(
        default_factory=dict
    )


class Sampling(Section):
    """Which share of the predictions is ingested, chosen by a hash of the correlation id.

    Attributes
    ----------
    rate
        Probability with which a prediction is kept.
    keep
        What is kept whatever the rate.
    rates
        By column and value, another rate; where several hold for a row, the highest.
    seed
        Part of the hash: another seed is another sample.
    """

    rate: Rate
    keep: Kept = Kept()
    rates: dict[ColumnName, Annotated[dict[Category, Rate], Field(min_length=1)]] = Field(
        default_factory=dict
    )
    seed: str = ""

    @property
    def columns(self) -> tuple[str, ...]:
        """Columns whose values decide on the rate of a row."""
        return tuple(dict.fromkeys([*self.keep.segments, *self.rates]))


class Multivariate(Section):
    """Drift of all features together, on a sample of whole rows that is kept with the statistics.

    Attributes
    ----------
    sample
        How many rows are kept of each day, version and role.
    without
        Features that are left out, such as those that only tell the time.
    """

    sample: Annotated[StrictInt, Field(ge=32, le=10_000)] = 256
    without: Columns = ()
