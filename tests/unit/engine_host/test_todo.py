"""What a deploy has to do."""

from __future__ import annotations

from typing import Any

import pytest

from llmdeploy.engine.host_todo import Site, decide, new_labels, summary
from tests.unit.engine_host.conftest import Facts, form, network

All = dict[str, Facts]


def problems(site: Site) -> list[tuple[str, str, str]]:
    return [(one["host"], one["check"], one["level"]) for one in decide(site)["problems"]]


def settle(facts: All) -> None:
    """All that a deploy does has been done."""
    form(facts, "a", "b", "c")


def test_nothing_to_do(site: Site, facts: All) -> None:
    settle(facts)
    todo = decide(site)
    assert todo["problems"] == []
    assert todo["plays"] == {"prepare": [], "firewall": [], "cluster": [], "images": [], "release": ["a"]}
    assert summary(todo) == []


def test_new_hosts_form_a_swarm(site: Site, facts: All) -> None:
    todo = decide(site)
    assert todo["cluster"]["init"]
    assert todo["cluster"]["join"] == {"b": "worker", "c": "worker"}
    assert todo["cluster"]["addresses"] == {"a": "10.0.0.1", "b": "10.0.0.2", "c": "10.0.0.3"}
    assert todo["plays"]["cluster"] == ["a", "b", "c"]
    assert summary(todo) == [
        "a: form a new Swarm",
        "b: join the Swarm as worker",
        "c: join the Swarm as worker",
        "create the network",
    ]


def test_a_host_is_prepared_again_for_each_reason(site: Site, facts: All) -> None:
    settle(facts)
    spoils: tuple[Facts, ...] = ({"state": {}}, {"probe": ""}, {"docker": {**facts["b"]["docker"], "sdk": False}})
    for spoil in spoils:
        kept = dict(facts["b"])
        facts["b"].update(spoil)
        assert decide(site)["prepare"] == ["b"]
        facts["b"].update(kept)
    assert decide(site)["prepare"] == []


def test_docker_that_does_not_run_leaves_things_unknown(site: Site, facts: All) -> None:
    settle(facts)
    facts["c"]["docker"] = {"installed": False, "cli": False, "sdk": False, "running": False, "error": "no socket"}
    todo = decide(site)
    assert (todo["prepare"], todo["unknown"]) == (["c"], ["c"])
    assert todo["problems"] == []


def test_full_leaves_nothing_out(site: Site, facts: All) -> None:
    settle(facts)
    site.variables["llmdeploy_full"] = True  # type: ignore[index]
    plays = decide(site)["plays"]
    assert (plays["prepare"], plays["cluster"]) == (["a", "b", "c"], ["a"])


# --- Swarm


def test_a_foreign_swarm_is_refused(site: Site, facts: All) -> None:
    form(facts, "a", "b")
    form(facts, "c", cluster="other")
    found = decide(site)["problems"]
    assert [(one["host"], one["check"]) for one in found] == [("c", "swarm")]
    assert "foreign Swarm (cluster other, managers 10.0.0.3:2377), which is not the one of a" in found[0]["message"]
    assert "docker swarm leave --force" in found[0]["hint"]


def test_a_worker_of_a_foreign_swarm_is_refused(site: Site, facts: All) -> None:
    form(facts, "a", "b")
    form({"c": facts["c"], "x": {**facts["c"], "docker": dict(facts["c"]["docker"])}}, "x", "c")
    facts["c"]["docker"]["swarm"]["node"] = "n-unknown"
    assert problems(site) == [("c", "swarm", "error")]


def test_a_swarm_of_another_host_is_ours_only_with_our_network(site: Site, facts: All) -> None:
    form(facts, "b", "a", "c")
    assert decide(site)["manager"] == "b"  # its network carries our label
    facts["b"]["docker"]["cluster"]["network"] = None
    found = decide(site)["problems"]
    assert {one["host"] for one in found} == {"a", "b", "c"}
    assert "llmdeploy_manager=true" in next(one["hint"] for one in found if one["host"] == "b")


def test_a_swarm_without_majority_is_said_once(site: Site, facts: All) -> None:
    settle(facts)
    facts["a"]["docker"]["cluster"] = {"error": "no leader", "nodes": [], "network": None, "edge": {}}
    assert problems(site) == [("a", "swarm", "error")]


def test_states_of_members(site: Site, facts: All) -> None:
    settle(facts)
    nodes = facts["a"]["docker"]["cluster"]["nodes"]
    nodes[1]["state"] = "down"
    nodes[2]["availability"] = "drain"
    assert problems(site) == [("b", "swarm", "warning"), ("c", "swarm", "warning")]
    facts["b"]["docker"]["swarm"]["state"] = "locked"
    facts["c"]["docker"]["swarm"].update(state="error", error="certificate expired")
    assert problems(site) == [("b", "swarm", "error"), ("c", "swarm", "error")]


