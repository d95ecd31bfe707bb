"""An object store for tests: a server of their own on loopback that speaks S3, with conditional writes."""

import socket
import subprocess
import sys
import time
from contextlib import contextmanager

import boto3

SECRET = "a+secret/that=nobody-may-see"  # noqa: S105 - searched for, guards nothing
BUCKET = "lake"


@contextmanager
def object_store():
    """Give the options that open `s3://lake/` on an empty store.

    The server is a process of its own: a writer holds on to its interpreter while it waits for an answer.
    """
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    command = [sys.executable, "-m", "moto.server", "-H", "127.0.0.1", "-p", str(port)]
    server = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    try:
        _wait(port)
        options = {
            "aws_access_key_id": "AKIAEXAMPLE",
            "aws_secret_access_key": SECRET,
            "aws_region": "us-east-1",
            "aws_endpoint_url": f"http://127.0.0.1:{port}",
            "aws_allow_http": "true",
        }
        client(options).create_bucket(Bucket=BUCKET)
        yield options
    finally:
        server.terminate()
        server.wait(timeout=20)


def client(options):
    """Give a client of the store, beside the product."""
    return boto3.client(
        "s3",
        endpoint_url=options["aws_endpoint_url"],
        region_name=options["aws_region"],
        aws_access_key_id=options["aws_access_key_id"],
        aws_secret_access_key=options["aws_secret_access_key"],
    )


def _wait(port):
    for _ in range(300):
        try:
            socket.create_connection(("127.0.0.1", port)).close()
        except OSError:
            time.sleep(0.1)
        else:
            return
    raise TimeoutError("the object store did not start within 30 s")
