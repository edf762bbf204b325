"""The verdict on a service from its tasks."""

from __future__ import annotations

from typing import Any

import pytest

from llmdeploy.engine.tasks import UNPLACEABLE_AFTER, judge


def service(replicas: int | None = 1, *, update: str = "", desired: int = 0) -> dict[str, Any]:
    mode = {"Global": {}} if replicas is None else {"Replicated": {"Replicas": replicas}}
    found = {"ID": "s", "Spec": {"Mode": mode}, "ServiceStatus": {"DesiredTasks": desired}}
    return {**found, "UpdateStatus": {"State": update, "Message": "why"}} if update else found


def task(
    name: str, state: str, *, slot: int | None = 1, desired: str = "", err: str = "", code: int = 0
) -> dict[str, Any]:
    ended = state in ("failed", "rejected", "complete", "shutdown")
    return {
        "ID": name, "CreatedAt": f"2026-{name}", "Slot": slot, "NodeID": f"node-{name}",
        "DesiredState": desired or ("shutdown" if ended else "running"),
        "Status": {"State": state, "Err": err, "ContainerStatus": {"ExitCode": code}},
    }  # fmt: skip


UNHEALTHY = "task: non-zero exit (137): dockerexec: unhealthy container"


@pytest.mark.parametrize(
    ("given", "tasks", "state", "healthy", "reason"),
    [
        (service(), [], "starting", 0, "waiting for Docker"),
        (service(), [task("a", "running")], "healthy", 1, ""),
        (service(0), [], "healthy", 0, ""),
        (service(2), [task("a", "running")], "starting", 1, "waiting for Docker"),
        (service(2), [task("a", "running"), task("b", "starting", slot=2)],
         "starting", 1, "waiting for its health check"),
        (service(2), [task("a", "running"), task("b", "running", slot=2)], "healthy", 2, ""),
        (service(1), [task("a", "running"), task("b", "running", slot=2)], "starting", 2, "waiting for Docker"),
        (service(1), [task("a", "running", desired="shutdown")], "starting", 0, "waiting for Docker"),
        (service(), [task("a", "preparing")], "starting", 0, "prepares the image"),
        (service(), [task("a", "failed", code=3), task("b", "starting")],
         "starting", 0, "failed once: it crashed with exit code 3"),
        (service(), [task("a", "failed", code=3), task("b", "failed", code=3)],
         "failed", 0, "it crashed (2 times) with exit code 3"),
        (service(update="paused"), [task("a", "failed", code=137, err=UNHEALTHY)],
         "failed", 0, "its health check failed"),
        (service(update="paused"), [task("a", "failed", code=3, err=UNHEALTHY)], "failed", 0, "exit code 3"),
        (service(update="rollback_completed"), [], "failed", 0, "Docker stopped the update: why"),
        (service(update="completed"), [task("a", "running")], "healthy", 1, ""),
        (service(), [task("a", "rejected", err="No such image"), task("b", "rejected", err="No such image")],
         "failed", 0, "refused to start it (2 times): No such image"),
        (service(), [task("a", "complete"), task("b", "complete")],
         "failed", 0, "it ended with exit code 0 (2 times)"),
        (service(None, desired=0), [], "starting", 0, "waiting for Docker"),
        (service(None, desired=2), [task("a", "running", slot=None)], "starting", 1, "waiting for Docker"),
        (service(None, desired=2), [task("a", "running", slot=None), task("b", "running", slot=None)],
         "healthy", 2, ""),
    ],
)  # fmt: skip
def test_verdicts(given: Any, tasks: Any, state: str, healthy: int, reason: str) -> None:
    verdict = judge(given, tasks)
    assert (verdict.state, verdict.healthy) == (state, healthy)
    assert reason in verdict.reason


def test_failures_of_before_do_not_count() -> None:
    tasks = [task("a", "failed"), task("b", "failed"), task("c", "running")]
    assert judge(service(), tasks, before=["a", "b"]).state == "healthy"
    assert judge(service(), tasks).state == "failed"


def test_an_old_rollback_does_not_condemn_a_service_nobody_wrote() -> None:
    given = service(update="rollback_completed")
    assert judge(given, [task("a", "running")], written=False).state == "healthy"
    assert judge(given, [task("a", "running")], written=True).state == "failed"


@pytest.mark.parametrize(
    ("err", "seconds", "state"),
    [
        ("no suitable node (insufficient resources on 1 node)", UNPLACEABLE_AFTER + 1, "failed"),
        ("no suitable node (insufficient resources on 1 node)", UNPLACEABLE_AFTER - 1, "starting"),
        ("no suitable node (host-mode port already in use on 1 node)", UNPLACEABLE_AFTER + 1, "starting"),
        ("", UNPLACEABLE_AFTER + 1, "starting"),
    ],
)
def test_no_suitable_node_is_given_some_time(err: str, seconds: float, state: str) -> None:
    verdict = judge(service(), [task("a", "pending", err=err)], pending={"a": seconds})
    assert verdict.state == state
    assert err in verdict.reason


def test_the_ids_that_make_it_healthy_are_told() -> None:
    tasks = [task("a", "running"), task("b", "running", slot=2), task("old", "shutdown")]
    assert judge(service(2), tasks).ids == {"a", "b"}
