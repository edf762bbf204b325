"""The health probe against real servers: every verdict, every kind of broken answer, and the arguments."""

from __future__ import annotations

import contextlib
import http.server
import random
import re
import socket
import socketserver
import struct
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest

ROOT = Path(__file__).parents[3]
pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="the probe is a Linux program")
Probe = Callable[..., tuple[int, str]]
React = Callable[[Any], None]  # what an h2 server does with its connection once it is asked
CLOSED_PORT = 1  # tcpmux: nobody listens there


@pytest.fixture(params=["built_probe", "checked_probe"])
def probe(request: pytest.FixtureRequest) -> Probe:
    """Run the program; give its exit code and its one line."""
    path = request.getfixturevalue(request.param)

    def run(*arguments: object) -> tuple[int, str]:
        done = subprocess.run([path, *map(str, arguments)], capture_output=True, text=True, timeout=30)
        assert done.stderr == "" or done.returncode == 2, done.stderr
        assert done.returncode == 2 or (done.stdout.count("\n") == 1 and done.stdout.endswith("\n"))
        return done.returncode, (done.stdout or done.stderr).rstrip("\n")

    return run


# ---- servers


class Server(socketserver.ThreadingTCPServer):
    allow_reuse_address = True
    daemon_threads = True
    block_on_close = False

    def handle_error(self, request: object, client_address: object) -> None:
        """The probe leaves whenever it knows enough."""


@contextlib.contextmanager
def serving(handler: type[socketserver.BaseRequestHandler]) -> Iterator[int]:
    with Server(("127.0.0.1", 0), handler) as server:
        threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True).start()
        yield server.server_address[1]
        server.shutdown()


@contextlib.contextmanager
def answering(*chunks: bytes | float) -> Iterator[int]:
    """A server that reads once and then sends the bytes, sleeping at each number, and closes."""

    class Raw(socketserver.BaseRequestHandler):
        def handle(self) -> None:
            self.request.recv(65536)
            for chunk in chunks:
                if isinstance(chunk, bytes):
                    self.request.sendall(chunk)
                else:
                    time.sleep(chunk)
            self.request.shutdown(socket.SHUT_WR)
            self.request.settimeout(5)
            with contextlib.suppress(OSError):
                while self.request.recv(65536):
                    pass  # closing with unread bytes would reset the connection and lose the answer

    with serving(Raw) as port:
        yield port


class Web(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def do_GET(self) -> None:
        bodies = {
            "/health": (200, b'{"status": "ok"}'),
            "/moved": (302, b""),
            "/down": (503, b'{"reason": "no database"}\n'),
            "/escape": (500, b"\x1b[31mred\x1b[0m\r\n\x00end"),
            "/long": (500, b"x" * 100_000),
            "/echo": (500, f"{self.headers['Host']} {self.headers.get('X-Key')}".encode()),
        }
        code, body = bodies.get(self.path, (404, b"nothing here"))
        self.send_response(code)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_: object) -> None:
        pass


@pytest.fixture(scope="module")
def web() -> Iterator[int]:
    with serving(Web) as port:
        yield port


# ---- HTTP


@pytest.mark.parametrize(
    ("arguments", "code", "line"),
    [
        (["/health"], 0, r"ok http 127.0.0.1:PORT/health 200 \d+\.\dms"),
        (["/moved"], 0, r"ok http 127.0.0.1:PORT/moved 302 \d+\.\dms"),
        (["/moved", "--expect", "200-299"], 1, r"http 127.0.0.1:PORT/moved: 302 Found"),
        (["/health", "--expect", "200"], 0, r"ok .* 200 .*"),
        (["/gone", "--expect", "404"], 0, r"ok .* 404 .*"),
        (["/down"], 1, r'http 127.0.0.1:PORT/down: 503 Service Unavailable: \{"reason": "no database"\}'),
        (["/escape"], 1, r"http .*: 500 Internal Server Error:  \[31mred \[0m   end"),
        (["/long"], 1, r"http .*: 500 Internal Server Error: x{200}"),
        (["/echo"], 1, r".*: 127.0.0.1:PORT None"),
        (["/echo", "--host", "localhost"], 1, r"http 127.0.0.1:PORT/echo: .*: localhost:PORT None"),
        (["/echo", "--header", "host: a", "--header", "X-Key: k"], 1, r".*: a k"),
        (["/health", "--all", "--host", "127.0.0.1"], 0, r"ok .*"),
    ],
)
def test_http(probe: Probe, web: int, arguments: list[str], code: int, line: str) -> None:
    got = probe("http", web, *arguments)
    assert got[0] == code
    assert re.fullmatch(line.replace("PORT", str(web)), got[1]), got[1]


