"""The failure line: what is known is told, what is not is said, nothing in it harms a terminal."""

from __future__ import annotations

from typing import Any

import pytest

from llmdeploy.engine import failure
from llmdeploy.engine.api import DockerError, MissingError
from llmdeploy.engine.compare import Unit
from llmdeploy.engine.tasks import Verdict


class Fake:
    """A daemon that knows one container and one log."""

    def __init__(self, container: Any = None, log: Any = "") -> None:
        self._container, self._log = container, log

    def hosts(self) -> dict[str, str]:
        return {"n": "head-server"}

    def container(self, _: str) -> Any:
        if self._container is None:
            raise MissingError("elsewhere")
        return self._container

    def task_log(self, _: str) -> str:
        if isinstance(self._log, Exception):
            raise self._log
        return str(self._log)


def unit(reason: str, err: str = "", *, task: bool = True) -> Unit:
    status = {"State": "failed", "Err": err, "ContainerStatus": {"ContainerID": "c"}}
    made = Unit("a", 1, {}, 1.0, 1.0, [], detail=reason)
    made.verdict = Verdict("failed", task={"ID": "t", "NodeID": "n", "Status": status} if task else None)
    return made


def describe(fake: Fake, given: Unit) -> dict[str, Any]:
    return failure.describe(fake, given, {"b": "done"})  # type: ignore[arg-type]


def test_everything_known_is_told() -> None:
    health = {
        "FailingStreak": 2,
        "Log": [{"Output": "ok", "ExitCode": 0}, {"Output": "\x1b[31mno model\n", "ExitCode": 1}],
    }
    fake = Fake({"State": {"Health": health}}, "\n".join(f"line {number}\x07" for number in range(30)))
    told = describe(fake, unit("it ended with exit code 0", "task: boom"))
    assert told["host"] == "head-server"
    assert told["reason"] == "its health check failed and Docker stopped it: it ended with exit code 0"
    assert told["health"] == "\ufffdno model"
    assert told["task_error"] == "task: boom"
    assert told["log"] == [f"line {number}\ufffd" for number in range(10, 30)]
    assert told["others"] == {"b": "done"}


@pytest.mark.parametrize(
    ("checks", "said"),
    [
        ([], ""),
        ([("fine", 0), ("fine, too", 0)], "fine, too"),
        ([("503: a", 1), ("503: a", 1), ("ok", 0), ("503: stopping", 1), ("", 137)], "503: a\n503: stopping"),
        ([(f"{number}", 1) for number in range(5)], "2\n3\n4"),
    ],
)
def test_the_health_output_is_that_of_the_failed_checks(checks: list[tuple[str, int]], said: str) -> None:
    log = [{"Output": output, "ExitCode": code} for output, code in checks]
    assert failure.health_output({"Log": log}) == said


@pytest.mark.parametrize(
    ("log", "said"),
    [
        ("", "(it printed nothing)"),
        (MissingError("x"), "(the task is gone, and its log with it)"),
        (DockerError("configured logging driver does not support reading"), "does not support reading"),
    ],
)
def test_why_there_is_no_log(log: Any, said: str) -> None:
    assert said in describe(Fake(log=log), unit("it crashed"))["log"][0]


def test_without_a_task_little_is_known() -> None:
    told = describe(Fake(), unit("was removed by somebody else", task=False))
    assert (told["host"], told["health"], told["log"]) == ("", "", [])


@pytest.mark.parametrize(
    ("reason", "hint"),
    [
        ("no host can run it: no suitable node (x)", "labels"),
        ("its host refused to start it: No such image: x", "delivered"),
        ("it crashed (2 times) with exit code 137", "memory"),
        ("it crashed with exit code 3", "log says why"),
        ("not done within 9 s: started, waiting for its health check", "longer than its deadline"),
        ("not done within 9 s: check a:80: HTTP 503 instead of 200", "edge"),
        ("something new", "look at its log"),
    ],
)
def test_hints(reason: str, hint: str) -> None:
    assert hint in describe(Fake(), unit(reason))["hint"]
