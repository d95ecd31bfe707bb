"""A PostgreSQL for tests: the one that the environment names, or a server of their own on loopback."""

import os
import shutil
import socket
import subprocess
from contextlib import contextmanager, suppress
from pathlib import Path

import psutil
import pytest


def _binaries():
    places = [Path(found).parent for found in [shutil.which("pg_ctl")] if found]
    places += sorted(Path("/usr/lib/postgresql").glob("*/bin"), reverse=True)
    return next((p for p in places if (p / "initdb").exists() and (p / "pg_ctl").exists()), None)


def _as_server(*command):
    if os.geteuid() == 0:  # PostgreSQL refuses to be run by root
        command = ("setpriv", "--reuid=postgres", "--regid=postgres", "--clear-groups", *command)
    subprocess.run([str(part) for part in command], check=True, capture_output=True, cwd="/")


class Server:
    """A server of a test's own on loopback, which can be killed and started again.

    `name` tells the folders of servers that run at once apart. Skips the test where there is no PostgreSQL.
    """

    def __init__(self, name):
        self.binaries = _binaries()
        if self.binaries is None:
            pytest.skip("no PostgreSQL here: install one, or name a server in MLOBS_TEST_POSTGRES_URL")
        if os.geteuid() == 0 and not shutil.which("setpriv"):
            pytest.skip("PostgreSQL does not run as root, and there is no setpriv to become another user")
        with socket.socket() as probe:
            probe.bind(("127.0.0.1", 0))
            port = probe.getsockname()[1]
        self.url = f"postgresql://postgres@127.0.0.1:{port}/postgres"
        self.folder = Path("/tmp") / f"mlobs-{name}-{os.getpid()}"  # noqa: S108 - reachable for the server's user
        self.folder.mkdir(mode=0o700)
        if os.geteuid() == 0:
            shutil.chown(self.folder, "postgres", "postgres")
        self.data = self.folder / "data"
        self.options = f"-p {port} -h 127.0.0.1 -k {self.folder}"
        initdb = (self.binaries / "initdb", "-D", self.data, "--auth=trust", "-U", "postgres", "-E", "UTF8")
        _as_server(*initdb, "--no-sync")

    def start(self, options="-c fsync=off"):
        """Start the server, and wait until it answers."""
        said = f"{self.options} {options}"
        _as_server(*self._control(), "-l", self.folder / "log", "-w", "-o", said, "start")

    def kill(self):
        """End the server and its sessions as the kernel would: kill -9."""
        parent = psutil.Process(int((self.data / "postmaster.pid").read_text().splitlines()[0]))
        sessions = parent.children(recursive=True)
        for process in [parent, *sessions]:
            with suppress(psutil.NoSuchProcess):
                process.kill()
        psutil.wait_procs([parent, *sessions], timeout=10)

    def stop(self):
        """End the server, and remove what it kept."""
        if (self.data / "postmaster.pid").exists():
            with suppress(subprocess.CalledProcessError):  # it was killed
                _as_server(*self._control(), "-m", "immediate", "stop")
        shutil.rmtree(self.folder, ignore_errors=True)

    def _control(self):
        return self.binaries / "pg_ctl", "-D", self.data


@contextmanager
def database(name):
    """Give the URL of an empty database; `name` tells the folders of servers that run at once apart."""
    named = os.environ.get("MLOBS_TEST_POSTGRES_URL")  # noqa: TID251 - where CI names its server
    if named:
        yield named
        return
    server = Server(name)
    try:
        server.start()
        yield server.url
    finally:
        server.stop()
