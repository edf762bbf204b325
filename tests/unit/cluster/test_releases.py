"""What `history` makes of the releases as the cluster has them."""

from __future__ import annotations

import base64
import copy
import json
from typing import Any

from llmdeploy.cluster import history, releases
from llmdeploy.cluster.history import Entry
from llmdeploy.engine.ledger import encode
from tests.unit.manifests import SERVICES, manifest

TIMES = {
    "edge": {"wave": 1, "action": "unchanged", "state": "unchanged", "began": 0.1, "seconds": 0.1},
    "store": {"wave": 1, "action": "change", "state": "done", "began": 0.4, "seconds": 3.1},
    "other": {"wave": 1, "action": "create", "state": "done", "began": 0.2, "seconds": 1.0},
    "web": {"wave": 2, "action": "change", "state": "failed", "began": 3.6, "seconds": 20.0},
    "late": {"wave": 3, "action": "change", "state": "blocked", "began": None, "seconds": 0.0},
}


def config(number: int, made: dict[str, Any] | None = None, **labels: str) -> dict[str, Any]:
    """A release as Docker's API gives it."""
    own = {"llmdeploy.stack": "llm", "llmdeploy.kind": "release", "number": str(number), "verdict": "good", **labels}
    data = base64.b64encode(encode(made or manifest())).decode()
    return {"ID": f"id-{number}", "Spec": {"Name": f"llm.release.{number}", "Labels": own, "Data": data}}


def entries(*configs: dict[str, Any]) -> list[Entry]:
    return history.of_configs(configs)


def test_a_row_has_everything_the_labels_tell() -> None:
    labels = {
        "action": "rollback", "target": "1", "user": "ana", "host": "laptop", "reason": "why", "git": "1a2b3c4",
        "dirty": "yes", "git_time": "1795456000", "seconds": "7.4", "changed": "a,b", "started": "2026-11-23T10:00:00Z",
        "taken_back_to": "",
    }  # fmt: skip
    found = entries(config(1), config(2, None, **labels))
    row = releases.row(found[0], found, None)
    assert {key: row[key] for key in ("number", "action", "target", "user", "host", "reason", "git", "verdict")} == {
        "number": 2, "action": "rollback", "target": 1, "user": "ana", "host": "laptop", "reason": "why",
        "git": "1a2b3c4", "verdict": "good",
    }  # fmt: skip
    assert (row["dirty"], row["seconds"], row["changed"], row["taken_back_to"]) == (True, 7.4, ["a", "b"], None)
    assert [releases.row(one, found, None)["git_time"] for one in found] == [1795456000, None], "older ones have none"


def test_the_release_the_stack_is_on_is_marked_also_after_a_rollback_to_it() -> None:
    found = entries(config(1), config(2), config(3, target="1", action="rollback"))
    data = releases.listed(found, None, 20)
    assert (data["on"], data["source"], data["open"]) == (1, 3, None)
    assert [row["number"] for row in data["releases"] if row["on"]] == [1]


def test_no_more_than_asked_for_the_rest_is_counted() -> None:
    data = releases.listed(entries(*(config(number) for number in range(1, 6))), None, 2)
    assert ([row["number"] for row in data["releases"]], data["left_off"]) == ([5, 4], 3)
    assert releases.listed([], None, 20) == {
        "on": 0, "source": 0, "settled": True, "open": None, "running": None, "releases": [], "left_off": 0,
    }  # fmt: skip


def test_figures_are_over_all_releases_and_one_that_was_left_open_has_failed() -> None:
    times = {"started": "2026-11-23T10:00:00Z", "action": "deploy"}
    ended = {**times, "finished": "2026-11-23T10:01:00Z"}
    found = entries(
        config(3, None, **ended), config(4, None, **ended), config(5, None, verdict="running", job="x", **times)
    )
    data = releases.four_keys(found, None, 1795532400.0, 3600.0)
    assert (data["first"], data["last"], data["kept"], data["cut"], data["within"]) == (3, 5, 3, True, 3600.0)
    assert data["change_failure_rate"]["failed"] == 1
    held = {"ID": "lock", "Spec": {"Name": "llm.lock", "Labels": {"llmdeploy.kind": "lock", "job": "x"}}}
    assert releases.four_keys(found, held, 1795532400.0, 3600.0)["change_failure_rate"]["releases"] == 2


def test_a_newer_release_that_is_kept_as_it_failed_is_told() -> None:
    data = releases.listed(entries(config(1), config(2, verdict="failed")), None, 20)
    assert (data["on"], data["settled"]) == (1, False)


def test_a_release_that_was_left_open_is_marked() -> None:
    found = entries(config(1), config(2, verdict="running", job="x"))
    data = releases.listed(found, None, 20)
    assert (data["open"], data["running"], [row["open"] for row in data["releases"]]) == (2, None, [True, False])
    held = {"ID": "lock", "Spec": {"Name": "llm.lock", "Labels": {"llmdeploy.kind": "lock", "job": "x"}}}
    data = releases.listed(found, held, 20)
    assert (data["open"], data["running"], [row["open"] for row in data["releases"]]) == (None, 2, [False, False])


def test_a_release_is_compared_with_what_the_stack_was_on_then() -> None:
    more = copy.deepcopy(SERVICES)
    more["web"]["replicas"] = 3
    found = entries(
        config(1), config(2, manifest(more)), config(3, manifest(more), verdict="rolled back"),
        config(4, action="rollback", target="1"), config(5, manifest(more)),
    )  # fmt: skip
    shown = {one.number: releases.shown(one, found, None) for one in found}
    assert {number: data["against"] for number, data in shown.items()} == {5: 1, 4: 2, 3: 2, 2: 1, 1: None}
    web = next(row for row in shown[5]["services"] if row["name"] == "web")
    assert (web["action"], web["changes"], web["replicas"]) == ("change", ["replicas 1 → 3"], 3)
    assert {row["action"] for row in shown[3]["services"]} == {"unchanged"}


def test_a_rollback_whose_target_is_forgotten_stands_for_itself() -> None:
    found = entries(config(4, action="rollback", target="1"), config(5))
    assert releases.shown(found[0], found, None)["against"] == 4


def test_one_release_whole() -> None:
    found = entries(config(1), config(2, manifest({"store": SERVICES["store"]}), times=json.dumps(TIMES)))
    data = releases.shown(found[0], found, None)
    assert data["removed"] == ["web"]
    assert (data["edge"], data["network"]) == ("llm.edge.eeeeeeeeeeee", "llm-network")
    assert next(row for row in data["services"] if row["name"] == "store")["time"] == TIMES["store"]
    assert data["waves"] == [
        {"wave": 1, "services": ["store", "other"], "began": 0.2, "seconds": 3.3},
        {"wave": 2, "services": ["web"], "began": 3.6, "seconds": 20.0},
    ]


def test_times_nobody_can_read_are_no_times() -> None:
    for text in ("", "{", "[]"):
        found = entries(config(1, times=text))
        assert releases.shown(found[0], found, None)["waves"] == []


def test_two_releases_compared() -> None:
    found = entries(config(1), config(2, manifest(edge="f")))
    data = releases.compared(found[1], found[0])
    assert (data["from"], data["to"]) == (1, 2)
    assert [row["name"] for row in data["services"] if row["action"] == "change"] == ["edge"]
    assert data["edge"]["to"] == "llm.edge.ffffffffffff"
    assert "+# f" in data["edge"]["lines"]
