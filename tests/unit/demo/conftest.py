"""Runs the demo's roles as local processes on free loopback ports, wired to each other."""

from __future__ import annotations

import http.client
import itertools
import json
import os
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

DEMO = Path(__file__).parents[3] / "demo"
WORKER = int(os.environ.get("PYTEST_XDIST_WORKER", "gw0").removeprefix("gw"))
PORTS = itertools.cycle(range(20_000 + WORKER % 10 * 1_000, 21_000 + WORKER % 10 * 1_000))  # each worker has its own
JSON = (lambda value: json.dumps(value).encode(), json.loads)  # how gRPC messages are written and read
HTTP = (
    *("secrets-service", "rate-limiter", "billing", "model-proxy", "auth-service"),
    *("head-go", "gateway", "tail-go", "admin-dashboard", "user-dashboard"),
)
RPC = {"rate-limiter": ["GRPC"], "head-go": ["GRPC"], "model-proxy": ["GRPC", "INFO_GRPC"]}
QUICK = {"TOKEN_DELAY_MS": "0", "LIVE_SECONDS": "0.2", "KEY_CACHE_SECONDS": "0.2", "CHAT_TIMEOUT": "10"}


@dataclass
class Answer:
    status: int
    headers: dict[str, str]
    body: bytes

    @property
    def json(self) -> Any:
        return json.loads(self.body)


class Process:
    """One role, running."""

    def __init__(self, name: str, env: dict[str, str], port: int) -> None:
        self.name, self.port = name, port
        self.output: list[str] = []
        self.child = subprocess.Popen(
            [sys.executable, "-m", "llmdemo"], env=env, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True
        )
        self._reader = threading.Thread(target=self._read, daemon=True)
        self._reader.start()

    def _read(self) -> None:
        assert self.child.stdout is not None
        for line in self.child.stdout:
            self.output.append(line)

    @property
    def lines(self) -> list[dict[str, Any]]:
        return [json.loads(line) for line in list(self.output)]

    def listening(self, seconds: float = 15) -> None:
        wait(lambda: any(one["msg"] == "listening" for one in self.lines) or self.child.poll() is not None, seconds)
        assert self.child.poll() is None, f"{self.name} ended: {self.output}"

    def ended(self, seconds: float = 10) -> int:
        code = self.child.wait(seconds)
        self._reader.join(5)
        return code

    def stop(self) -> int:
        self.child.send_signal(signal.SIGTERM)
        return self.ended()


class Stack:
    """Free ports for all ten roles, and the processes that were started on them."""

    def __init__(self) -> None:
        self.http = {name: free_port() for name in HTTP}
        self.rpc = {name: [free_port() for _ in kinds] for name, kinds in RPC.items()}
        self.processes: list[Process] = []

    def env(self, name: str) -> dict[str, str]:
        env = {"PATH": os.environ["PATH"], "PYTHONPATH": str(DEMO), "LLMDEPLOY_SERVICE": name, **QUICK}
        env |= {"LISTEN_HOST": "127.0.0.1", "HTTP_PORT": str(self.http[name]), "PYTHONDONTWRITEBYTECODE": "1"}
        env |= {f"{variable(one)}_URL": f"http://127.0.0.1:{port}" for one, port in self.http.items()}
        for one, ports in self.rpc.items():
            for kind, port in zip(RPC[one], ports, strict=True):
                env[f"{variable(one)}_{kind}"] = f"127.0.0.1:{port}"
        for variable_name, port in zip(("GRPC_PORT", "GRPC_INFO_PORT"), self.rpc.get(name, []), strict=False):
            env[variable_name] = str(port)
        return env

    def start(self, name: str, **env: str) -> Process:
        process = Process(name, self.env(name) | env, self.http[name])
        self.processes.append(process)
        return process

    def run(self, name: str, **env: str) -> Process:
        process = self.start(name, **env)
        process.listening()
        return process

    def run_all(self, **env: str) -> None:
        for process in [self.start(name, **env) for name in HTTP]:
            process.listening()

    def close(self) -> None:
        for process in self.processes:
            if process.child.poll() is None:
                process.child.kill()
            process.ended()

    def ask(self, method: str, name: str, path: str, data: Any = None, **headers: str) -> Answer:
        link = http.client.HTTPConnection("127.0.0.1", self.http[name], timeout=15)
        try:
            body = None if data is None else json.dumps(data)
            link.request(method, path, body, {key.replace("_", "-"): value for key, value in headers.items()})
            answer = link.getresponse()
            return Answer(answer.status, dict(answer.headers), answer.read())
        finally:
            link.close()

    def chat(self, name: str = "tail-go", text: str = "Hello", key: str = "demo-key", **more: Any) -> Answer:
        data = {"messages": [{"role": "user", "content": text}], **more}
        return self.ask("POST", name, "/v1/chat/completions", data, Authorization=f"Bearer {key}")


def variable(name: str) -> str:
    return name.replace("-", "_").upper()


def free_port() -> int:
    """Not one that the system chooses: it gives those to any connection that begins before the role listens."""
    return next(port for port in PORTS if is_free(port))


def is_free(port: int) -> bool:
    with socket.socket() as probe:
        try:
            probe.bind(("127.0.0.1", port))
        except OSError:
            return False
        return True


def wait(condition: Callable[[], bool], seconds: float = 10) -> None:
    end = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < end, f"not true after {seconds} s"
        time.sleep(0.02)


@pytest.fixture
def stack() -> Iterator[Stack]:
    """An empty stack; a test starts what it needs."""
    value = Stack()
    yield value
    value.close()


@pytest.fixture(scope="module")
def whole() -> Iterator[Stack]:
    """All ten roles, shared by the tests of a module."""
    value = Stack()
    try:
        value.run_all(DEMO_VERSION="7", API_KEYS="demo-key,few-key")
        yield value
    finally:
        value.close()


@pytest.fixture(name="wait")
def wait_fixture() -> Callable[..., None]:
    """Wait until something is true, or fail."""
    return wait
