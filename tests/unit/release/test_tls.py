"""TLS in a release: the edge and what has its certificate, checks that trust it, renewals and ways back."""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime, timedelta, timezone
from typing import Any

import pytest

from llmdeploy.engine import edgejob
from llmdeploy.release.expiry import tls_state
from llmdeploy.release.job import By, Job, all_checks, build_job
from llmdeploy.release.manifest import lasting
from llmdeploy.release.partial import partial
from llmdeploy.release.tls import EdgeTls
from llmdeploy.render.edge import edge_config
from tests.unit.catalogue import settings

NOW = datetime(2026, 11, 25, 12, tzinfo=timezone.utc)
TLS = EdgeTls("llm.edge_tls.1", "aaaa", "CA 1", "gw", ("gw", "localhost"), int((NOW + timedelta(days=30)).timestamp()))
NEWER = EdgeTls("llm.edge_tls.2", "bbbb", "CA 2", "gw", ("gw",), int((NOW + timedelta(days=60)).timestamp()))
PORTS = [
    {"number": 8000, "protocol": "http", "published": True},
    {"number": 50051, "protocol": "grpc", "published": True},
    {"number": 3000, "protocol": "web", "published": True},
    {"number": 6379, "protocol": "tcp", "published": True},
    {"number": 6380, "protocol": "tcp", "published": True, "tls": True},
    {"number": 8001, "protocol": "http", "published": True, "tls": False},
    {"number": 8002, "protocol": "http"},
]
SERVICES: dict[str, Any] = {"web": {"ports": PORTS, "health": {"type": "http"}}, "other": {}}
PINS = {"edge:1": "sha256:e", "app:1": "sha256:a"}


def job(tls: EdgeTls = TLS, mode: str = "internal") -> Job:
    request = {"name": "chat", "service": "web", "port": 8000}
    made = settings(SERVICES, tls={"mode": mode}, edge={"image": "edge:1"}, verify={"requests": [request]})
    return build_job(
        made, environment="dev", action="deploy", job_id="j", by=By("ana", "laptop"), edge_host="10.0.0.9", tls=tls,
        images={"edge": "edge:1", "web": "app:1", "other": "app:1"}, edge_config=edge_config(made, tls),
    )  # fmt: skip


def answers(made: Job) -> dict[int, dict[str, Any]]:
    return {check["port"]: check for check in made["services"]["web"]["answers"]}


@pytest.mark.parametrize(
    ("port", "line"),
    [
        (8000, "bind :8000 ssl crt /edge-tls/aaaa.pem alpn h2,http/1.1"),
        (50051, "bind :50051 ssl crt /edge-tls/aaaa.pem alpn h2"),
        (3000, "bind :3000 ssl crt /edge-tls/aaaa.pem alpn h2,http/1.1"),
        (6379, "bind :6379"),
        (6380, "bind :6380 ssl crt /edge-tls/aaaa.pem"),
        (8001, "bind :8001"),
    ],
)
def test_which_ports_speak_tls(port: int, line: str) -> None:
    made = job()
    assert f"    {line}\n" in made["edge"]["config"]
    assert ("tls" in answers(made)[port]) is ("ssl" in line)


def test_the_edge_waits_for_the_service_that_has_its_certificate() -> None:
    made = job()
    edge, keeper = made["services"]["edge"], made["services"]["edge-tls"]
    assert (keeper["wave"], edge["wave"], edge["depends_on"]) == (1, 2, ["edge-tls"])
    assert keeper["spec"]["TaskTemplate"]["ContainerSpec"]["Secrets"][0]["SecretName"] == "llm.edge_tls.1"
    assert keeper["spec"]["TaskTemplate"]["Placement"] == edge["spec"]["TaskTemplate"]["Placement"]
    mounts = {name: entry["spec"]["TaskTemplate"]["ContainerSpec"]["Mounts"][-1] for name, entry in
              (("edge", edge), ("keeper", keeper))}  # fmt: skip
    assert (mounts["edge"]["ReadOnly"], mounts["keeper"]["ReadOnly"]) == (True, False)
    assert {one["Source"] for one in mounts.values()} == {"llm-edge-tls"}
    assert mounts["edge"]["VolumeOptions"]["DriverConfig"]["Options"]["type"] == "tmpfs"
    assert "edge-tls" not in job(mode="off")["services"]
    assert "ssl" not in job(mode="off")["edge"]["config"]


