"""A release that fails returns everything it touched to the release before; nothing stays half-way."""

from __future__ import annotations

import json
import socketserver
import threading
import time
from pathlib import Path
from typing import Any

import pytest

from llmdeploy.engine import run
from llmdeploy.engine.progress import read

from .conftest import NANO, Stack, end, failure

pytestmark = pytest.mark.docker

Services = dict[str, tuple[dict[str, Any], list[str]]]
CRASH = "exit 3"


def two(stack: Stack, *, a: str = "1", b: str = "1", script: str = "exec sleep 600") -> Services:
    """Two services, b after a; their version is an environment variable; `script` is what b runs."""
    return {
        "a": (stack.spec(Env=[f"VERSION={a}"]), []),
        "b": (stack.spec(script, Env=[f"VERSION={b}"]), ["a"]),
    }


def versions(stack: Stack, *names: str) -> list[str]:
    return [stack.live(name)["Spec"]["TaskTemplate"]["ContainerSpec"]["Env"][0].partition("=")[2] for name in names]


def verdicts(stack: Stack) -> list[str]:
    return [item["Spec"]["Labels"]["verdict"] for item in stack.configs("release")]


def ids(stack: Stack, name: str) -> set[str]:
    tasks = stack.client.tasks(filters={"service": stack.service(name), "desired-state": "running"})
    return {task["ID"] for task in tasks}


def test_everything_touched_goes_back_in_reverse_order(stack: Stack) -> None:
    assert end(stack.run(stack.job(two(stack))))["verdict"] == "done"
    lines = stack.run(stack.job(two(stack, a="2", b="2", script=CRASH)))
    last = end(lines)
    assert (last["verdict"], last["exit"]) == ("rolled-back", 6)
    assert failure(lines)["service"] == stack.service("b")
    assert "exit code 3" in failure(lines)["reason"]
    assert last["taken_back"]["verified"] is True
    assert last["taken_back"]["to"] == 1
    assert sorted(last["taken_back"]["services"]) == [stack.service("a"), stack.service("b")]
    assert versions(stack, "a", "b") == ["1", "1"]
    assert verdicts(stack) == ["good", "rolled back"]
    assert stack.configs("release")[1]["Spec"]["Labels"]["taken_back_to"] == "1"
    back = next(line for line in lines if line["kind"] == "release" and line["state"] == "taking-back")
    assert back["to"] == 1
    after = [line for line in lines[lines.index(back) :] if line["kind"] == "service"]
    assert all(line["back"] for line in after)
    moments = {line["name"]: line["t"] for line in reversed(after) if line["state"] == "starting"}
    done = {line["name"]: line["t"] for line in reversed(after) if line["state"] == "done"}
    assert done[stack.service("b")] <= moments[stack.service("a")], "what depends on it goes first"
    assert stack.configs("lock") == []

    assert end(stack.run(stack.job(two(stack))))["verdict"] == "unchanged"


def test_what_is_new_is_removed_again_and_what_was_removed_comes_back(stack: Stack) -> None:
    services = two(stack)
    services["old"] = (stack.spec(), [])
    assert end(stack.run(stack.job(services)))["verdict"] == "done"
    services = two(stack)
    services["new"] = (stack.spec(), ["a"])
    job = stack.job(services, remove=[stack.service("old")])
    job["verify"] = [
        {"name": "chat", "service": stack.service("a"), "kind": "tcp", "via": "edge", "host": "127.0.0.1", "port": 9,
         "timeout": 1.0},
    ]  # fmt: skip
    lines = stack.run(job)
    last = end(lines)
    assert (last["verdict"], last["exit"]) == ("rolled-back", 6), last
    assert "chat" in last["summary"]
    assert last["taken_back"]["removed"] == [stack.service("new")]
    assert last["taken_back"]["services"] == [stack.service("old")]
    names = {item["Spec"]["Name"] for item in stack.client.services(filters={"label": f"llmdeploy.stack={stack.name}"})}
    assert names == {stack.service(short) for short in ("a", "b", "old")}


