"""The edge's job: whom it waits for, when it has failed, and in which words."""

from __future__ import annotations

from typing import Any

import pytest

from llmdeploy.engine import edgejob
from llmdeploy.engine.edgescript import SCRIPT

JOB = {
    "ID": "job",
    "Spec": {"TaskTemplate": {"Placement": {"Constraints": ["node.labels.group.edge==yes"]}}},
    "JobStatus": {"JobIteration": {"Index": 3}, "LastExecution": "2026-11-23T22:05:27.281904228Z"},
}


def node(name: str, edge: str = "yes", **more: str) -> dict[str, Any]:
    return {
        "ID": f"id-{name}",
        "CreatedAt": more.get("created", "2026-11-23T20:00:00.5Z"),
        "Spec": {
            "Role": "worker",
            "Availability": more.get("availability", "active"),
            "Labels": {"group.edge": edge},
        },
        "Description": {"Hostname": name},
        "Status": {"State": more.get("state", "ready")},
    }


def task(host: str, state: str, turn: int = 3, service: str = "job") -> dict[str, Any]:
    iteration = {"Index": turn} if turn else {}
    status = {"State": state, "Err": "task: non-zero exit (10)"}
    return {"ServiceID": service, "NodeID": f"id-{host}", "Status": status, "JobIteration": iteration}


NODES = [node("a"), node("b"), node("c", edge="no")]


@pytest.mark.parametrize(
    ("nodes", "tasks", "expected"),
    [
        (NODES, [task("a", "complete"), task("b", "complete")], ("done", "")),
        (NODES, [], ("waiting", "a, b: taking the new configuration")),
        (NODES, [task("a", "complete"), task("b", "running")], ("waiting", "b: taking the new configuration")),
        (NODES, [task("a", "complete", 2), task("b", "complete")], ("waiting", "a: taking the new configuration")),
        (NODES, [task("a", "complete", service="x"), task("b", "failed", 2)],
         ("waiting", "a, b: taking the new configuration")),
        (NODES, [task("a", "failed", 2), task("a", "complete"), task("b", "complete")], ("done", "")),
        (NODES, [task("a", "running"), task("b", "failed")], ("failed", "b")),
        (NODES, [task("a", "rejected"), task("a", "ready"), task("b", "complete")], ("failed", "a")),
        ([node("a"), node("b", state="down")], [task("a", "complete"), task("b", "running")], ("done", "")),
        ([node("a"), node("b", availability="drain")], [task("a", "complete")], ("done", "")),
        ([node("a"), node("b", availability="pause")], [task("a", "complete")], ("done", "")),
        ([node("a", state="down")], [], ("done", "")),
        ([node("a", created="2026-11-24T00:05:27Z")], [],
         ("failed", "a has joined the cluster in the future: the managers' clocks differ")),
        ([node("a", created="2026-11-24T00:05:27Z")], [task("a", "complete")], ("done", "")),
    ],
)  # fmt: skip
def test_judge(nodes: list[Any], tasks: list[Any], expected: tuple[str, str]) -> None:
    assert edgejob.judge(JOB, tasks, nodes)[:2] == expected


def test_the_first_turn_has_no_number() -> None:
    job = {**JOB, "JobStatus": {"JobIteration": {}, "LastExecution": "2026-11-23T22:05:27Z"}}
    assert edgejob.judge(job, [task("a", "complete", 0), task("b", "complete", 0)], NODES)[0] == "done"


@pytest.mark.parametrize(
    ("constraints", "expected"),
    [
        ([], True),
        (["node.labels.group.edge==yes"], True),
        (["node.labels.group.edge == yes", "node.labels.group.edge!=no"], True),
        (["node.labels.group.edge==no"], False),
        (["node.labels.other==yes"], False),
        (["node.labels.other!=yes"], True),
        (["node.role==worker", "node.hostname==a", "node.id==id-a"], True),
        (["node.role==manager"], False),
        (["node.labels.group.edge==yes", "node.hostname!=a"], False),
    ],
)
def test_takes_part(constraints: list[str], expected: bool) -> None:
    assert edgejob.takes_part(node("a"), constraints) is expected


REFUSED = """
[NOTICE]   (7) : haproxy version is 2.6.12
[ALERT]    (7) : config : parsing [/new/haproxy.cfg:12] : unknown keyword 'x'
[ALERT]    (7) : config : Error(s) found in configuration file : /new/haproxy.cfg
[ALERT]    (7) : config : Fatal errors found in configuration.
"""