def test_another_certificate_is_another_configuration_but_no_other_task_of_the_edge() -> None:
    one, two = job(), job(NEWER)
    old, new = one["services"]["edge"]["spec"], two["services"]["edge"]["spec"]
    assert old["TaskTemplate"] == new["TaskTemplate"]
    assert old["Labels"][edgejob.LABEL] != new["Labels"][edgejob.LABEL]


def test_checks_know_whom_to_trust_and_verify_asks_for_every_name() -> None:
    made = answers(job())
    assert made[8000]["tls"] == {"authority": "CA 1", "name": "gw"}
    assert made[50051]["tls"]["frames"].startswith(b"PRI * HTTP/2.0".hex())
    given = settings(SERVICES, tls={"mode": "internal"})
    (check,) = [one for one in all_checks(given, "10.0.0.9", TLS) if one["kind"] == "tls"]
    assert (check["port"], check["names"]) == (3000, ["gw", "localhost"])
    assert not [one for one in all_checks(settings(SERVICES), "10.0.0.9") if one.get("tls")]


def test_the_certificate_goes_with_the_edge_and_all_checks_follow_it() -> None:
    """Checks of services that stay would otherwise go by an authority that is not the edge's any more."""
    base: dict[str, Any] = {"format": 1, "job": job(), "pins": PINS}
    renewed, _ = partial(job(NEWER), base, ["edge"])
    assert renewed["services"]["edge-tls"]["spec"]["Labels"]["llmdeploy.tls.until"].startswith("2027-01-24")
    assert "bbbb.pem" in renewed["edge"]["config"]
    assert answers(renewed)[8000]["tls"]["authority"] == renewed["verify"][0]["tls"]["authority"] == "CA 2"
    other, _ = partial(job(NEWER), base, ["web"])
    assert other["services"]["edge-tls"] == base["job"]["services"]["edge-tls"]
    assert answers(other)[8000]["tls"]["authority"] == "CA 1"


def test_a_release_is_brought_back_with_its_certificate_unless_that_has_expired() -> None:
    old, newer = job(), job(NEWER)
    assert lasting(old, newer, "2026-12-25T11:00:00Z") == old
    assert lasting(old, job(mode="off"), "2027-01-01T00:00:00Z") == old
    made = lasting(old, newer, "2027-01-01T00:00:00Z")
    assert made["edge"]["config"] == newer["edge"]["config"]
    assert made["services"]["edge"]["spec"]["Labels"] == newer["services"]["edge"]["spec"]["Labels"]
    assert made["services"]["edge-tls"]["spec"] == newer["services"]["edge-tls"]["spec"]
    assert answers(made)[8000]["tls"]["authority"] == "CA 2"
    assert lasting(newer, old, "2027-02-01T00:00:00Z") == newer, "the other one has expired, too"


@pytest.mark.parametrize(("days", "left", "warn"), [(30, 30, False), (22, 22, False), (21.5, 21, True), (-1, -1, True)])
def test_status_warns_in_time(days: float, left: int, warn: bool) -> None:
    tls = replace(TLS, until=int((NOW + timedelta(days=days)).timestamp()))
    live = {name: {"Spec": entry["spec"]} for name, entry in job(tls)["services"].items()}
    state = tls_state(live, NOW)
    assert state
    assert (state["mode"], state["days"], state["warn"]) == ("internal", left, warn)


def test_status_says_when_there_is_no_tls() -> None:
    live = {name: {"Spec": entry["spec"]} for name, entry in job(mode="off")["services"].items()}
    assert tls_state(live, NOW) == {"mode": "off", "until": "", "days": None, "warn": True}
    assert tls_state({}, NOW) is None