def test_a_replica_that_was_never_replaced_goes_on_running(stack: Stack) -> None:
    assert end(stack.run(stack.job(two(stack))))["verdict"] == "done"
    before = ids(stack, "b")
    assert end(stack.run(stack.job(two(stack, b="2", script=CRASH))))["exit"] == 6
    assert ids(stack, "b") == before, "start-first: the old replica has served all the time"


def test_the_first_release_has_nothing_to_go_back_to(stack: Stack) -> None:
    lines = stack.run(stack.job(two(stack, script=CRASH)))
    last = end(lines)
    assert (last["verdict"], last["exit"], last["taken_back"]) == ("unhealthy", 7, None)
    assert "nothing to go back to" in last["summary"]
    assert ids(stack, "a")
    assert verdicts(stack) == ["failed"]


def test_kept_for_looking(stack: Stack) -> None:
    assert end(stack.run(stack.job(two(stack))))["verdict"] == "done"
    lines = stack.run(stack.job(two(stack, a="2", b="2", script=CRASH), on_failure="keep"))
    assert (end(lines)["exit"], end(lines)["taken_back"]) == (7, None)
    assert versions(stack, "a", "b") == ["2", "2"]
    assert verdicts(stack) == ["good", "failed"]

    lines = stack.run(stack.job(two(stack), action="rollback", target=1, on_failure="go-on", pace="at-once"))
    assert end(lines)["verdict"] == "done"
    assert versions(stack, "a", "b") == ["1", "1"]
    assert verdicts(stack) == ["good", "failed", "good"]


def test_a_state_that_no_release_stands_for_is_recorded_even_if_nothing_changes(stack: Stack) -> None:
    services = two(stack)
    assert end(stack.run(stack.job(services, on_failure="keep")))["verdict"] == "done"
    stack.client.remove_config(stack.configs("release")[0]["ID"])
    assert run.unchanged(stack.job(services), stack.pins) is None
    assert end(stack.run(stack.job(services)))["verdict"] == "unchanged"
    assert verdicts(stack) == ["good"]
    assert run.unchanged(stack.job(services), stack.pins) is not None


def test_stopping_takes_back(stack: Stack, tmp_path: Path) -> None:
    assert end(stack.run(stack.job(two(stack))))["verdict"] == "done"
    job = stack.job(two(stack, a="2", b="2", script="exec sleep 600"))
    job["services"][stack.service("b")]["stability"] = 60.0
    folder = run.prepare(tmp_path / "jobs", job, stack.pins)

    def stop() -> None:
        until = time.monotonic() + 30
        while time.monotonic() < until:
            if any(one["kind"] == "service" and one["name"] == stack.service("b") and one["state"] == "healthy"
                   for one in read(folder)[0]):  # fmt: skip
                break
            time.sleep(0.1)
        (folder / "stop").touch()

    thread = threading.Thread(target=stop)
    thread.start()
    assert run.run(folder) == 130
    thread.join()
    last = end(read(folder)[0])
    assert last["verdict"] == "stopped"
    assert last["taken_back"]["verified"] is True
    assert versions(stack, "a", "b") == ["1", "1"]
    assert verdicts(stack) == ["good", "rolled back"]


def test_a_foreign_change_stops_the_release_and_is_not_overwritten(stack: Stack) -> None:
    assert end(stack.run(stack.job(two(stack))))["verdict"] == "done"
    job = stack.job(two(stack, a="2", b="2"))
    seen = {stack.service("b"): "0" * 12}
    lines = stack.run({**job, "seen": seen})
    assert (end(lines)["verdict"], end(lines)["exit"]) == ("conflict", 4)
    assert stack.service("b") in end(lines)["summary"]
    assert versions(stack, "a", "b") == ["1", "1"]

    job["services"][stack.service("b")]["stability"] = 60.0
    meddler = threading.Thread(target=_scale_when_written, args=(stack, "b"))
    meddler.start()
    lines = stack.run({**job, "id": "again"})
    meddler.join()
    last = end(lines)
    assert (last["verdict"], last["exit"]) == ("conflict", 4), last
    assert last["taken_back"]["services"] == [stack.service("a")]
    assert versions(stack, "a", "b") == ["1", "2"]
    assert stack.live("b")["Spec"]["Mode"]["Replicated"]["Replicas"] == 2