def test_a_manager_that_is_locked_hides_the_cluster_and_nothing_else_is_said(site: Site, facts: All) -> None:
    """Docker on a locked manager tells nothing; its workers are not taken for those of a foreign Swarm."""
    settle(facts)
    facts["a"]["docker"].update(
        swarm={**facts["a"]["docker"]["swarm"], "state": "locked", "manager": False, "node": "", "cluster": ""},
        cluster=None,
    )
    todo = decide(site)
    assert [(one["host"], one["level"]) for one in todo["problems"]] == [("a", "error")]
    assert "its Swarm is locked" in todo["problems"][0]["message"]
    assert todo["problems"][0]["hint"] == "llmdeploy ENV swarm unlock"
    assert not todo["cluster"]["init"]


def test_autolock_is_turned_on_and_off_where_it_differs(site: Site, facts: All) -> None:
    settle(facts)
    site.variables["llmdeploy_swarm"] = {"autolock": True}  # type: ignore[index]
    todo = decide(site)
    assert (todo["cluster"]["autolock"], todo["plays"]["cluster"]) == ("on", ["a"])
    assert "have managers locked after a restart" in summary(todo)
    facts["a"]["docker"]["swarm"]["autolock"] = True
    assert decide(site)["plays"]["cluster"] == []
    site.variables["llmdeploy_swarm"] = {"autolock": False}  # type: ignore[index]
    todo = decide(site)
    assert (todo["cluster"]["autolock"], todo["plays"]["cluster"]) == ("off", ["a"])
    assert "have managers locked after a restart no longer" in summary(todo)


def test_a_node_that_was_left_behind_is_reported(site: Site, facts: All) -> None:
    settle(facts)
    nodes = facts["a"]["docker"]["cluster"]["nodes"]
    nodes.append({**nodes[1], "id": "n-old", "state": "down"})
    found = decide(site)["problems"]
    assert [(one["host"], one["level"]) for one in found] == [("b", "warning")]
    assert found[0]["hint"] == "on a: docker node rm --force n-old"


def test_addresses_that_cannot_work(site: Site, facts: All) -> None:
    facts["b"]["address"] = facts["a"]["address"]
    facts["c"]["address"] = ""
    assert problems(site) == [("b", "address", "error"), ("c", "address", "error")]
    site.hosts["b"]["llmdeploy_advertise_addr"] = "192.168.1.2"  # type: ignore[index]
    site.hosts["c"]["llmdeploy_advertise_addr"] = "192.168.1.3"  # type: ignore[index]
    assert problems(site) == []


def test_a_host_alone_needs_no_address(site: Site, facts: All) -> None:
    del facts["b"], facts["c"]
    facts["a"]["address"] = ""
    todo = decide(site)
    assert todo["problems"] == []
    assert todo["cluster"]["addresses"] == {"a": "127.0.0.1"}


def test_nobody_can_join_a_swarm_on_loopback(site: Site, facts: All) -> None:
    form(facts, "a")
    facts["a"]["docker"]["swarm"]["address"] = "127.0.0.1"
    assert problems(site) == [("a", "address", "error")]


def test_labels_and_promotion(site: Site, facts: All) -> None:
    settle(facts)
    site.hosts["b"]["llmdeploy_groups"] = ["b", "model-proxy"]  # type: ignore[index]
    site.variables["llmdeploy_managers"] = ["a", "c"]  # type: ignore[index]
    cluster = decide(site)["cluster"]
    assert (cluster["label"], cluster["promote"], cluster["busy"]) == (["b"], ["c"], True)


def test_only_our_labels_are_replaced() -> None:
    present = {"rack": "7", "group.old": "yes"}
    assert new_labels(present, ["head"]) == {"rack": "7", "group.head": "yes"}


def test_a_network_with_other_settings_is_refused(site: Site, facts: All) -> None:
    settle(facts)
    facts["a"]["docker"]["cluster"]["network"] = network(mtu=1400, attachable=True)
    site.variables["llmdeploy_network"]["subnet"] = "10.9.0.0/24"
    messages = [one["message"] for one in decide(site)["problems"]]
    assert messages == [
        "the network llm-network has mtu 1400, wanted the default",
        "the network llm-network has attachable True, wanted False",
        "the network llm-network has subnet 10.0.1.0/24, wanted 10.9.0.0/24",
    ]
    facts["a"]["docker"]["cluster"]["network"] = network(driver="bridge")
    assert "is there already as a bridge network" in decide(site)["problems"][0]["message"]


# --- images


def image(ref: str = "demo:1", kind: str = "build", hosts: str = "abc", **more: Any) -> dict[str, Any]:
    return {"ref": ref, "kind": kind, "hosts": list(hosts), **more}


def test_an_image_is_made_once_and_delivered_to_the_others(site: Site, facts: All) -> None:
    settle(facts)
    site.variables["llmdeploy_images"].append(image(hosts="ab"))
    todo = decide(site)
    assert todo["images"] == {"make": ["demo:1"], "pins": {}, "sources": {}, "deliver": {"b": ["demo:1"]}}
    assert todo["plays"]["images"] == ["a", "b"]


