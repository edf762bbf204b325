"""The variables that the playbooks are given (playbooks/README.md), and the rendered inventory."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from llmdeploy.config import Environment, Host, Inventory
from llmdeploy.project import resources
from llmdeploy.release.spec import EDGE
from llmdeploy.render.images import Source, edge_hosts

MIB = 1024**2
ALL = "all"  # the inventory's group of every host
DISK_NEEDED_MB = 2048


@dataclass(frozen=True)
class Reach:
    """How a host is reached: ssh's command line (empty: this machine), and whether sudo is needed."""

    ssh: tuple[str, ...]
    become: bool


def managers(inventory: Inventory) -> list[str]:
    """The hosts that manage the cluster: those marked `llmdeploy_manager`, else 1, 3 or 5 by the number of hosts."""
    hosts = inventory.hosts
    marked = [host.name for host in hosts if str(host.variables.get("llmdeploy_manager", "")).lower() in ("true", "1")]
    if marked:
        return marked
    count = 1 if len(hosts) < 3 else 3 if len(hosts) < 7 else 5
    return [host.name for host in hosts[:count]]


def inventory(env: Environment, reach: Mapping[str, Reach], fingerprint: str) -> dict[str, Any]:
    """The inventory for the run, in Ansible's YAML layout, with each host's own variables."""
    edges = {host.name for host in edge_hosts(env)}
    hosts = {
        host.name: _host(env, host, reach[host.name], fingerprint, host.name in edges) for host in env.inventory.hosts
    }
    children: dict[str, Any] = {
        group: {"hosts": {name: {} for name in names}}
        for group, names in env.inventory.groups.items()
        if group not in ("all", "ungrouped")
    }
    return {"all": {"hosts": hosts, "children": children}}


def _host(env: Environment, host: Host, reach: Reach, fingerprint: str, edge: bool) -> dict[str, Any]:
    everywhere = [ALL] if any(one.group == ALL for one in env.settings.services.values()) else []
    services = [one for one in env.settings.services.values() if one.group in (*host.groups, *everywhere)]
    own = [*services, env.settings.edge] if edge else services
    ports = sorted(port.edge for one in env.settings.services.values() for port in one.ports if port.edge)
    return {
        **host.variables,
        "ansible_become": reach.become,
        "llmdeploy_ssh": list(reach.ssh),
        "llmdeploy_groups": [*host.groups, *([EDGE] if edge else []), *everywhere],
        "llmdeploy_ports": ports if edge else [],
        "llmdeploy_memory_mb": sum(one.reserve_memory for one in own) // MIB,
        "llmdeploy_fingerprint": fingerprint,
    }


def variables(
    env: Environment, run_dir: Path, sources: list[Source], edge_config: str, *, full: bool
) -> dict[str, Any]:
    """group_vars/all of the run. `edge_config`: the text that edge hosts shall have as haproxy.cfg."""
    settings = env.settings
    chosen = managers(env.inventory)
    return {
        "llmdeploy_stack": settings.stack,
        "llmdeploy_environment": env.name,
        "llmdeploy_run_dir": str(run_dir),
        "llmdeploy_network": settings.network.model_dump(),
        "llmdeploy_swarm": settings.swarm.model_dump(),
        "llmdeploy_docker": settings.docker.model_dump(),
        "llmdeploy_managers": chosen,
        "llmdeploy_builder": chosen[0],
        "llmdeploy_job_file": str(run_dir / "job.json"),
        "llmdeploy_images": [source.variables(run_dir) for source in sources],
        "llmdeploy_edge": {
            "hosts": [host.name for host in edge_hosts(env)],
            "sha256": hashlib.sha256(edge_config.encode()).hexdigest(),
        },
        "llmdeploy_allow": {
            str(port.edge): port.allow_from
            for service in settings.services.values()
            for port in service.ports
            if port.edge and port.allow_from
        },
        "llmdeploy_full": full,
        "llmdeploy_probe": {arch: str(path) for arch, path in probes().items()},
        "llmdeploy_requirements": {"disk_mb": DISK_NEEDED_MB},
    }


def probes() -> dict[str, Path]:
    """The health probe for each machine architecture, as built with the package."""
    folder = Path(__file__).parent.parent / "_bin"
    return {arch: folder / f"probe-{arch}" for arch in ("x86_64", "aarch64")}


def fingerprint(env: Environment) -> str:
    """A hash of all that the preparation of a host depends on; a host that carries it is not prepared again."""
    digest = hashlib.sha256(json.dumps(env.settings.docker.model_dump(), sort_keys=True).encode())
    playbooks = resources() / "playbooks"
    module = playbooks / "library" / "llmdeploy_docker.py"
    for path in [*sorted((playbooks / "roles" / "docker").rglob("*.yml")), module, *probes().values()]:
        digest.update(path.name.encode() + path.read_bytes())
    return digest.hexdigest()
