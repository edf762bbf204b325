"""Cases of every alert, by rule file: when it fires, when it does not."""

from tests.unit.monitoring.alerts import containers, edge, llm, nodes, replicas, services, watchers
from tests.unit.monitoring.alerts.cases import Table

TABLES: list[Table] = [
    table for module in (services, replicas, edge, containers, nodes, llm, watchers) for table in module.TABLES
]
