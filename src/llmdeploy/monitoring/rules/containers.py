"""What cAdvisor tells of the containers of services: starts, memory, processor, network. Nothing without cAdvisor."""

from __future__ import annotations

from llmdeploy.monitoring.rules.build import Alert, Group, Record, Rule
from llmdeploy.monitoring.scope import Scope

_OURS = 'job="cadvisor",service!=""'


def groups(scope: Scope) -> list[Group]:
    """What is recorded of containers, and the alerts about them."""
    if "cadvisor" not in scope.parts:
        return []
    return [Group("containers", _recorded()), Group("container-alerts", _alerts())]


def _recorded() -> list[Rule]:
    used, limit = (
        f"max by (service, name) (container_{name}{{{_OURS}}})"
        for name in ("memory_working_set_bytes", "spec_memory_limit_bytes")
    )
    throttled, periods = (
        f"sum by (service) (rate(container_cpu_cfs_{name}_total{{{_OURS}}}[5m]))"
        for name in ("throttled_periods", "periods")
    )
    return [
        # Swarm replaces a container that ends: each start is a series of its own, and the last value outlives it.
        Record(
            "service:container_starts:15m",
            f"count by (service) (last_over_time(container_start_time_seconds{{{_OURS}}}[15m]) > time() - 900)",
        ),
        Record(
            "service:cpu_cores:rate5m", f"sum by (service) (rate(container_cpu_usage_seconds_total{{{_OURS}}}[5m]))"
        ),
        Record("service:memory_bytes", f"sum by (service) (container_memory_working_set_bytes{{{_OURS}}})"),
        Record("service:memory_ratio:max", f"max by (service) ({used} / ({limit} > 0))"),
        Record("service:cpu_throttled:ratio_rate5m", f"{throttled} / ({periods} > 0)"),
        *(
            Record(
                "service:network_bytes:rate5m",
                f"sum by (service) (rate(container_network_{direction}_bytes_total{{{_OURS}}}[5m]))",
                {"direction": direction},
            )
            for direction in ("receive", "transmit")
        ),
    ]


def _alerts() -> list[Rule]:
    return [
        # A release starts each replica once, and may take it back: that is no loop.
        Alert(
            "RestartLoop",
            "service:container_starts:15m > on (service) (2 * service:replicas_wanted + 2)",
            "",
            "page",
            "{{ $labels.service }} started {{ $value }} containers in 15 minutes",
        ),
        Alert(
            "ContainerOutOfMemory",
            f"sum by (service) (increase(container_oom_events_total{{{_OURS}}}[10m])) > 0",
            "",
            "ticket",
            "{{ $labels.service }} needed more memory than its limit; the kernel ended a process of it",
        ),
        Alert(
            "ContainerMemoryHigh",
            "service:memory_ratio:max > 0.9",
            "10m",
            "ticket",
            "{{ $labels.service }} uses {{ $value | humanizePercentage }} of its memory limit",
        ),
        Alert(
            "ContainerThrottled",
            "(service:cpu_throttled:ratio_rate5m > 0.5) and on (service) (service:cpu_cores:rate5m > 0.1)",
            "15m",
            "ticket",
            "{{ $labels.service }} waits for the processor in {{ $value | humanizePercentage }} of the periods: "
            "its limit is too low",
        ),
        Alert(
            "CadvisorBlind",
            f'(max(up{{job="cadvisor"}}) == 1) unless on () (count(container_last_seen{{{_OURS}}}) > 0)',
            "15m",
            "ticket",
            "cAdvisor sees no container of any service",
            labels={"service": "cadvisor"},
        ),
        Alert(
            "CadvisorDown",
            'absent(up{job="cadvisor"} == 1)',
            "5m",
            "ticket",
            "No cAdvisor answers: nothing is known of containers",
            labels={"service": "cadvisor"},
        ),
    ]
