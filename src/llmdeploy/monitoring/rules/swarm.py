"""Swarm itself, by the word of Docker on the managers; only where Docker tells its metrics.

Names: swarmkit's manager/metrics/collector.go, manager/manager.go and node/node.go.
"""

from __future__ import annotations

from llmdeploy.monitoring.rules.build import Alert, Group
from llmdeploy.monitoring.scope import Scope


def groups(scope: Scope) -> list[Group]:
    """The alerts about Swarm."""
    return [Group("swarm-alerts", _alerts())] if scope.monitoring.docker_metrics else []


def _alerts() -> list[Alert]:
    managers = 'swarm_node_manager{job="docker"}'
    return [
        Alert(
            "SwarmNodeDown",
            'max(swarm_manager_nodes{job="docker",state=~"down|disconnected|unknown"}) > 0',
            "2m",
            "ticket",
            "Swarm counts {{ $value }} nodes as down",
        ),
        Alert(
            "SwarmNoLeader",
            'max(swarm_manager_leader{job="docker"}) == 0',
            "1m",
            "page",
            "Swarm has no leader: nothing can be deployed, moved or restarted",
        ),
        # Alive managers without which the rest would be no majority of those that there were within a day.
        Alert(
            "SwarmQuorumAtRisk",
            f"""
            (count({managers} == 1) < count(max_over_time({managers}[1d]) == 1))
            and (2 * (count({managers} == 1) - 1) <= count(max_over_time({managers}[1d]) == 1))""",
            "5m",
            "page",
            "Swarm has {{ $value }} managers left; without one more it cannot decide anything",
        ),
    ]
