"""Environments as their monitoring sees them."""

from __future__ import annotations

import subprocess
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from llmdeploy.config import load
from llmdeploy.monitoring.scope import Scope
from llmdeploy.project import Project
from llmdeploy.release.tls import NOT_YET, EdgeTls
from tests.programs import program
from tests.unit.catalogue import settings

ROOT = Path(__file__).parents[3]
HOSTS = {"head-server": "10.0.0.1", "ui-server": "10.0.0.4"}
TLS = replace(NOT_YET, authority="-----BEGIN CERTIFICATE-----\n", name="gw.example.com", names=("gw.example.com",))
SMALL: dict[str, dict[str, Any]] = {
    "store": {"ports": [{"number": 6379, "protocol": "tcp", "published": True}]},
    "web": {"ports": [{"number": 8000, "protocol": "http", "published": 80}], "depends_on": ["store"], "replicas": 2},
    "quiet": {"ports": [{"number": 8001, "protocol": "http"}], "metrics": False},
    "worker": {"health": {"type": "none"}},
}


@pytest.fixture(scope="session")
def scope() -> Scope:
    """The catalogue that comes with the project, with TLS off and everything else as it is."""
    given = load(Project(ROOT), "staging", ["tls.mode=off", "monitoring.enabled=true"]).settings
    return Scope("staging", given, HOSTS)


@pytest.fixture(scope="session")
def scope_with_tls() -> Scope:
    """The same with TLS at the edge."""
    return Scope("staging", load(Project(ROOT), "staging", ["monitoring.enabled=true"]).settings, HOSTS, TLS)


@pytest.fixture(scope="session")
def small_scope() -> Scope:
    """Somebody else's services: TCP, a port that is published as another, no metrics, no ports at all."""
    return small()


def small(tls: EdgeTls = NOT_YET, **monitoring: Any) -> Scope:
    """The small environment with these settings of its monitoring."""
    given = settings(SMALL, monitoring={"enabled": True, **monitoring}, tls={"mode": "internal" if tls.name else "off"})
    return Scope("dev", given, HOSTS, tls)


def write(files: dict[str, str], root: Path) -> Path:
    """Writes files of a container below `root`. Out: `root`."""
    for target, text in files.items():
        path = root / target.lstrip("/")
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    return root


def said_by(name: str, *words: str | Path) -> str:
    """What a program prints, which has to end well."""
    done = subprocess.run([program(name), *words], capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout + done.stderr