def _scale_when_written(stack: Stack, name: str) -> None:
    until = time.monotonic() + 30
    while versions(stack, name) != ["2"] and time.monotonic() < until:
        time.sleep(0.2)
    live = stack.live(name)
    spec = {**live["Spec"], "Mode": {"Replicated": {"Replicas": 2}}}
    stack.client.update_service(
        live["ID"], live["Version"]["Index"], task_template=spec["TaskTemplate"], name=spec["Name"],
        labels=spec["Labels"], mode=spec["Mode"], endpoint_spec=spec["EndpointSpec"],
        update_config=spec["UpdateConfig"],
    )  # fmt: skip


def test_stuck_on_the_way_back_says_which_service_runs_which_version(stack: Stack) -> None:
    services = two(stack)
    services["b"][0]["UpdateConfig"]["Order"] = "stop-first"
    services["b"] = (stack.spec("test -e /llmdeploy/STUCK || exec sleep 600; exit 5", Env=["VERSION=1"]), ["a"])
    marker = Path("/tmp/STUCK")
    try:
        assert end(stack.run(stack.job(services)))["verdict"] == "done"
        marker.touch()
        newer = two(stack, b="2")
        newer["b"][0]["UpdateConfig"]["Order"] = "stop-first"
        job = stack.job(newer)
        job["verify"] = [
            {"name": "chat", "service": stack.service("a"), "kind": "tcp", "via": "edge", "host": "127.0.0.1",
             "port": 9, "timeout": 1.0},
        ]  # fmt: skip
        last = end(stack.run(job))
    finally:
        marker.unlink(missing_ok=True)
    assert (last["verdict"], last["exit"]) == ("unhealthy", 7), last
    assert [one["service"] for one in last["taken_back"]["stuck"]] == [stack.service("b")]
    assert "release 1" in last["taken_back"]["stuck"][0]["runs"]
    assert "llmdeploy dev rollback 1" in last["summary"]
    assert verdicts(stack) == ["good", "failed"]


def test_a_rollback_gets_the_most_that_can_be_had_all_at_once(stack: Stack) -> None:
    services = {"a": (stack.spec(), []), "b": (stack.spec(), ["a"]), "c": (stack.spec(), ["b"])}
    bad = stack.spec()
    bad["TaskTemplate"]["Placement"] = {"Constraints": ["node.labels.nowhere==yes"]}
    services["a"] = (bad, [])
    job = stack.job(services, action="rollback", target=1, on_failure="go-on", pace="at-once")
    job["services"][stack.service("a")]["deadline"] = 4.0
    lines = stack.run(job)
    last = end(lines)
    assert (last["verdict"], last["exit"], last["taken_back"]) == ("unhealthy", 7, None)
    assert sorted(last["done"]) == [stack.service("b"), stack.service("c")]
    started = [line["t"] for line in lines if line["kind"] == "service" and line["state"] == "starting"]
    assert max(started[:3]) - min(started[:3]) < 1.0


