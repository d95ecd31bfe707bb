"""A PostgreSQL for tests: the one that the environment names, or a server of their own on loopback."""

import os
import shutil
import socket
import subprocess
from contextlib import contextmanager
from pathlib import Path

import pytest


def _binaries():
    places = [Path(found).parent for found in [shutil.which("pg_ctl")] if found]
    places += sorted(Path("/usr/lib/postgresql").glob("*/bin"), reverse=True)
    return next((p for p in places if (p / "initdb").exists() and (p / "pg_ctl").exists()), None)


def _as_server(*command):
    if os.geteuid() == 0:  # PostgreSQL refuses to be run by root
        command = ("setpriv", "--reuid=postgres", "--regid=postgres", "--clear-groups", *command)
    subprocess.run([str(part) for part in command], check=True, capture_output=True, cwd="/")


@contextmanager
def database(name):
    """Give the URL of an empty database; `name` tells the folders of servers that run at once apart."""
    named = os.environ.get("MLOBS_TEST_POSTGRES_URL")  # noqa: TID251 - where CI names its server
    if named:
        yield named
        return
    binaries = _binaries()
    if binaries is None:
        pytest.skip("no PostgreSQL here: install one, or name a server in MLOBS_TEST_POSTGRES_URL")
    if os.geteuid() == 0 and not shutil.which("setpriv"):
        pytest.skip("PostgreSQL does not run as root, and there is no setpriv to become another user")
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    folder = Path("/tmp") / f"mlobs-{name}-{os.getpid()}"  # noqa: S108 - reachable for the server's user
    folder.mkdir(mode=0o700)
    if os.geteuid() == 0:
        shutil.chown(folder, "postgres", "postgres")
    data, log = folder / "data", folder / "log"
    options = f"-p {port} -h 127.0.0.1 -k {folder} -c fsync=off"
    try:
        _as_server(
            binaries / "initdb", "-D", data, "--auth=trust", "-U", "postgres", "-E", "UTF8", "--no-sync"
        )
        _as_server(binaries / "pg_ctl", "-D", data, "-l", log, "-w", "-o", options, "start")
        try:
            yield f"postgresql://postgres@127.0.0.1:{port}/postgres"
        finally:
            _as_server(binaries / "pg_ctl", "-D", data, "-m", "immediate", "stop")
    finally:
        shutil.rmtree(folder, ignore_errors=True)
