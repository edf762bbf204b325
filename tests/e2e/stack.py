"""What end-to-end tests share: projects, the real command as a subprocess, and clients of the demo stack."""

from __future__ import annotations

import base64
import fcntl
import http.client
import json
import os
import pty
import re
import select
import shlex
import signal
import socket
import struct
import subprocess
import sys
import threading
import time
import uuid
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import closing, contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, cast

import grpc  # type: ignore[import-untyped]
import yaml

from tests.lab import shell

COMMAND = Path(sys.executable).with_name("llmdeploy")
MARK = "LLMDEPLOY_E2E_RUN"  # in the environment of a command and of everything it starts
LIMIT = 600.0  # seconds for one command; a hang must fail, a slow machine must not
SETTLE = 10.0  # seconds for what a command has started to be gone
ANSI = re.compile(r"\x1b\[")
SERVICES = (
    "admin-dashboard", "auth-service", "billing", "gateway", "head-go", "model-proxy", "rate-limiter",
    "secrets-service", "tail-go", "user-dashboard",
)  # fmt: skip
HTTP_PORTS = {"model-proxy": 8100, "head-go": 9001, "tail-go": 8000, "admin-dashboard": 3001, "user-dashboard": 3000}
GRPC_PORTS = {"rate-limiter": (50051,), "model-proxy": (50061, 50062), "head-go": (50055,)}
PLAIN = "\ntls: {mode: off, allow_plaintext: true}\n"  # TLS has tests of its own
RARELY = {"health": {"interval": 4}}  # `defaults` where there are many replicas: each check costs a host 30 to 70 ms
SERVING = b"\x08\x01"  # grpc.health.v1.HealthCheckResponse{status: SERVING}


# --- the command


@dataclass(frozen=True)
class Result:
    """How a call of the command ended; `left` are processes of it that outlived it."""

    code: int
    stdout: str
    stderr: str
    seconds: float
    left: tuple[str, ...] = ()

    @property
    def lines(self) -> list[dict[str, Any]]:
        """Every line of `--json`."""
        return [json.loads(line) for line in self.stdout.splitlines()]

    @property
    def envelope(self) -> dict[str, Any]:
        """The last line of `--json`."""
        last = self.lines[-1]
        assert "llmdeploy" in last, f"no envelope: {self}"
        return last

    @property
    def data(self) -> dict[str, Any]:
        """What the envelope carries."""
        return cast("dict[str, Any]", self.envelope["data"])

    def events(self, kind: str | None = None) -> list[dict[str, Any]]:
        """The lines of `--json` before the envelope, all or of one kind."""
        return [line for line in self.lines if "llmdeploy" not in line and kind in (None, line["kind"])]

    def __str__(self) -> str:
        left = f"\n--- left behind\n{self.left}" if self.left else ""
        return (
            f"exit {self.code} after {self.seconds:.1f} s\n--- stdout\n{self.stdout}\n--- stderr\n{self.stderr}{left}"
        )


