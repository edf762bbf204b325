"""Probes: by what each port is asked, and that the exporter takes its modules."""

from __future__ import annotations

from pathlib import Path

import pytest
import yaml

from llmdeploy.monitoring.blackbox import AUTHORITY_FILE, CONFIG_FILE, Probe, blackbox_files, edge_probe, replica_probe
from llmdeploy.monitoring.scope import Scope
from tests.unit.catalogue import settings
from tests.unit.monitoring.conftest import TLS, said_by, small, write

HTTP, GRPC = (
    {"number": 80, "protocol": "http", "published": True},
    {"number": 90, "protocol": "grpc", "published": True},
)


@pytest.mark.parametrize(
    ("service", "replica", "edge"),
    [
        ({"ports": [HTTP]}, (80, Probe("http", "/health")), [Probe("http", "/health")]),
        ({"ports": [HTTP], "health": {"path": "/up"}}, (80, Probe("http", "/up")), [Probe("http", "/up")]),
        (
            {"ports": [GRPC], "health": {"service": "a.B"}},
            (90, Probe("grpc", service="a.B")),
            [Probe("grpc", service="a.B")],
        ),
        (
            {"ports": [HTTP, GRPC]},
            (80, Probe("http", "/health")),
            [Probe("http", "/health"), Probe("grpc")],
        ),
        (
            {"ports": [HTTP], "health": {"type": "command", "command": ["true"]}},
            (80, Probe("tcp")),
            [Probe("http", "/", any_answer=True)],
        ),
        ({"ports": [{**HTTP, "protocol": "tcp"}]}, (80, Probe("tcp")), [Probe("tcp")]),
        ({"ports": [HTTP], "health": {"type": "none"}}, None, [Probe("http", "/", any_answer=True)]),
        ({}, None, []),
    ],
)
def test_a_port_is_asked_as_its_health_check_and_verify_ask_it(
    service: dict[str, object], replica: tuple[int, Probe] | None, edge: list[Probe]
) -> None:
    given = settings({"one": service})
    one = given.services["one"]
    found = replica_probe(one)
    assert (found and (found[0], found[1].module, found[1].target)) == (
        replica and (replica[0], replica[1].module, replica[1].target)
    )
    asked = [edge_probe(Scope("dev", given), one, port) for port in one.ports]
    assert [(one.module, one.target) for one in asked] == [(one.module, one.target) for one in edge]


def test_what_clients_ask_through_tls_is_probed_so_with_the_name_they_use(scope_with_tls: Scope) -> None:
    modules = yaml.safe_load(blackbox_files(scope_with_tls)[CONFIG_FILE])["modules"]
    name = {"ca_file": AUTHORITY_FILE, "server_name": TLS.name}
    assert modules["http-tls"]["http"]["tls_config"] == name
    assert modules["http-tls"]["http"]["fail_if_not_ssl"] is True
    assert modules["grpc-tls"]["grpc"] | {"tls": True, "tls_config": name} == modules["grpc-tls"]["grpc"]
    assert "tls_config" not in modules["http"]["http"]
    assert modules["grpc"]["grpc"]["tls"] is False


def test_an_answer_of_its_own_is_no_error_of_the_server(small_scope: Scope) -> None:
    codes = yaml.safe_load(blackbox_files(small(parts={}))[CONFIG_FILE])["modules"]["http"]["http"][
        "valid_status_codes"
    ]
    assert (codes[0], codes[-1]) == (200, 399)
    assert small_scope.tls.authority == ""
    assert AUTHORITY_FILE not in blackbox_files(small_scope)


@pytest.mark.parametrize("name", ["scope", "scope_with_tls", "small_scope"])
def test_the_exporter_takes_it(name: str, request: pytest.FixtureRequest, tmp_path: Path) -> None:
    root = write(blackbox_files(request.getfixturevalue(name)), tmp_path)
    text = (root / CONFIG_FILE[1:]).read_text().replace(AUTHORITY_FILE, str(root / AUTHORITY_FILE[1:]))
    (root / CONFIG_FILE[1:]).write_text(text)
    assert "Config file is ok" in said_by(
        "blackbox_exporter", "--config.check", f"--config.file={root / CONFIG_FILE[1:]}"
    )
