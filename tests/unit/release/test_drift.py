"""What was changed by hand, and what comes of it."""

from __future__ import annotations

import copy
from typing import Any

import pytest

from llmdeploy.engine.ledger import Position
from llmdeploy.release.drift import Cluster, drift
from tests.unit.manifests import SERVICES, live, manifest, sha

Json = dict[str, Any]
ON_ONE = Position(1, True, 1)


def cluster(*services: Json, foreign: tuple[Json, ...] = (), api: str = "1.44") -> Cluster:
    return Cluster(
        {one["Spec"]["Name"]: one for one in services}, {one["Spec"]["Name"]: one for one in foreign},
        {"net1": "llm-network"}, api,
    )  # fmt: skip


def found(
    *services: Json, job: Json | None = None, foreign: tuple[Json, ...] = (), where: Position = ON_ONE, **more: Any
) -> list[Json]:
    """The drift against release 1 (and `more` releases), for a deploy of `job`, release 1's own by default."""
    made = manifest()
    goal = job or made
    others = [live(made, name) for name in made["job"]["services"] if name not in {one["ID"] for one in services}]
    present = [one for one in (*services, *others) if one["Spec"]]
    manifests = {1: made, **{int(key[1:]): value for key, value in more.items()}}
    return drift(cluster(*present, foreign=foreign), manifests, where, goal["job"], goal["pins"])


def by_hand(**changes: Any) -> Json:
    """The service web as somebody left it."""
    service = live(manifest(), "web")
    container = service["Spec"]["TaskTemplate"]["ContainerSpec"]
    for key, value in changes.items():
        if key == "replicas":
            service["Spec"]["Mode"] = {"Replicated": {"Replicas": value}}
        elif key == "env":
            container["Env"] = [*container.get("Env", []), value]
        else:
            container["Image"] = value
    return service


def test_nobody_touched_anything() -> None:
    assert found() == []


def test_what_was_changed_goes_back_with_a_deploy() -> None:
    (row,) = found(by_hand(replicas=3, env="LOG=secret", image=f"registry.example.com/web@{sha('d')}"))
    assert (row["service"], row["kind"], row["then"]) == ("web", "changed", "goes back")
    assert [change["what"] for change in row["changes"]] == [
        "image registry.example.com/web@sha256:aaaaaaaaaaaa → registry.example.com/web@sha256:dddddddddddd",
        "env LOG added",
        "replicas 1 → 3",
    ]
    assert "secret" not in str(row)


@pytest.mark.parametrize(("wanted", "then"), [(1, "goes back"), (3, "stays"), (5, "becomes 5")])
def test_what_a_deploy_does_to_it_depends_on_what_is_configured(wanted: int, then: str) -> None:
    services = copy.deepcopy(SERVICES)
    services["web"]["replicas"] = wanted
    (row,) = found(by_hand(replicas=3), job=manifest(services))
    assert (row["changes"], row["then"]) == ([{"what": "replicas 1 → 3", "then": then}], then)


def test_each_field_has_its_own_fate() -> None:
    services = copy.deepcopy(SERVICES)
    services["web"]["replicas"] = 3
    (row,) = found(by_hand(replicas=3, env="LOG=debug"), job=manifest(services))
    assert row["then"] == ""
    assert [change["then"] for change in row["changes"]] == ["goes back", "stays"]


def test_a_change_of_a_service_that_nobody_wants_any_more_stays() -> None:
    (row,) = found(by_hand(replicas=3), job=manifest({"store": SERVICES["store"]}))
    assert row["then"] == "stays"


@pytest.mark.parametrize(("services", "then"), [(None, "is made again"), ({"store": SERVICES["store"]}, "stays away")])
def test_a_service_that_was_removed(services: Json | None, then: str) -> None:
    (row,) = found({"ID": "web", "Spec": {}}, job=manifest(services))
    assert (row["service"], row["kind"], row["then"]) == ("web", "removed", then)


@pytest.mark.parametrize(
    ("name", "remove", "then"),
    [("mine", [], "stays"), ("mine", ["mine"], "is removed"), ("extra", [], "is taken over")],
)
def test_a_service_of_ours_that_no_release_made(name: str, remove: list[str], then: str) -> None:
    stranger = live(manifest(), "store", release=None)
    stranger["ID"] = stranger["Spec"]["Name"] = name
    goal = manifest({**SERVICES, "extra": SERVICES["store"]})
    goal["job"]["remove"] = remove
    (row,) = found(stranger, job=goal)
    assert (row["service"], row["kind"], row["then"]) == (name, "added", then)


def test_an_orphan_of_an_earlier_release_is_no_drift() -> None:
    orphan = live(manifest(), "store", release=1)
    orphan["ID"] = orphan["Spec"]["Name"] = "old"
    assert found(orphan) == []


@pytest.mark.parametrize(("network", "rows"), [("net1", 1), ("llm-network", 1), ("another", 0)])
def test_a_foreign_service_on_our_network(network: str, rows: int) -> None:
    spec = {"Name": "theirs", "TaskTemplate": {"Networks": [{"Target": network}], "ContainerSpec": {"Image": "x"}}}
    told = found(foreign=({"ID": "theirs", "Spec": spec},))
    assert [(row["service"], row["kind"], row["then"]) for row in told] == [("theirs", "foreign", "stays")] * rows


def test_what_a_newer_release_left_is_compared_with_that_release() -> None:
    """Kept as it failed, or left open: its changes are nobody's by hand, those on top of it are."""
    services = copy.deepcopy(SERVICES)
    services["web"]["replicas"] = 2
    kept = manifest(services)
    left = live(kept, "web", release=2)
    where = Position(1, False, 1)
    assert found(left, where=where, r2=kept) == []
    left["Spec"]["Mode"] = {"Replicated": {"Replicas": 4}}
    (row,) = found(left, where=where, r2=kept)
    assert row["changes"] == [{"what": "replicas 2 → 4", "then": "becomes 1"}]


def test_after_a_rollback_it_is_compared_with_the_release_it_went_to() -> None:
    services = copy.deepcopy(SERVICES)
    services["web"]["replicas"] = 2
    rolled = live(manifest(), "web", release=3)
    assert found(rolled, where=Position(1, True, 3), r2=manifest(services), r3=manifest()) == []


def test_before_the_first_good_release_only_foreign_services_are_told_of() -> None:
    spec = {"Name": "theirs", "TaskTemplate": {"Networks": [{"Target": "net1"}], "ContainerSpec": {"Image": "x"}}}
    made = manifest()
    stack = cluster(by_hand(replicas=3), foreign=({"ID": "theirs", "Spec": spec},))
    rows = drift(stack, {}, Position(0, True, 0), made["job"], made["pins"])
    assert [row["service"] for row in rows] == ["theirs"]


def test_what_an_old_daemon_drops_is_no_drift() -> None:
    made = manifest()
    services = [live(made, name) for name in made["job"]["services"]]
    for service in services:
        container = service["Spec"]["TaskTemplate"]["ContainerSpec"]
        container.get("Healthcheck", {}).pop("StartInterval", None)
        container.pop("Privileges", None)
    assert drift(cluster(*services, api="1.41"), {1: made}, ON_ONE, made["job"], made["pins"]) == []
    assert drift(cluster(*services), {1: made}, ON_ONE, made["job"], made["pins"]) != []
