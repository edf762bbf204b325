"""Checks against a real HTTP server and a real port; the file works alone, too."""

from __future__ import annotations

import json
import socket
import subprocess
import sys
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest

from llmdeploy.engine import checks


class _Handler(BaseHTTPRequestHandler):
    def do_GET(self) -> None:
        self._answer(503 if self.path == "/bad" else 200, b"fine\n")

    def do_POST(self) -> None:
        text = self.rfile.read(int(self.headers["Content-Length"])).decode()
        said = {"choices": [{"message": {"content": text}}], "type": self.headers["Content-Type"]}
        self._answer(200, json.dumps(said).encode())

    def _answer(self, status: int, body: bytes) -> None:
        self.send_response(status)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_: Any) -> None:
        pass


@pytest.fixture(scope="module")
def port() -> Iterator[int]:
    server = ThreadingHTTPServer(("127.0.0.1", 0), _Handler)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield server.server_address[1]
    server.shutdown()
    server.server_close()


def check(port: int, **more: Any) -> dict[str, Any]:
    base = {"name": "x", "service": "s", "kind": "http", "via": "edge", "host": None, "port": port, "path": "/health"}
    return {**base, "method": "GET", "headers": {}, "body": None, "expect_status": [200, 399], "timeout": 2.0, **more}


POST = {"kind": "request", "method": "POST", "body": {"q": "hello"}}


@pytest.mark.parametrize(
    ("more", "ok", "detail"),
    [
        ({}, True, "HTTP 200"),
        ({"path": "/bad"}, False, "HTTP 503 instead of 200 to 399: fine"),
        ({"path": "/bad", "expect_status": [503, 503]}, True, "HTTP 503"),
        ({"kind": "tcp"}, True, "connected"),
        ({**POST, "expect_json": "choices.0.message.content", "expect_text": "hello"}, True, "HTTP 200"),
        ({**POST, "expect_json": "choices.1.message"}, False, "no choices.1.message"),
        ({**POST, "expect_text": "bye"}, False, "does not contain 'bye'"),
        ({**POST, "via": "network"}, False, "only be sent through the edge"),
    ],
)  # fmt: skip
def test_answers(port: int, more: dict[str, Any], ok: bool, detail: str) -> None:
    result = checks.run_check(check(port, **more))
    assert (result["ok"], result["name"], result["service"]) == (ok, "x", "s"), result
    assert detail in result["detail"]
    assert 0 <= result["ms"] < 2000


def test_a_closed_port_and_a_silent_one() -> None:
    with socket.socket() as silent:
        silent.bind(("127.0.0.1", 0))
        closed = silent.getsockname()[1]
        assert "refused" in checks.run_check(check(closed))["detail"]
        silent.listen()
        assert checks.run_check(check(closed, timeout=0.2))["detail"] == "no answer within 0.2 s"


def test_grpc_goes_through_the_probe(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    probe = tmp_path / "probe"
    probe.write_text('#!/bin/sh\necho "$*"\nexit 1\n')
    probe.chmod(0o755)
    monkeypatch.setattr(checks, "PROBE_ON_HOST", str(probe))
    result = checks.run_check(check(50051, kind="grpc", grpc_service="a.B"), "10.0.0.5")
    assert not result["ok"]
    assert result["detail"] == "grpc 50051 a.B --host 10.0.0.5 --timeout 2"


def test_inside_the_network_every_address_is_asked() -> None:
    arguments = checks._probe_arguments(check(8081, expect_status=[200, 299]), "tasks.auth", 2.0)
    assert arguments == [
        "http",
        "8081",
        "/health",
        "--expect",
        "200-299",
        "--host",
        "tasks.auth",
        "--timeout",
        "2",
        "--all",
    ]


def test_the_file_alone_is_a_program(port: int) -> None:
    script = Path(checks.__file__).read_text() + f"\nmain({json.dumps([check(port), check(port, path='/bad')])!r})\n"
    done = subprocess.run([sys.executable, "-I", "-"], input=script, capture_output=True, text=True, check=True)
    results = [json.loads(line) for line in done.stdout.splitlines()]
    assert sorted(result["ok"] for result in results) == [False, True]
