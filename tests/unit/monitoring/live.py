"""Real programs of the monitoring on ports of this machine, for a moment."""

from __future__ import annotations

import json
import os
import socket
import subprocess
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, TypeVar

from tests.programs import program

PATIENCE = 20.0  # seconds
SHARES = ("alertmanager",)  # what reads files of its package below /usr/share
Found = TypeVar("Found")


def free_port() -> int:
    """A port that nobody listens on."""
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        return int(taken.getsockname()[1])


@contextmanager
def running(name: str, port: int, *words: str) -> Iterator[str]:
    """Runs a program, which listens on `port`. Out: its address."""
    start = _with_its_share(program(name)) if name in SHARES else [str(program(name))]
    command = [*start, f"--web.listen-address=127.0.0.1:{port}", *words]
    process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    try:
        yield f"http://127.0.0.1:{port}"
    finally:
        process.kill()
        process.wait(10)


def _with_its_share(binary: Path) -> list[str]:
    """The program with its package's /usr/share in place of ours; Debian's Alertmanager has its templates there."""
    root = [] if os.geteuid() == 0 else ["--map-root-user"]
    there = 'mount --bind "$0" /usr/share && exec "$@"'
    return ["unshare", "--mount", *root, "sh", "-c", there, str(binary.parents[1] / "share"), str(binary)]


def asked(url: str, body: Any = None) -> Any:
    """The JSON that a program answers with; None while it does not. `body`: posted as JSON."""
    data = None if body is None else json.dumps(body).encode()
    request = urllib.request.Request(url, data, {"Content-Type": "application/json"})
    try:
        with urllib.request.urlopen(request, timeout=5) as answer:
            return json.loads(answer.read() or b"true")
    except urllib.error.HTTPError as refused:
        if refused.code != 503:  # it is not ready yet
            raise
    except OSError:
        pass  # it does not listen yet
    return None


def eventually(ask: Callable[[], Found], good: Callable[[Found], object] = bool) -> Found:
    """What `ask` gives as soon as it is `good`. Raises AssertionError after PATIENCE."""
    end = time.monotonic() + PATIENCE
    while not good(found := ask()):
        assert time.monotonic() < end, f"still {found!r}"
        time.sleep(0.1)
    return found
