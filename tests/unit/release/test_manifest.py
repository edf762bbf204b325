"""Jobs made of a release that has been: the same again, scaled, or with some services as the files say now."""

from __future__ import annotations

from typing import Any

import pytest

from llmdeploy.errors import LlmdeployError, UsageError
from llmdeploy.release.job import By, Job, build_job
from llmdeploy.release.manifest import again, back, checks, scaled
from llmdeploy.release.partial import partial, without
from llmdeploy.render.edge import edge_config
from tests.unit.catalogue import settings

WEB = {"number": 8000, "protocol": "http", "published": True}
CATALOGUE: dict[str, dict[str, Any]] = {
    "store": {"ports": [{"number": 6379, "protocol": "tcp"}]},
    "web": {"ports": [WEB], "depends_on": ["store"], "replicas": 2},
    "agent": {"mode": "global"},
}
BY = By("ana", "laptop")
PINS = {"edge:1": "sha256:e", "app:1": "sha256:a", "store:1": "repo/store@sha256:s"}
REQUEST = {"name": "chat", "service": "web", "port": 8000}


def job(services: dict[str, dict[str, Any]] = CATALOGUE, images: dict[str, str] | None = None, **rest: Any) -> Job:
    given = settings(services, **{"verify": {"requests": [REQUEST]}, **rest})
    refs = {name: "store:1" if name == "store" else "app:1" for name in services}
    return build_job(
        given, environment="dev", action="update", job_id="new", by=BY, edge_host="10.0.0.9",
        edge_config=edge_config(given), images={"edge": "edge:1", **refs, **(images or {})},
    )  # fmt: skip


def manifest(**rest: Any) -> dict[str, Any]:
    return {"format": 1, "job": {**job(**rest), "id": "old", "edge_host": "127.0.0.1"}, "pins": PINS}


def changed(name: str, **values: Any) -> dict[str, dict[str, Any]]:
    """The catalogue with other values of one service; None as the only one removes it."""
    return {**CATALOGUE, name: {**CATALOGUE.get(name, {}), **values}}


def with_env(name: str) -> dict[str, dict[str, Any]]:
    return changed(name, environment={"ROUND": 2})


def env_of(made: Job, name: str) -> list[str]:
    found: list[str] = made["services"][name]["spec"]["TaskTemplate"]["ContainerSpec"]["Env"]
    return found


# --- the same again


def test_services_taken_out_of_a_manifest_have_never_been_there() -> None:
    made, _ = partial(job(), without(manifest(), ["web"]), ["edge"])
    assert "web" not in made["services"]
    assert {*made["services"], "web"} == set(manifest()["job"]["services"])


def test_a_release_again_is_what_it_was_asked_through_the_edge_of_today() -> None:
    old = manifest()
    made = again(old, job_id="x", environment="dev", action="rollback", by=BY, edge_host="10.0.0.9")
    assert (made["id"], made["action"], made["on_failure"], made["pace"]) == ("x", "rollback", "take-back", "waves")
    assert {name: one["spec"] for name, one in made["services"].items()} == {
        name: one["spec"] for name, one in old["job"]["services"].items()
    }
    assert made["edge"] == old["job"]["edge"]
    assert made["edge_host"] == "10.0.0.9"
    assert {check["host"] for check in checks(made) if check["via"] == "edge"} == {"10.0.0.9"}
    assert [check["name"] for check in checks(made)] == ["web:8000 http", "chat"]


def test_a_rollback_starts_everything_at_once_and_does_not_turn_back() -> None:
    made = back(again(manifest(), job_id="x", environment="dev", action="rollback", by=BY, edge_host="h"), 4)
    assert (made["target"], made["on_failure"], made["pace"]) == (4, "go-on", "at-once")


# --- scaled


def test_only_the_number_of_replicas_changes() -> None:
    old = job()
    made = scaled(old, {"web": 5})
    assert made["services"]["web"]["spec"]["Mode"] == {"Replicated": {"Replicas": 5}}
    assert old["services"]["web"]["spec"]["Mode"] == {"Replicated": {"Replicas": 2}}, "the old one is untouched"
    assert {**made, "services": {**made["services"], "web": old["services"]["web"]}} == old


