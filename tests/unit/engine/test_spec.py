"""What counts as a difference between two specifications, and how it reads."""

from __future__ import annotations

import copy
from typing import Any

import pytest

from llmdeploy.engine import spec

ID = "sha256:" + "3f2a9c81d4e6" + "0" * 52
OTHER = "sha256:" + "a" * 64


def entry() -> dict[str, Any]:
    """A job's entry as the release room makes it."""
    return {
        "image": "llmdeploy/demo:1",
        "spec": {
            "Labels": {"llmdeploy.stack": "llm"},
            "TaskTemplate": {
                "ContainerSpec": {
                    "Image": "", "Env": ["A=1", "KEY=geheim"], "Args": ["--x"], "StopGracePeriod": 10_000_000_000,
                    "Mounts": [{"Type": "bind", "Source": "/opt/x", "Target": "/llmdeploy", "ReadOnly": True}],
                    "Healthcheck": {"Test": ["CMD", "x"], "Interval": 2_000_000_000},
                    "Secrets": [{"SecretName": "key-1", "File": {"Name": "key", "UID": "0", "GID": "0", "Mode": 256}}],
                },
                "Resources": {"Limits": {"NanoCPUs": 500_000_000, "MemoryBytes": 1 << 30},
                              "Reservations": {"NanoCPUs": 0}},
                "Placement": {"Constraints": ["node.labels.group.head==yes"]},
                "Networks": [{"Target": "llm-network"}],
            },
            "Mode": {"Replicated": {"Replicas": 1}},
            "UpdateConfig": {"Parallelism": 1, "Delay": 0, "FailureAction": "pause", "Order": "start-first"},
            "EndpointSpec": {"Mode": "dnsrr",
                             "Ports": [{"TargetPort": 9001, "PublishedPort": 9001, "PublishMode": "host"}]},
        },
    }  # fmt: skip


def wanted() -> spec.Spec:
    return spec.wanted("head-go", entry(), ID, "llm")


def live() -> spec.Spec:
    """What the daemon answers for `wanted()`: its defaults, network ids, our release label, another order."""
    made = copy.deepcopy(wanted())
    made["Labels"]["llmdeploy.release"] = "7"
    task = made["TaskTemplate"]
    task["ContainerSpec"]["Env"].reverse()
    task["ContainerSpec"] |= {"Isolation": "default", "DNSConfig": {}}
    task["ContainerSpec"]["Secrets"][0]["SecretID"] = "ab12"
    task |= {"Networks": [{"Target": "n1"}], "ForceUpdate": 3, "Runtime": "container"}
    task["RestartPolicy"] = {"Condition": "any", "MaxAttempts": 0}
    task["Resources"].pop("Reservations")
    made["UpdateConfig"].pop("Delay")
    made["EndpointSpec"]["Ports"][0]["Protocol"] = "tcp"
    return made


NAMES = {"n1": "llm-network"}


def test_the_daemons_own_additions_are_no_difference() -> None:
    assert spec.diff(live(), wanted(), NAMES) == []


def test_a_new_service_is_created() -> None:
    assert spec.diff(None, wanted()) == ["created"]


def _set(path: str, value: Any) -> Any:
    def change(target: spec.Spec) -> None:
        *parents, last = path.split("/")
        for parent in parents:
            target = target[parent]
        target[last] = value

    return change


CONTAINER = "TaskTemplate/ContainerSpec"


