"""A failure gets what only its own host knows, from whichever host it is."""

from __future__ import annotations

import json
from typing import Any

import pytest

from llmdeploy.cluster import health
from llmdeploy.cluster.access import Access
from llmdeploy.errors import UnreachableError
from llmdeploy.events import Failure

HOSTS = [Access("web-server", "192.0.2.1", (), become=False), Access("db-server", "192.0.2.2", (), become=False)]
HERE = {
    "here": True,
    "health": {"FailingStreak": 3, "Log": [{"Output": "503: \x1b[31mno model", "ExitCode": 1}]},
    "log": ["started", "no\x07 model"],
}


def ask(monkeypatch: pytest.MonkeyPatch, answers: dict[str, Any], failure: Failure) -> Failure:
    def run_script(access: Access, text: str, *, timeout: float) -> str:
        assert "b.1" in text, "the container that failed is looked for first"
        answer = answers[access.host]
        if isinstance(answer, Exception):
            raise answer
        return json.dumps(answer)

    monkeypatch.setattr(health, "run_script", run_script)
    return health.complete(failure, HOSTS)


def test_the_host_that_ran_it_tells(monkeypatch: pytest.MonkeyPatch) -> None:
    failed = Failure("b", "it ended with exit code 0", "db", health="(only its own host knows it)", container="b.1")
    told = ask(monkeypatch, {"web-server": {}, "db-server": HERE}, failed)
    assert told.host == "db-server"
    assert told.health == "503: \ufffdno model"
    assert told.reason == "its health check failed and Docker stopped it: it ended with exit code 0"
    assert "health check" in told.hint
    assert told.log == ["started", "no model"]


def test_what_the_engine_knows_is_kept(monkeypatch: pytest.MonkeyPatch) -> None:
    failed = Failure("b", "it crashed", "db", health="", log=["its log"], hint="look", container="b.1")
    told = ask(monkeypatch, {"web-server": {}, "db-server": {"here": True}}, failed)
    assert (told.host, told.reason, told.log, told.hint) == ("db-server", "it crashed", ["its log"], "look")


def test_a_host_that_does_not_answer_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    failed = Failure("b", "it crashed", "db", container="b.1")
    told = ask(monkeypatch, {"web-server": {}, "db-server": UnreachableError("away")}, failed)
    assert (told.host, told.health) == ("db", "(not to be had, db-server did not answer)")


def test_without_a_host_nobody_is_asked(monkeypatch: pytest.MonkeyPatch) -> None:
    failed = Failure("b", "removed by somebody else")
    assert ask(monkeypatch, {}, failed) is failed


def test_the_script_runs_as_it_is(monkeypatch: pytest.MonkeyPatch) -> None:
    failed = Failure("no-such-service-anywhere", "it crashed", "no-such-host", container="x")
    assert health.complete(failed, HOSTS[:1]).health == "(not to be had)"
