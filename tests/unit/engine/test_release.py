"""Decisions of the release's loop that need no Docker."""

from __future__ import annotations

import time
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest

from llmdeploy.engine import release, watch
from llmdeploy.engine.compare import Comparison, Unit
from llmdeploy.engine.progress import Progress
from llmdeploy.engine.tasks import Verdict


class Nobody:
    """A daemon that knows nothing."""

    def hosts(self) -> dict[str, str]:
        return {}


def unit(name: str, state: str, detail: str = "") -> Unit:
    made = Unit(name, 1, {}, stability=0.0, deadline=60.0, answers=[], state=state, detail=detail)
    made.began = made.steady = time.monotonic()
    made.verdict = Verdict("healthy", 1, 1)
    return made


@pytest.mark.parametrize(
    ("edge", "missing", "state"),
    [
        ("failed", "check web:80 http: connection refused", "failed"),
        ("failed", "asking web:80 http", "answering"),  # a part of the edge may still answer
        ("failed", None, "done"),
        ("starting", "check web:80 http: connection refused", "answering"),
    ],
)
def test_nobody_waits_for_an_answer_through_an_edge_that_failed(
    monkeypatch: pytest.MonkeyPatch, edge: str, missing: str | None, state: str
) -> None:
    monkeypatch.setattr(watch, "follow", lambda *_: None)
    monkeypatch.setattr(watch, "answers", lambda *_: missing)
    units = {"edge": unit("edge", edge, "it crashed"), "web": unit("web", "starting")}
    found = Comparison(units, {"edge": [], "web": []}, [], {"networks": {}})
    docker: Any = Nobody()
    progress = Progress()
    with ThreadPoolExecutor(1) as pool:
        release.Release(docker, {}, found, progress, pool)._advance(units["web"], {}, [])
    assert units["web"].state == state
    told = [line for line in progress.lines if line["kind"] == "failure"]
    if state == "failed":
        assert told[0]["reason"].startswith("it is healthy, but the edge has failed (it crashed): check web:80")
        assert "edge" in told[0]["hint"]
    else:
        assert not told