@pytest.mark.parametrize(
    ("wanted", "message", "hint"),
    [
        ({"wep": 2}, "no service 'wep'", "did you mean `web`?"),
        ({"agent": 2}, "agent is global", ""),
        ({"edge": 2}, "edge is global", ""),
        ({"web": 16}, "16 replicas of web and 1 more during an update", "raise edge.slots to 17"),
    ],
)
def test_what_cannot_be_scaled(wanted: dict[str, int], message: str, hint: str) -> None:
    with pytest.raises(UsageError) as caught:
        scaled(job(), wanted)
    assert message in caught.value.message
    assert hint in caught.value.hint


def test_the_edge_has_room_for_so_many() -> None:
    scaled(job(), {"web": 15, "store": 900})


# --- in part


def test_a_named_service_is_as_the_files_say_all_others_as_in_the_release() -> None:
    both = {**with_env("store"), "web": with_env("web")["web"]}
    made, kept = partial(job(both), manifest(), ["web"])
    assert "ROUND=2" in env_of(made, "web")
    assert "ROUND=2" not in env_of(made, "store")
    assert made["services"]["web"]["image"] == "app:1"
    assert kept == {"edge:1": "sha256:e", "sha256:a": "sha256:a", "store:1": "repo/store@sha256:s"}
    assert made["services"]["agent"]["image"] == "sha256:a", "its name is about to be resolved again for web"
    assert (made["id"], made["action"]) == ("new", "update")
    assert {name: one["wave"] for name, one in made["services"].items()} == {
        "agent": 1,
        "edge": 1,
        "store": 1,
        "web": 2,
    }
    assert {check["host"] for check in checks(made) if check["via"] == "edge"} == {"10.0.0.9"}


def test_what_was_verified_then_is_verified_again() -> None:
    other = {**REQUEST, "name": "other", "service": "api", "port": 9000}
    both = {**CATALOGUE, "api": {"ports": [{**WEB, "number": 9000}]}}
    old = manifest(services=both, verify={"requests": [REQUEST, other]})
    new = job(both, verify={"requests": [{**REQUEST, "name": "chat, again"}]})
    assert [check["name"] for check in partial(new, old, ["web"])[0]["verify"]] == ["other", "chat, again"]


def test_a_service_that_is_new_or_that_is_left_out() -> None:
    new = job({**CATALOGUE, "cache": {}, "other": {}})
    made, _ = partial(new, manifest(), ["cache"])
    assert set(made["services"]) == {"edge", "store", "web", "agent", "cache"}
    less, _ = partial(job({"web": {"ports": [WEB]}}), manifest(), ["web"])
    assert set(less["services"]) == {"edge", "store", "web", "agent"}, "nothing is removed"


@pytest.mark.parametrize(
    ("services", "selected", "message", "hint"),
    [
        (CATALOGUE, ["wep"], "no service 'wep'", "did you mean `web`?"),
        ({"web": {"ports": [WEB]}}, ["store"], "store is not in the catalogue any more", "--remove-orphans"),
        (
            {**changed("web", depends_on=["cache"]), "cache": {}},
            ["web"],
            "web depends on cache",
            "update cache as well",
        ),
        ({**changed("store", depends_on=["web"]), "web": {"ports": [WEB]}}, ["store"], "in a circle", "dev deploy"),
        (
            changed("web", ports=[{**WEB, "published": 8001}]),
            ["web"],
            "how the edge reaches web",
            "update edge as well",
        ),
        (
            changed("web", ports=[{**WEB, "published": 8001}]),
            ["edge"],
            "how the edge reaches web",
            "update web as well",
        ),
    ],
)
def test_what_does_not_fit_is_refused(
    services: dict[str, dict[str, Any]], selected: list[str], message: str, hint: str
) -> None:
    with pytest.raises(LlmdeployError) as caught:
        partial(job(services), manifest(), selected)
    assert message in caught.value.message
    assert hint in caught.value.hint


def test_a_port_moves_with_the_edge() -> None:
    made, _ = partial(job(changed("web", ports=[{**WEB, "published": 8001}])), manifest(), ["web", "edge"])
    assert "bind :8001" in made["edge"]["config"]


def test_another_network_is_for_a_deploy() -> None:
    with pytest.raises(LlmdeployError, match="the network is other now"):
        partial(job(network={"name": "other"}), manifest(), ["web"])