def test_a_canary_is_watched_before_the_others_follow(stack: Stack) -> None:
    def three(version: str, script: str = "exec sleep 600") -> Services:
        spec = stack.spec(script, Env=[f"VERSION={version}"])
        spec["Mode"]["Replicated"]["Replicas"] = 3
        return {"a": (spec, [])}

    def job(services: Services) -> dict[str, Any]:
        made = stack.job(services, canary=True)
        made["services"][stack.service("a")]["canary"] = 2.0
        return made

    assert end(stack.run(job(three("1"))))["verdict"] == "done"
    lines = stack.run(job(three("2")))
    assert end(lines)["verdict"] == "done"
    states = [line["state"] for line in lines if line["kind"] == "service"]
    assert "canary" in states
    watched = [line["t"] for line in lines if line["kind"] == "service" and line["state"] == "canary"]
    assert lines[-1]["t"] - watched[0] > 2.0
    assert stack.live("a")["Spec"]["UpdateConfig"].get("Delay", 0) == 0
    assert len(ids(stack, "a")) == 3

    before = ids(stack, "a")
    lines = stack.run(job(three("3", script="sleep 1.5; exit 1")))
    assert end(lines)["exit"] == 6
    assert len(before & ids(stack, "a")) >= 2, "only one replica was ever replaced"
    assert versions(stack, "a") == ["2"]


def test_a_removed_orphan_is_gone_with_its_tasks(stack: Stack) -> None:
    services = two(stack)
    assert end(stack.run(stack.job(services)))["verdict"] == "done"
    del services["b"]
    lines = stack.run(stack.job(services))
    assert lines[0]["orphans"] == [stack.service("b")]
    assert end(lines)["verdict"] == "unchanged"
    lines = stack.run(stack.job(services, remove=[stack.service("b")]))
    assert end(lines)["verdict"] == "done"
    assert [one["action"] for one in lines[0]["services"]] == ["unchanged", "remove"]
    assert stack.client.tasks(filters={"label": f"llmdeploy.stack={stack.name}", "service": stack.service("a")})
    left = {item["Spec"]["Name"] for item in stack.client.services(filters={"label": f"llmdeploy.stack={stack.name}"})}
    assert left == {stack.service("a")}


def test_times_and_words_of_a_release_are_in_the_ledger(stack: Stack) -> None:
    assert end(stack.run(stack.job(two(stack), catalogue="abc", target=0)))["number"] == 1
    labels = stack.configs("release")[0]["Spec"]["Labels"]
    times = json.loads(labels["times"])
    assert times[stack.service("a")]["state"] == "done"
    assert times[stack.service("b")]["began"] >= times[stack.service("a")]["seconds"] > 0.2
    assert (labels["user"], labels["host"], labels["reason"], labels["git"]) == ("ana", "laptop", "a test", "1a2b3c4")
    assert (labels["catalogue"], labels["result"], labels["verdict"]) == ("abc", "done", "good")
    assert float(labels["seconds"]) > 0


def test_old_releases_are_forgotten(stack: Stack) -> None:
    for version in ("1", "2", "3", "4"):
        last = end(stack.run(stack.job(two(stack, a=version), keep=2)))
        assert last["verdict"] == "done"
    assert last["dropped"] == [1]
    assert [item["Spec"]["Labels"]["number"] for item in stack.configs("release")] == ["2", "3", "4"]


def test_verification_waits_until_no_replica_of_before_can_answer(stack: Stack) -> None:
    server = socketserver.TCPServer(("127.0.0.1", 0), socketserver.BaseRequestHandler)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    check = {"name": "chat", "service": stack.service("a"), "kind": "tcp", "via": "edge", "host": "127.0.0.1",
             "port": server.server_address[1], "timeout": 1.0}  # fmt: skip
    slow = "trap '' TERM; sleep 600 & while true; do wait; done"

    def job(version: str) -> dict[str, Any]:
        spec = stack.spec(slow, Env=[f"VERSION={version}"], StopGracePeriod=2 * NANO)
        return stack.job({"a": (spec, [])}, verify=[check])

    assert end(stack.run(job("1")))["verdict"] == "done"
    lines = stack.run(job("2"))
    server.shutdown()
    assert end(lines)["verdict"] == "done"
    healthy = next(line["t"] for line in lines if line["kind"] == "service" and line["state"] in ("healthy", "done"))
    asked = next(line["t"] for line in lines if line["kind"] == "check")
    assert asked - healthy > 1.5, "the old replica still ran for two seconds"