def test_only_hosts_without_the_image_get_it(site: Site, facts: All) -> None:
    settle(facts)
    site.variables["llmdeploy_images"].append(image())
    for host in "ab":
        facts[host]["docker"]["images"]["tags"] = {"demo:1": "sha256:1"}
    todo = decide(site)["images"]
    assert todo == {
        "make": [],
        "pins": {"demo:1": "sha256:1"},
        "sources": {"demo:1": "a"},
        "deliver": {"c": ["demo:1"]},
    }


def test_the_builder_gets_back_what_it_lost(site: Site, facts: All) -> None:
    settle(facts)
    site.variables["llmdeploy_images"].append(image())
    for host in "bc":
        facts[host]["docker"]["images"]["tags"] = {"demo:1": "sha256:1"}
    todo = decide(site)["images"]
    assert (todo["make"], todo["sources"], todo["deliver"]) == ([], {"demo:1": "b"}, {"a": ["demo:1"]})


def test_an_archive_with_new_content_is_loaded_again(site: Site, facts: All) -> None:
    settle(facts)
    facts["a"]["docker"]["images"]["tags"] = {"web:1": "sha256:old"}
    site.variables["llmdeploy_images"].append(image("web:1", "archive", "a", id="sha256:new"))
    assert decide(site)["images"]["make"] == ["web:1"]
    facts["a"]["docker"]["images"]["tags"] = {"web:1": "sha256:new"}
    assert decide(site)["images"]["make"] == []


def test_registry_images(site: Site, facts: All) -> None:
    settle(facts)
    digest = "sha256:" + "0" * 64
    images = [
        image("redis:7", "registry", "b"),
        image(f"nginx:1@{digest}", "registry", "b"),
    ]
    site.variables["llmdeploy_images"].extend(images)
    todo = decide(site)["images"]
    assert todo["make"] == ["redis:7"]  # its tag may have moved
    assert todo["pins"] == {f"nginx:1@{digest}": f"nginx@{digest}"}
    assert todo["deliver"] == {"b": [f"nginx:1@{digest}", "redis:7"]}
    facts["b"]["docker"]["images"]["digests"] = {f"docker.io/library/nginx@{digest}": "sha256:1"}
    assert decide(site)["images"]["deliver"] == {"b": ["redis:7"]}


def test_an_image_of_no_registry_is_never_asked_for(site: Site, facts: All) -> None:
    settle(facts)
    facts["a"]["docker"]["images"] = {"tags": {"redis:7": "sha256:7"}, "digests": {}, "made": ["sha256:7"]}
    site.variables["llmdeploy_images"].append(image("redis:7", "registry", "b"))
    todo = decide(site)["images"]
    assert (todo["make"], todo["pins"], todo["deliver"]) == ([], {"redis:7": "sha256:7"}, {"b": ["redis:7"]})


def test_copied_images_need_the_same_machine_and_store(site: Site, facts: All) -> None:
    settle(facts)
    site.variables["llmdeploy_images"].append(image())
    facts["b"]["arch"] = "aarch64"
    facts["c"]["docker"]["store"] = "containerd"
    site.probes["aarch64"] = "p1"  # type: ignore[index]
    assert problems(site) == [("b", "images", "error"), ("c", "images", "error")]


SHA256 = "0123456789ab" + "c" * 52


@pytest.mark.parametrize(
    ("labels", "files", "full", "expected"),
    [
        ({"llmdeploy.stack": "llm", "llmdeploy.edge": SHA256[:12]}, [SHA256, SHA256], False, []),
        ({"llmdeploy.stack": "llm", "llmdeploy.edge": SHA256[:12]}, [SHA256, "by hand"], False, ["b"]),
        ({"llmdeploy.stack": "llm", "llmdeploy.edge": SHA256[:12]}, ["", SHA256], False, ["a"]),
        ({"llmdeploy.stack": "llm", "llmdeploy.edge": SHA256[:12]}, [SHA256, SHA256], True, ["a", "b"]),
        ({"llmdeploy.stack": "llm", "llmdeploy.edge": "another"}, ["old", "old"], False, []),
        ({"llmdeploy.stack": "foreign", "llmdeploy.edge": SHA256[:12]}, ["old", "old"], False, []),
        ({}, ["", ""], False, []),
    ],
)
def test_hosts_whose_edge_has_another_file_than_the_cluster_says(
    site: Site, facts: All, labels: dict[str, str], files: list[str], full: bool, expected: list[str]
) -> None:
    settle(facts)
    facts["a"]["docker"]["cluster"]["edge"] = labels
    site.variables["llmdeploy_edge"] |= {"hosts": ["a", "b"], "sha256": SHA256}  # type: ignore[index]
    site.variables["llmdeploy_full"] = full  # type: ignore[index]
    for host, file in zip("ab", files, strict=True):
        facts[host]["edge"]["sha256"] = file
    todo = decide(site)
    assert todo["edge"] == expected
    assert [line for line in summary(todo) if "edge" in line] == [
        f"{host}: put the edge's configuration in place" for host in expected
    ]
