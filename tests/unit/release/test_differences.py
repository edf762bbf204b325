"""Two releases compared, and one release as rows."""

from __future__ import annotations

import copy
from typing import Any

import pytest

from llmdeploy.release import differences
from tests.unit.manifests import SERVICES, manifest, sha


def changed(**web: Any) -> dict[str, dict[str, Any]]:
    services = copy.deepcopy(SERVICES)
    services["web"] |= web
    return services


def test_the_same_release_has_no_difference() -> None:
    assert {row["action"] for row in differences.between(manifest(), manifest())} == {"unchanged"}
    assert differences.stack_changes(manifest(), manifest()) == []


@pytest.mark.parametrize(
    ("web", "changes"),
    [
        ({"replicas": 3}, ["replicas 1 → 3"]),
        ({"memory": "2GiB"}, ["memory 1 GiB → 2 GiB"]),
        ({"depends_on": []}, ["depends on store → nothing"]),
        ({"update": {"stability": "9s"}}, ["update config monitor 1 s → 9 s", "stability 1 s → 9 s"]),
        ({"environment": {"KEY": "very secret"}}, ["env KEY added"]),
    ],
)
def test_each_change_has_its_name(web: dict[str, Any], changes: list[str]) -> None:
    rows = {row["name"]: row for row in differences.between(manifest(), manifest(changed(**web)))}
    assert (rows["web"]["action"], rows["web"]["changes"]) == ("change", changes)
    assert rows["store"]["action"] == "unchanged"


def test_an_image_is_told_by_its_name_and_content() -> None:
    new = manifest(changed(image="registry.example.com/web:1.4"), images="b")
    new["pins"]["redis:7"] = manifest()["pins"]["redis:7"]
    rows = {row["name"]: row["changes"] for row in differences.between(manifest(), new)}
    assert rows["web"] == [
        "image registry.example.com/web:1.3@aaaaaaaaaaaa → registry.example.com/web:1.4@bbbbbbbbbbbb"
    ]
    assert rows["store"] == []


def test_a_tag_that_has_moved_is_a_change_and_another_name_for_the_same_is_none() -> None:
    rows = {row["name"]: row["changes"] for row in differences.between(manifest(), manifest(images="b"))}
    assert rows["store"] == ["image redis:7@aaaaaaaaaaaa → redis:7@bbbbbbbbbbbb"]
    renamed = manifest()
    pin = renamed["pins"]["redis:7"]
    renamed["job"]["services"]["store"]["image"], renamed["pins"][pin] = pin, pin
    assert {row["action"] for row in differences.between(manifest(), renamed)} == {"unchanged"}
    assert differences.image(renamed, "store") == "redis@aaaaaaaaaaaa"


def test_an_image_of_no_registry_is_known_by_its_id() -> None:
    made = manifest()
    made["job"]["services"]["web"]["image"] = "llmdeploy/demo:3f2a"
    made["pins"]["llmdeploy/demo:3f2a"] = sha("c")
    assert differences.image(made, "web") == "llmdeploy/demo:3f2a@cccccccccccc"
    made["job"]["services"]["web"]["image"] = sha("c")
    made["pins"][sha("c")] = sha("c")
    assert differences.image(made, "web") == "cccccccccccc"


def test_services_that_came_and_went() -> None:
    less = manifest({"store": SERVICES["store"]})
    assert {row["name"]: row["action"] for row in differences.between(manifest(), less)} == {
        "store": "unchanged", "edge": "change", "web": "remove",
    }  # fmt: skip
    assert {row["name"]: row["action"] for row in differences.between(less, manifest())}["web"] == "create"
    assert {row["action"] for row in differences.between(None, less)} == {"create"}


def test_the_edges_configuration_and_the_requests() -> None:
    request = {"name": "chat", "service": "web", "port": 8000}
    new = manifest(edge="f", verify={"requests": [request]})
    rows = {row["name"]: row["changes"] for row in differences.between(manifest(), new)}
    assert rows["edge"] == ["configuration eeeeeeeeeeee → ffffffffffff"]
    assert differences.stack_changes(manifest(), new) == ["request chat added"]
    assert differences.stack_changes(new, manifest()) == ["request chat removed"]
    moved = copy.deepcopy(new)
    moved["job"]["verify"][0]["host"] = "10.0.0.9"
    assert differences.stack_changes(new, moved) == [], "from where it is asked is no difference"
    assert differences.edge_sha(new) == "llm.edge.ffffffffffff"
    lines = differences.edge_lines(differences.edge_config(manifest()), differences.edge_config(new))
    assert lines == ["@@ -2,2 +2,2 @@", "   maxconn 100", "-# e", "+# f"]


def test_a_release_as_rows() -> None:
    rows = {row["name"]: row for row in differences.services(manifest(changed(replicas=2)))}
    assert [*rows] == ["edge", "store", "web"], "in the order of the waves"
    assert rows["web"] == {
        "name": "web", "wave": 2, "image": "registry.example.com/web:1.3",
        "pin": f"registry.example.com/web@{sha('a')}", "group": "all", "mode": "replicated", "replicas": 2,
        "secrets": [], "configs": [], "depends_on": ["store"],
    }  # fmt: skip
    assert rows["edge"]["replicas"] is None


def test_secrets_and_configs_are_named() -> None:
    made = manifest()
    container = made["job"]["services"]["web"]["spec"]["TaskTemplate"]["ContainerSpec"]
    container["Secrets"] = [{"SecretName": "web-key-ab12", "File": {"Name": "key"}}]
    container["Configs"] = [{"ConfigName": "web-conf-cd34", "File": {"Name": "conf"}}]
    row = next(row for row in differences.services(made) if row["name"] == "web")
    assert (row["secrets"], row["configs"]) == (["web-key-ab12"], ["web-conf-cd34"])
