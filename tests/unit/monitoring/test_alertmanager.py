"""Who is told of what: by Alertmanager's own routing."""

from __future__ import annotations

import json
import re
import threading
from collections.abc import Iterator
from dataclasses import replace
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any, ClassVar

import pytest
import yaml

from llmdeploy.config.watching import Monitoring
from llmdeploy.monitoring import inhibitions
from llmdeploy.monitoring.alertmanager import CONFIG_FILE, NOBODY, alertmanager_files, alertmanager_secrets
from llmdeploy.monitoring.rules import rule_groups
from llmdeploy.monitoring.rules.build import Alert
from llmdeploy.monitoring.scope import Scope
from tests.unit.monitoring.conftest import said_by, small, write
from tests.unit.monitoring.live import asked, eventually, free_port, running

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
WHOLE = Monitoring(enabled=True, docker_metrics=9323)
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
        (["alertname=Watchdog", "severity=none"], f"deadman,{NOBODY}"),
        (["alertname=Other", "severity=none"], NOBODY),
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


def test_labels_that_must_be_equal_must_be_there() -> None:
    """Labels that both alerts lack are equal to Alertmanager: alerts without any would keep each other quiet."""
    rules = yaml.safe_load(alertmanager_files(small())[CONFIG_FILE])["inhibit_rules"]
    assert len(rules) > 1
    for rule in rules:
        for label in set(rule.get("equal", [])) - {"alertname"}:
            assert f'{label}=~".+"' in rule["source_matchers"]
            assert f'{label}=~".+"' in rule["target_matchers"]


def test_what_keeps_quiet_and_what_makes_it_are_alerts_that_there_are(scope_with_tls: Scope) -> None:
    all_of_them = replace(scope_with_tls, settings=scope_with_tls.settings.model_copy(update={"monitoring": WHOLE}))
    groups = [group for found in rule_groups(all_of_them).values() for group in found]
    alerts = [rule.name for group in groups for rule in group.rules if isinstance(rule, Alert)]
    named = {name for key, names in vars(inhibitions).items() if key.isupper() and key[0] != "_" for name in names}
    assert len(named) > 10
    assert [name for name in named if not any(re.fullmatch(name, alert) for alert in alerts)] == []


def test_without_receivers_nobody_is_told() -> None:
    config = yaml.safe_load(alertmanager_files(small())[CONFIG_FILE])
    assert [one["name"] for one in config["receivers"]] == [NOBODY]


def alert(name: str, severity: str, **labels: str) -> dict[str, Any]:
    return {"labels": {"alertname": name, "severity": severity, **labels}, "annotations": {"summary": name}}


DOWN = alert("ServiceDown", "page", service="web")
QUIET = [
    alert("ServiceReplicasMissing", "ticket", service="web"),
    alert("ErrorBudgetBurnFast", "page", service="web"),
    alert("EdgeProbeFailing", "page", service="store", port="80"),
    alert("NodesMissing", "ticket"),
    alert("NodeDiskFillsIn24h", "ticket", instance="10.0.0.1:9100", device="/dev/sda"),
    alert("Same", "ticket", service="web"),
]
LOUD = [
    DOWN,
    alert("ServiceReplicasMissing", "ticket", service="store"),  # of another service
    alert("CertificateExpires", "page", service="web"),  # has nothing to do with it
    alert("EdgeDown", "page", service="edge"),
    alert("NodeDown", "page", nodename="one"),
    alert("NodeDiskLow", "ticket", instance="10.0.0.1:9100", device="/dev/sda"),
    alert("NodeDiskFillsIn24h", "ticket", instance="10.0.0.2:9100", device="/dev/sda"),
    alert("Same", "page", service="web"),
    alert("Host", "page"),
    alert("Host", "ticket"),  # neither has a service
    alert("Watchdog", "none"),
]


class Switch(BaseHTTPRequestHandler):
    """A dead man's switch, which remembers what it was told."""

    told: ClassVar[list[dict[str, Any]]] = []

    def do_POST(self) -> None:
        self.told.append(json.loads(self.rfile.read(int(self.headers["Content-Length"]))))
        self.send_response(200)
        self.end_headers()

    def log_message(self, *_: Any) -> None:
        """Says nothing."""


@pytest.fixture
def switch() -> Iterator[str]:
    with ThreadingHTTPServer(("127.0.0.1", 0), Switch) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{server.server_port}/"
        server.shutdown()


def test_a_real_one_tells_each_cause_once_and_the_switch_at_once(switch: str, tmp_path: Path) -> None:
    receivers = {**RECEIVERS, "deadman": {"webhook": switch, "severities": [], "watchdog": True}}
    file = write(alertmanager_files(small(alerts={"receivers": receivers})), tmp_path) / CONFIG_FILE[1:]
    words = [f"--config.file={file}", f"--storage.path={tmp_path / 'data'}", "--cluster.listen-address="]
    with running("alertmanager", free_port(), *words) as url:
        eventually(lambda: asked(f"{url}/api/v2/alerts", [*QUIET, *LOUD]))
        found = eventually(lambda: asked(f"{url}/api/v2/alerts"), lambda all_: len(all_) == len([*QUIET, *LOUD]))
        eventually(lambda: list(Switch.told))
    quiet = [one["labels"] for one in found if one["status"]["inhibitedBy"]]
    assert sorted(map(str, map(sorted_items, quiet))) == sorted(str(sorted_items(one["labels"])) for one in QUIET)
    assert [one["labels"]["alertname"] for message in Switch.told for one in message["alerts"]] == ["Watchdog"]


def sorted_items(labels: dict[str, str]) -> list[tuple[str, str]]:
    return sorted(labels.items())