@dataclass
class Running:
    """A call of the command that has not ended yet."""

    process: subprocess.Popen[str]
    run: str
    started: float = field(default_factory=time.monotonic)
    _out: list[str] = field(default_factory=list)
    _err: list[str] = field(default_factory=list)
    _readers: list[threading.Thread] = field(default_factory=list)

    def __post_init__(self) -> None:
        for stream, kept in ((self.process.stdout, self._out), (self.process.stderr, self._err)):
            reader = threading.Thread(target=kept.extend, args=(stream,), daemon=True)
            reader.start()
            self._readers.append(reader)

    @property
    def stdout(self) -> str:
        """What it has printed so far."""
        return "".join(self._out)

    def wait_for(self, what: str | Callable[[str], bool], within: float = 300.0) -> str:
        """Wait until its output contains a text, or satisfies a condition; returns the output so far."""
        seen = (lambda text: what in text) if isinstance(what, str) else what
        deadline = time.monotonic() + within
        while not seen(self.stdout):
            ended = self.process.poll() is not None
            if ended:
                for reader in self._readers:
                    reader.join(5)
                if seen(self.stdout):
                    break
            assert not ended, f"it ended without {what}:\n{self.stdout}\n{''.join(self._err)}"
            assert time.monotonic() < deadline, f"not within {within:g} s: {what}\n{self.stdout}"
            time.sleep(0.05)
        return self.stdout

    def signal(self, number: signal.Signals, *, group: bool = False) -> None:
        """Send a signal to the command alone, or as a terminal's Ctrl-C does to its whole process group."""
        (os.killpg if group else os.kill)(self.process.pid, number)

    def end(self, limit: float = LIMIT) -> Result:
        """Wait for its end."""
        try:
            code = self.process.wait(limit - (time.monotonic() - self.started))
        except subprocess.TimeoutExpired:
            self.kill()
            raise AssertionError(f"no end after {limit:g} s:\n{self.stdout}\n{''.join(self._err)}") from None
        seconds = time.monotonic() - self.started
        for reader in self._readers:
            reader.join(5)
        return Result(code, self.stdout, "".join(self._err), seconds, leftovers(self.run, self.process.pid))

    def kill(self) -> None:
        """End it and everything of it at once."""
        for pid in [self.process.pid, *(pid for pid, _ in processes(self.run, self.process.pid))]:
            with suppress(ProcessLookupError, PermissionError):
                os.kill(pid, signal.SIGKILL)
        self.process.wait(30)


def start(project: Project, words: str | Sequence[str], env: Mapping[str, str | None] | None = None) -> Running:
    """Start the real command in the project's folder, in a session of its own, without a terminal."""
    run = uuid.uuid4().hex
    process = subprocess.Popen(
        [str(COMMAND), *(shlex.split(words) if isinstance(words, str) else words)],
        cwd=project.root,
        env=project.environ(env or {}) | {MARK: run},
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        errors="replace",
        start_new_session=True,
    )
    return Running(process, run)


def cli(
    project: Project, words: str | Sequence[str], env: Mapping[str, str | None] | None = None, *, limit: float = LIMIT
) -> Result:
    """Run the real command to its end."""
    return start(project, words, env).end(limit)


def ok(result: Result, code: int = 0) -> Result:
    """The result, which must have this exit code and have left nothing behind."""
    assert result.code == code, result
    assert not result.left, result
    return result


def in_terminal(
    project: Project,
    words: str | Sequence[str],
    answers: Mapping[str, str],
    env: Mapping[str, str | None] | None = None,
    *,
    limit: float = LIMIT,
) -> Result:
    """Run the real command in a terminal of its own; whenever it has printed a key of `answers`, type the value."""
    run = uuid.uuid4().hex
    started = time.monotonic()
    terminal, inner = pty.openpty()
    process = subprocess.Popen(
        ["setsid", "--ctty", str(COMMAND), *(shlex.split(words) if isinstance(words, str) else words)],
        cwd=project.root,
        env=project.environ({"TERM": "xterm-256color", **(env or {})}) | {MARK: run},
        stdin=inner,
        stdout=inner,
        stderr=inner,
    )
    os.close(inner)
    text = ""
    waiting = dict(answers)
    with closing(os.fdopen(terminal, "rb+", buffering=0)) as stream:
        while time.monotonic() - started < limit:
            if not select.select([terminal], [], [], 1.0)[0]:
                continue
            try:
                piece = stream.read(65536)
            except OSError:  # how Linux says that the other side is closed
                break
            if not piece:
                break
            text += piece.decode("utf-8", "replace")
            for asked in [asked for asked in waiting if asked in text]:
                stream.write(f"{waiting.pop(asked)}\n".encode())
        else:
            process.kill()
    code = process.wait(30)
    return Result(code, text.replace("\r\n", "\n"), "", time.monotonic() - started, leftovers(run, process.pid))


# --- what a command leaves behind


