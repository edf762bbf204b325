"""Grafana's dashboards as code. Each module has one, made of panels; only what an environment has is in it."""

from __future__ import annotations

import json

from llmdeploy.monitoring.dashboards import containers, deploys, edge, llm, monitoring, nodes, overview, service
from llmdeploy.monitoring.dashboards.build import Dashboard
from llmdeploy.monitoring.scope import Scope

_MODULES = (overview, llm, service, nodes, containers, edge, deploys, monitoring)


def dashboards(scope: Scope) -> list[Dashboard]:
    """Every dashboard of an environment; one that would have no panels is left out."""
    found = [module.dashboard(scope) for module in _MODULES]
    return [dashboard for dashboard in found if dashboard.panels]


def dashboard_files(scope: Scope) -> dict[str, str]:
    """Identifier → JSON of each dashboard."""
    return {found.uid: json.dumps(found.as_json(), indent=1, ensure_ascii=False) for found in dashboards(scope)}
