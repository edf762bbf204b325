"""Grafana's provisioning and settings, by the keys that its documentation has."""

from __future__ import annotations

import json
from typing import Any

import pytest
import yaml

from llmdeploy.config.watching import PARTS, PartName
from llmdeploy.monitoring.dashboards import dashboards
from llmdeploy.monitoring.grafana import DASHBOARDS, PROVISIONING, grafana_environment, grafana_files
from llmdeploy.monitoring.scope import Scope
from llmdeploy.monitoring.scraping import PART_PORTS
from tests.unit.monitoring.conftest import small

SOURCES: tuple[PartName, ...] = ("prometheus", "loki", "alertmanager")
KEYS = {"name", "type", "uid", "access", "url", "isDefault", "editable", "jsonData"}


def read(scope: Scope, kind: str) -> dict[str, Any]:
    found: dict[str, Any] = yaml.safe_load(grafana_files(scope)[f"{PROVISIONING}/{kind}/llmdeploy.yml"])
    assert found["apiVersion"] == 1
    return found


def test_data_sources_are_found_by_their_fixed_identifiers() -> None:
    content = read(small(interval="30s"), "datasources")
    assert content["prune"] is True
    found = {source["uid"]: source for source in content["datasources"]}
    assert set(found) == set(SOURCES)
    for name, source in found.items():
        assert set(source) == KEYS
        assert (source["type"], source["access"], source["editable"]) == (name, "proxy", False)
        assert source["url"] == f"http://{name}:{PART_PORTS[name]}"
    assert [name for name, source in found.items() if source["isDefault"]] == ["prometheus"]
    assert found["prometheus"]["jsonData"]["timeInterval"] == "30s", "or $__rate_interval would be too short"
    assert found["prometheus"]["jsonData"]["alertmanagerUid"] == "alertmanager"
    assert found["alertmanager"]["jsonData"] == {"implementation": "prometheus", "handleGrafanaManagedAlerts": False}


@pytest.mark.parametrize("part", PARTS)
def test_a_part_that_is_left_out_is_no_source(part: str) -> None:
    scope = small(parts={part: {"enabled": False}})
    content = read(scope, "datasources")
    assert {source["uid"] for source in content["datasources"]} == {name for name in SOURCES if name in scope.parts}
    assert ("alertmanagerUid" in json.dumps(content)) == ({"prometheus", "alertmanager"} <= set(scope.parts))


def test_dashboards_are_read_from_where_they_are_put(scope_with_tls: Scope) -> None:
    (provider,) = read(scope_with_tls, "dashboards")["providers"]
    assert (provider["type"], provider["allowUiUpdates"]) == ("file", False)
    folder = provider["options"]["path"]
    assert folder == DASHBOARDS
    boards = {target for target in grafana_files(scope_with_tls) if target.startswith(f"{folder}/")}
    assert boards == {f"{folder}/{found.uid}.json" for found in dashboards(scope_with_tls)}


def test_nobody_gets_in_without_the_generated_password() -> None:
    found = grafana_environment("https://gw.example.com:3002/")
    assert found["GF_SECURITY_ADMIN_PASSWORD__FILE"] == "/run/secrets/grafana_admin_password"
    assert found["GF_SECURITY_SECRET_KEY__FILE"] == "/run/secrets/grafana_secret_key"
    assert "GF_SECURITY_ADMIN_PASSWORD" not in found, "both at once are an error"
    assert found["GF_AUTH_ANONYMOUS_ENABLED"] == found["GF_USERS_ALLOW_SIGN_UP"] == "false"


def test_cookies_are_for_tls_where_there_is_tls_and_nothing_is_told_to_others() -> None:
    with_tls, without, nowhere = map(grafana_environment, ("https://gw:3002/", "http://gw:3002/", ""))
    assert [found["GF_SECURITY_COOKIE_SECURE"] for found in (with_tls, without, nowhere)] == ["true", "false", "false"]
    assert with_tls["GF_SERVER_ROOT_URL"] == "https://gw:3002/"
    assert "GF_SERVER_ROOT_URL" not in nowhere
    told = [name for name in with_tls if name.startswith(("GF_ANALYTICS", "GF_NEWS", "GF_SNAPSHOTS"))]
    assert len(told) == 5
    assert {with_tls[name] for name in told} == {"false"}


def test_the_first_page_is_one_that_is_there() -> None:
    home = grafana_environment("")["GF_DASHBOARDS_DEFAULT_HOME_DASHBOARD_PATH"]
    assert home in grafana_files(small())
