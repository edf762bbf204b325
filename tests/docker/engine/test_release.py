"""Releases on a real Swarm: order, no write without a difference, honest failures."""

from __future__ import annotations

import base64
import threading
import time
from collections.abc import Callable
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import pytest

from llmdeploy.engine import api, run, say, spec, watch
from llmdeploy.engine.ledger import decode

from .conftest import NANO, Stack, end, failure

pytestmark = pytest.mark.docker


def chain(stack: Stack) -> dict[str, tuple[dict[str, Any], list[str]]]:
    return {"a": (stack.spec(), []), "b": (stack.spec(), ["a"]), "c": (stack.spec(), ["b"])}


def moments(lines: list[dict[str, Any]], state: str) -> dict[str, float]:
    return {line["name"]: line["t"] for line in reversed(lines) if line["kind"] == "service" and line["state"] == state}


def test_order_then_nothing_to_do_then_one_change(stack: Stack) -> None:
    services = chain(stack)
    lines = stack.run(stack.job(services))
    assert end(lines)["verdict"] == "done"
    started, done = moments(lines, "starting"), moments(lines, "done")
    assert done[stack.service("a")] <= started[stack.service("b")]
    assert done[stack.service("b")] <= started[stack.service("c")]
    assert stack.configs("lock") == []
    assert [item["Spec"]["Labels"]["verdict"] for item in stack.configs("release")] == ["good"]

    versions = [stack.live(short)["Version"] for short in "abc"]
    fast = run.unchanged(stack.job(services), stack.pins)
    assert fast is not None
    assert end(fast)["verdict"] == "unchanged"
    assert end(fast)["seconds"] < 1.0
    lines = stack.run(stack.job(services))
    assert end(lines)["verdict"] == "unchanged"
    assert [stack.live(short)["Version"] for short in "abc"] == versions
    assert len(stack.configs("release")) == 1

    services["b"] = (stack.spec(Env=["A=2", "B=2"]), ["a"])
    job = stack.job(services)
    assert run.unchanged(job, stack.pins) is None
    lines = stack.run(job)
    assert end(lines)["verdict"] == "done"
    assert end(lines)["changed"] == [stack.service("b")]
    plan = {item["name"]: item["changes"] for item in lines[0]["services"]}
    assert plan[stack.service("b")] == ["env A changed"]
    assert [stack.live(short)["Version"] for short in "ac"] == [versions[0], versions[2]]
    assert stack.live("b")["Spec"]["Labels"]["llmdeploy.release"] == "2"


def test_what_the_daemon_gives_back_is_no_difference(stack: Stack) -> None:
    given = stack.spec(
        Labels={"x": "y"}, User="0", Dir="/", StopSignal="SIGUSR1", Init=True, CapabilityAdd=["CAP_NET_ADMIN"],
        Hosts=["10.0.0.1 x"], Sysctls={"net.ipv4.ip_forward": "1"}, ReadOnly=True, DNSConfig={"Options": ["ndots:1"]},
        Ulimits=[{"Name": "nofile", "Soft": 1024, "Hard": 2048}], Groups=["1", "2"], Args=[], TTY=False,
    )  # fmt: skip
    given["EndpointSpec"]["Ports"] = [
        {"Protocol": "tcp", "TargetPort": 80, "PublishedPort": 41235, "PublishMode": "host"},
        {"TargetPort": 81, "PublishedPort": 41234, "PublishMode": "host"},
    ]
    given["RollbackConfig"] = {"Parallelism": 1, "Order": "stop-first"}
    given["TaskTemplate"]["LogDriver"] = {"Name": "json-file", "Options": {"max-size": "1m"}}
    given["TaskTemplate"]["Placement"] |= {
        "Preferences": [{"Spread": {"SpreadDescriptor": "node.id"}}],
        "MaxReplicas": 1,
    }
    given["TaskTemplate"]["Resources"]["Limits"]["Pids"] = 50
    plain: dict[str, Any] = {"TaskTemplate": {"ContainerSpec": {"Command": ["sleep", "9"]}}}
    everywhere = stack.spec()
    everywhere["Mode"] = {"Global": {}}
    docker, networks = api.Docker(5), api.Docker(5).ids()
    for short, one in (("rich", given), ("plain", plain), ("global", everywhere)):
        wanted = spec.wanted(stack.service(short), {"spec": one}, stack.image, stack.name, docker.api_version)
        docker.create(spec.for_writing(wanted, None, 1, networks))
        names = {value: key for key, value in networks["networks"].items()}
        assert spec.diff(stack.live(short)["Spec"], wanted, names) == [], short


