"""What a release tells Alertmanager, against a stand-in for its API: whom it silences, for how long, and until when."""

from __future__ import annotations

import re
import time
from typing import Any

import pytest

from llmdeploy.engine import silences, watchers
from llmdeploy.engine.compare import Comparison, Unit
from llmdeploy.engine.peers import Peer, PeerError
from llmdeploy.engine.progress import Progress
from llmdeploy.engine.watchers import Watchers
from tests.unit.engine.standin import Request, standing_in

JOB: dict[str, Any] = {
    "stack": "llm", "environment": "dev", "action": "update", "edge_host": "127.0.0.1", "deadline": 600.0,
    "by": {"user": "ana", "message": "a try", "git": "1a2b3c4"},
}  # fmt: skip


def comparison(*changed: str, new: str = "") -> Comparison:
    """What a release finds that changes these services, and creates one."""
    units = {
        name: Unit(name, 1, {}, stability=0, deadline=60, answers=[], live={}, changes=["image"])
        for name in ("same", *changed)
    }
    units["same"].changes = []
    if new:
        units[new] = Unit(new, 1, {}, stability=0, deadline=60, answers=[])
    return Comparison(units, {}, [], {})


def alertmanager(request: Request) -> tuple[int, Any]:
    return (200, {"silenceID": "ab-12"}) if request.method == "POST" else (200, None)


def watching(port: int, found: Comparison, **more: Any) -> tuple[Watchers, Progress]:
    progress = Progress()
    return Watchers({**JOB, "watch": {"alertmanager": {"port": port}}, **more}, 7, found, progress), progress


def test_alerts_of_what_changes_are_silent_until_the_release_ends() -> None:
    with standing_in(alertmanager) as server:
        told, progress = watching(server.port, comparison("tail-go", "head.go"))
        told.begin()
        until = time.monotonic() + 5
        while not server.requests and time.monotonic() < until:
            time.sleep(0.01)
        assert [request.method for request in server.requests] == ["POST"]
        told.end("done", ["tail-go", "head.go"], None)
    assert [(one.method, one.path) for one in server.requests] == [
        ("POST", "/api/v2/silences"), ("DELETE", "/api/v2/silence/ab-12"),
    ]  # fmt: skip
    assert progress.lines == []
    sent = server.requests[0].json
    services = sent["matchers"][0]
    assert services == {"name": "service", "value": "^(head[.]go|tail-go)$", "isRegex": True, "isEqual": True}
    silenced = [name for name in ("tail-go", "head.go", "headxgo", "same", "alertmanager", "") if
                re.fullmatch(f"(?:{services['value']})", name)]  # fmt: skip
    assert silenced == ["tail-go", "head.go"]
    assert sent["matchers"][1] == {"name": "severity", "value": "none", "isRegex": False, "isEqual": False}
    assert (sent["createdBy"], sent["comment"]) == ("ana", "llmdeploy: update of release 7 in dev by ana")


def test_a_silence_ends_with_the_deadline_of_the_release_at_the_latest() -> None:
    made = silences.silence(["a"], 600.0, "ana", "why", now=1_795_456_800.25)
    assert (made["startsAt"], made["endsAt"]) == ("2026-11-23T18:00:00.250Z", "2026-11-23T18:10:00.250Z")


@pytest.mark.parametrize("verdict", ["rolled-back", "stopped", "interrupted", "failed"])
def test_it_ends_however_the_release_ends(verdict: str) -> None:
    with standing_in(alertmanager) as server:
        told, _ = watching(server.port, comparison("a"))
        told.begin()
        told.end(verdict, [], None)
    assert server.requests[-1].method == "DELETE"


@pytest.mark.parametrize("found", [comparison(), comparison(new="alertmanager")], ids=["unchanged", "new itself"])
def test_nothing_is_said_where_nothing_is_silenced(found: Comparison) -> None:
    with standing_in(alertmanager) as server:
        told, progress = watching(server.port, found)
        told.begin()
        told.end("done", [], None)
    assert server.requests == []
    assert progress.lines == []


def test_no_alertmanager_is_a_note_and_costs_nothing() -> None:
    told, progress = watching(1, comparison("a"))
    began = time.monotonic()
    told.begin()
    told.end("done", ["a"], None)
    assert time.monotonic() - began < 1.0
    assert [(line["kind"], line["level"], line["text"]) for line in progress.lines] == [
        ("note", "warning", "the monitoring was not told: alertmanager: connection to port 1 refused")
    ]


def test_a_silence_that_cannot_be_ended_ends_by_itself() -> None:
    with standing_in(lambda request: alertmanager(request) if request.method == "POST" else (500, "no")) as server:
        told, progress = watching(server.port, comparison("a"))
        told.begin()
        told.end("done", ["a"], None)
    assert progress.lines[0]["text"] == (
        "the monitoring was not told: alertmanager: HTTP 500: no (the silence ends by itself)"
    )


def test_a_slow_alertmanager_does_not_hold_a_release_up(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(watchers, "LONGEST", 0.2)

    def slow(request: Request) -> tuple[int, Any]:
        time.sleep(1.0)
        return alertmanager(request)

    with standing_in(slow) as server:
        told, progress = watching(server.port, comparison("a"))
        began = time.monotonic()
        told.begin()
        assert time.monotonic() - began < 0.1, "nobody waits for it at the beginning"
        told.end("done", ["a"], None)
        assert time.monotonic() - began < 0.8
    assert progress.lines[0]["text"] == "the monitoring was not told: no answer within 0.2 s"


@pytest.mark.parametrize("answer", [(200, "[]"), (200, {"id": "x"}), (200, None)])
def test_an_answer_of_somebody_else_is_told(answer: tuple[int, Any]) -> None:
    with standing_in(lambda _: answer) as server, pytest.raises(PeerError, match="not one of Alertmanager"):
        silences.begin(Peer("alertmanager", "127.0.0.1", server.port), {})
