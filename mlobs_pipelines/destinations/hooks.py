"""Runs a command that the user declared, with JSON on its standard input and an end to its time.

What it prints is thrown away: it may hold secrets of the user's. When it is run is known by the callers.
"""

import json
import subprocess
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from time import monotonic
from typing import Any


@dataclass(frozen=True, slots=True)
class Ran:
    """How a command ended.

    Attributes
    ----------
    code
        Its exit code; None where it was ended for taking too long, or could not be started.
    seconds
        How long it took.
    said
        How it ended, in words.
    """

    code: int | None
    seconds: float
    said: str


def run(
    command: Sequence[str],
    told: Mapping[str, Any],
    folder: Path,
    timeout_s: float,
    environment: Mapping[str, str],
) -> Ran:
    """Run a command in a folder.

    Parameters
    ----------
    command
        Its words; a first word ``python`` is the interpreter in use.
    told
        What it is given as JSON on its standard input.
    timeout_s
        After which it is ended.
    environment
        All variables that it sees.
    """
    words = [sys.executable if command[0] == "python" else command[0], *command[1:]]
    started = monotonic()
    try:
        done = subprocess.run(  # noqa: S603 - what the user declared, without a shell
            words,
            input=json.dumps(told, default=str).encode(),
            cwd=folder,
            env=dict(environment),
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            timeout=timeout_s,
            check=False,
        )
    except subprocess.TimeoutExpired:
        return Ran(None, monotonic() - started, f"ended after {timeout_s:g} s, its timeout")
    except OSError as error:
        return Ran(None, monotonic() - started, f"could not be started: {type(error).__name__}")
    return Ran(done.returncode, monotonic() - started, f"exit code {done.returncode}")
