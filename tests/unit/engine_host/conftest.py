"""Facts of healthy hosts, to be spoiled by the tests."""

from __future__ import annotations

from typing import Any

import pytest

from llmdeploy.engine.host_todo import Site

Facts = dict[str, Any]


def host_facts(number: int) -> Facts:
    """What a prepared host says that is in no Swarm."""
    return {
        "format": 1,
        "hostname": f"h{number}",
        "python": "3.11.2",
        "arch": "x86_64",
        "root": True,
        "systemd": True,
        "system": {"id": "debian", "version": "12", "codename": "bookworm", "name": "Debian GNU/Linux 12 (bookworm)"},
        "kernel": {"release": "6.1.0", "features": {"overlay": True, "vxlan": True, "ipvs": True, "esp": True}},
        "cpus": 4,
        "memory_mb": 8000,
        "memory_free_mb": 6000,
        "disk": {"path": "/var/lib/docker", "free_mb": 50_000, "total_mb": 100_000},
        "address": f"10.0.0.{number}",
        "ports": {},
        "docker": {
            "installed": True,
            "cli": True,
            "sdk": True,
            "running": True,
            "error": "",
            "version": "28.5.2",
            "root": "/var/lib/docker",
            "store": "classic",
            "swarm": {
                "state": "inactive",
                "error": "",
                "node": "",
                "cluster": "",
                "manager": False,
                "address": "",
                "managers": [],
            },
            "cluster": None,
            "images": {"tags": {}, "digests": {}, "made": []},
        },
        "state": {"fingerprint": "f1"},
        "probe": "p1",
        "edge": {"sha256": "", "containers": []},
        "time": 1000.0,
        "skew": 0.0,
    }


def network(**changed: Any) -> Facts:
    """The stack's network as a manager sees it."""
    return {
        "driver": "overlay",
        "attachable": False,
        "encrypted": False,
        "mtu": 0,
        "subnets": ["10.0.1.0/24"],
        "labels": {"llmdeploy.stack": "llm"},
        **changed,
    }


def form(facts: dict[str, Facts], first: str, *workers: str, cluster: str = "c1") -> None:
    """Put hosts into one Swarm that `first` manages."""
    nodes = []
    for host in (first, *workers):
        manager = host == first
        facts[host]["docker"]["swarm"] = {
            "state": "active",
            "error": "",
            "node": f"n-{host}",
            "cluster": cluster if manager else "",
            "manager": manager,
            "address": facts[host]["address"],
            "managers": [f"{facts[first]['address']}:2377"],
        }
        nodes.append(
            {
                "id": f"n-{host}",
                "hostname": facts[host]["hostname"],
                "role": "manager" if manager else "worker",
                "availability": "active",
                "labels": {f"group.{host}": "yes"},
                "state": "ready",
                "address": facts[host]["address"],
            }
        )
    facts[first]["docker"]["cluster"] = {"error": "", "nodes": nodes, "network": network(), "edge": {}}


@pytest.fixture
def facts() -> dict[str, Facts]:
    """Three hosts a, b, c."""
    return {name: host_facts(number) for number, name in enumerate("abc", 1)}


@pytest.fixture
def site(facts: dict[str, Facts]) -> Site:
    """The site of these hosts, with a as manager and builder; its facts may still be changed."""
    hosts = {
        name: {
            "llmdeploy_groups": [name],
            "llmdeploy_ports": [8000],
            "llmdeploy_memory_mb": 1000,
            "llmdeploy_fingerprint": "f1",
        }
        for name in facts
    }
    variables: dict[str, Any] = {
        "llmdeploy_stack": "llm",
        "llmdeploy_managers": ["a"],
        "llmdeploy_builder": "a",
        "llmdeploy_docker": {"install": True},
        "llmdeploy_network": {"name": "llm-network", "encrypted": False, "mtu": None, "subnet": None},
        "llmdeploy_images": [],
        "llmdeploy_edge": {"hosts": ["a"], "sha256": ""},
        "llmdeploy_requirements": {"disk_mb": 2048},
        "llmdeploy_full": False,
    }
    return Site(facts, hosts, variables, {"x86_64": "p1"})
