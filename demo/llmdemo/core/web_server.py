"""A small HTTP/1.1 server on the standard library: exact routes, streams, upgrades, a log line per request."""

import re
import select
import socket
import time
import traceback
import uuid
from collections.abc import Iterator, Mapping
from contextlib import nullcontext
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import urlsplit

from .app import App
from .errors import ApiError
from .web import Request, Response, Route, Upgrade, reply

BODY_LIMIT = 1 << 20
PROBES = ("/health", "/metrics")  # asked by machines every second: counted and logged only where they fail


class WebServer(ThreadingHTTPServer):
    """Serves the routes of one process, one thread per connection."""

    daemon_threads = True
    block_on_close = False
    request_queue_size = 256

    def __init__(self, app: App, port: int, routes: Mapping[tuple[str, str], Route]) -> None:
        self.app, self.routes = app, routes
        self.paths = {path for _, path in routes}
        self.requests = app.metrics.counter(
            "http_requests_total", "HTTP requests, probes left out.", "service", "method", "route", "code"
        )
        self.seconds = app.metrics.histogram(
            "http_request_duration_seconds", "Until the last byte.", "service", "method", "route"
        )
        super().__init__((app.listen, port), _Handler)

    def server_bind(self) -> None:
        """Bind without the reverse DNS question that the base class asks."""
        self.socket.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        self.socket.bind(self.server_address)

    def handle_error(self, request: Any, client_address: Any) -> None:
        """Say nothing: a connection that its client reset is not our error."""


class _Handler(BaseHTTPRequestHandler):
    server: WebServer
    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True
    timeout = 75

    def _serve(self) -> None:
        app, path = self.server.app, urlsplit(self.path).path
        if app.faults.hang:
            with app.work():
                app.faults.hold(self._gone)
            self.close_connection = True
            return
        route, started, probe = path if path in self.server.paths else "other", time.perf_counter(), path in PROBES
        given = self.headers.get("X-Request-Id", "")
        number = given if re.fullmatch(r"[\w.-]{1,64}", given) else uuid.uuid4().hex
        with nullcontext() if probe else app.work():
            try:
                code = self._send(self._answer(path, number), number)
            except OSError:  # the client went away
                self.close_connection, code = True, 499
            except Exception as error:  # noqa: BLE001 (a stream that broke after its headers: cut it, say so)
                self.close_connection, code = True, 500
                app.journal.error(f"stream broke: {error}", exc=traceback.format_exc(), request_id=number)
        spent = time.perf_counter() - started
        if not probe:
            self.server.requests.inc(app.service, self.command, route, str(code))
            self.server.seconds.observe(app.service, self.command, route, seconds=spent)
        if not probe or code != 200:
            app.journal.request(route, code, spent, failed=code >= 500, method=self.command, request_id=number)

    do_GET = do_HEAD = do_POST = do_PUT = do_DELETE = _serve  # noqa: N815 (names of the base class)

    def version_string(self) -> str:
        """Name the program, not the Python below it."""
        return "llmdemo"

    def log_message(self, format: str, *args: Any) -> None:  # noqa: A002 (name of the base class)
        """Keep the base class quiet; each request has its own line."""

    def _answer(self, path: str, number: str) -> Response | Upgrade:
        app = self.server.app
        try:
            body = self._body()
            return self._route(path)(Request(path, self.headers, body, number))
        except ApiError as error:
            return reply(error.body(), error.status, error.headers)
        except Exception as error:  # noqa: BLE001 (the last line of defence: one bad request, not a bad service)
            app.journal.error(f"unexpected: {error}", exc=traceback.format_exc(), request_id=number)
            return reply(ApiError(500, "Internal error.", "internal_error").body(), 500)

    def _route(self, path: str) -> Route:
        method = "GET" if self.command == "HEAD" else self.command
        route = self.server.routes.get((method, path))
        if route is None and path in self.server.paths:
            raise ApiError(405, f"{method} is not allowed here.", "method_not_allowed")
        if route is None:
            raise ApiError(404, f"There is no {path} here.", "not_found")
        if path not in PROBES and self.server.app.faults.fail_next():
            raise ApiError(500, "DEMO_ERRORS: failing as asked.", "demo_error")
        return route

    def _body(self) -> bytes:
        length = self.headers.get("Content-Length", "0")
        if "Transfer-Encoding" in self.headers or not length.isdecimal():
            self.close_connection = True
            raise ApiError(411, "Send a Content-Length.", "length_required")
        if int(length) > BODY_LIMIT:
            self.close_connection = True
            raise ApiError(413, f"The body may have {BODY_LIMIT} bytes.", "too_large")
        return self.rfile.read(int(length))

    def _send(self, answer: Response | Upgrade, number: str) -> int:
        stream = isinstance(answer, Response) and not isinstance(answer.body, bytes)
        chunked = stream and self.request_version != "HTTP/1.0"
        upgrade = isinstance(answer, Upgrade)
        status = 101 if isinstance(answer, Upgrade) else answer.status
        self.send_response(status)
        self.send_header("X-Served-By", self.server.app.served_by)
        self.send_header("X-Request-Id", number)
        for name, value in answer.headers.items():
            self.send_header(name, value)
        if isinstance(answer, Response):
            self.send_header("Content-Type", answer.kind)
            if isinstance(answer.body, bytes):
                self.send_header("Content-Length", str(len(answer.body)))
        if chunked:
            self.send_header("Transfer-Encoding", "chunked")
        if not upgrade and (self.close_connection or self.server.app.stopping.is_set() or (stream and not chunked)):
            self.send_header("Connection", "close")  # also sets self.close_connection
        self.end_headers()
        if isinstance(answer, Upgrade):
            self.close_connection = True
            answer.run(self.rfile, self.connection)
        elif isinstance(answer.body, bytes):
            self.wfile.write(b"" if self.command == "HEAD" else answer.body)
        else:
            self._pour(answer.body, chunked=chunked)
        return status

    def _pour(self, pieces: Iterator[bytes], *, chunked: bool) -> None:
        try:
            for piece in filter(None, pieces) if self.command != "HEAD" else ():
                self.wfile.write(b"%x\r\n%b\r\n" % (len(piece), piece) if chunked else piece)
            if chunked:
                self.wfile.write(b"0\r\n\r\n")
        finally:
            close = getattr(pieces, "close", None)  # a generator learns that its reader is gone
            if close:
                close()

    def _gone(self) -> bool:
        try:
            readable, _, _ = select.select([self.connection], [], [], 0)
            return bool(readable) and not self.connection.recv(1, socket.MSG_PEEK)
        except (OSError, ValueError):
            return True
