"""What Dagster says of runs as JSON lines: the handler that an instance's `python_logs` names.

Not in the checkout's `dagster.yaml`: people read the console's lines.
"""

import logging

from mlobs_pipelines.settings import Settings
from mlobs_pipelines.telemetry import logs


def handler() -> logging.Handler:
    """The handler for the events of runs: JSON lines where settings ask for them, nothing otherwise."""
    return logs.handler() if Settings().log_format == "json" else logging.NullHandler()