@pytest.mark.parametrize(
    ("change", "line"),
    [
        (_set(f"{CONTAINER}/Image", OTHER), "image sha256:3f2a9c81d4e6 → sha256:aaaaaaaaaaaa"),
        (_set("Mode/Replicated/Replicas", 2), "replicas 1 → 2"),
        (_set("Mode/Replicated/Replicas", 0), "replicas 1 → 0"),
        (_set("TaskTemplate/Resources/Limits/MemoryBytes", 2 << 30), "memory 1 GiB → 2 GiB"),
        (_set("TaskTemplate/Resources/Limits/NanoCPUs", 1_000_000_000), "cpus 0.5 → 1"),
        (_set("TaskTemplate/Resources/Limits/NanoCPUs", 0), "cpus 0.5 → default"),
        (_set(f"{CONTAINER}/Env", ["A=1", "KEY=neu"]), "env KEY changed"),
        (_set(f"{CONTAINER}/Env", ["A=1"]), "env KEY removed"),
        (_set(f"{CONTAINER}/Env", ["A=1", "KEY=geheim", "X=geheim"]), "env X added"),
        (_set(f"{CONTAINER}/Args", ["--y"]), "arguments changed"),
        (_set(f"{CONTAINER}/Healthcheck/Interval", 5_000_000_000), "healthcheck interval 2 s → 5 s"),
        (_set(f"{CONTAINER}/Healthcheck/Test", ["CMD", "y"]), "healthcheck test changed"),
        (_set(f"{CONTAINER}/Mounts", []), "mount /llmdeploy removed"),
        (_set(f"{CONTAINER}/User", "1000"), "user default → 1000"),
        (_set(f"{CONTAINER}/Secrets", []), "secret key removed"),
        (_set(f"{CONTAINER}/StopGracePeriod", 0), "stop grace period 10 s → default"),
        (_set("TaskTemplate/Placement/Constraints", ["node.labels.group.tail==yes"]),
         "constraint node.labels.group.head==yes removed"),
        (_set("TaskTemplate/Networks", [{"Target": "other"}]), "network other added"),
        (_set("EndpointSpec/Mode", "vip"), "endpoint spec mode dnsrr → default"),
        (_set("EndpointSpec/Ports", []), "port 9001/tcp removed"),
        (_set("UpdateConfig/Order", "stop-first"), "update config order start-first → default"),
        (_set("Labels", {"llmdeploy.stack": "llm", "team": "geheim"}), "label team added"),
        (_set("Mode", {"Global": {}}), "mode replicated → global"),
        (_set("TaskTemplate/LogDriver", {"Name": "gelf", "Options": {"token": "geheim"}}),
         "log driver options token added"),
    ],
)  # fmt: skip
def test_each_difference_has_one_readable_line(change: Any, line: str) -> None:
    other = wanted()
    change(other)
    lines = spec.diff(live(), other, NAMES)
    assert line in lines
    assert "geheim" not in " ".join(lines)


def test_a_secret_of_another_content_is_a_difference() -> None:
    other = wanted()
    other["TaskTemplate"]["ContainerSpec"]["Secrets"][0]["SecretName"] = "key-2"
    assert spec.diff(live(), other, NAMES) == ["secret key changed"]


def test_what_is_written_keeps_the_live_restart_counter_and_knows_ids() -> None:
    ids = {"networks": {"llm-network": "n1"}, "secrets": {"key-1": "ab12"}, "configs": {}}
    body = spec.for_writing(wanted(), live(), 8, ids)
    assert body["TaskTemplate"]["ForceUpdate"] == 3
    assert body["Labels"] == {"llmdeploy.stack": "llm", "llmdeploy.release": "8"}
    assert body["TaskTemplate"]["ContainerSpec"]["Secrets"][0]["SecretID"] == "ab12"
    assert spec.missing(wanted(), ids) == []


def test_missing_objects_are_named() -> None:
    none: dict[str, dict[str, str]] = {"networks": {}, "secrets": {}, "configs": {}}
    assert spec.missing(wanted(), none) == ["secret key-1", "network llm-network"]


def test_an_old_daemon_is_not_asked_for_what_it_would_drop() -> None:
    given = entry()
    given["spec"]["TaskTemplate"]["ContainerSpec"]["Healthcheck"]["StartInterval"] = 1
    for api, there in (("1.41", False), ("1.44", True), ("1.52", True)):
        made = spec.wanted("head-go", given, ID, "llm", api)
        assert ("StartInterval" in made["TaskTemplate"]["ContainerSpec"]["Healthcheck"]) is there