def test_a_crash_at_start_blocks_what_depends_on_it_only(stack: Stack) -> None:
    bad = stack.spec("printf 'loading\\033[31m model\\n'; echo out of luck >&2; exit 3")
    everywhere = {**stack.spec(), "Mode": {"Global": {}}}
    services = {"bad": (bad, []), "after": (stack.spec(), ["bad"]), "free": (everywhere, [])}
    lines = stack.run(stack.job(services))
    assert (end(lines)["verdict"], end(lines)["exit"]) == ("unhealthy", 7)
    told = failure(lines)
    assert told["service"] == stack.service("bad")
    assert "crashed" in told["reason"]
    assert "exit code 3" in told["reason"]
    assert "out of luck" in told["log"]
    assert not any("\x1b" in line for line in told["log"])
    assert told["host"]
    assert "non-zero exit (3)" in told["task_error"]
    assert told["others"][stack.service("after")] == "not touched"
    assert end(lines)["done"] == [stack.service("free")]
    assert end(lines)["untouched"] == [stack.service("after")]
    assert stack.configs("lock") == []
    assert [item["Spec"]["Labels"]["verdict"] for item in stack.configs("release")] == ["failed"]


def test_never_healthy_tells_what_the_check_said(stack: Stack) -> None:
    health = {"Test": ["CMD-SHELL", "echo model not loaded; exit 1"], "Interval": NANO // 4, "Retries": 2}
    job = stack.job({"sick": (stack.spec("trap 'exit 0' TERM; sleep 99 & wait", Healthcheck=health), [])})
    told = failure(stack.run(job))
    assert "health check failed" in told["reason"]
    assert "model not loaded" in told["health"]


def test_the_deadline_of_a_service(stack: Stack) -> None:
    slow = stack.spec(Healthcheck={"Test": ["CMD", "false"], "Interval": NANO, "Retries": 50})
    job = stack.job({"slow": (slow, [])})
    job["services"][stack.service("slow")]["deadline"] = 2.0
    lines = stack.run(job)
    assert end(lines)["exit"] == 7
    assert failure(lines)["reason"].startswith("not done within 2 s: ")


def test_no_suitable_node(stack: Stack, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("llmdeploy.engine.tasks.UNPLACEABLE_AFTER", 1.0)
    lost = stack.spec()
    lost["TaskTemplate"]["Placement"] = {"Constraints": ["node.labels.group.mars==yes"]}
    told = failure(stack.run(stack.job({"lost": (lost, [])})))
    assert "no suitable node" in told["reason"]
    assert "labels" in told["hint"]
    assert told["log"] == []


def test_an_image_the_host_does_not_have(stack: Stack) -> None:
    stack.pins["shell"] = "sha256:" + "0" * 64
    told = failure(stack.run(stack.job({"none": (stack.spec(), [])})))
    assert "No such image" in told["reason"]
    assert "delivered" in told["hint"]


def test_unchanged_but_broken_is_waited_for_and_a_paused_update_is_resumed(stack: Stack) -> None:
    flag = stack.folder.parent / "go"
    mount = [{"Type": "bind", "Source": str(stack.folder.parent), "Target": "/flag"}]
    services: dict[str, Any] = {"a": (stack.spec(Mounts=mount), [])}
    assert end(stack.run(stack.job(services)))["verdict"] == "done"
    services["a"] = (stack.spec("test -e /flag/go || exit 1; exec sleep 99", Mounts=mount), [])
    assert end(stack.run(stack.job(services, on_failure="keep")))["verdict"] == "unhealthy"
    flag.touch()
    lines = stack.run(stack.job(services))
    assert lines[0]["services"][0]["changes"] == ["paused update resumed"]
    assert end(lines)["verdict"] == "done"
    flag.unlink()
    for container in stack.client.containers(filters={"label": f"com.docker.swarm.service.name={stack.service('a')}"}):
        stack.client.kill(container["Id"])
    job, deadline = stack.job(services), time.monotonic() + 60
    while run.unchanged(job, stack.pins):
        assert time.monotonic() < deadline
    flag.touch()
    lines = stack.run(job)
    assert end(lines)["verdict"] == "unchanged"
    assert any("unchanged, but not healthy" in line.get("detail", "") for line in lines)


def test_a_foreign_service_is_never_written(stack: Stack) -> None:
    task = {"ContainerSpec": {"Image": stack.image, "Command": ["sleep", "99"]}}
    stack.client.create_service(task, name=stack.service("b"))
    lines = stack.run(stack.job(chain(stack)))
    assert (end(lines)["verdict"], end(lines)["exit"]) == ("failed", 1)
    assert f"a service named {stack.service('b')} exists and belongs to somebody else" in end(lines)["summary"]
    assert stack.client.services(filters={"label": f"llmdeploy.stack={stack.name}"}) == []
    assert stack.configs("lock") == stack.configs("release") == []


def test_nobody_wants_it_any_more(stack: Stack) -> None:
    stack.run(stack.job(chain(stack)))
    lines = stack.run(stack.job({"a": (stack.spec(), [])}))
    assert end(lines)["verdict"] == "unchanged"
    assert lines[0]["orphans"] == [stack.service("b"), stack.service("c")]


def _scale(stack: Stack, short: str, replicas: int) -> None:
    live = stack.live(short)
    mode = {"Replicated": {"Replicas": replicas}}
    stack.client.update_service(
        live["ID"], live["Version"]["Index"], name=live["Spec"]["Name"], mode=mode, fetch_current_spec=True
    )


@pytest.mark.parametrize("when", ["before its turn", "after it"])
def test_somebody_else_writes_in_between(stack: Stack, monkeypatch: pytest.MonkeyPatch, when: str) -> None:
    assert end(stack.run(stack.job({"a": (stack.spec(), [])})))["verdict"] == "done"
    original: Callable[..., None] = watch.write

    def write(*arguments: Any) -> None:
        if when == "before its turn":
            _scale(stack, "a", 2)
        original(*arguments)
        if when == "after it":
            _scale(stack, "a", 2)

    monkeypatch.setattr(watch, "write", write)
    lines = stack.run(stack.job({"a": (stack.spec(Env=["A=9"]), [])}))
    assert (end(lines)["verdict"], end(lines)["exit"]) == ("conflict", 4)
    assert "by somebody else" in failure(lines)["reason"]
    assert stack.live("a")["Spec"]["Mode"]["Replicated"]["Replicas"] == 2
    assert [item["Spec"]["Labels"]["verdict"] for item in stack.configs("release")] == [
        "good",
        "rolled back" if when == "before its turn" else "failed",
    ]


class _Web(BaseHTTPRequestHandler):
    bad = 3  # so many requests fail

    def do_GET(self) -> None:
        self.send_response(503 if type(self).bad > 0 else 200)
        type(self).bad -= 1
        self.end_headers()

    def log_message(self, *_: Any) -> None:
        pass


def test_a_service_counts_when_it_answers_and_the_stack_when_it_is_verified(
    stack: Stack, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(say, "EDGE_FINDS_WITHIN", 0.0)  # tell at once what is missing
    server = ThreadingHTTPServer(("127.0.0.1", 0), _Web)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    check = {"name": "a:80", "service": "a", "kind": "http", "via": "edge", "host": None, "port": server.server_port,
             "path": "/", "expect_status": [200, 299], "timeout": 1.0}  # fmt: skip
    job = stack.job({"a": (stack.spec(), []), "b": (stack.spec(), ["a"])}, verify=[{**check, "name": "chat"}])
    job["services"][stack.service("a")]["answers"] = [check]
    lines = stack.run(job)
    assert end(lines)["verdict"] == "done"
    details = [line["detail"] for line in lines if line["kind"] == "service"]
    assert details.count("check a:80: HTTP 503 instead of 200 to 299") in (1, 2)  # healthy, then answering
    assert [(line["name"], line["ok"]) for line in lines if line["kind"] == "check"] == [("chat", True)]
    _Web.bad = 99
    lines = run.unchanged({**job, "id": "again"}, stack.pins) or []
    server.shutdown()
    assert (end(lines)["verdict"], end(lines)["exit"]) == ("unhealthy", 7)
    assert "chat: HTTP 503" in end(lines)["summary"]


def test_the_ledger_holds_the_whole_release(stack: Stack) -> None:
    job = stack.job({"a": (stack.spec(), [])})
    stack.run(job)
    stored = api.Docker(5).configs(stack.name)
    manifest = decode(base64.b64decode(stored[0]["Spec"]["Data"]))
    assert manifest == {"format": 1, "job": job, "pins": stack.pins}
