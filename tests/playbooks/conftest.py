"""A site of four lab hosts, one of them bare, that the tests of a module share."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.lab import Lab, paths, roots
from tests.lab.fixtures import LabFactory, lab_factory
from tests.lab.shell import docker
from tests.playbooks.site import Site, lab_host, render

__all__ = ["lab_factory"]

EDGE_ROOT = roots.Recipe("edge", "bookworm", ("haproxy",), is_host=False)
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
    """Four hosts reached as a user with sudo, a scratch image for all of them, and an edge on two."""
    hosts = {host.name: lab_host(host, "deploy", llmdeploy_ports=[8000]) for host in lab}
    site = render(tmp_path_factory.mktemp("site"), hosts)
    site.build("tiny", {"Dockerfile": "FROM scratch\nCOPY hello /hello\n", "hello": "hi\n"}, hosts)
    site.archive(EDGE_ROOT.tag, edge_archive, ["head", "ui"])
    site.edge(edge_config("one"), EDGE_ROOT.tag, ["head", "ui"])
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
