"""The key's way to a manager and from one: through standard input, and out of every message."""

from __future__ import annotations

import sys
from collections.abc import Sequence

import pytest

from llmdeploy.cluster import locked
from llmdeploy.cluster.access import Access
from llmdeploy.errors import LlmdeployError

# A host without Docker that runs what it is given as a host does, and keeps its command line for us.
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
    with pytest.raises(LlmdeployError) as problem:
        locked.unlock(HERE, KEY)
    assert problem.value.message == "a: Docker says: invalid key ***"
    assert KEY in host.texts[0]


def test_the_key_is_on_no_command_line(monkeypatch: pytest.MonkeyPatch) -> None:
    """The script, and with it the key, goes through standard input."""
    lines: list[Sequence[str]] = []

    def command(_: Access, argv: Sequence[str]) -> list[str]:
        lines.append(argv)
        return [sys.executable, "-c", "print('{}')"]

    monkeypatch.setattr(Access, "command", command)
    with pytest.raises(KeyError):
        locked.unlock(HERE, KEY)
    assert lines == [["python3", "-I", "-"]]
