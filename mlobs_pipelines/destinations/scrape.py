"""A server that answers scrapes with a text of metrics, and nothing else.

Who makes the text, and how often, is not known here.
"""

from collections.abc import Callable
from http import HTTPStatus
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

OPENMETRICS = "application/openmetrics-text; version=1.0.0; charset=utf-8"
PLAIN = "text/plain; version=0.0.4; charset=utf-8"


def server(host: str, port: int, text: Callable[[], str]) -> ThreadingHTTPServer:
    """A server whose ``/metrics`` is a text, as OpenMetrics to those that take it and as plain text else.

    Parameters
    ----------
    port
        0 takes a free one.
    text
        Called for every scrape; if it fails the scrape does, and Prometheus counts the target as down.
    """

    class Scrapes(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            if self.path.partition("?")[0] != "/metrics":
                self.send_error(HTTPStatus.NOT_FOUND, explain="metrics are at /metrics")
                return
            try:
                body = text().encode()
            except Exception:  # noqa: BLE001 - whatever it is, the scrape fails and the server goes on
                self.send_error(HTTPStatus.INTERNAL_SERVER_ERROR, explain="the lake could not be read")
                return
            taken = "openmetrics-text" in self.headers.get("Accept", "")
            self.send_response(HTTPStatus.OK)
            self.send_header("Content-Type", OPENMETRICS if taken else PLAIN)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_: object) -> None:
            """Say nothing: a scrape is no event."""

    return ThreadingHTTPServer((host, port), Scrapes)
