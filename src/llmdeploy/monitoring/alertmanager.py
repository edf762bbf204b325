"""Alertmanager's configuration: who is told of what, and what keeps quiet because something worse is known.

Keys: Alertmanager, configuration; `url_file` of a webhook needs 0.26, all others 0.25. Secrets are files, never text.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import yaml

from llmdeploy.config.watching import Email, Receiver
from llmdeploy.monitoring.inhibitions import inhibitions
from llmdeploy.monitoring.scope import Scope

CONFIG_FILE = "/etc/alertmanager/alertmanager.yml"
NOBODY = "(nobody)"  # no receiver of the settings can have this name
_SECRETS = "/run/secrets"
_TITLE = (
    "{{ .Status | toUpper }}: {{ .CommonLabels.alertname }} {{ .CommonLabels.service }} "
    "({{ .CommonLabels.environment }})"
)
_TEXT = "{{ range .Alerts }}{{ .Annotations.summary }}\n{{ .Annotations.runbook_url }}\n{{ end }}"


def alertmanager_files(scope: Scope) -> dict[str, str]:
    """Target → text of what Alertmanager reads."""
    return {CONFIG_FILE: yaml.safe_dump(_config(scope), sort_keys=False, allow_unicode=True, width=1000)}


def alertmanager_secrets(scope: Scope) -> list[str]:
    """The names of the secrets that it is given as files."""
    found = (secret for receiver in scope.monitoring.alerts.receivers.values() for secret in _secrets(receiver))
    return sorted(set(found))


def _secrets(receiver: Receiver) -> Iterator[str]:
    yield from (one for one in (receiver.webhook_secret, receiver.slack and receiver.slack.secret) if one)
    if receiver.email and receiver.email.secret:
        yield receiver.email.secret


def _config(scope: Scope) -> dict[str, Any]:
    receivers = scope.monitoring.alerts.receivers
    return {
        "route": {
            "receiver": NOBODY,
            "group_by": ["alertname", "service"],
            "group_wait": "10s",
            "group_interval": "30s",
            "repeat_interval": "4h",
            "routes": [*_watchdog(receivers), *_by_severity(receivers)],
        },
        "inhibit_rules": inhibitions(),
        "receivers": [{"name": NOBODY}, *(_receiver(name, one) for name, one in receivers.items())],
    }


def _watchdog(receivers: dict[str, Receiver]) -> Iterator[dict[str, Any]]:
    """It goes to those who miss it when it stays away, and to nobody else."""
    matchers = ['alertname="Watchdog"']
    # Told again when a group's turn comes and the last time is so long ago. With 1m for both, a turn that comes a
    # moment early would tell nobody, and the switch would hear of it every other minute only.
    often = {"group_wait": "0s", "group_interval": "1m", "repeat_interval": "50s"}
    for name, receiver in receivers.items():
        if receiver.watchdog:
            yield {"receiver": name, "matchers": matchers, **often, "continue": True}
    yield {"receiver": NOBODY, "matchers": matchers}


def _by_severity(receivers: dict[str, Receiver]) -> Iterator[dict[str, Any]]:
    for name, receiver in receivers.items():
        if receiver.severities:
            matchers = [f'severity=~"{"|".join(receiver.severities)}"']
            yield {"receiver": name, "matchers": matchers, "continue": True}


def _receiver(name: str, receiver: Receiver) -> dict[str, Any]:
    # To a dead man's switch the news that the watchdog is gone would be one more sign of life.
    always = {"send_resolved": bool(receiver.severities)}
    if receiver.slack:
        secret = f"{_SECRETS}/{receiver.slack.secret}"
        own = {"api_url_file": secret, "channel": receiver.slack.channel, "title": _TITLE, "text": _TEXT}
        return {"name": name, "slack_configs": [{**own, **always}]}
    if receiver.email:
        return {
            "name": name,
            "email_configs": [{"to": to, **_mail(receiver.email), **always} for to in receiver.email.to],
        }
    url = {"url": receiver.webhook} if receiver.webhook else {"url_file": f"{_SECRETS}/{receiver.webhook_secret}"}
    return {"name": name, "webhook_configs": [{**url, **always}]}


def _mail(mail: Email) -> dict[str, Any]:
    login: dict[str, Any] = {"auth_username": mail.user} if mail.user else {}
    login |= {"auth_password_file": f"{_SECRETS}/{mail.secret}"} if mail.secret else {}
    return {"from": mail.sender, "smarthost": mail.smarthost, "require_tls": mail.tls, **login}
