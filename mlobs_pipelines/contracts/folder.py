"""The way in: one folder of `data_contracts/` becomes one `ModelSpec`, or one error that names every problem.

What the documents may say is decided in `monitor`, `odcs_reader` and `crosscheck`.
"""

from dataclasses import dataclass

from mlobs_pipelines.contracts.monitor import Monitor
from mlobs_pipelines.contracts.odcs import Contract


@dataclass(frozen=True, slots=True)
class ModelSpec:
    """Everything that is declared about one model.

    Attributes
    ----------
    monitor
        What is watched.
    predictions, features, labels
        What the producers promise; `features` has one table per feature view.
    hash
        SHA-256 (hex) over all four documents; comments and layout do not change it.
    """

    monitor: Monitor
    predictions: Contract
    features: Contract
    labels: Contract
    hash: str

    @property
    def model(self) -> str:
        """Name of the model."""
        return self.monitor.model
