"""What `status` makes of one reading of the cluster."""

from __future__ import annotations

from typing import Any

import pytest

from llmdeploy.cluster.live import Live, ours
from llmdeploy.cluster.status import healthy, status
from llmdeploy.config.models import Settings

from .test_history import config, lock

SETTINGS = Settings.model_validate(
    {"edge": {"image": "edge"}, "services": {"web": {"group": "web", "image": "web", "cpus": 0.5}}}
)


def service(name: str, update: str = "") -> dict[str, Any]:
    template = {"ContainerSpec": {"Image": name}}
    spec = {"Name": name, "Mode": {"Replicated": {"Replicas": 1}}, "TaskTemplate": template, "Labels": {}}
    found = {"ID": name, "Spec": spec, "UpdatedAt": "", "ServiceStatus": {"DesiredTasks": 1, "RunningTasks": 1}}
    return {**found, "UpdateStatus": {"State": update}} if update else found


def task(of: str, state: str = "running") -> dict[str, Any]:
    wanted = "running" if state == "running" else "shutdown"
    ident = {"ID": f"{of}-{state}", "ServiceID": of, "NodeID": "n", "Slot": 1, "CreatedAt": ""}
    return {**ident, "DesiredState": wanted, "Status": {"State": state}, "Spec": {}}


@pytest.mark.parametrize(
    ("update", "state", "good"), [("", "healthy", True), ("completed", "healthy", True), ("paused", "degraded", False)]
)
def test_an_update_that_failed_half_way_is_not_healthy(update: str, state: str, good: bool) -> None:
    services = {"edge": service("edge"), "web": service("web", update)}
    live = Live(services, [task("edge"), task("web")], [], [], {})
    told = status(live, SETTINGS)
    row = next(row for row in told["services"] if row["name"] == "web")
    assert (row["state"], bool(row["detail"])) == (state, not good)
    assert healthy(told) is good


@pytest.mark.parametrize("ended", ["complete", "failed", "rejected", "orphaned"])
@pytest.mark.parametrize(("runs", "state"), [(True, "healthy"), (False, "failing")])
def test_what_counts_is_what_runs_now_however_often_it_was_restarted(ended: str, runs: bool, state: str) -> None:
    """A host's Docker that was restarted ends its containers in good order, with exit code 0."""
    past = [{**task("web", ended), "ID": f"web-{number}"} for number in range(3)]
    live = Live({"edge": service("edge"), "web": service("web")}, [*past, *([task("web")] if runs else [])], [], [], {})
    row = next(row for row in status(live, SETTINGS)["services"] if row["name"] == "web")
    assert (row["state"], row["healthy"]) == (state, int(runs))


def told(*configs: dict[str, Any], silent: float = 0.0) -> dict[str, Any]:
    """What is said of the releases among these config objects."""
    return status(Live({}, [], [], list(configs), {}), SETTINGS, silent=silent)


def test_before_the_first_release() -> None:
    assert {key: told()[key] for key in ("release", "on", "open", "running")} == dict.fromkeys(
        ("release", "on", "open", "running")
    )


def test_the_release_the_stack_is_on_is_not_always_the_newest() -> None:
    data = told(config(1, user="ana"), config(2), config(3, target="1"), config(4, verdict="failed"))
    assert (data["on"]["number"], data["on"]["source"], data["on"]["user"]) == (1, 3, "ana")
    assert (data["release"]["number"], data["release"]["verdict"]) == (4, "failed")


def test_a_rollback_to_a_release_that_is_forgotten() -> None:
    assert told(config(3, target="1"))["on"] == {"number": 1, "source": 3, "settled": True}


def test_an_open_release_and_who_holds_the_lock() -> None:
    running = config(2, verdict="running", job="x", user="ana")
    assert told(config(1), running)["open"]["number"] == 2
    held = told(config(1), running, lock("x"))
    assert (held["open"], held["running"]["user"], held["running"]["silent"]) == (None, "ana", 0)
    assert not [key for key in held["running"] if key.startswith("llmdeploy.")]


def test_a_release_whose_run_is_gone_is_open_though_the_lock_is_held() -> None:
    gone = told(config(1), config(2, verdict="running", job="x"), lock("x"), silent=131.4)
    assert (gone["open"]["number"], gone["open"]["open"], gone["running"]["silent"]) == (2, True, 131)


def test_a_helper_of_a_release_is_no_service_of_the_stack() -> None:
    found = [service("web"), service("edge-config"), service("theirs")]
    for one, labels in zip(found, ({}, {"llmdeploy.kind": "helper"}, {"llmdeploy.stack": "other"}), strict=True):
        one["Spec"]["Labels"] = {"llmdeploy.stack": "llm", **labels}
    assert list(ours(found, "llm")) == ["web"]