@pytest.mark.parametrize(
    ("log", "expected"),
    [
        ("", ""),
        (REFUSED, "parsing [/new/haproxy.cfg:12] : unknown keyword 'x'"),
        ("mv: cannot move\n\nno space left", "mv: cannot move; no space left"),
        ("[ALERT]    (7) : config : Fatal errors found in configuration.", "Fatal errors found in configuration."),
    ],
)
def test_said(log: str, expected: str) -> None:
    assert edgejob.said(log) == expected


def test_the_job_is_the_edge_with_another_command() -> None:
    edge: dict[str, Any] = {
        "Name": "edge",
        "Labels": {"llmdeploy.stack": "small", "llmdeploy.edge": "0123456789ab"},
        "TaskTemplate": {
            "ContainerSpec": {
                "Image": "sha256:1",
                "Command": ["haproxy"],
                "Args": ["-W"],
                "Env": ["A=1"],
                "User": "haproxy",
                "Mounts": [{"Source": "/opt/llmdeploy/edge", "Target": "/edge"}],
                "Configs": [{"ConfigName": "certificate"}],
            },
            "Resources": {"Limits": {"MemoryBytes": 5}, "Reservations": {"MemoryBytes": 5}},
            "RestartPolicy": {"Condition": "any"},
            "Placement": {"Constraints": ["node.labels.group.edge==yes"]},
            "Networks": [{"Target": "llm-network"}],
        },
        "Mode": {"Global": {}},
        "UpdateConfig": {"Parallelism": 1},
        "EndpointSpec": {"Ports": [{"PublishedPort": 80}]},
    }
    job = edgejob.job_spec("small", edge)
    container = job["TaskTemplate"].pop("ContainerSpec")
    assert job == {
        "Name": "edge-config",
        "Labels": {"llmdeploy.stack": "small", "llmdeploy.kind": "helper", "llmdeploy.edge": "0123456789ab"},
        "TaskTemplate": {
            "Resources": {"Limits": {"MemoryBytes": 5}},
            "RestartPolicy": {"Condition": "on-failure", "Delay": edgejob.NEVER},
            "Placement": {"Constraints": ["node.labels.group.edge==yes"]},
        },
        "Mode": {"GlobalJob": {}},
    }
    assert container["Command"] == ["sh", "-c", SCRIPT, "edge-config", "leave"], "there is none that could load it"
    assert edgejob.job_spec("small", edge, edge)["TaskTemplate"]["ContainerSpec"]["Command"][-1] == "load"
    other = {"TaskTemplate": {"ContainerSpec": {"Mounts": [{"Target": "/other"}]}}}
    assert edgejob.job_spec("small", edge, other)["TaskTemplate"]["ContainerSpec"]["Command"][-1] == "leave"
    assert "Args" not in container
    assert container["User"] == "0"
    assert (container["Image"], container["Env"]) == ("sha256:1", ["A=1"])
    assert [one["ConfigName"] for one in container["Configs"]] == ["certificate", "small.edge.0123456789ab"]
    assert edge["TaskTemplate"]["ContainerSpec"]["User"] == "haproxy", "the edge's own is as it was"


def live(name: str, edge: str, stack: str = "small", kind: str = "") -> dict[str, Any]:
    labels = {"llmdeploy.stack": stack, "llmdeploy.edge": edge, **({"llmdeploy.kind": kind} if kind else {})}
    return {"Spec": {"Name": name, "Labels": labels}}


@pytest.mark.parametrize(
    ("services", "expected"),
    [
        ([], ""),
        ([live("edge", "old")], "old"),
        ([live("edge", "old"), live("edge-config", "new", kind="helper")], "new"),
        ([live("edge-config", "new", kind="helper")], "new"),
        ([live("edge", "old"), live("edge-config", "new", "another", "helper")], "old"),
        ([live("edge", "old", "another")], ""),
        ([{"Spec": {"Name": "edge", "Labels": None}}], ""),
    ],
)
def test_what_the_hosts_were_given_last(services: list[dict[str, Any]], expected: str) -> None:
    assert edgejob.placed({one["Spec"]["Name"]: one for one in services}, "small") == expected


def test_names_fit_swarm() -> None:
    assert edgejob.sha("x") == "2d711642b726"
    assert edgejob.config_name("small", edgejob.sha("x")) == "small.edge.2d711642b726"
    assert 0 < edgejob.NEVER < 2**63
