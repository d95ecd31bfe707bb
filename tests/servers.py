"""Servers as processes, for tests that need the real ones: a free port, patience, a process that is ended."""

import json
import os
import signal
import socket
import subprocess
import sys
import time
import urllib.request
from contextlib import contextmanager
from pathlib import Path

PATIENCE_S = 240


def port():
    """Give a port that nothing listens on."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


def listens(number):
    """Whether something listens on a port."""
    with socket.socket() as probe:
        return probe.connect_ex(("127.0.0.1", number)) == 0


def until(found, what):
    """Wait until something is found."""
    ends = time.monotonic() + PATIENCE_S
    while time.monotonic() < ends:
        answer = found()
        if answer:
            return answer
        time.sleep(0.5)
    raise AssertionError(f"no {what} within {PATIENCE_S} s")


@contextmanager
def running(command, variables, folder):
    """Run a server until the test is done; give it time to end by itself."""
    (name, *arguments), out = command, (folder / f"{command[0]}.log").open("wb")
    executable = Path(sys.executable).parent / name
    process = subprocess.Popen(
        [executable, *arguments],
        env=variables,
        cwd=folder,
        stdout=out,
        stderr=out,
        start_new_session=True,
    )
    try:
        yield process
    finally:
        process.send_signal(signal.SIGINT)
        try:
            process.wait(30)
        except subprocess.TimeoutExpired:
            os.killpg(process.pid, signal.SIGKILL)
            process.wait(10)
        out.close()


def get(address, query=None):
    """Ask an address, or its GraphQL, and give the answer; None while there is none."""
    body = None if query is None else json.dumps({"query": query}).encode()
    asked = urllib.request.Request(address, body, {"Content-Type": "application/json"})  # noqa: S310 - loopback
    try:
        with urllib.request.urlopen(asked, timeout=60) as answer:  # noqa: S310 - as above
            return json.loads(answer.read())
    except OSError:
        return None
