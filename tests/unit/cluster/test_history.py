"""The history as read from the cluster: order, numbers, and which release was left open."""

from __future__ import annotations

import base64
import time
from typing import Any, cast

import pytest

from llmdeploy.cluster import history
from llmdeploy.engine.api import Docker
from llmdeploy.engine.ledger import encode
from llmdeploy.errors import LlmdeployError

Json = dict[str, Any]


def config(number: int, **labels: str) -> Json:
    """A release as Docker's API gives it."""
    own = {"llmdeploy.stack": "llm", "llmdeploy.kind": "release", "number": str(number), "verdict": "good", **labels}
    data = base64.b64encode(encode({"format": 1, "job": {"id": f"job-{number}"}, "pins": {}})).decode()
    return {"ID": f"id-{number}", "Spec": {"Name": f"llm.release.{number}", "Labels": own, "Data": data}}


def lock(job: str, updated: str = "2026-11-23T10:00:00.123456789Z", version: int = 1) -> Json:
    labels = {"llmdeploy.stack": "llm", "llmdeploy.kind": "lock", "job": job, "user": "ana"}
    spec = {"Name": "llm.lock", "Labels": labels, "Data": "e30="}
    return {"ID": "lock", "Version": {"Index": version}, "UpdatedAt": updated, "Spec": spec}


class Readings:
    """A Docker that has one list of config objects after the other."""

    def __init__(self, *readings: list[Json]) -> None:
        self.readings = list(readings)

    def configs(self, _stack: str, kind: str = "") -> list[Json]:
        now = self.readings.pop(0) if len(self.readings) > 1 else self.readings[0]
        return [item for item in now if not kind or item["Spec"]["Labels"]["llmdeploy.kind"] == kind]


def docker(*readings: list[Json]) -> Docker:
    return cast("Docker", Readings(*readings))


def test_the_newest_comes_first_and_its_manifest_can_be_read() -> None:
    found = history.entries(docker([config(2), config(10), lock("x"), config(9)]), "llm")
    assert [entry.number for entry in found] == [10, 9, 2]
    assert found[0].manifest["job"]["id"] == "job-10"


def test_a_number_that_is_not_there_names_those_that_are() -> None:
    known = docker([config(number) for number in (3, 4, 5, 7, 9, 10)])
    assert history.find(known, "llm", 7).number == 7
    with pytest.raises(LlmdeployError, match=r"there is no release 6: there are 3 to 5, 7, 9, 10$"):
        history.find(known, "llm", 6)
    with pytest.raises(LlmdeployError, match="there is none yet"):
        history.find(docker([]), "llm", 1)


@pytest.mark.parametrize(
    ("verdict", "held_by", "is_open"),
    [
        ("running", None, True),
        ("running", "mine", False),
        ("running", "another", True),
        ("good", None, False),
        ("interrupted", None, False),
    ],
)
def test_a_release_is_open_when_nobody_works_on_it(verdict: str, held_by: str | None, is_open: bool) -> None:
    configs = [config(1, verdict="good"), config(2, verdict=verdict, job="mine"), *([lock(held_by)] if held_by else [])]
    found = history.open_release(history.of_configs(configs), history.holder(configs))
    assert (found.number if found else 0) == (2 if is_open else 0)


def test_only_the_newest_release_can_be_open() -> None:
    configs = [config(1, verdict="running"), config(2, verdict="good")]
    assert history.open_release(history.of_configs(configs), None) is None
    assert history.open_release([], None) is None


def test_a_holder_whose_beat_looks_old_is_watched(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(history, "LOOK_AGAIN", 0.01)
    monkeypatch.setattr(history, "BEAT_EVERY", -0.9)
    old = lock("x")
    assert history.silence(docker([old]), "llm", old) > 15
    assert history.silence(docker([old], [lock("x", version=2)]), "llm", old) == 0.0, "a clock is wrong, and it lives"
    assert history.silence(docker([old], []), "llm", old) == 0.0, "given back"
    assert history.living(docker([old]), "llm", [old]) is None
    assert history.living(docker([old], [lock("x", version=2)]), "llm", [old]) == old
    assert history.living(docker([]), "llm", []) is None


def test_a_fresh_beat_is_believed(monkeypatch: pytest.MonkeyPatch) -> None:
    fresh = lock("x", "2026-11-23T10:00:00.123456789Z")
    monkeypatch.setattr(time, "time", lambda: history._moment(fresh["UpdatedAt"]) + 14)
    assert history.silence(docker([fresh]), "llm", fresh) == 0.0


@pytest.mark.parametrize(("numbers", "text"), [([1], "1"), ([1, 2], "1, 2"), ([3, 1, 2], "1 to 3"), ([], "")])
def test_numbers_in_words(numbers: list[int], text: str) -> None:
    assert history.spans(numbers) == text