def processes(run: str, session: int) -> list[tuple[int, str]]:
    """The living processes of a call: those of its session, and those that carry its mark. `(pid, command line)`."""
    found = []
    for folder in Path("/proc").iterdir():
        if not folder.name.isdecimal():
            continue
        with suppress(OSError, IndexError, ValueError):
            fields = (folder / "stat").read_text(errors="replace").rpartition(")")[2].split()
            if fields[0] == "Z":
                continue
            marked = f"{MARK}={run}".encode() in (folder / "environ").read_bytes().split(b"\0")
            if marked or int(fields[3]) == session:
                text = (folder / "cmdline").read_bytes().replace(b"\0", b" ").decode(errors="replace")
                found.append((int(folder.name), text.strip()))
    return found


def leftovers(run: str, session: int, within: float = SETTLE) -> tuple[str, ...]:
    """What is still alive of a call that has ended, after a moment to die."""
    deadline = time.monotonic() + within
    while (alive := processes(run, session)) and time.monotonic() < deadline:
        time.sleep(0.1)
    return tuple(text for _, text in alive)


# --- projects


@dataclass(frozen=True)
class Project:
    """A project folder made by `llmdeploy init`, without TLS; logs of its runs are kept beside it."""

    root: Path

    @classmethod
    def create(cls, root: Path) -> Project:
        """Make a new project with the command itself."""
        project = cls(root)
        root.mkdir(parents=True, exist_ok=True)
        ok(cli(project, ["init", "."]))
        project.catalogue((root / "inventory" / "group_vars" / "all.yml").read_text())
        return project

    @property
    def state(self) -> Path:
        """Where the command keeps its logs."""
        return self.root.with_name(f"{self.root.name}-state")

    def logs(self, env: str) -> list[Path]:
        """The logs for people of an environment's runs, oldest first."""
        folder = self.state / "llmdeploy" / "logs" / env
        return sorted(folder.glob("*.log"), key=lambda path: path.stat().st_mtime_ns)

    def environ(self, more: Mapping[str, str | None]) -> dict[str, str]:
        """The environment that the command is run with; None takes a variable away."""
        hidden = ("GITHUB_ACTIONS", "CI", "LLMDEPLOY_PROJECT_DIR", "PYTEST_CURRENT_TEST")
        mine = {key: value for key, value in os.environ.items() if key not in hidden}
        given = {"XDG_STATE_HOME": str(self.state), **more}
        return {key: value for key, value in {**mine, **given}.items() if value is not None}

    def inventory(self, env: str, text: str, suffix: str = ".ini") -> None:
        """Write an environment's inventory."""
        for old in (self.root / "inventory").glob(f"{env}.*"):
            old.unlink()
        (self.root / "inventory" / f"{env}{suffix}").write_text(text)

    def catalogue(self, text: str) -> None:
        """Write the catalogue; without TLS at the edge unless it says something about it."""
        plain = "" if "\ntls:" in text else PLAIN
        (self.root / "inventory" / "group_vars" / "all.yml").write_text(text + plain)

    def settings(self, env: str, data: Mapping[str, Any]) -> None:
        """Write environments/ENV.yml anew."""
        (self.root / "environments" / f"{env}.yml").write_text(yaml.safe_dump(dict(data)) if data else "")

    def set(self, env: str, key: str, value: Any) -> None:
        """Change one value of environments/ENV.yml: `set("staging", "services.gateway.replicas", 2)`."""
        path = self.root / "environments" / f"{env}.yml"
        data = (yaml.safe_load(path.read_text()) if path.exists() else None) or {}
        *folders, last = key.split(".")
        place = data
        for name in folders:
            place = place.setdefault(name, {})
        place[last] = value
        path.write_text(yaml.safe_dump(data))


# --- clients


@dataclass(frozen=True)
class Answer:
    """An HTTP answer."""

    status: int
    headers: dict[str, str]  # names in small letters
    body: str

    @property
    def json(self) -> Any:
        """The body as JSON."""
        return json.loads(self.body)

    @property
    def served_by(self) -> str:
        """Which replica answered."""
        return self.headers.get("x-served-by", "")

    @property
    def stream(self) -> list[dict[str, Any]]:
        """The pieces of a streamed chat; its `[DONE]` must be there."""
        pieces = [line.removeprefix("data: ") for line in self.body.splitlines() if line.startswith("data: ")]
        assert pieces[-1] == "[DONE]", self.body
        return [json.loads(piece) for piece in pieces[:-1]]


