"""A site of four lab hosts, one of them bare, that the tests of a module share."""

from __future__ import annotations

import uuid
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from llmdeploy.engine import edgejob
from tests.lab import Lab, paths, roots
from tests.lab.fixtures import LabFactory, lab_factory
from tests.lab.shell import docker
from tests.playbooks.site import Site, lab_host, render

__all__ = ["lab_factory"]

EDGE_ROOT = roots.EDGE
JOB = {
    "format": 1,
    "id": "playbook-test",
    "stack": "llm",
    "environment": "test",
    "action": "deploy",
    "by": {},
    "network": "llm-network",
    "deadline": 60.0,
    "services": {},
    "edge_host": "127.0.0.1",
    "verify": [],
}


@pytest.fixture(scope="module")
def lab(lab_factory: LabFactory) -> Iterator[Lab]:
    lab = lab_factory(["head", "proxy", "tail", "ui"], bare=["ui"])
    yield lab
    lab.down()


@pytest.fixture(scope="module")
def site(lab: Lab, tmp_path_factory: pytest.TempPathFactory, edge_archive: Path) -> Site:
    """Four hosts reached as a user with sudo, a scratch image for all of them, and one for an edge on two."""
    hosts = {host.name: lab_host(host, "deploy", llmdeploy_ports=[8000]) for host in lab}
    site = render(tmp_path_factory.mktemp("site"), hosts)
    site.build("tiny", {"Dockerfile": "FROM scratch\nCOPY hello /hello\n", "hello": "hi\n"}, hosts)
    site.archive(EDGE_ROOT.tag, edge_archive, ["head", "ui"])
    site.job(JOB)
    return site


@pytest.fixture(scope="session")
def edge_archive() -> Path:
    """HAProxy from Debian, as `docker save` writes it."""
    tag = roots.ensure(EDGE_ROOT)
    path = paths.roots() / f"edge-{tag.rpartition(':')[2]}.image.tar"
    if not path.exists():
        part = path.with_suffix(".part")
        docker("save", "--output", str(part), tag)
        part.rename(path)
    return path


def edge_job(config: str) -> dict[str, Any]:
    """A job with an edge on `head`, and nothing behind it."""
    mounts = [("/opt/llmdeploy/edge", "/edge"), ("/opt/llmdeploy/bin", "/llmdeploy")]
    spec = {
        "Labels": {"llmdeploy.stack": "llm", edgejob.LABEL: edgejob.sha(config)},
        "TaskTemplate": {
            "ContainerSpec": {
                "Image": "",
                "Command": ["haproxy", "-W", "-db", "-S", "/edge/run/master.sock", "-f", "/edge/haproxy.cfg"],
                "Mounts": [{"Type": "bind", "Source": source, "Target": target} for source, target in mounts],
            },
            "Placement": {"Constraints": ["node.labels.group.head==yes"]},
            "Networks": [{"Target": "llm-network"}],
        },
        "Mode": {"Global": {}},
        "EndpointSpec": {
            "Mode": "dnsrr",
            "Ports": [{"Protocol": "tcp", "TargetPort": 8000, "PublishedPort": 8000, "PublishMode": "host"}],
        },
    }
    entry = {"wave": 1, "image": EDGE_ROOT.tag, "spec": spec, "depends_on": [], "stability": 1.0, "deadline": 60.0}
    return {**JOB, "id": uuid.uuid4().hex, "edge": {"config": config}, "services": {"edge": entry}}


def edge_config(answer: str) -> str:
    """A small edge that answers by itself."""
    return f"""
global
  master-worker
  stats socket /edge/run/haproxy.sock mode 600 level admin expose-fd listeners
  server-state-file /edge/state
defaults
  mode http
  timeout connect 2s
  timeout client 10s
  timeout server 10s
  load-server-state-from-file global
frontend web
  bind :8000
  http-request return status 200 content-type text/plain string "{answer}"
"""
