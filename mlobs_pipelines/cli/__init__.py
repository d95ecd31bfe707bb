"""The `mlobs` command: each subcommand reads its options, calls a step or a job, and prints.

Exit codes: 0 done, 1 something failed, 2 wrong usage, wrong settings or a declaration with problems.
Heavy imports stay inside the commands that need them, so that reading commands start fast.
"""

import warnings
from contextlib import suppress

from pydantic import ValidationError
from pydantic_settings import SettingsError

from mlobs_pipelines.cli import (
    alerts,
    awaited,
    declare,
    deliveries,
    explain,
    export,
    health,
    incidents,
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
from mlobs_pipelines.contracts.problems import ContractError
from mlobs_pipelines.settings import Settings
from mlobs_pipelines.store.lake import LakeError
from mlobs_pipelines.telemetry.logs import tell

__all__ = [
    "alerts",
    "app",
    "awaited",
    "declare",
    "deliveries",
    "explain",
    "export",
    "health",
    "incidents",
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
    with suppress(ValidationError, SettingsError):  # commands that need settings tell what is wrong with them
        form = Settings().log_format
        tell(form)
        err.as_lines = form == "json"
    try:
        app()
    except ValidationError as error:
        told = (f"MLOBS_{'_'.join(map(str, item['loc'])).upper()}: {item['msg']}" for item in error.errors())
        fail("; ".join(told), 2)
    except (ContractError, SettingsError) as error:
        fail(str(error), 2)
    except (LakeError, ValueError, OSError, RuntimeError) as error:
        fail(str(error), 1)
