"""Alertmanager's configuration: who is told of what, and what keeps quiet because something worse is known.

Keys: Alertmanager, configuration; `url_file` of a webhook needs 0.26, all others 0.25. Secrets are files, never text.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import yaml

from llmdeploy.config.watching import Receiver
from llmdeploy.monitoring.scope import Scope

CONFIG_FILE = "/etc/alertmanager/alertmanager.yml"
NOBODY = "nobody"
_SECRETS = "/run/secrets"
# While a service is down, what it does badly is no news.
_DOWN = "ServiceDown"
_FOLLOWS = (
    "ServiceReplicasMissing|ServiceLatencyHigh|TargetDown|MetricsMissing|GrpcUnhealthy|EdgeErrors|EdgeProbeFailing|"
    "EdgeHostFailing|ErrorBudget.*|RestartLoop|ModelErrors|NoTokens"
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
            "group_interval": "1m",
            "repeat_interval": "4h",
            "routes": [*_watchdog(receivers), *_by_severity(receivers)],
        },
        "inhibit_rules": _inhibitions(),
        "receivers": [{"name": NOBODY}, *(_receiver(name, one) for name, one in receivers.items())],
    }


def _watchdog(receivers: dict[str, Receiver]) -> Iterator[dict[str, Any]]:
    """It goes to those who miss it when it stays away, and to nobody else."""
    matchers = ['alertname="Watchdog"']
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


def _inhibitions() -> list[dict[str, Any]]:
    # Labels that both lack count as equal: without a service in the matchers, everything would keep everything quiet.
    of_a_service = 'service=~".+"'
    return [
        {
            "source_matchers": ['severity="page"', of_a_service],
            "target_matchers": ['severity="ticket"', of_a_service],
            "equal": ["alertname", "service"],
        },
        {
            "source_matchers": [f'alertname="{_DOWN}"', of_a_service],
            "target_matchers": [f'alertname=~"{_FOLLOWS}"', of_a_service],
            "equal": ["service"],
        },
    ]


def _receiver(name: str, receiver: Receiver) -> dict[str, Any]:
    if receiver.slack:
        own = {
            "api_url_file": f"{_SECRETS}/{receiver.slack.secret}",
            "channel": receiver.slack.channel,
            "send_resolved": True,
            "title": "{{ .Status | toUpper }}: {{ .CommonLabels.alertname }} {{ .CommonLabels.service }}",
            "text": _TEXT,
        }
        return {"name": name, "slack_configs": [own]}
    if receiver.email:
        return {"name": name, "email_configs": [_mail(receiver, to) for to in receiver.email.to]}
    url = {"url": receiver.webhook} if receiver.webhook else {"url_file": f"{_SECRETS}/{receiver.webhook_secret}"}
    return {"name": name, "webhook_configs": [{**url, "send_resolved": True}]}


def _mail(receiver: Receiver, to: str) -> dict[str, Any]:
    mail = receiver.email
    assert mail is not None  # noqa: S101 (the caller has looked)
    login: dict[str, Any] = {"auth_username": mail.user} if mail.user else {}
    login |= {"auth_password_file": f"{_SECRETS}/{mail.secret}"} if mail.secret else {}
    return {
        "to": to,
        "from": mail.sender,
        "smarthost": mail.smarthost,
        "require_tls": mail.tls,
        **login,
        "send_resolved": True,
    }
