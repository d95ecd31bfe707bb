"""The `mlobs` command: each subcommand reads its options, calls a step or a job, and prints.

Exit codes: 0 done, 1 something failed, 2 wrong usage, wrong settings or a declaration with problems.
`mlobs guard` has one more, 3: undecided.
Heavy imports stay inside the commands that need them, so that reading commands start fast.
"""

import warnings
from contextlib import suppress

from mlobs_pipelines.cli import (
    alerts,
    awaited,
    backfill,
    declare,
    deliveries,
    explain,
    export,
    guard,
    health,
    incidents,
    init,
    publish,
    quarantine,
    read,
    retention,
    run,
    slo,
    trace,
    triangle,
)
from mlobs_pipelines.cli.root import app, err, fail

__all__ = [
    "alerts",
    "app",
    "awaited",
    "backfill",
    "declare",
    "deliveries",
    "explain",
    "export",
    "guard",
    "health",
    "incidents",
    "init",
    "main",
    "publish",
    "quarantine",
    "read",
    "retention",
    "run",
    "slo",
    "trace",
    "triangle",
]


def main() -> None:
    """Run the command; expected errors become one message on stderr."""
    warnings.simplefilter("ignore")
    with suppress(ValueError):  # commands that need settings tell what is wrong with them
        _tell_as_set()
    try:
        app()
    except (ValueError, OSError, RuntimeError) as error:
        fail(*_told(error))


def _tell_as_set() -> None:
    """Have messages take the form that the settings name, and spans go where they say."""
    from mlobs_pipelines.settings import Settings
    from mlobs_pipelines.telemetry.logs import tell
    from mlobs_pipelines.telemetry.spans import send

    settings = Settings()
    tell(settings.log_format)
    send(settings.telemetry_endpoint)
    err.as_lines = settings.log_format == "json"


def _told(error: Exception) -> tuple[str, int]:
    """What an expected error says, and the exit code it ends with."""
    from pydantic import ValidationError
    from pydantic_settings import SettingsError

    from mlobs_pipelines.contracts.problems import ContractError

    if isinstance(error, ValidationError):
        told = (f"MLOBS_{'_'.join(map(str, item['loc'])).upper()}: {item['msg']}" for item in error.errors())
        return "; ".join(told), 2
    return str(error), 2 if isinstance(error, ContractError | SettingsError) else 1