@pytest.mark.parametrize(
    ("answer", "code", "says"),
    [
        ([b"HTTP/1.1 200 OK\r\n\r\n"], 0, " 200 "),
        ([b"HTTP/1.0 204\r\n\r\n"], 0, " 204 "),
        ([b"HTTP/1.1 200 OK\n\nbody"], 0, " 200 "),
        ([b"HT", 0.05, b"TP/1.1 2", 0.05, b"00 OK\r\n\r", 0.05, b"\n"], 0, " 200 "),
        ([b"HTTP/1.1 200 OK\r\nX: " + b"y" * 20_000], 0, " 200 "),
        ([b"HTTP/1.1 500 E\r\nTransfer-Encoding: chunked\r\n\r\n4\r\nwhy?\r\n0\r\n\r\n"], 1, ": 500 E: why?  0"),
        ([b"HTTP/1.1 503 \r\n\r\n"], 1, ": 503"),
        ([b"HTTP/1.1 503 Busy\r\n\r\nfirst ", 0.02, b"second", 5.0], 1, ": 503 Busy: first second"),
        ([b"HTTP/1.1 200 OK\r\n"], 1, "connection closed within the header: HTTP/1.1 200 OK"),
        ([], 1, "connection closed without an answer"),
        ([b"SSH-2.0-OpenSSH_9.2\r\n"], 1, "not HTTP/1: SSH-2.0-OpenSSH_9.2"),
        ([b"HTTP/1.1 20x OK\r\n\r\n"], 1, "not HTTP/1: HTTP/1.1 20x OK"),
        ([b"HTTP/1.1 2000 OK\r\n\r\n"], 1, "not HTTP/1:"),
        ([b"\x00\x00\x06\x04\x00\x00\x00\x00\x00"], 1, "not HTTP/1:"),
        ([b"\x00" * 100_000], 1, "not HTTP/1:"),
        ([b"HTTP/1."], 1, "not HTTP/1: HTTP/1."),
    ],
)
def test_http_raw(probe: Probe, answer: list[bytes | float], code: int, says: str) -> None:
    with answering(*answer) as port:
        got = probe("http", port, "/")
    assert got[0] == code
    assert says in got[1]


@pytest.mark.parametrize("kind", [["http", "/"], ["grpc"], ["tcp"]])
def test_refused(probe: Probe, kind: list[str]) -> None:
    got = probe(kind[0], CLOSED_PORT, *kind[1:])
    assert got == (1, f"{kind[0]} 127.0.0.1:{CLOSED_PORT}{''.join(kind[1:])}: connection refused")


@pytest.mark.parametrize(
    ("kind", "answer"),
    [
        (["http", "/"], [5.0]),
        (["http", "/"], [b"HTTP/1.1 200 OK\r\n", 5.0]),
        (["grpc"], [5.0]),
        (["grpc"], [b"\0\0\0\4\0\0\0\0\0", 5.0]),
    ],
)
def test_the_timeout_is_for_the_whole_check(probe: Probe, kind: list[str], answer: list[bytes | float]) -> None:
    with answering(*answer) as port:
        start = time.monotonic()
        got = probe(kind[0], port, *kind[1:], "--timeout", "0.5")
    assert got == (1, f"{kind[0]} 127.0.0.1:{port}{''.join(kind[1:])}: timed out after 0.5s")
    assert 0.5 <= time.monotonic() - start < 1.5


