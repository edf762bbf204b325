"""The parts as services: what all of them have, and what settings change."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from llmdeploy.config.models import Service
from llmdeploy.config.watching import EDGE_PORTS, GRAFANA_KEY, GRAFANA_PASSWORD, IMAGES, PARTS
from llmdeploy.monitoring.blackbox import AUTHORITY_FILE
from llmdeploy.monitoring.parts import EVERYWHERE, part_services, volumes
from llmdeploy.monitoring.scope import Scope
from llmdeploy.monitoring.scraping import PART_PORTS
from llmdeploy.release.measuring import metric_checks, watch
from llmdeploy.release.spec import PART_LABEL, is_part, service_spec
from tests.unit.monitoring.conftest import small

LARGEST = 500 * 1024  # of a config object (Docker before 26)


def made(scope: Scope | None = None, authority: str | None = None, **monitoring: Any) -> dict[str, Service]:
    return part_services(scope or small(**monitoring), "ui", "https://gw.example.com", authority)


def test_every_part_is_a_service_with_limits_health_and_a_fixed_image() -> None:
    parts = made()
    assert set(parts) == set(PARTS)
    for name, service in parts.items():
        assert service.image == IMAGES[name]  # type: ignore[index]
        assert [port.number for port in service.ports] == [PART_PORTS[name]]  # type: ignore[index]
        assert service.health.path != "/health", "each has one of its own"
        assert service.memory < 4 * 1024**3
        assert service.update.order == "stop-first"
        assert (service.mode == "global") == (service.group == EVERYWHERE)
        assert not service.capabilities
    assert {name for name, one in parts.items() if one.mode == "global"} == {"alloy", "node-exporter", "cadvisor"}


def test_each_file_fits_into_the_cluster(scope_with_tls: Scope) -> None:
    files = [use for service in made(scope_with_tls).values() for use in service.files]
    assert files
    assert max(len((use.text or "").encode()) for use in files) < LARGEST


def test_what_has_no_login_is_for_few_and_grafana_for_everybody() -> None:
    allowed = {name: service.ports[0].allow_from for name, service in made().items() if service.ports[0].edge}
    assert set(allowed) == set(EDGE_PORTS)
    assert allowed.pop("grafana") == []
    assert set(map(tuple, allowed.values())) == {("127.0.0.0/8",)}, "beside the environment's own hosts"
    others = made(allow_from=["10.0.0.0/8"], parts={"loki": {"allow_from": ["10.9.0.0/16"]}})
    assert others["prometheus"].ports[0].allow_from == ["10.0.0.0/8"]
    assert others["loki"].ports[0].allow_from == ["10.9.0.0/16"]


def test_nothing_has_a_login_that_others_know() -> None:
    grafana = made()["grafana"]
    assert {use.name for use in grafana.secrets} == {GRAFANA_PASSWORD, GRAFANA_KEY}
    assert {use.mode for use in grafana.secrets} == {"0400"}
    given = grafana.environment
    assert given["GF_SECURITY_ADMIN_PASSWORD__FILE"] == f"/run/secrets/{GRAFANA_PASSWORD}"
    assert given["GF_SECURITY_SECRET_KEY__FILE"] == f"/run/secrets/{GRAFANA_KEY}"
    assert (given["GF_AUTH_ANONYMOUS_ENABLED"], given["GF_USERS_ALLOW_SIGN_UP"]) == ("false", "false")
    assert given["GF_SECURITY_COOKIE_SECURE"] == "true"


def test_links_that_people_are_sent_lead_through_the_edge() -> None:
    parts = made(parts={"alertmanager": {"published": 9999}})
    assert "--web.external-url=https://gw.example.com:9090" in (parts["prometheus"].command or [])
    assert "--web.external-url=https://gw.example.com:9999" in (parts["alertmanager"].command or [])
    assert parts["grafana"].environment["GF_SERVER_ROOT_URL"] == "https://gw.example.com:3002"


def test_data_is_on_volumes_of_the_stack_and_has_an_end() -> None:
    parts = made(retention={"metrics": "3d", "size": "1GB", "logs": "48h"})
    named = {use.source for service in parts.values() for use in service.volumes if not use.source.startswith("/")}
    assert named == set(volumes("llm"))
    command = parts["prometheus"].command or []
    assert "--storage.tsdb.retention.time=259200s" in command
    assert "--storage.tsdb.retention.size=1073741824B" in command


def test_settings_of_a_part_are_on_top() -> None:
    own = {"image": "reg.example.com/p:1", "memory": "3GB", "cpus": 0.25, "arguments": ["--web.enable-lifecycle"]}
    parts = made(
        parts={"prometheus": {**own, "published": 9999, "environment": {"A": "b"}}, "loki": {"published": False}}
    )
    found = parts["prometheus"]
    assert (found.image, found.memory, found.cpus) == ("reg.example.com/p:1", 3 * 1024**3, 0.25)
    assert (found.command or [])[-1] == "--web.enable-lifecycle"
    assert (found.ports[0].edge, found.environment) == (9999, {"A": "b"})
    assert parts["loki"].ports[0].edge is None
    built = made(parts={"grafana": {"build": "grafana"}})["grafana"]
    assert built.image is None
    assert built.build
    assert built.build.context == "grafana"


@pytest.mark.parametrize("part", PARTS)
def test_a_part_that_is_left_out_is_not_there(part: str) -> None:
    gone = {part, "alloy"} if part == "loki" else {part}
    assert set(made(parts={part: {"enabled": False}})) == set(PARTS) - gone


def test_the_authority_is_a_file_of_the_project(scope_with_tls: Scope) -> None:
    files = {
        use.target: use for use in made(scope_with_tls, "environments/staging.authority.crt")["blackbox-exporter"].files
    }
    assert files[AUTHORITY_FILE].source == "environments/staging.authority.crt"
    assert AUTHORITY_FILE not in {use.target for use in made()["blackbox-exporter"].files}


def test_the_cluster_knows_them_as_parts_and_the_engine_where_they_are() -> None:
    scope = small(parts={"alertmanager": {"published": False}})
    whole = scope.settings.model_copy(update={"services": {**scope.services, **made(scope)}})
    spec = service_spec(whole, "loki", whole.services["loki"], {}, {})
    assert spec["Labels"][PART_LABEL] == "monitoring"
    assert is_part({"Spec": spec}, whole.stack)
    assert not is_part({"Spec": service_spec(whole, "web", whole.services["web"], {}, {})}, whole.stack)
    assert watch(whole) == {"prometheus": {"port": 9090, "tls": False}, "loki": {"port": 3100, "tls": False}}
    assert watch(scope.settings) == {}, "none of them is among its services"
    assert metric_checks(whole, watched=True)
    assert metric_checks(whole, watched=False) == []


def test_metrics_of_hosts_are_of_the_host() -> None:
    exporter = made()["node-exporter"]
    assert exporter.hostname == "{{.Node.Hostname}}"
    mounts = {use.target: use for use in exporter.volumes}
    assert mounts["/host"].source == "/"
    assert mounts["/host"].read_only
    assert mounts["/host"].follow_mounts
    assert mounts["/metrics"].source == "/var/lib/llmdeploy/metrics"


def test_tls_is_what_cookies_go_by() -> None:
    plain = part_services(replace(small()), "ui", "http://10.0.0.4", None)["grafana"]
    assert plain.environment["GF_SECURITY_COOKIE_SECURE"] == "false"