def request(
    host: str,
    port: int,
    path: str = "/health",
    *,
    method: str = "GET",
    headers: Mapping[str, str] | None = None,
    body: Any = None,
    timeout: float = 60.0,
) -> Answer:
    """One HTTP request on a connection of its own."""
    with closing(http.client.HTTPConnection(host, port, timeout=timeout)) as connection:
        data = None if body is None else body if isinstance(body, str) else json.dumps(body)
        connection.request(method, path, data, dict(headers or {}))
        answer = connection.getresponse()
        text = answer.read().decode("utf-8", "replace")
        return Answer(answer.status, {name.lower(): value for name, value in answer.getheaders()}, text)


def chat(
    host: str, content: str = "Say hello", *, key: str = "demo-key", stream: bool = False, port: int = 8000
) -> Answer:
    """A chat completion through the whole chain."""
    body = {"model": "demo", "stream": stream, "messages": [{"role": "user", "content": content}]}
    headers = {"Authorization": f"Bearer {key}", "Content-Type": "application/json"}
    return request(host, port, "/v1/chat/completions", method="POST", headers=headers, body=body)


def grpc_call(host: str, port: int, method: str, message: bytes = b"{}", *, timeout: float = 30.0) -> tuple[bytes, str]:
    """One unary call on a connection of its own: the raw answer, and which replica gave it (if it says so)."""
    with grpc.insecure_channel(f"{host}:{port}", options=[("grpc.enable_http_proxy", 0)]) as channel:
        call = channel.unary_unary(method)
        answer, done = call.with_call(message, timeout=timeout, wait_for_ready=True)
        return bytes(answer), str(dict(done.initial_metadata()).get("x-served-by", ""))


def grpc_health(host: str, port: int, service: str = "") -> bytes:
    """grpc.health.v1.Health/Check: SERVING when all is well."""
    name = service.encode()
    asked = b"\x0a" + bytes([len(name)]) + name if name else b""
    return grpc_call(host, port, "/grpc.health.v1.Health/Check", asked)[0]


def websocket_text(host: str, port: int, path: str, *, timeout: float = 30.0) -> str:
    """Open a WebSocket and return the first text that the server pushes."""
    with socket.create_connection((host, port), timeout=timeout) as line, line.makefile("rb") as source:
        key = base64.b64encode(os.urandom(16)).decode()
        wanted = f"Connection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 13\r\nSec-WebSocket-Key: {key}"
        line.sendall(f"GET {path} HTTP/1.1\r\nHost: {host}:{port}\r\n{wanted}\r\n\r\n".encode())
        status = source.readline().decode()
        assert " 101 " in status, status
        while source.readline().strip():
            pass
        while True:
            kind, payload = _frame(source)
            if kind == 0x1:
                return payload.decode()
            assert kind == 0x9, f"a frame of type {kind} instead of a text"


def _frame(source: Any) -> tuple[int, bytes]:
    first, size = source.read(2)
    if size == 126:
        (size,) = struct.unpack("!H", source.read(2))
    elif size == 127:
        (size,) = struct.unpack("!Q", source.read(8))
    return first & 0x0F, source.read(size)


def eventually(what: str, true: Callable[[], Any], within: float = 90.0) -> Any:
    """Wait until a condition holds; errors of a connection count as no. Returns what it gave."""
    deadline = time.monotonic() + within
    last: object = None
    while True:
        try:
            last = true()
        except (OSError, http.client.HTTPException, AssertionError, shell.LabError) as error:
            last = error
        if last and not isinstance(last, Exception):
            return last
        assert time.monotonic() < deadline, f"not within {within:g} s: {what}; last: {last!r}"
        time.sleep(0.7)  # a question to a host costs a fifth of a second of a processor


# --- one at a time


@contextmanager
def alone(path: Path) -> Iterator[None]:
    """Let one process of this machine at a time do this."""
    with path.open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield
