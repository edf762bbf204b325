"""Recording rules and alerts. Each module has those of one theme as data; docs/metrics.md and docs/runbooks explain."""

from __future__ import annotations

from llmdeploy.monitoring.rules import (
    containers,
    edge,
    llm,
    llm_alerts,
    logs,
    nodes,
    packs,
    releases,
    replicas,
    services,
    slo,
    swarm,
    watchers,
)
from llmdeploy.monitoring.rules.build import Group, rule_file
from llmdeploy.monitoring.scope import Scope

# In the order in which they depend on each other.
_FILES = {
    "services.yml": (services,),
    "slo.yml": (slo,),
    "replicas.yml": (replicas,),
    "releases.yml": (releases,),
    "edge.yml": (edge,),
    "containers.yml": (containers,),
    "nodes.yml": (nodes,),
    "swarm.yml": (swarm,),
    "llm.yml": (llm,),
    "llm-alerts.yml": (llm_alerts, packs),
    "monitoring.yml": (watchers, logs),
}


def rule_groups(scope: Scope) -> dict[str, list[Group]]:
    """The groups of every rule file by its name; files and groups without rules are left out."""
    found = {
        name: [group for module in modules for group in module.groups(scope) if group.rules]
        for name, modules in _FILES.items()
    }
    return {name: groups for name, groups in found.items() if groups}


def rule_files(scope: Scope) -> dict[str, str]:
    """Every rule file by its name, such as `services.yml`, as YAML for Prometheus.

    Rules about parts that are left out are left out, and so are alerts whose threshold is not given.
    """
    runbooks = scope.monitoring.alerts.runbooks.rstrip("/")
    return {name: rule_file(groups, runbooks) for name, groups in rule_groups(scope).items()}