def test_a_server_that_trickles_cannot_stretch_the_timeout(probe: Probe) -> None:
    trickle: list[bytes | float] = [b"H", 0.1]
    with answering(*trickle * 30) as port:
        start = time.monotonic()
        assert probe("http", port, "/", "--timeout", "0.5")[1].endswith("timed out after 0.5s")
    assert time.monotonic() - start < 1.5


# ---- addresses, TCP, listening


def test_tcp(probe: Probe, web: int) -> None:
    code, line = probe("tcp", web)
    assert code == 0
    assert re.fullmatch(rf"ok tcp 127.0.0.1:{web} \d+\.\dms", line)


def test_an_unknown_name_is_unhealthy(probe: Probe) -> None:
    code, line = probe("tcp", 80, "--host", "no-such-name.invalid", "--all")
    assert code == 1
    assert line.startswith("tcp no-such-name.invalid:80: ")


def test_all_asks_every_address_at_once(built_probe: Path) -> None:
    """Every Linux resolves localhost to at least one address; each has its line, and the worst one decides."""
    addresses = {info[4][0] for info in socket.getaddrinfo("localhost", 80, type=socket.SOCK_STREAM)}
    with answering(5.0) as port:
        command = [str(built_probe), "http", str(port), "/", "--host", "localhost", "--all", "--timeout", "0.5"]
        done = subprocess.run(command, capture_output=True, text=True, timeout=10)
    lines = done.stdout.splitlines()
    assert done.returncode == 1
    assert 1 <= len(lines) <= len(addresses)
    assert f"http 127.0.0.1:{port}/: timed out after 0.5s" in lines


def test_listening(probe: Probe) -> None:
    with socket.create_server(("127.0.0.1", 0)) as inner, socket.create_server(("0.0.0.0", 0)) as outer:
        first, second = inner.getsockname()[1], outer.getsockname()[1]
        assert probe("listening", first, second) == (0, f"ok listening {first}=loopback {second}=yes")
        assert probe("listening", second, CLOSED_PORT) == (1, f"listening: {second}=yes {CLOSED_PORT}=no")


# ---- gRPC, a real server


@pytest.fixture(scope="module")
def grpc_port() -> Iterator[int]:
    """Overall health is SERVING, "down" is NOT_SERVING, "slow" takes too long, others are unknown."""
    grpc = pytest.importorskip("grpc")

    def check(request: bytes, context: Any) -> bytes:
        service = request[2:].decode()
        if service == "slow":
            time.sleep(2)
        if service not in ("", "down", "slow", "x" * 300):
            context.abort(grpc.StatusCode.NOT_FOUND, "unknown service")
        return b"\x08\x02" if service == "down" else b"\x08\x01"

    def check_any(request: bytes, context: Any) -> bytes:
        return check(request[:1] + request[2:] if len(request) > 130 else request, context)

    handler = grpc.method_handlers_generic_handler(
        "grpc.health.v1.Health", {"Check": grpc.unary_unary_rpc_method_handler(check_any)}
    )
    server = grpc.server(ThreadPoolExecutor(4))
    server.add_generic_rpc_handlers([handler])
    port = server.add_insecure_port("127.0.0.1:0")
    server.start()
    yield port
    server.stop(None)


@pytest.mark.parametrize(
    ("arguments", "code", "line"),
    [
        ([], 0, r"ok grpc 127.0.0.1:PORT SERVING \d+\.\dms"),
        (["--host", "localhost"], 0, r"ok grpc 127.0.0.1:PORT SERVING .*"),
        (["x" * 300], 0, r"ok grpc 127.0.0.1:PORT/x+ SERVING .*"),
        (["down"], 1, r"grpc 127.0.0.1:PORT/down: NOT_SERVING"),
        (["other"], 1, r'grpc .*: NOT_FOUND: the health service does not know the service "other"'),
        (["slow", "--timeout", "0.3"], 1, r"grpc .*: timed out after 0.3s"),
    ],
)
def test_grpc(probe: Probe, grpc_port: int, arguments: list[str], code: int, line: str) -> None:
    got = probe("grpc", grpc_port, *arguments)
    assert got[0] == code
    assert re.fullmatch(line.replace("PORT", str(grpc_port)), got[1]), got[1]


