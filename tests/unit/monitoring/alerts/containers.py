"""Containers by the word of cAdvisor: containers.yml."""

from tests.unit.monitoring.alerts.cases import Case, Series, Table, scope

UP = {'up{job="cadvisor",instance="c"}': "1x60"}
WANTED = {'service:replicas_wanted{service="web"}': "1x60"}


def of(name: str, number: int = 1) -> str:
    return f'container_{name}{{job="cadvisor",service="web",name="web.1.{number}",instance="c"}}'


def loop(starts: int) -> Series:
    """So many containers one after the other, a minute each."""
    return {of("start_time_seconds", item): f"{'_ ' * item}{item * 60} stale" for item in range(starts)}


HEALTHY: Series = {
    **UP,
    **WANTED,
    of("start_time_seconds"): "1x60",
    of("last_seen"): "0+60x60",
    of("oom_events_total"): "0x60",
    of("memory_working_set_bytes"): "5e8x60",
    of("spec_memory_limit_bytes"): "1e9x60",
    of("cpu_usage_seconds_total"): "0+30x60",
    of("cpu_cfs_throttled_periods_total"): "0+10x60",
    of("cpu_cfs_periods_total"): "0+600x60",
    of("network_receive_bytes_total"): "0+10x60",
}
WEB = {"service": "web"}
CADVISOR = {"service": "cadvisor"}


def busy(throttled: int, cpu: float) -> Series:
    return {
        of("cpu_cfs_throttled_periods_total"): f"0+{throttled}x60",
        of("cpu_cfs_periods_total"): "0+600x60",
        of("cpu_usage_seconds_total"): f"0+{cpu}x60",
    }


CASES = [
    Case("RestartLoop", {**UP, **WANTED, **loop(6)}, "8m", [WEB]),
    Case("RestartLoop", {**UP, **WANTED, **loop(4)}, "8m"),  # a release and its rollback
    Case("RestartLoop", {**UP, **WANTED, **loop(6)}, "40m"),  # long ago
    Case("RestartLoop", {**UP, 'service:replicas_wanted{service="web"}': "3x60", **loop(6)}, "8m"),
    Case("ContainerOutOfMemory", {of("oom_events_total"): "0x5 1x60"}, "8m", [WEB]),
    Case("ContainerOutOfMemory", {of("oom_events_total"): "3x60"}, "20m"),
    Case(
        "ContainerMemoryHigh", {of("memory_working_set_bytes"): "95e7x60", of("spec_memory_limit_bytes"): "1e9x60"},
        "15m", [WEB],
    ),
    Case(
        "ContainerMemoryHigh", {of("memory_working_set_bytes"): "9e9x60", of("spec_memory_limit_bytes"): "0x60"}, "15m"
    ),  # it has no limit
    Case("ContainerThrottled", busy(400, 30), "25m", [WEB]),
    Case("ContainerThrottled", busy(100, 30), "25m"),
    Case("ContainerThrottled", busy(400, 0.1), "25m"),  # it hardly does anything
    Case("CadvisorBlind", {**UP, 'container_last_seen{job="cadvisor",id="/"}': "1x60"}, "20m", [CADVISOR]),
    Case("CadvisorBlind", {**UP, of("last_seen"): "1x60"}, "20m"),
    Case("CadvisorDown", {'up{job="cadvisor",instance="c"}': "0x60"}, "10m", [CADVISOR]),
    Case("CadvisorDown", {**UP, 'up{job="cadvisor",instance="d"}': "0x60"}, "10m"),
]  # fmt: skip
TABLES = [Table("containers.yml", CASES, HEALTHY, scope())]
