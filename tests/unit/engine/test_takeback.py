"""The way back, pure: which job takes a failed release back, and how it is told."""

from __future__ import annotations

from typing import Any

import pytest

from llmdeploy.engine.ledger import Position
from llmdeploy.engine.takeback import TakenBack, touched, way_back


def entry(wave: int, *needs: str) -> dict[str, Any]:
    return {"wave": wave, "image": "i", "depends_on": list(needs), "spec": {}}


OLD = {
    "job": {
        "id": "old", "stack": "llm", "environment": "dev", "on_failure": "take-back", "pace": "waves", "canary": True,
        "remove": ["x"], "seen": {"a": "1"}, "edge": {"config": "global", "force": True}, "verify": [{"name": "chat"}],
        "services": {"a": entry(1), "b": entry(2, "a"), "c": entry(3, "a", "b"), "d": entry(1)},
    },
    "pins": {"i": "sha256:1"},
}  # fmt: skip


def test_dependants_go_back_first_and_what_was_not_there_goes() -> None:
    job = way_back({"id": "new"}, OLD, ["a", "c", "b", "new"])
    assert {name: one["depends_on"] for name, one in job["services"].items()} == {"a": ["b", "c"], "b": ["c"], "c": []}
    assert {name: one["wave"] for name, one in job["services"].items()} == {"a": 3, "b": 2, "c": 1}
    assert job["remove"] == ["new"]
    assert (job["id"], job["on_failure"], job["seen"], job["canary"]) == ("new", "go-on", {}, False)
    assert job["edge"] == {"config": "global", "force": False}
    assert job["verify"] == [{"name": "chat"}]


def test_only_what_was_touched_orders_the_way_back() -> None:
    job = way_back({"id": "new"}, OLD, ["a", "c"])
    assert {name: one["depends_on"] for name, one in job["services"].items()} == {"a": ["c"], "c": []}


def live(name: str, release: str | None, stack: str = "llm") -> dict[str, Any]:
    labels = {"llmdeploy.stack": stack, **({"llmdeploy.release": release} if release else {})}
    return {"Spec": {"Name": name, "Labels": labels}}


@pytest.mark.parametrize(
    ("where", "expected"),
    [(Position(4, True, 4), {"b", "c"}), (Position(2, True, 5), {"c"}), (Position(6, True, 6), set())],
)
def test_touched_is_what_a_newer_release_wrote(where: Position, expected: set[str]) -> None:
    services = [live("a", "4"), live("b", "5"), live("c", "6"), live("d", None), live("e", "9", "other")]
    assert touched({"stack": "llm"}, services, where) == expected


def test_what_is_told_of_it() -> None:
    assert TakenBack(4).summary("dev") == "nothing had been changed"
    done = TakenBack(4, ["a"], ["new"])
    assert done.summary("dev") == "taken back to release 4 and verified: a, new (removed again)"
    stuck = TakenBack(4, ["a"], stuck=[{"service": "b", "runs": "release 5, image x", "wanted": "", "reason": "why"}])
    assert stuck.summary("prod") == (
        "taking back to release 4 failed: b runs release 5, image x (why); next: llmdeploy prod rollback 4"
    )
    assert not stuck.verified
    assert not TakenBack(4, wrong="chat fails").verified