def test_grpc_without_a_health_service(probe: Probe) -> None:
    grpc = pytest.importorskip("grpc")
    server = grpc.server(ThreadPoolExecutor(1))
    port = server.add_insecure_port("127.0.0.1:0")
    server.start()
    code, line = probe("grpc", port)
    server.stop(None)
    assert (code, line.split(": ")[1]) == (1, "UNIMPLEMENTED")


# ---- gRPC, a server made with h2: strict about what it reads, free in what it says


@contextlib.contextmanager
def h2_server(react: React, seen: list[dict[str, str]] | None = None) -> Iterator[int]:
    config = pytest.importorskip("h2.config")
    connection = pytest.importorskip("h2.connection")
    events = pytest.importorskip("h2.events")

    class Handler(socketserver.BaseRequestHandler):
        def handle(self) -> None:
            conn = connection.H2Connection(config.H2Configuration(client_side=False, header_encoding="utf-8"))
            conn.initiate_connection()
            conn.ping(b"question")
            self.request.sendall(conn.data_to_send())
            while data := self.request.recv(65536):
                for event in conn.receive_data(data):
                    if isinstance(event, events.RequestReceived) and seen is not None:
                        seen.append(dict(event.headers))
                    if isinstance(event, events.PingAckReceived) and seen is not None:
                        seen.append({"ping": event.ping_data.decode()})
                    if isinstance(event, events.PingAckReceived):
                        react(conn)  # only now: the probe must have answered the ping
                self.request.sendall(conn.data_to_send())

    with serving(Handler) as port:
        yield port


HEADERS = [(":status", "200"), ("content-type", "application/grpc")]


def says_status(conn: Any, number: str) -> None:
    conn.send_headers(1, [*HEADERS, ("grpc-status", number), ("grpc-message", "why")], end_stream=True)


def in_pieces(conn: Any) -> None:
    conn.send_headers(1, HEADERS)
    for byte in b"\0\0\0\0\2\x08":
        conn.send_data(1, bytes([byte]), pad_length=3)
    conn.send_data(1, b"\x01")


def message(data: bytes, end: bool = False) -> React:
    def send(conn: Any) -> None:
        conn.send_headers(1, HEADERS)
        conn.send_data(1, data, end_stream=end)

    return send


def trailers_after(conn: Any) -> None:
    conn.send_headers(1, HEADERS)
    conn.send_headers(1, [("grpc-status", "14"), ("grpc-message", "later")], end_stream=True)


@pytest.mark.parametrize(
    ("react", "code", "says"),
    [
        (message(b"\0\0\0\0\2\x08\x01"), 0, "SERVING"),
        (in_pieces, 0, "SERVING"),
        (message(b"\0\0\0\0\2\x08\x02"), 1, ": NOT_SERVING"),
        (message(b"\0\0\0\0\2\x08\x03"), 1, ": SERVICE_UNKNOWN"),
        (message(b"\0\0\0\0\0"), 1, ": UNKNOWN"),
        (message(b"\0\0\0\0\2\x10\x01"), 1, "unreadable health answer"),
        (message(b"\1\0\0\0\2\x08\x01"), 1, "unreadable health answer"),
        (message(b"\0\xff\xff\xff\xff" + b"\x08" * 200), 1, "unreadable health answer"),
        (message(b"\0\0", end=True), 1, "unreadable health answer"),
        (trailers_after, 1, ": UNAVAILABLE"),
        (lambda conn: says_status(conn, "12"), 1, ": UNIMPLEMENTED: the server has no grpc.health.v1.Health"),
        (lambda conn: says_status(conn, "5"), 1, ": NOT_FOUND"),
        (lambda conn: says_status(conn, "16"), 1, ": UNAUTHENTICATED"),
        (lambda conn: says_status(conn, "0"), 1, ": the call ended without an answer"),
        (lambda conn: says_status(conn, "99"), 1, ": the call ended without an answer"),
        (lambda conn: conn.send_headers(1, [(":status", "404")], end_stream=True), 1, "not gRPC: HTTP status 404"),
        (lambda conn: conn.send_headers(1, [(":status", "415")], end_stream=True), 1, "not gRPC: HTTP status 415"),
        (lambda conn: conn.reset_stream(1, 2), 1, "the server reset the call (HTTP/2 error 2)"),
        (lambda conn: conn.close_connection(11, b"calm", 0), 1, "closes the connection (HTTP/2 error 11): calm"),
    ],
)
def test_grpc_answers(probe: Probe, react: React, code: int, says: str) -> None:
    seen: list[dict[str, str]] = []
    with h2_server(react, seen) as port:
        got = probe("grpc", port, "my.Service")
    assert got[0] == code
    assert says in got[1]
    assert seen == [
        {
            ":method": "POST",
            ":scheme": "http",
            ":path": "/grpc.health.v1.Health/Check",
            ":authority": f"127.0.0.1:{port}",
            "te": "trailers",
            "content-type": "application/grpc",
            "user-agent": "llmdeploy-probe",
        },
        {"ping": "question"},
    ]


