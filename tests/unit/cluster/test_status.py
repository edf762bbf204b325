"""What `status` makes of one reading of the cluster."""

from __future__ import annotations

from typing import Any

import pytest

from llmdeploy.cluster.live import Live
from llmdeploy.cluster.status import healthy, status
from llmdeploy.config.models import Settings

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
    live = Live(services, (), [task("edge"), task("web")], [], [], {})
    told = status(live, SETTINGS)
    row = next(row for row in told["services"] if row["name"] == "web")
    assert (row["state"], bool(row["detail"])) == (state, not good)
    assert healthy(told) is good
