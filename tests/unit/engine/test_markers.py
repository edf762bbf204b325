"""The marks of a release, against a stand-in for Loki that takes what is pushed."""

from __future__ import annotations

import json
import time
from typing import Any

import pytest

from llmdeploy.engine.compare import Comparison
from llmdeploy.engine.progress import Progress
from llmdeploy.engine.watchers import Watchers
from tests.unit.engine.standin import Request, standing_in
from tests.unit.engine.test_silences import JOB, comparison

STREAM = {"job": "llmdeploy", "environment": "dev", "stack": "llm", "event": "update"}


def taken(request: Request) -> tuple[int, Any]:
    """As Loki: 204 for streams of labels and pairs of nanoseconds and text, all texts, else 400."""
    try:
        (stream,) = request.json["streams"]
        ((moment, line),) = stream["values"]
        good = request.path == "/loki/api/v1/push" and moment.isdigit() and isinstance(line, str)
        good = good and all(isinstance(value, str) and value for value in stream["stream"].values())
    except (ValueError, KeyError, TypeError):
        good = False
    return (204, None) if good else (400, "bad")


def marked(found: Comparison, verdict: str, back: int | None = None) -> tuple[list[Request], Progress]:
    progress = Progress()
    with standing_in(taken) as server:
        told = Watchers({**JOB, "watch": {"loki": {"port": server.port}}}, 7, found, progress)
        told.begin()
        time.sleep(0.05)
        told.end(verdict, ["a"], back)
    return sorted(server.requests, key=lambda one: str(one.json["streams"][0]["values"][0][0])), progress


def test_a_release_is_marked_at_its_beginning_and_its_end() -> None:
    now = time.time()
    requests, progress = marked(comparison("a", "b"), "done")
    assert progress.lines == []
    streams = [request.json["streams"][0] for request in requests]
    assert [stream["stream"] for stream in streams] == [STREAM, STREAM]
    assert all(abs(int(stream["values"][0][0]) / 1e9 - now) < 5 for stream in streams)
    first, last = (json.loads(stream["values"][0][1]) for stream in streams)
    who = {"release": 7, "action": "update", "user": "ana", "git": "1a2b3c4", "message": "a try"}
    assert first == {**who, "state": "started", "services": ["a", "b"]}
    assert 0.04 < last.pop("seconds") < 5
    assert last == {**who, "state": "ended", "result": "done", "services": ["a"]}


def test_the_end_says_that_everything_was_taken_back() -> None:
    requests, _ = marked(comparison("a"), "rolled-back", 4)
    last = json.loads(requests[-1].json["streams"][0]["values"][0][1])
    assert (last["result"], last["taken_back_to"]) == ("rolled-back", 4)


def test_nothing_is_marked_where_nothing_changes() -> None:
    assert marked(comparison(), "unchanged")[0] == []


@pytest.mark.parametrize(("verdict", "count"), [("done", 1), ("unhealthy", 0)])
def test_a_loki_that_comes_up_with_the_release_is_told_of_its_end(verdict: str, count: int) -> None:
    requests, progress = marked(comparison("a", new="loki"), verdict)
    assert len(requests) == count
    assert progress.lines == []


def test_no_loki_is_one_note() -> None:
    progress = Progress()
    told = Watchers({**JOB, "watch": {"loki": {"port": 1}}}, 7, comparison("a"), progress)
    told.begin()
    told.end("done", ["a"], None)
    assert [line["text"] for line in progress.lines] == [
        "the monitoring was not told: loki: connection to port 1 refused"
    ]