def frame(kind: int, flags: int, stream: int, payload: bytes) -> bytes:
    return struct.pack(">I", len(payload))[1:] + bytes([kind, flags]) + struct.pack(">I", stream) + payload


SETTINGS = frame(4, 0, 0, b"")


@pytest.mark.parametrize(
    ("answer", "says"),
    [
        (b"", "not HTTP/2: connection closed without an answer"),
        (b"HTTP/1.1 400 Bad Request\r\n\r\n", "not HTTP/2: HTTP/1.1 400 Bad Request"),
        (SETTINGS[:5], "connection closed"),
        (SETTINGS, "connection closed before the answer"),
        (SETTINGS + b"\xff\xff\xff\x00\x00\x00\x00\x00\x01", "broken HTTP/2 frame"),
        (SETTINGS + frame(0, 8, 1, b""), "broken HTTP/2 frame"),
        (SETTINGS + frame(0, 8, 1, b"\xff1234"), "broken HTTP/2 frame"),
        (SETTINGS + frame(1, 0x28, 1, b"\0\0\0\0\0"), "broken HTTP/2 frame"),
        (SETTINGS + frame(1, 5, 1, b""), "the call ended without an answer"),
        (SETTINGS + frame(1, 5, 1, b"\x3f" + b"\xff" * 50), "the call ended without an answer"),
        (SETTINGS + frame(1, 5, 1, b"\x3f\x81\x01\x8d"), "not gRPC: HTTP status 404"),
        (SETTINGS + frame(1, 5, 1, b"\x48"), "the call ended without an answer"),
        (SETTINGS + frame(1, 5, 1, b"\x00\x0bgrpc-status"), "the call ended without an answer"),
        (SETTINGS + frame(1, 5, 1, b"\x00\x0bgrpc-status\x02"), "the call ended without an answer"),
        (SETTINGS + frame(1, 5, 1, b"\x00\x0bgrpc-status\x0212"), "UNIMPLEMENTED"),
        (SETTINGS + frame(3, 0, 1, b""), "the server reset the call"),
        (SETTINGS + frame(7, 0, 0, b"\0\0"), "the server closes the connection"),
        (SETTINGS + frame(7, 0, 0, b"\0\0\0\0\0\0\0\2" + b"z" * 16376), "(HTTP/2 error 2): " + "z" * 100),
        (SETTINGS + frame(6, 0, 0, b"") + frame(99, 255, 7, b"?" * 16384), "connection closed before the answer"),
    ],
)
def test_grpc_raw(probe: Probe, answer: bytes, says: str) -> None:
    with answering(answer) as port:
        code, line = probe("grpc", port)
    assert code == 1
    assert says in line


def test_a_graceful_goaway_still_answers(probe: Probe) -> None:
    goaway = frame(7, 0, 0, b"\x7f\xff\xff\xff\0\0\0\0")
    with answering(SETTINGS + goaway + frame(0, 0, 1, b"\0\0\0\0\2\x08\x01")) as port:
        assert probe("grpc", port)[0] == 0


# ---- noise


