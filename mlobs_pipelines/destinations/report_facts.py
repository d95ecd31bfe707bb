"""What the report is told about a model besides its metric rows, and what its page is built of.

Nothing is computed, chosen or drawn here.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date, datetime
from typing import Any

from mlobs_pipelines.destinations.charts import Spec


@dataclass(frozen=True, slots=True)
class VersionFacts:
    """What a model version was trained on and decides by; None where no threshold decides."""

    baseline_id: str
    threshold: float | None


@dataclass(frozen=True, slots=True)
class ReportFacts:
    """What the report says about the model besides its metrics.

    Attributes
    ----------
    as_of
        The clock of the report: labels known by then count.
    first_day, last_day
        Days of predictions that the report covers, both included.
    importance
        Per version, the importance of every feature to the model, as its training facts give it.
    """

    model: str
    description: str
    owners: tuple[str, ...]
    runbook: str
    as_of: datetime
    first_day: date
    last_day: date
    code_version: str
    contract_hash: str
    versions: Mapping[str, VersionFacts]
    importance: Mapping[str, Mapping[str, float]]


@dataclass(frozen=True, slots=True)
class Operations:
    """How the model is kept running.

    Attributes
    ----------
    budgets
        Rows of the table ``slo_status``, of every day.
    incidents
        Rows of the table ``incidents``, each as it stood last, the one opened last first.
    """

    budgets: Sequence[Mapping[str, Any]] = ()
    incidents: Sequence[Mapping[str, Any]] = ()


@dataclass(frozen=True, slots=True)
class Figure:
    """A chart in the page.

    Attributes
    ----------
    title, alt
        Its title, and a description for who cannot see it.
    version, segment
        What the whole chart is about; "" where it shows several, which its data tell apart.
    """

    title: str
    alt: str
    spec: Spec = field(repr=False)
    version: str = ""
    segment: str = ""
