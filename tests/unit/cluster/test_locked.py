"""The key's way to a manager and from one: through standard input, and out of every message."""

from __future__ import annotations

import json
import sys
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any, cast

import pytest

from llmdeploy.cluster import live, locked
from llmdeploy.cluster.access import Access
from llmdeploy.engine.api import DockerError
from llmdeploy.engine.host import EngineError
from llmdeploy.errors import SwarmLockedError

HERE = Access("a", "10.0.0.1", (), become=False)
KEY = "SWMKEY-1-marked"


class Said:
    """What a host was told to run, and what it answers."""

    def __init__(self, answer: str) -> None:
        self.answer, self.texts = answer, list[str]()

    def __call__(self, _: Access, text: str, *, timeout: float) -> str:
        self.texts.append(text)
        compile(text, "script", "exec")
        return self.answer


@pytest.fixture
def host(monkeypatch: pytest.MonkeyPatch) -> Said:
    said = Said('{"error": ""}')
    monkeypatch.setattr(locked, "run_script", said)
    return said


def test_states(host: Said) -> None:
    for answer, state in (
        ('{"error": "", "state": "active", "manager": true}', "manager"),
        ('{"error": "", "state": "active", "manager": false}', "active"),
        ('{"error": "", "state": "locked", "manager": false}', "locked"),
    ):
        host.answer = answer
        assert locked.states([HERE]) == {"a": state}


def test_a_wrong_key_is_not_in_the_message(host: Said) -> None:
    host.answer = f'{{"error": "invalid key {KEY}"}}'
    problem = locked.unlock([HERE], KEY)["a"]
    assert problem is not None
    assert problem.message == "a: Docker says: invalid key ***"
    assert KEY in host.texts[0]


class Daemon:
    """What a host's Docker answers, one after the other; an exception is raised."""

    def __init__(self, *answers: Any) -> None:
        self.answers = list(answers)

    def __call__(self) -> Daemon:
        return self

    def call(self, *_: Any, **__: Any) -> Any:
        answer = self.answers.pop(0)
        if isinstance(answer, Exception):
            raise answer
        return answer


STARTS, UP = {"Swarm": {"LocalNodeState": "pending"}}, {"Swarm": {"LocalNodeState": "active", "ControlAvailable": True}}


@pytest.mark.parametrize(
    ("answers", "said"),
    [
        ([None, UP], ""),
        ([EngineError("POST /swarm/unlock: timed out"), EngineError("GET /info: timed out"), STARTS, UP], ""),
        ([EngineError("swarm is not locked"), UP], ""),
        ([EngineError("swarm could not be unlocked: invalid key provided")], "invalid key"),
        ([None, *[STARTS] * 9], "it is pending after"),
    ],
    ids=["at once", "waits for others", "done before", "wrong key", "never"],
)
def test_what_a_host_does_with_a_key(capsys: pytest.CaptureFixture[str], answers: list[Any], said: str) -> None:
    names = {
        "Engine": Daemon(*answers),
        "EngineError": EngineError,
        "KEY": KEY,
        "SECONDS": 1,
        "time": time,
        "json": json,
    }
    exec(locked._UNLOCK, names)
    error = json.loads(capsys.readouterr().out)["error"]
    assert said in error
    assert bool(said) == bool(error)


def test_the_key_is_on_no_command_line(monkeypatch: pytest.MonkeyPatch) -> None:
    """The script, and with it the key, goes through standard input."""
    lines: list[Sequence[str]] = []

    def command(_: Access, argv: Sequence[str]) -> list[str]:
        lines.append(argv)
        return [sys.executable, "-c", "print('{}')"]

    monkeypatch.setattr(Access, "command", command)
    with pytest.raises(KeyError):
        locked.unlock([HERE], KEY)
    assert lines == [["python3", "-I", "-"]]


class Engines:
    """Docker of several managers, some of them locked."""

    def __init__(self, *locked_hosts: str) -> None:
        self.locked_hosts = locked_hosts

    @contextmanager
    def socket(self, access: Access) -> Iterator[str]:
        yield access.host

    def open(self, *, patience: float, base_url: str) -> Engines.One:
        return Engines.One(base_url.removeprefix("unix://"), self.locked_hosts)

    class One:
        """What is asked of it first."""

        def __init__(self, host: str, locked_hosts: Sequence[str]) -> None:
            self.host, self.locked_hosts = host, locked_hosts

        def hosts(self) -> dict[str, str]:
            if self.host in self.locked_hosts:
                raise DockerError("Swarm is encrypted and needs to be unlocked before it can be used. Please use …")
            return {"n1": self.host}


MANAGERS = [Access(name, name, (), become=False) for name in "abc"]


def opened(monkeypatch: pytest.MonkeyPatch, engines: Engines) -> str:
    """The manager that a verb works through."""
    monkeypatch.setattr(live, "run", lambda *_, **__: "yes\n")
    monkeypatch.setattr(live, "docker_socket", engines.socket)
    monkeypatch.setattr(live, "Docker", engines.open)
    with live.manager(MANAGERS) as docker:
        return cast("Any", docker).host  # type: ignore[no-any-return]


def test_a_manager_that_is_locked_is_passed_over(monkeypatch: pytest.MonkeyPatch) -> None:
    assert opened(monkeypatch, Engines("a", "b")) == "c"


def test_when_all_are_locked_that_is_said_and_what_to_do(monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(SwarmLockedError) as problem:
        opened(monkeypatch, Engines("a", "b", "c"))
    assert "a: its Swarm is locked" in problem.value.message
    assert problem.value.hint == "llmdeploy ENV swarm unlock"
    assert problem.value.exit_code == 1
