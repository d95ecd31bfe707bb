"""What all commands share: the application, its options, and how they name what is wrong.

The commands are in the other modules of this folder; how rows are printed is `output`.
"""

import logging
import sys
from collections.abc import Collection, Iterator, Mapping
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, NoReturn

import typer
from rich.console import Console
from rich.text import Text

if TYPE_CHECKING:
    from mlobs_pipelines.contracts.folder import ModelSpec
    from mlobs_pipelines.store.audit import Detail
    from mlobs_pipelines.store.lake import Lake

app = typer.Typer(
    help="Monitor machine-learning models with Dagster: contracts, drift, skew, calibration, late labels.",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    epilog="Exit codes: 0 done, 1 something failed, 2 wrong usage, settings or declarations.",
)


class Messages(Console):
    """Standard error: messages for people, or, where settings ask for them, log lines for a collector."""

    as_lines = False

    def print(self, *objects: Any, style: Any = None, **options: Any) -> None:  # noqa: ANN401 - rich's own signature
        """Say something; whatever has a style of its own is an error."""
        if not self.as_lines:
            super().print(*objects, style=style, **options)
            return
        parse = Text.from_markup if options.get("markup", True) else Text
        said = " ".join(parse(str(one)).plain for one in objects)
        _log.log(logging.ERROR if style else logging.INFO, "%s", said)


out, err = Console(), Messages(stderr=True)
_log = logging.getLogger("mlobs.cli")

DAY = ["%Y-%m-%d"]
Model = Annotated[str, typer.Argument(help="Name of the model: a folder under data_contracts/.")]
AsOf = Annotated[
    str | None, typer.Option("--as-of", help="Knowledge time: a day or an ISO-8601 instant; default latest.")
]
From = Annotated[
    datetime | None, typer.Option("--from", formats=DAY, help="Windows that end on this day or later.")
]
To = Annotated[
    datetime | None, typer.Option("--to", formats=DAY, help="Windows that end on this day or earlier.")
]


def folders() -> list[Path]:
    """The folders of the models that are declared."""
    from mlobs_pipelines.settings import Settings

    root = Settings().contracts
    if not root.is_dir():
        stop(f"no folder {root}: work in the project's folder, or set MLOBS_CONTRACTS", 2)
    return [path for path in sorted(root.iterdir()) if path.is_dir() and path.name[0] not in "._"]


def spec_of(model: str) -> "ModelSpec":
    """The declaration of a model; ends the command where there is none or it has problems."""
    from mlobs_pipelines.contracts.folder import load_models
    from mlobs_pipelines.core.metrics import METRICS
    from mlobs_pipelines.settings import Settings

    known("model", [model], [folder.name for folder in folders()])
    return load_models(Settings().contracts, METRICS)[model]


def known(what: str, asked: Collection[str] | None, valid: Collection[str]) -> None:
    """End the command as wrong usage if something was asked for that there is not, saying what there is."""
    unknown = sorted(set(asked or ()) - set(valid))
    if unknown:
        from mlobs_pipelines.contracts.problems import suggestion

        near = suggestion(unknown[0], valid)
        guess = f" {near}" if near.startswith("did") else ""
        stop(
            f"unknown {what} {', '.join(unknown)};{guess} there are: {', '.join(sorted(valid)) or 'none'}", 2
        )


def moment_of(text: str | None) -> datetime | None:
    """The knowledge time that an option names."""
    from mlobs_pipelines.steps.walk import parse_as_of

    with usage():
        return parse_as_of(text)


@contextmanager
def usage() -> Iterator[None]:
    """Let what is wrong with the options end the command as wrong usage."""
    try:
        yield
    except ValueError as error:
        stop(str(error), 2)


def lake() -> "Lake":
    """The tables of this installation."""
    from mlobs_pipelines.settings import Settings
    from mlobs_pipelines.store.lake import Lake

    settings = Settings()
    return Lake(settings.lake_root, settings.lake_options or None)


def acted(model: str, action: str, what: str, details: "Mapping[str, Detail]") -> None:
    """Keep in the model's audit that this user did something to it just now."""
    from mlobs_pipelines.settings import operating_user
    from mlobs_pipelines.store.audit import Entry, append

    entry = Entry(datetime.now(UTC), operating_user(), action, what, details)
    append(lake(), model, entry, {})


def stop(message: str, code: int) -> NoReturn:
    """End a command with a message on stderr."""
    err.print(f"mlobs: {message}", style="bold red", markup=False, highlight=False, soft_wrap=True)
    raise typer.Exit(code)


def fail(message: str, code: int) -> None:
    """End the process with a message on stderr."""
    err.print(f"mlobs: {message}", style="bold red", markup=False, highlight=False, soft_wrap=True)
    sys.exit(code)
