"""What keeps quiet because something worse is known: one cause shall be told once."""

from __future__ import annotations

from typing import Any

# While a service is down, what it does badly is no news. Regular expressions of alerts' names.
DOWN = ("ServiceDown",)
FOLLOWS_DOWN = (
    "ServiceReplicasMissing", "ServiceLatencyHigh", "TargetDown", "MetricsMissing", "GrpcUnhealthy", "RestartLoop",
    "ErrorBudget.*", "EdgeErrors", "EdgeProbeFailing", "EdgeHostFailing",
    "ModelErrors", "NoTokens", "FirstTokenSlow", "TokensSlow", "QueueGrowing",
)  # fmt: skip
# Without an edge every port of every service fails.
NO_EDGE = ("EdgeDown",)
FOLLOWS_NO_EDGE = ("EdgeProbeFailing", "EdgeHostFailing")
# A host that is gone is told by its name; the others count those that are missing.
NODE = ("NodeDown",)
FOLLOWS_NODE = ("NodesMissing", "SwarmNodeDown")
# A disk that is nearly full will be full: known already.
DISK = ("NodeDiskFull", "NodeDiskLow")
FOLLOWS_DISK = ("NodeDiskFillsIn24h",)

_OF_A_SERVICE = 'service=~".+"'

Inhibition = dict[str, Any]


def inhibitions() -> list[Inhibition]:
    """Alertmanager's `inhibit_rules`.

    A label that both alerts lack counts as equal there. So where the service must be the same, both must have one:
    without that, alerts about hosts would keep each other quiet.
    """
    return [
        {
            "source_matchers": ['severity="page"', _OF_A_SERVICE],
            "target_matchers": ['severity="ticket"', _OF_A_SERVICE],
            "equal": ["alertname", "service"],
        },
        _inhibition(DOWN, FOLLOWS_DOWN, ["service"]),
        _inhibition(NO_EDGE, FOLLOWS_NO_EDGE),
        _inhibition(NODE, FOLLOWS_NODE),
        _inhibition(DISK, FOLLOWS_DISK, ["instance", "device"]),
    ]


def _inhibition(sources: tuple[str, ...], targets: tuple[str, ...], equal: list[str] | None = None) -> Inhibition:
    present = [f'{label}=~".+"' for label in equal or []]
    return {
        "source_matchers": [_named(sources), *present],
        "target_matchers": [_named(targets), *present],
        **({"equal": equal} if equal else {}),
    }


def _named(alerts: tuple[str, ...]) -> str:
    return f'alertname=~"{"|".join(alerts)}"'
