"""Whether every service is there: replicas that answer their health check, against those that the release wants."""

from __future__ import annotations

from llmdeploy.monitoring.blackbox import replica_probe
from llmdeploy.monitoring.rules.build import Alert, Group, Record, Rule
from llmdeploy.monitoring.scope import Scope

# An answer about replicas counts only while the prober itself can be asked: without it nothing is known of anything.
_KNOWN = '(max(up{job="blackbox-exporter"}) == 1)'


def groups(scope: Scope) -> list[Group]:
    """What is recorded of replicas, and the alerts about them."""
    found = [Group("replicas-wanted", _wanted(scope))]
    if "blackbox-exporter" not in scope.parts:
        return found
    names = [name for name, service in scope.services.items() if replica_probe(service)]
    recorded: list[Rule] = [
        Record("service:replicas_running", 'sum by (service) (probe_success{job="replicas"})'),
        Record("service:replicas_probed", 'count by (service) (probe_success{job="replicas"})'),
        Record("service:probe_seconds:max", 'max by (service) (probe_duration_seconds{job="replicas"})'),
    ]
    return [*found, Group("replicas-running", recorded), Group("replicas-alerts", _alerts(names) if names else [])]


def _wanted(scope: Scope) -> list[Rule]:
    """Before the first release has been written down, what the catalogue says is wanted."""
    stack = scope.settings.stack
    configured: list[Rule] = [
        Record(
            "service:replicas_configured",
            f"vector({service.replicas if service.mode == 'replicated' else 1})",
            {"service": name},
        )
        for name, service in scope.services.items()
    ]
    return [
        *configured,
        Record(
            "service:replicas_wanted",
            f"""
            max by (service) (llmdeploy_service_replicas_desired{{stack="{stack}"}} {newest(stack)})
            or (service:replicas_configured unless on () llmdeploy_release_timestamp_seconds{{stack="{stack}"}})""",
        ),
    ]


def newest(stack: str) -> str:
    """PromQL, after a selector of what llmdeploy tells: only what the manager with the newest release says."""
    when = f'llmdeploy_release_timestamp_seconds{{stack="{stack}"}}'
    return f"and on (instance, stack) ({when} == on (stack) group_left () max by (stack) ({when}))"


def _alerts(names: list[str]) -> list[Rule]:
    wanted = f'(service:replicas_wanted{{service=~"{"|".join(names)}"}} > 0)'
    return [
        Alert(
            "ServiceDown",
            f"({wanted} unless on (service) (service:replicas_running > 0)) and on () {_KNOWN}",
            "1m",
            "page",
            "{{ $labels.service }} is down: none of {{ $value }} replicas answers its health check",
        ),
        Alert(
            "ServiceReplicasMissing",
            f"(({wanted} - on (service) (service:replicas_running > 0)) > 0) and on () {_KNOWN}",
            "5m",
            "ticket",
            "{{ $labels.service }}: {{ $value }} replicas are missing or not healthy",
        ),
        Alert(
            "GrpcUnhealthy",
            """
            max by (service, instance, serving_status) (
              probe_grpc_healthcheck_response{job="replicas",serving_status!="SERVING"}
            ) == 1""",
            "2m",
            "ticket",
            "{{ $labels.instance }} of {{ $labels.service }} says {{ $labels.serving_status }} to gRPC health checks",
        ),
    ]
