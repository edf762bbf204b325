"""Prometheus' configuration: what it asks, its rules, and whom it tells of alerts."""

from __future__ import annotations

from typing import Any

import yaml

from llmdeploy.monitoring.rules import rule_files
from llmdeploy.monitoring.rules.words import duration
from llmdeploy.monitoring.scope import Scope
from llmdeploy.monitoring.scraping import PART_PORTS, jobs, tasks

CONFIG_FILE, RULES = "/etc/prometheus/prometheus.yml", "/etc/prometheus/rules"
_LONGEST_TIMEOUT = 10.0  # seconds, Prometheus' own default


def prometheus_files(scope: Scope) -> dict[str, str]:
    """Target → text of everything that Prometheus reads."""
    rules = {f"{RULES}/{name}": text for name, text in rule_files(scope).items()}
    return {CONFIG_FILE: yaml.safe_dump(_config(scope), sort_keys=False), **rules}


def _config(scope: Scope) -> dict[str, Any]:
    interval = scope.monitoring.interval
    config: dict[str, Any] = {
        "global": {
            "scrape_interval": duration(interval),
            "scrape_timeout": duration(min(interval, _LONGEST_TIMEOUT)),
            "evaluation_interval": duration(interval),
            "external_labels": {"environment": scope.environment, "stack": scope.settings.stack},
        },
        "rule_files": [f"{RULES}/*.yml"],
    }
    if "alertmanager" in scope.parts:
        found = tasks("alertmanager", PART_PORTS["alertmanager"])
        config["alerting"] = {"alertmanagers": [{"dns_sd_configs": [found]}]}
    return {**config, "scrape_configs": jobs(scope)}
