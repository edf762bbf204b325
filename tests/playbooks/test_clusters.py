"""Hosts that are in a Swarm already, and hosts of another Debian."""

from __future__ import annotations

import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.lab import Lab
from tests.lab.fixtures import LabFactory
from tests.playbooks.conftest import JOB
from tests.playbooks.site import Site, lab_host, render

pytestmark = [pytest.mark.lab, pytest.mark.timeout(900)]


@pytest.fixture(scope="module")
def lab(lab_factory: LabFactory) -> Iterator[Lab]:
    lab = lab_factory(["one", "two", "three"], bare=["three"], trixie=["three"])
    yield lab
    lab.down()


@pytest.fixture
def site(lab: Lab, tmp_path: Path) -> Site:
    site = render(tmp_path, {name: lab_host(lab[name]) for name in ("one", "two")})
    site.job(JOB)
    return site


def test_foreign_swarms_are_refused_until_they_are_left(site: Site, lab: Lab) -> None:
    lab["two"].docker(["swarm", "init", "--advertise-addr", lab["two"].ip])
    foreign = site.run()
    assert foreign.code == 2
    assert foreign.changed == []
    assert "two: it is in a foreign Swarm (cluster " in foreign.failures
    assert f"managers {lab['two'].ip}:2377), which one does not manage" in foreign.failures
    assert "llmdeploy_manager=true" in foreign.failures

    lab["one"].docker(["swarm", "init", "--advertise-addr", lab["one"].ip])
    foreign = site.run()
    assert (foreign.code, foreign.changed) == (2, [])
    assert f"managers {lab['two'].ip}:2377), which is not the one of one" in foreign.failures
    assert "docker swarm leave --force" in foreign.failures

    lab["two"].docker("swarm leave --force")
    joined = site.run()
    assert joined.code == 0, joined.failures
    assert site.run().changed == []


def test_a_worker_becomes_a_manager_and_a_dead_node_of_its_name_is_reported(site: Site, lab: Lab) -> None:
    site.variables["llmdeploy_managers"] = ["one", "two"]
    run = site.run()
    assert run.code == 0, run.failures
    assert run.of("llmdeploy_cluster")[0]["result"]["changes"] == ["two is a manager now"]

    site.variables["llmdeploy_managers"] = ["one"]
    lab["one"].docker("node demote two")
    lab["two"].docker("swarm leave --force")
    again = site.run()
    assert again.code == 0, again.failures
    deadline = time.monotonic() + 60  # the Swarm takes its time to call a node down
    while "Down" not in lab["one"].docker(["node", "ls", "--format", "{{.Status}}"]).stdout:
        assert time.monotonic() < deadline
        time.sleep(1)
    later = site.run()
    problems = later.of("llmdeploy_decide")[0]["result"]["problems"]
    assert [(one["host"], one["check"], one["level"]) for one in problems] == [("two", "swarm", "warning")]
    assert "docker node rm --force" in problems[0]["hint"]


@pytest.mark.timeout(1800)
def test_a_bare_debian_13_builds_from_debian_packages(lab: Lab, tmp_path: Path) -> None:
    """One host alone: Docker from Debian 13, a base image from its packages."""
    site = render(tmp_path, {"three": lab_host(lab["three"], "deploy")})
    site.job(JOB)
    site.build(
        "based", {"Dockerfile": "ARG BASE=debian:13-slim\nFROM ${BASE}\nRUN cat /etc/debian_version >/v\n"}, ["three"]
    )
    run = site.run()
    assert run.code == 0, run.failures
    assert "made from Debian packages" in run.of("llmdeploy_image")[0]["result"]["notes"][0]
    assert site.run().changed == []
