"""The run directory of a release out of the ledger: nothing of it comes from settings, and nothing is built or pulled.

Images are called by their pins here: a name may mean another image by now, or none.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from llmdeploy.config import Host
from llmdeploy.release.job import Job
from llmdeploy.render.rundir import RunDirectory, write_run
from llmdeploy.render.variables import Reach


@dataclass(frozen=True)
class Deliveries:
    """Which images are copied: host → the ids that it lacks; id → the host that it comes from."""

    lacking: Mapping[str, Collection[str]]
    sources: Mapping[str, str]


def render_manifest(
    path: Path,
    job: Job,
    pins: Mapping[str, str],
    hosts: Collection[Host],
    reach: Mapping[str, Reach],
    *,
    manager: str,
    deliveries: Deliveries,
) -> RunDirectory:
    """Writes everything that rollback.yml needs for `job` into `path`; `hosts` are those that can be used."""
    own = {host.name: _host(host, reach[host.name]) for host in hosts}
    groups = {"llmdeploy_takers": list(deliveries.lacking), "llmdeploy_manager": [manager]}
    children: dict[str, Any] = {group: {"hosts": {name: {} for name in names}} for group, names in groups.items()}
    inventory = {"all": {"hosts": own, "children": children}}
    return write_run(path, job, inventory, _variables(path, job, pins, manager, deliveries))


def _host(host: Host, reach: Reach) -> dict[str, Any]:
    """`preflight_look` is what a look at the host would have told the role: it has none of what it lacks."""
    return {
        **host.variables,
        "ansible_become": reach.become,
        "llmdeploy_ssh": list(reach.ssh),
        "preflight_look": {"facts": {"docker": {"images": {"tags": {}}}}},
    }


def _variables(path: Path, job: Job, pins: Mapping[str, str], manager: str, deliveries: Deliveries) -> dict[str, Any]:
    ids = sorted({one for refs in deliveries.lacking.values() for one in refs})
    takers = {one: [host for host, refs in deliveries.lacking.items() if one in refs] for one in ids}
    return {
        "llmdeploy_stack": job["stack"],
        "llmdeploy_environment": job["environment"],
        "llmdeploy_run_dir": str(path),
        "llmdeploy_managers": [manager],
        "llmdeploy_builder": manager,
        "llmdeploy_job_file": str(path / "job.json"),
        "llmdeploy_images": [{"ref": one, "kind": "kept", "hosts": takers[one]} for one in ids],
        "llmdeploy_delivered": {one: one for one in ids},
        "llmdeploy_decided": {
            "images": {
                "make": [],
                "pins": dict(pins),
                "sources": dict(deliveries.sources),
                "deliver": {host: sorted(refs) for host, refs in deliveries.lacking.items()},
            },
        },
    }
