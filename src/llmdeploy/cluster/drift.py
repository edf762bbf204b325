"""What a plan tells beside what it changes: what was changed by hand, and how the edge's configuration differs."""

from __future__ import annotations

import base64
from collections.abc import Mapping, Sequence
from typing import Any

from llmdeploy.cluster import history
from llmdeploy.cluster.history import Entry
from llmdeploy.cluster.live import ours, stack_of
from llmdeploy.engine import edgefile
from llmdeploy.engine.api import Docker, Json
from llmdeploy.release import drift as pure
from llmdeploy.release.differences import edge_config, edge_lines
from llmdeploy.release.spec import EDGE


def drift(
    docker: Docker, services: Sequence[Json], releases: Sequence[Entry], job: Mapping[str, Any], pins: Mapping[str, str]
) -> list[pure.Row]:
    """What was changed by hand since the last release, and what `job` does to it: `release.drift.drift`.

    `services` are all of Docker's, `releases` all of the stack's.
    """
    where = history.where(releases)
    needed = [one for one in releases if one.number >= where.source or one.number == where.number]
    foreign = {item["Spec"]["Name"]: item for item in services if stack_of(item) != job["stack"]}
    networks = {identity: name for name, identity in docker.ids()["networks"].items()}
    cluster = pure.Cluster(ours(services, job["stack"]), foreign, networks, docker.api_version)
    return pure.drift(cluster, {one.number: one.manifest for one in needed}, where, job, pins)


def edge_change(docker: Docker, services: Sequence[Json], job: Mapping[str, Any], *, lines: bool) -> dict[str, Any]:
    """`{"from", "to", "lines"}` where the edge gets another configuration, empty where it does not.

    With `lines` it tells which lines of the file differ, where the cluster still has the old one.
    """
    edge = next((one for one in services if one["Spec"]["Name"] == EDGE and stack_of(one) == job["stack"]), None)
    old = _label(edge["Spec"]) if edge else ""
    new = _label((job["services"].get(EDGE) or {}).get("spec") or {})
    if old == new:
        return {}
    before = _text(docker, job["stack"], old) if lines and old else ""
    found = edge_lines(before, edge_config({"job": job})) if before else []
    return {"from": old, "to": new, "lines": found}


def _label(spec: Mapping[str, Any]) -> str:
    return str((spec.get("Labels") or {}).get(edgefile.LABEL, ""))


def _text(docker: Docker, stack: str, sha: str) -> str:
    """The text of an edge configuration that the cluster has, empty where it has not."""
    name = edgefile.config_name(stack, sha)
    found = next((one for one in docker.configs(stack, "edge") if one["Spec"]["Name"] == name), None)
    return base64.b64decode(found["Spec"]["Data"]).decode(errors="replace") if found else ""
