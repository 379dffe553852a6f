"""A local HTTP server that misbehaves on request."""

from __future__ import annotations

import re
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer


class FileServer(ThreadingHTTPServer):
    """Serves one body, each request in the next way of `script`, the last one for ever.

    Ways: ``ok``, ``ignore_range``, ``truncate``, ``corrupt``, ``stall``, ``wrong_range``,
    ``placeless_range``, ``chunked``, a status such as ``500``, or an address to redirect to.
    """

    daemon_threads = True

    def __init__(self, body: bytes) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.body = body
        self.script = ["ok"]
        self.ranges: list[str | None] = []
        self.released = threading.Event()

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server_port}/file.bin"

    def handle_error(self, request: object, client_address: object) -> None:
        """Clients that hang up are part of the game."""


class _Handler(BaseHTTPRequestHandler):
    server: FileServer

    def log_message(self, format: str, *args: object) -> None:
        """Stay silent."""

    def do_GET(self) -> None:
        server = self.server
        asked = self.headers.get("Range")
        server.ranges.append(asked)
        way = server.script.pop(0) if len(server.script) > 1 else server.script[0]
        if way.isdecimal():
            self.send_error(int(way))
        elif ":" in way:
            self.send_response(302)
            self.send_header("Location", way)
            self.end_headers()
        else:
            start = int(re.fullmatch(r"bytes=(\d+)-", asked)[1]) if asked else 0
            self._send_body(way, 0 if way in ("ignore_range", "chunked") else start)

    def _send_body(self, way: str, start: int) -> None:
        body = self.server.body
        if start >= len(body):
            self.send_error(416)
            return
        if way == "corrupt":
            body = bytes([body[0] ^ 1]) + body[1:-1] + bytes([body[-1] ^ 1])
        body = body[start:]
        self.send_response(206 if start else 200)
        if start and way != "placeless_range":
            first = start + 1 if way == "wrong_range" else start
            last = len(self.server.body) - 1
            self.send_header("Content-Range", f"bytes {first}-{last}/{last + 1}")
        if way != "chunked":
            self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        if way in ("truncate", "stall"):
            body = body[: len(body) // 2]
        self.wfile.write(body)
        self.wfile.flush()
        if way == "stall":
            self.server.released.wait(10)


@contextmanager
def serve(body: bytes) -> Iterator[FileServer]:
    """A running server of `body`."""
    server = FileServer(body)
    thread = threading.Thread(target=server.serve_forever, args=(0.01,), daemon=True)
    thread.start()
    try:
        yield server
    finally:
        server.released.set()
        server.shutdown()
        server.server_close()
        thread.join()
