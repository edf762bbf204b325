"""A Swarm of one on this machine's Docker, and jobs of small services with a name of their own each."""

from __future__ import annotations

import copy
import json
import time
import uuid
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import docker
import pytest

from llmdeploy.engine import run as engine
from llmdeploy.engine.progress import read
from tests.lab import roots
from tests.lab.engine import ensure_engine

NANO = 1_000_000_000
Job = dict[str, Any]


@pytest.fixture(scope="session")
def client() -> Iterator[Any]:
    """The Docker API, with Swarm mode on; off again at the end if it was off."""
    ensure_engine()
    found = docker.APIClient(version="auto", timeout=20)
    active = found.info()["Swarm"]["LocalNodeState"] == "active"
    if not active:
        found.init_swarm(advertise_addr="127.0.0.1")
    yield found
    if not active:
        found.leave_swarm(force=True)


@pytest.fixture(scope="session")
def image(client: Any) -> str:
    """The id of a small image with a shell."""
    return str(client.inspect_image(roots.ensure(roots.TINY))["Id"])


class Stack:
    """One test's stack: builds jobs, runs them, reads what came of it, removes everything."""

    def __init__(self, client: Any, image: str, folder: Path) -> None:
        self.client, self.image, self.folder = client, image, folder
        self.name = f"t{uuid.uuid4().hex[:8]}"
        self.network = f"{self.name}-net"
        client.create_network(self.network, driver="overlay")
        self.pins = {"shell": image}
        self.jobs = 0

    def service(self, short: str) -> str:
        """The full name of a service."""
        return f"{self.name}-{short}"

    def spec(self, script: str = "exec sleep 600", **container: Any) -> dict[str, Any]:
        """A specification as the release room makes it, running a shell script."""
        health = {"Test": ["CMD", "true"], "Interval": NANO // 4, "Timeout": 20 * NANO, "Retries": 1}
        return {
            "Labels": {"llmdeploy.stack": self.name},
            "TaskTemplate": {
                "ContainerSpec": {
                    "Image": "",
                    "Command": ["sh", "-c", script],
                    "Env": ["B=2", "A=1"],
                    "Mounts": [{"Type": "bind", "Source": "/tmp", "Target": "/llmdeploy", "ReadOnly": True}],
                    "StopGracePeriod": 0,
                    "Healthcheck": health,
                    **container,
                },
                "Resources": {"Limits": {"NanoCPUs": NANO // 2, "MemoryBytes": 64 << 20}, "Reservations": {}},
                "RestartPolicy": {"Condition": "any", "Delay": NANO // 5},
                "Placement": {"Constraints": ["node.role==manager"]},
                "Networks": [{"Target": self.network}],
            },
            "Mode": {"Replicated": {"Replicas": 1}},
            "UpdateConfig": {"Parallelism": 1, "Delay": 0, "FailureAction": "pause", "Monitor": NANO,
                             "MaxFailureRatio": 0, "Order": "start-first"},
            "EndpointSpec": {"Mode": "dnsrr"},
        }  # fmt: skip

    def job(self, services: dict[str, tuple[dict[str, Any], list[str]]], **more: Any) -> Job:
        """A job of `{short name: (spec, [short names it depends on])}`."""
        self.jobs += 1
        entries = {
            self.service(short): {
                "wave": wave, "image": "shell", "spec": copy.deepcopy(spec), "stability": 0.3, "deadline": 25.0,
                "depends_on": [self.service(other) for other in needs], "group": "g", "answers": [],
            }
            for wave, (short, (spec, needs)) in enumerate(services.items(), 1)
        }  # fmt: skip
        by = {"user": "ana", "host": "laptop", "message": "a test", "git": "1a2b3c4", "git_time": 1700000000}
        return {
            "format": 1, "id": f"2026-{self.jobs:03}", "stack": self.name, "environment": "dev", "action": "deploy",
            "by": by, "network": self.network, "deadline": 60.0, "services": entries, "edge_host": "127.0.0.1",
            "verify": [], **more,
        }  # fmt: skip

    def run(self, job: Job) -> list[dict[str, Any]]:
        """Run a job to its end in this process; the lines."""
        folder = engine.prepare(self.folder, job, self.pins)
        engine.run(folder)
        return read(folder)[0]

    def live(self, short: str) -> dict[str, Any]:
        """A service as the daemon has it."""
        found: dict[str, Any] = self.client.inspect_service(self.service(short))
        return found

    def configs(self, kind: str) -> list[dict[str, Any]]:
        """The stack's config objects of a kind, with their manifest's labels."""
        found = self.client.configs(filters={"label": f"llmdeploy.stack={self.name}"})
        own = [item for item in found if item["Spec"]["Labels"].get("llmdeploy.kind") == kind]
        return sorted(own, key=lambda item: int(item["Spec"]["Labels"].get("number", 0)))

    def clean(self) -> None:
        """Remove all that this stack made."""
        for item in self.client.services(filters={"label": f"llmdeploy.stack={self.name}"}):
            self.client.remove_service(item["ID"])
        for item in self.client.configs(filters={"label": f"llmdeploy.stack={self.name}"}):
            self.client.remove_config(item["ID"])
        for item in self.client.services(filters={"name": self.name}):
            self.client.remove_service(item["ID"])
        deadline = time.monotonic() + 15
        while not self._network_gone() and time.monotonic() < deadline:
            time.sleep(0.25)

    def _network_gone(self) -> bool:
        try:
            self.client.remove_network(self.network)
        except docker.errors.NotFound:
            return True
        except docker.errors.APIError:
            return False  # its tasks are still ending
        return True


@pytest.fixture
def stack(client: Any, image: str, tmp_path: Path) -> Iterator[Stack]:
    """A stack of its own."""
    made = Stack(client, image, tmp_path / "jobs")
    yield made
    made.clean()


def end(lines: list[dict[str, Any]]) -> dict[str, Any]:
    """The last line, which must be the verdict."""
    assert lines[-1]["kind"] == "end", json.dumps(lines, indent=1)
    return lines[-1]


def failure(lines: list[dict[str, Any]]) -> dict[str, Any]:
    """The failure line."""
    return next(line for line in lines if line["kind"] == "failure")
