"""Grafana: where its data is from, its dashboards, and settings without any default login.

Keys: Grafana, provisioning and configuration. Identifiers are fixed, so that links and dashboards go on working.
"""

from __future__ import annotations

from typing import Any

import yaml

from llmdeploy.config.watching import GRAFANA_KEY, GRAFANA_PASSWORD, PartName
from llmdeploy.monitoring.dashboards import dashboard_files
from llmdeploy.monitoring.rules.words import duration
from llmdeploy.monitoring.scope import Scope
from llmdeploy.monitoring.scraping import PART_PORTS

PROVISIONING, DASHBOARDS = "/etc/grafana/provisioning", "/etc/grafana/dashboards"
_NAMES: dict[PartName, str] = {"prometheus": "Prometheus", "loki": "Loki", "alertmanager": "Alertmanager"}


def grafana_files(scope: Scope) -> dict[str, str]:
    """Target → text of everything that Grafana reads; dashboards by their identifiers."""
    sources = [_source(scope, part) for part in _NAMES if part in scope.parts]
    found = {f"{DASHBOARDS}/{uid}.json": text for uid, text in dashboard_files(scope).items()}
    return {
        f"{PROVISIONING}/datasources/llmdeploy.yml": _text({"prune": True, "datasources": sources}),
        f"{PROVISIONING}/dashboards/llmdeploy.yml": _text({"providers": [_provider()]}),
        **found,
    }


def grafana_environment(root_url: str) -> dict[str, str]:
    """The variables that it is started with. `root_url`: where people reach it, empty where that is nowhere."""
    secrets = "/run/secrets"
    return {
        "GF_SECURITY_ADMIN_USER": "admin",
        "GF_SECURITY_ADMIN_PASSWORD__FILE": f"{secrets}/{GRAFANA_PASSWORD}",
        "GF_SECURITY_SECRET_KEY__FILE": f"{secrets}/{GRAFANA_KEY}",  # the one it comes with is known to everybody
        "GF_SECURITY_COOKIE_SECURE": str(root_url.startswith("https:")).lower(),
        "GF_SECURITY_DISABLE_GRAVATAR": "true",
        "GF_AUTH_ANONYMOUS_ENABLED": "false",
        "GF_USERS_ALLOW_SIGN_UP": "false",
        "GF_USERS_DEFAULT_THEME": "system",
        "GF_ANALYTICS_REPORTING_ENABLED": "false",
        "GF_ANALYTICS_CHECK_FOR_UPDATES": "false",
        "GF_ANALYTICS_CHECK_FOR_PLUGIN_UPDATES": "false",
        "GF_NEWS_NEWS_FEED_ENABLED": "false",
        "GF_SNAPSHOTS_EXTERNAL_ENABLED": "false",  # they would lie on somebody else's server
        "GF_PLUGINS_PREINSTALL_AUTO_UPDATE": "false",
        "GF_DASHBOARDS_DEFAULT_HOME_DASHBOARD_PATH": f"{DASHBOARDS}/llmdeploy-overview.json",
        "GF_LOG_LEVEL": "warn",
        **({"GF_SERVER_ROOT_URL": root_url} if root_url else {}),
    }


def _source(scope: Scope, part: PartName) -> dict[str, Any]:
    settings: dict[PartName, dict[str, Any]] = {
        "prometheus": {
            "timeInterval": duration(scope.monitoring.interval),
            "httpMethod": "POST",
            "manageAlerts": True,  # its rules can be seen; nobody can change them there
            **({"alertmanagerUid": "alertmanager"} if "alertmanager" in scope.parts else {}),
        },
        "loki": {"maxLines": 1000},
        "alertmanager": {"implementation": "prometheus", "handleGrafanaManagedAlerts": False},
    }
    return {
        "name": _NAMES[part],
        "type": part,
        "uid": part,
        "access": "proxy",
        "url": f"http://{part}:{PART_PORTS[part]}",
        "isDefault": part == "prometheus",
        "editable": False,
        "jsonData": settings[part],
    }


def _provider() -> dict[str, Any]:
    return {
        "name": "llmdeploy",
        "type": "file",
        "folder": "llmdeploy",
        "disableDeletion": False,  # what is no longer among the files goes
        "allowUiUpdates": False,
        "updateIntervalSeconds": 60,
        "options": {"path": DASHBOARDS, "foldersFromFilesStructure": False},
    }


def _text(content: dict[str, Any]) -> str:
    return yaml.safe_dump({"apiVersion": 1, **content}, sort_keys=False)
