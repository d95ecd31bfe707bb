"""ML observability as a Dagster project: from prediction logs, features and late labels to verdicts.

Importing this package loads nothing; `MonitoredModel` is Dagster's way in from another project.
"""

import warnings
from typing import Any

# Pandera imports PySpark wherever that is installed; rows go to Spark as Arrow tables, whatever the pandas.
warnings.filterwarnings("ignore", "PySpark does not yet fully support pandas", FutureWarning)


def __getattr__(name: str) -> Any:  # noqa: ANN401 - the component is loaded only when it is asked for
    """Load the Dagster component at its first use, so that the rest stays light."""
    if name == "MonitoredModel":
        from mlobs_pipelines.defs.model import MonitoredModel  # noqa: PLC0415 - as above

        return MonitoredModel
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
