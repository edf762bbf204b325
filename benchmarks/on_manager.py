"""Runs on a manager, with the standard library only: what is timed there without a network between watch and cluster.

python3 on_manager.py chain <specs.json       one service after the other, each as soon as the one before is healthy
python3 on_manager.py stack NAME <stack.yml   `docker stack deploy`, until every task is healthy
"""

from __future__ import annotations

import http.client
import json
import socket
import subprocess
import sys
import time
from typing import Any
from urllib.parse import quote

PAUSE = 0.1
DEADLINE = 180.0


class Engine(http.client.HTTPConnection):
    """The local Docker engine."""

    def __init__(self) -> None:
        super().__init__("docker")

    def connect(self) -> None:
        """Open the engine's socket instead of a network connection."""
        self.sock = socket.socket(socket.AF_UNIX)
        self.sock.connect("/var/run/docker.sock")

    def ask(self, path: str, body: Any = None) -> Any:
        """Return the engine's answer; anything but success is an error."""
        headers = {"Content-Type": "application/json"}
        self.request("GET" if body is None else "POST", path, json.dumps(body) if body is not None else None, headers)
        answer = self.getresponse()
        text = answer.read().decode()
        if answer.status >= 300:
            raise RuntimeError(f"{path}: {answer.status} {text}")
        return json.loads(text) if text else None

    def healthy(self, services: list[str]) -> bool:
        """Say whether every service has a task that runs; Swarm counts a task as running once it is healthy."""
        filters = quote(json.dumps({"service": services, "desired-state": ["running"]}))
        tasks = self.ask(f"/tasks?filters={filters}")
        return len({task["ServiceID"] for task in tasks if task["Status"]["State"] == "running"}) == len(services)

    def wait(self, services: list[str]) -> None:
        """Wait until all of them are healthy."""
        deadline = time.monotonic() + DEADLINE
        while not self.healthy(services):
            if time.monotonic() > deadline:
                raise RuntimeError(f"not healthy after {DEADLINE:g} s: {', '.join(services)}")
            time.sleep(PAUSE)


def chain(specs: list[dict[str, Any]]) -> dict[str, float]:
    """Create the services one after the other; service name → seconds from its creation to its health."""
    engine, seconds = Engine(), {}
    for spec in specs:
        began = time.monotonic()
        engine.wait([engine.ask("/services/create", spec)["ID"]])
        seconds[str(spec["Name"])] = time.monotonic() - began
    return seconds


def stack(name: str, compose: str) -> dict[str, float]:
    """Deploy a stack; seconds until the command came back and until all of its services are healthy."""
    began = time.monotonic()
    command = ["docker", "stack", "deploy", "--resolve-image", "never", "--compose-file", "-", name]
    subprocess.run(command, input=compose.encode(), check=True, stdout=subprocess.DEVNULL)
    deployed = time.monotonic() - began
    engine = Engine()
    filters = quote(json.dumps({"label": [f"com.docker.stack.namespace={name}"]}))
    engine.wait([service["ID"] for service in engine.ask(f"/services?filters={filters}")])
    return {"docker stack deploy": deployed, "until healthy": time.monotonic() - began - deployed}


def main() -> None:
    """Do what the command line says and print the seconds as JSON."""
    given = sys.stdin.read()
    seconds = chain(json.loads(given)) if sys.argv[1] == "chain" else stack(sys.argv[2], given)
    print(json.dumps(seconds))


if __name__ == "__main__":
    main()
