"""`probe ask`: one question to a Unix socket, as the edge's job asks HAProxy."""

from __future__ import annotations

import contextlib
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="the probe is a Linux program")
Ask = Callable[..., tuple[int, str, str]]


@pytest.fixture(params=["built_probe", "checked_probe"])
def ask(request: pytest.FixtureRequest) -> Ask:
    """Run `probe ask`; give its exit code and both outputs."""
    path = request.getfixturevalue(request.param)

    def run(*arguments: object) -> tuple[int, str, str]:
        done = subprocess.run([path, "ask", *map(str, arguments)], capture_output=True, text=True, timeout=30)
        return done.returncode, done.stdout, done.stderr

    return run


@contextlib.contextmanager
def listening(path: Path, react: Callable[[socket.socket], None]) -> Iterator[None]:
    """A server for one client."""

    def serve() -> None:
        connection, _ = server.accept()
        with connection, contextlib.suppress(OSError):
            react(connection)

    with socket.socket(socket.AF_UNIX) as server:
        server.bind(str(path))
        server.listen(1)
        thread = threading.Thread(target=serve, daemon=True)
        thread.start()
        yield
        thread.join(5)


def test_the_answer_comes_as_it_is(ask: Ask, tmp_path: Path) -> None:
    lines = "# a header\n\n" + "x" * 50_000 + "\nlast, without an end"
    with listening(tmp_path / "s", lambda peer: peer.sendall(peer.recv(100) + lines.encode())):
        assert ask(tmp_path / "s", "show servers state") == (0, f"show servers state\n{lines}", "")


def test_a_server_that_waits_for_the_next_question_is_told_that_there_is_none(ask: Ask, tmp_path: Path) -> None:
    with listening(tmp_path / "s", lambda peer: peer.sendall(peer.makefile("rb").read() + b"end")):
        assert ask(tmp_path / "s", "show proc", 20) == (0, "show proc\nend", "")


def test_a_server_that_hangs_up_has_answered(ask: Ask, tmp_path: Path) -> None:
    """Closed with the question unread: the connection is reset."""
    with listening(tmp_path / "s", lambda peer: peer.sendall(b"going\n")):
        assert ask(tmp_path / "s", "reload") == (0, "going\n", "")


def test_no_answer_in_time(ask: Ask, tmp_path: Path) -> None:
    def slow(peer: socket.socket) -> None:
        peer.sendall(b"part\n")
        time.sleep(1)

    with listening(tmp_path / "s", slow):
        began = time.monotonic()
        assert ask(tmp_path / "s", "x", "0.3") == (1, f"part\nask {tmp_path}/s: timed out after 0.3s\n", "")
        assert time.monotonic() - began < 0.9


def test_nobody_there(ask: Ask, tmp_path: Path) -> None:
    assert ask(tmp_path / "s", "x") == (1, f"ask {tmp_path}/s: no such file or directory\n", "")
    with socket.socket(socket.AF_UNIX) as server:
        server.bind(str(tmp_path / "s"))
    assert ask(tmp_path / "s", "x") == (1, f"ask {tmp_path}/s: connection refused\n", "")
    assert ask("/", "x")[0] == 1, "what the edge's job looks for, to tell an older probe"


@pytest.mark.parametrize(
    "arguments", [[], ["/s"], ["/s", "x", "0"], ["/s", "x", ""], ["/s", "x", "1s"], ["/s", "x", "1", "y"], ["", "x"],
                  ["/" + "s" * 200, "x"], ["/s", "x" * 9000]],
)  # fmt: skip
def test_usage(ask: Ask, arguments: list[str]) -> None:
    code, out, error = ask(*arguments)
    assert (code, out) == (2, "")
    assert error.startswith("probe: ")