def noise(seed: int) -> bytes:
    """Random bytes, alone or behind a valid start, or in random frames: each goes deeper into the parsers."""
    dice = random.Random(seed)
    starts = [b"", b"HTTP/1.1 500 ", b"HTTP/1.1 200 OK\r\n", SETTINGS, SETTINGS]
    answer = dice.choice(starts)
    for _ in range(dice.randrange(1, 8)):
        data = dice.randbytes(dice.choice([0, 1, 3, 9, 50, 2000, 9000]))
        if answer.startswith(SETTINGS):
            data = frame(dice.randrange(9), dice.randrange(256), dice.choice([0, 1, 1]), data)
        elif dice.random() < 0.5:
            data = dice.choice([b"\r\n\r\n", b"\n\n", b"\r\nTransfer-Encoding: chunked\r\n\r\n"]) + data
        answer += data
    return answer


def test_noise_never_crashes(checked_probe: Path) -> None:
    seeds = iter(range(400))

    class Noise(socketserver.BaseRequestHandler):
        def handle(self) -> None:
            self.request.recv(65536)
            with contextlib.suppress(OSError):
                self.request.sendall(noise(next(seeds)))

    with serving(Noise) as port:
        for arguments in (["http", str(port), "/"], ["grpc", str(port)]) * 150:
            done = subprocess.run([checked_probe, *arguments, "--timeout", "1"], capture_output=True, timeout=10)
            assert done.returncode in (0, 1), done.stderr
            assert done.stderr == b""
            assert re.fullmatch(rb"[ -~]+\n", done.stdout), done.stdout


# ---- arguments


@pytest.mark.parametrize(
    "arguments",
    [
        "",
        "ping 80",
        "http",
        "http 80",
        "http 80 health",
        "http 0 /",
        "http 65536 /",
        "http 8x /",
        "http -1 /",
        "http 80 / more",
        "tcp 80 more",
        "grpc 80 a b",
        "http 80 / --expect 99",
        "http 80 / --expect 300-200",
        "http 80 / --expect 2xx",
        "http 80 / --timeout 0",
        "http 80 / --timeout nan",
        "http 80 / --timeout inf",
        "http 80 / --timeout 1s",
        "http 80 / --timeout",
        "http 80 / --header nonsense",
        "http 80 / --colour red",
        "grpc 80 --expect 200",
        "listening",
        "listening 80 x",
        "tcp 80 --host " + "h" * 300,
        "http 80 /" + "p" * 9000,
        "http 80 /" + " --header a:b" * 17,
    ],
)
def test_usage_errors(probe: Probe, arguments: str) -> None:
    if "ppp" in arguments:
        with answering(b"") as port:
            arguments = arguments.replace("80", str(port))
            code, line = probe(*arguments.split())
    else:
        code, line = probe(*arguments.split())
    assert code == 2
    assert re.fullmatch(r"probe: .+ \(see probe --help\)", line)


@pytest.mark.parametrize(
    "arguments", [["http", "80", "/a b"], ["http", "80", "/\r\nX: y"], ["http", "80", "/", "--header", "a: b\r\nc: d"]]
)
def test_arguments_cannot_smuggle_header_lines(probe: Probe, arguments: list[str]) -> None:
    assert probe(*arguments)[0] == 2


def test_version_and_help(built_probe: Path) -> None:
    version = subprocess.run([built_probe, "--version"], capture_output=True, text=True, check=True).stdout
    assert re.fullmatch(r"llmdeploy-probe \d+\.\d+ \(sources [0-9a-f]{16}\)\n", version)
    assert "usage: probe http PORT PATH" in subprocess.check_output([built_probe, "--help"], text=True)


def test_the_program_needs_nothing_from_the_image(built_probe: Path) -> None:
    """Static, and small enough to be sent to every host without a thought."""
    for program in built_probe.parent.glob("probe-*"):
        data = program.read_bytes()
        assert data[:5] == b"\x7fELF\x02"
        offset, size, count = (*struct.unpack_from("<Q", data, 32), *struct.unpack_from("<HH", data, 54))
        kinds = {struct.unpack_from("<I", data, offset + i * size)[0] for i in range(count)}
        assert 3 not in kinds, "it asks for a dynamic loader"
        assert len(data) < 150_000
