"""Who is told of what: by Alertmanager's own routing."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import yaml

from llmdeploy.monitoring.alertmanager import CONFIG_FILE, NOBODY, alertmanager_files, alertmanager_secrets
from llmdeploy.monitoring.scope import Scope
from tests.unit.monitoring.conftest import said_by, small, write

RECEIVERS: dict[str, Any] = {
    "on-call": {"webhook": "http://pager.example.com/x", "severities": ["page"]},
    "team": {"slack": {"channel": "#llm", "secret": "slack_url"}, "severities": ["ticket"]},
    "all": {
        "email": {
            "to": ["a@example.com", "b@example.com"], "sender": "m@example.com", "smarthost": "mail.example.com:587",
            "user": "m", "secret": "smtp_password",
        },
    },
    "deadman": {"webhook": "http://dead.example.com/x", "severities": [], "watchdog": True},
}  # fmt: skip
SECRET = {"hook": {"webhook_secret": "hook_url"}}


@pytest.fixture(scope="module")
def file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    made = alertmanager_files(small(alerts={"receivers": RECEIVERS}))
    return write(made, tmp_path_factory.mktemp("alertmanager")) / CONFIG_FILE[1:]


def test_it_takes_it(file: Path, scope: Scope, tmp_path: Path) -> None:
    assert "SUCCESS" in said_by("amtool", "check-config", file)
    assert "SUCCESS" in said_by("amtool", "check-config", write(alertmanager_files(scope), tmp_path) / CONFIG_FILE[1:])


@pytest.mark.parametrize(
    ("labels", "receivers"),
    [
        (["severity=page", "service=web"], "on-call,all"),
        (["severity=ticket", "service=web"], "team,all"),
        (["alertname=Watchdog", "severity=none"], "deadman,nobody"),
        (["alertname=Other", "severity=none"], "nobody"),
    ],
)
def test_who_is_told(file: Path, labels: list[str], receivers: str) -> None:
    assert said_by("amtool", "config", "routes", "test", f"--config.file={file}", *labels).splitlines()[0] == receivers


def test_secrets_are_files() -> None:
    scope = small(alerts={"receivers": {**RECEIVERS, **SECRET}})
    assert alertmanager_secrets(scope) == ["hook_url", "slack_url", "smtp_password"]
    text = alertmanager_files(scope)[CONFIG_FILE]
    for name in alertmanager_secrets(scope):
        assert f"_file: /run/secrets/{name}" in text


def test_only_what_has_a_service_keeps_quiet_what_has_the_same() -> None:
    """Labels that both lack are equal to Alertmanager: without a service everything would keep everything quiet."""
    rules = yaml.safe_load(alertmanager_files(small())[CONFIG_FILE])["inhibit_rules"]
    assert rules
    for rule in rules:
        assert 'service=~".+"' in rule["source_matchers"]
        assert 'service=~".+"' in rule["target_matchers"]
        assert "service" in rule["equal"]


def test_without_receivers_nobody_is_told() -> None:
    config = yaml.safe_load(alertmanager_files(small())[CONFIG_FILE])
    assert [one["name"] for one in config["receivers"]] == [NOBODY]
