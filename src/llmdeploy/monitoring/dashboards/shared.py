"""What several dashboards share: marks of releases, names, and pieces of queries."""

from __future__ import annotations

from collections.abc import Sequence

from llmdeploy.config.watching import PartName
from llmdeploy.monitoring.blackbox import replica_probe
from llmdeploy.monitoring.dashboards.build import Dashboard, Mark, Panel, Row, Variable
from llmdeploy.monitoring.rules.nodes import DISK
from llmdeploy.monitoring.scope import Scope

FIRING = 'alertstate="firing",severity!="none"'  # of ALERTS, without the watchdog, which always does
RELEASES = '{job="llmdeploy"} | json | json services="services"'  # the second one for what is a list
FAILED = 'state="ended" | result!~"done|unchanged"'  # the engine's verdicts
TROUBLE = "error|critical"  # levels of logs


def made(
    scope: Scope,
    name: str,
    title: str,
    about: str,
    rows: Sequence[Row],
    variables: Sequence[Variable] = (),
    since: str = "now-3h",
) -> Dashboard:
    """A dashboard with what all of them have; its identifier is made of `name`.

    Without Prometheus only such panels are left as ask Loki, and nothing that is chosen: values come from Prometheus.
    """
    complete = has(scope, "prometheus")
    return Dashboard(
        uid=f"llmdeploy-{name}",
        title=title,
        about=about,
        rows=rows if complete else [Row(row.title, [one for one in row.panels if _alone(one)]) for row in rows],
        variables=variables if complete else (),
        marks=_marks() if has(scope, "loki") else (),
        since=since,
    )


def has(scope: Scope, part: PartName) -> bool:
    """Whether the environment has this part."""
    return part in scope.parts


def published(scope: Scope) -> bool:
    """Whether the edge publishes anything."""
    return any(port.edge for service in scope.services.values() for port in service.ports)


def probed(scope: Scope) -> str:
    """A matcher of the services whose health is probed; "" without any, or without who probes."""
    names = [name for name, service in scope.services.items() if replica_probe(service)]
    return f'service=~"{"|".join(names)}"' if names and has(scope, "blackbox-exporter") else ""


def _alone(panel: Panel) -> bool:
    """Whether it can do without Prometheus."""
    return all(target.source == "loki" and "$service" not in target.expr for target in panel.targets)


def _marks() -> list[Mark]:
    text = "{{services}} {{message}} {{git}} {{user}}"
    return [
        Mark(
            "Releases",
            f'{RELEASES} | state="started" or result=~"done|unchanged"',
            "blue",
            "{{action}} {{release}} {{state}}",
            text,
            ["event", "state"],
        ),
        Mark(
            "Failed releases",
            f"{RELEASES} | {FAILED}",
            "red",
            "{{action}} {{release}}: {{result}}",
            text,
            ["event", "result"],
        ),
    ]


def running(scope: Scope) -> str:
    """PromQL: replicas that answer their health check, by service; 0 where there is none to ask."""
    none = f"0 * service:replicas_wanted{{{probed(scope)}}}"
    return f"max by (service) (service:replicas_running or on (service) {none})"


def disk_days() -> str:
    """PromQL: days until each disk of each host is full, at the pace of 6 hours; nothing where it does not fill."""
    free = f"min by (instance, device) (node_filesystem_avail_bytes{{{DISK}}})"
    pace = f"max by (instance, device) (-deriv(node_filesystem_avail_bytes{{{DISK}}}[6h]))"
    return f"{free} / ({pace} > 0) / 86400"
