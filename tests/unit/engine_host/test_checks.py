"""What is wrong with a host."""

from __future__ import annotations

from typing import Any

import pytest

from llmdeploy.engine.host_checks import check, clock_skew, version
from tests.unit.engine_host.conftest import Facts, host_facts

WANTED: dict[str, Any] = {"install": True, "disk_mb": 2048, "memory_mb": 1000, "ports": [8000], "manager": True}


def found(facts: Facts, **wanted: Any) -> list[tuple[str, str, str]]:
    return [(one["check"], one["level"], one["message"]) for one in check("a", facts, {**WANTED, **wanted})]


@pytest.fixture
def one() -> Facts:
    return host_facts(1)


def test_a_healthy_host_has_no_problem(one: Facts) -> None:
    assert found(one) == []


def test_every_problem_has_a_host_and_something_to_do(one: Facts) -> None:
    one.update(root=False, arch="riscv64", python="3.7.3", memory_mb=10)
    problems = check("a", one, WANTED)
    assert len(problems) == 4
    assert all(problem["host"] == "a" and problem["hint"] for problem in problems)


@pytest.mark.parametrize(
    ("text", "level"),
    [
        ("20.10.24+dfsg1", None),
        ("19.3.1", "error"),
        ("25.0.13", "error"),
        ("28.2.2", "error"),
        ("28.3.0", None),
        ("28.5.2", None),
        ("29.0.0", "warning"),
        ("29.7.2", "warning"),
        ("29.8.0", None),
        ("26.1.5+dfsg1", None),
    ],
)
def test_docker_versions(one: Facts, text: str, level: str | None) -> None:
    one["docker"]["version"] = text
    assert [problem[1] for problem in found(one)] == ([level] if level else [])


def test_two_reasons_against_one_version_and_the_error_comes_first(one: Facts) -> None:
    one["docker"]["version"] = "29.1.0"
    assert [problem[1] for problem in found(one)] == ["error", "warning"]


def test_docker_that_is_missing_is_a_problem_only_where_it_may_not_be_installed(one: Facts) -> None:
    one["docker"].update(installed=False, running=False)
    assert found(one) == []
    assert found(one, install=False) == [("docker", "error", "Docker is not installed")]


def test_an_unknown_system_with_docker_is_a_warning(one: Facts) -> None:
    one["system"] = {"id": "fedora", "version": "42", "codename": "", "name": "Fedora 42"}
    assert found(one)[0][:2] == ("system", "warning")
    one["docker"]["installed"] = False
    assert found(one)[0] == ("system", "error", "Docker cannot be installed on Fedora 42")


def test_python_is_older_on_hosts_than_on_managers(one: Facts) -> None:
    one["python"] = "3.9.2"
    assert found(one)[0] == ("python", "error", "Python 3.9.2 is too old: a manager needs 3.10")
    assert found(one, manager=False) == []


def test_disk(one: Facts) -> None:
    one["disk"]["free_mb"] = 100
    assert found(one)[0][:2] == ("disk", "error")
    one["disk"]["free_mb"] = 3000
    assert found(one)[0][:2] == ("disk", "warning")


def test_memory(one: Facts) -> None:
    assert found(one, memory_mb=9000)[0] == (
        "memory",
        "error",
        "services reserve 9000 MB of memory, the host has 8000 MB",
    )
    assert found(one, memory_mb=7900)[0][:2] == ("memory", "warning")


@pytest.mark.parametrize(("skew", "level"), [(4.0, None), (-6.0, "warning"), (61.0, "error"), (None, None)])
def test_clock(one: Facts, skew: float | None, level: str | None) -> None:
    assert [problem[1] for problem in found(one, skew=skew)] == ([level] if level else [])


def test_the_skew_is_only_what_is_sure() -> None:
    assert clock_skew(100.5, 100.0, 101.0) == 0.0
    assert clock_skew(90.0, 100.0, 101.0) == -10.0
    assert clock_skew(111.0, 100.0, 101.0) == 10.0


@pytest.mark.parametrize(
    ("owner", "message"),
    [
        ({"process": "nginx", "pid": 7}, "port 8000 is in use by nginx (process 7)"),
        (
            {"process": "docker-proxy", "pid": 7, "container": "web", "service": ""},
            "port 8000 is in use by the container web",
        ),
        ({}, "port 8000 is in use by an unknown process"),
    ],
)
def test_ports_of_others(one: Facts, owner: dict[str, Any], message: str) -> None:
    one["ports"] = {"8000": owner}
    assert found(one) == [("port", "error", message)]


def test_the_port_of_our_edge_is_no_problem(one: Facts) -> None:
    one["ports"] = {"8000": {"process": "docker-proxy", "pid": 7, "container": "edge.x", "service": "edge"}}
    assert found(one) == []


def test_kernel(one: Facts) -> None:
    one["kernel"]["features"] = {"overlay": False, "vxlan": False, "ipvs": False, "esp": False}
    assert len(found(one)) == 2
    assert len(found(one, encrypted=True)) == 3
    one["kernel"]["features"] = dict.fromkeys(one["kernel"]["features"])
    assert found(one, encrypted=True) == []


def test_version_numbers() -> None:
    assert version("20.10.24+dfsg1") == (20, 10, 24)
    assert version("29.0.0-rc.1") == (29, 0, 0)
