"""A webhook and a mail server on this machine that keep what they are sent; asserts nothing."""

import json
import socketserver
import threading
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler


@contextmanager
def served(handler):
    """Run a server of a kind of handler; gives it with a list `kept` and a `status` to answer with."""
    with socketserver.ThreadingTCPServer(("127.0.0.1", 0), handler) as server:
        server.kept, server.status = [], 200
        threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True).start()
        yield server
        server.shutdown()


class Webhook(BaseHTTPRequestHandler):
    """Keeps the JSON of each request."""

    def do_POST(self):
        """Answer with the server's status."""
        content = self.rfile.read(int(self.headers["Content-Length"]))
        self.server.kept.append(json.loads(content))
        self.send_response(self.server.status)
        self.end_headers()

    def log_message(self, *_):
        """Say nothing."""


class Mailbox(socketserver.StreamRequestHandler):
    """Speaks as much SMTP as it takes to be given a message."""

    def handle(self):
        """Greet, agree to everything, keep what comes after DATA."""
        self._say("220 ready")
        while line := self.rfile.readline():
            word = line[:4].upper().strip()
            if word == b"DATA":
                self._say("354 go on")
                self.server.kept.append(b"".join(iter(self.rfile.readline, b".\r\n")).decode())
            self._say("221 bye" if word == b"QUIT" else "250 fine")
            if word == b"QUIT":
                return

    def _say(self, text):
        self.wfile.write(f"{text}\r\n".encode())
