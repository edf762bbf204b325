"""A plan with services that go."""

from __future__ import annotations

from typing import Any

from llmdeploy.cli.planning import Plan, _deliveries

SERVICES = [
    {"name": "web", "wave": 2, "action": "unchanged", "changes": []},
    {"name": "store", "wave": 1, "action": "unchanged", "changes": []},
]
DRIFT = [
    {"service": "mine", "kind": "added", "changes": [], "then": "stays"},
    {"service": "theirs", "kind": "foreign", "changes": [], "then": "stays"},
]


def plan() -> Plan:
    data: dict[str, Any] = {"services": SERVICES, "orphans": ["mine", "old"], "drift": DRIFT, "changes": False}
    return Plan(data, {}, None, {})


def test_what_goes_is_removed_after_all_others() -> None:
    data = plan().removing(["old", "mine"]).data
    assert [(row["name"], row["wave"], row["action"]) for row in data["services"][2:]] == [
        ("mine", 3, "remove"), ("old", 3, "remove"),
    ]  # fmt: skip
    assert (data["orphans"], data["changes"]) == ([], True)


def test_what_was_made_by_hand_and_goes_is_said_to_go() -> None:
    data = plan().removing(["mine"]).data
    assert [row["then"] for row in data["drift"]] == ["is removed", "stays"]
    assert data["orphans"] == ["old"]


def test_nothing_to_remove_is_the_same_plan() -> None:
    assert plan().removing([]).data == plan().data


def test_of_what_hosts_lack_an_update_only_delivers_images() -> None:
    """The rest would be in each of its plans, and never be done."""
    todo: dict[str, Any] = {
        "manager": "a", "prepare": ["a"], "firewall": {"a": "#!/bin/sh"}, "edge": ["a"],
        "cluster": {"init": True, "join": {"b": "worker"}, "promote": ["c"], "label": ["c"], "network": True},
        "images": {"make": ["app:1"], "deliver": {"b": ["app:1"]}},
    }  # fmt: skip
    assert _deliveries(todo) == ["make the image app:1", "b: deliver app:1"]
