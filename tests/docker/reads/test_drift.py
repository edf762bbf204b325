"""What was changed by hand, on a real Swarm: Docker's own form of a specification is no drift."""

from __future__ import annotations

from typing import Any

from llmdeploy.cluster.drift import drift
from llmdeploy.cluster.history import entries
from llmdeploy.engine.api import Docker
from tests.docker.engine.conftest import Stack, end

Rows = list[dict[str, Any]]


def found(stack: Stack, job: dict[str, Any]) -> Rows:
    docker = Docker()
    return drift(docker, docker.services(), entries(docker, stack.name), job, stack.pins)


def by_hand(stack: Stack, short: str, **changes: Any) -> None:
    """Write a service as `docker service update` does."""
    live = stack.live(short)
    spec = live["Spec"]
    template = spec["TaskTemplate"]
    template["ContainerSpec"]["Env"] += changes.get("env", [])
    mode = {"Replicated": {"Replicas": changes["replicas"]}} if "replicas" in changes else spec["Mode"]
    stack.client.update_service(
        live["ID"], live["Version"]["Index"], task_template=template, name=spec["Name"], labels=spec["Labels"],
        mode=mode, update_config=spec["UpdateConfig"], endpoint_spec=spec["EndpointSpec"],
    )  # fmt: skip


def test_what_somebody_changes_after_a_release(stack: Stack) -> None:
    job = stack.job({name: (stack.spec(), []) for name in ("web", "store", "gone")})
    assert end(stack.run(job))["verdict"] == "done"
    assert found(stack, job) == [], "Docker's own form of what we wrote is no drift"

    by_hand(stack, "web", replicas=3)
    by_hand(stack, "store", env=["LOG=secret"])
    stack.client.remove_service(stack.service("gone"))
    image = stack.spec()["TaskTemplate"]["ContainerSpec"] | {"Image": stack.image}
    foreign = {"ContainerSpec": {"Image": stack.image, "Command": ["sleep", "600"]}}
    on_ours = {**foreign, "Networks": [{"Target": stack.network}]}
    ours = {"ContainerSpec": image, "Networks": [{"Target": stack.network}]}
    stack.client.create_service(on_ours, name=f"{stack.name}-theirs")
    stack.client.create_service(foreign, name=f"{stack.name}-elsewhere")
    stack.client.create_service(ours, name=f"{stack.name}-mine", labels={"llmdeploy.stack": stack.name})

    rows = {row["service"].removeprefix(f"{stack.name}-"): row for row in found(stack, job)}
    assert {name: (row["kind"], row["then"]) for name, row in rows.items()} == {
        "web": ("changed", "goes back"), "store": ("changed", "goes back"), "gone": ("removed", "is made again"),
        "theirs": ("foreign", "stays"), "mine": ("added", "stays"),
    }  # fmt: skip
    assert rows["web"]["changes"] == [{"what": "replicas 1 → 3", "then": "goes back"}]
    assert rows["store"]["changes"] == [{"what": "env LOG added", "then": "goes back"}]

    assert end(stack.run({**job, "id": "again"}))["verdict"] == "done"
    left = {row["service"].removeprefix(f"{stack.name}-") for row in found(stack, job)}
    assert left == {"theirs", "mine"}, "the release puts back what was changed, and touches nobody else's"
