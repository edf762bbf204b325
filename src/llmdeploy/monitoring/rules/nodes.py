"""Hosts, by the word of node exporter."""

from __future__ import annotations

from llmdeploy.monitoring.rules.build import Alert, Group, Record, Rule, Severity
from llmdeploy.monitoring.scope import Scope

DISK = 'job="node",fstype=~"ext[234]|xfs|btrfs|zfs|f2fs"'
_DEVICES = 'job="node",device!~"lo|veth.*|br-.*|docker.*|cali.*|tap.*"'


def groups(scope: Scope) -> list[Group]:
    """What is recorded of hosts, and the alerts about them; nothing without node exporter."""
    if "node-exporter" not in scope.parts:
        return []
    return [
        Group("nodes", _recorded()),
        Group("node-alerts", [*_presence(len(scope.hosts)), *_disk(), *_machine()]),
    ]


def _named(expr: str) -> str:
    """PromQL: `expr` by instance, with the host's name as label `nodename`."""
    return f'({expr}) * on (instance) group_left (nodename) (node_uname_info{{job="node"}})'


def _free(what: str) -> str:
    """PromQL: the free share of each disk; a disk that is mounted at several places counts once."""
    free, size = {"bytes": ("avail_bytes", "size_bytes"), "inodes": ("files_free", "files")}[what]
    share = f"node_filesystem_{free}{{{DISK}}} / (node_filesystem_{size}{{{DISK}}} > 0)"
    return f"min by (instance, device) ({share})"


def _recorded() -> list[Rule]:
    memory = 'node_memory_MemAvailable_bytes{job="node"} / node_memory_MemTotal_bytes{job="node"}'
    idle = 'avg by (instance) (rate(node_cpu_seconds_total{job="node",mode="idle"}[5m]))'
    cores = 'count by (instance) (node_cpu_seconds_total{job="node",mode="idle"})'
    rules: list[Rule] = [
        Record("node:cpu_busy:ratio_rate5m", _named(f"1 - {idle}")),
        Record("node:memory_used:ratio", _named(f"1 - max by (instance) ({memory})")),
        Record("node:disk_used:ratio", _named(f"1 - {_free('bytes')}")),
        Record("node:load1_per_core", _named(f'max by (instance) (node_load1{{job="node"}}) / {cores}')),
    ]
    moved = {
        ("node:network_bytes:rate5m", "receive"): f"node_network_receive_bytes_total{{{_DEVICES}}}",
        ("node:network_bytes:rate5m", "transmit"): f"node_network_transmit_bytes_total{{{_DEVICES}}}",
        ("node:disk_bytes:rate5m", "read"): 'node_disk_read_bytes_total{job="node"}',
        ("node:disk_bytes:rate5m", "write"): 'node_disk_written_bytes_total{job="node"}',
    }
    return rules + [
        Record(name, _named(f"sum by (instance) (rate({counter}[5m]))"), {"direction": direction})
        for (name, direction), counter in moved.items()
    ]


def _node(name: str, expr: str, for_: str, severity: Severity, summary: str) -> Alert:
    return Alert(name, _named(expr), for_, severity, "{{ $labels.nodename }}" + summary)


def _presence(hosts: int) -> list[Rule]:
    up = 'node_uname_info{job="node"} and on (instance) (up{job="node"} == 1)'
    found: list[Rule] = [
        # Swarm takes a dead host's exporter out of the name service: its series end instead of saying 0.
        Alert(
            "NodeDown",
            'count by (nodename) (last_over_time(node_uname_info{job="node"}[1d])) * 0 + 1 '
            f"unless on (nodename) ({up})",
            "2m",
            "page",
            "{{ $labels.nodename }} tells nothing any more",
        )
    ]
    if hosts > 1:
        missing = Alert(
            "NodesMissing",
            f'({hosts} - count(up{{job="node"}} == 1)) > 0',
            "15m",
            "ticket",
            f"{{{{ $value }}}} of {hosts} hosts tell nothing",
        )
        found.append(missing)
    return found


def _disk() -> list[Rule]:
    left = "min by (instance, device) (predict_linear(node_filesystem_avail_bytes{" + DISK + "}[6h], 86400))"
    return [
        _node(
            "NodeDiskLow", f"{_free('bytes')} < 0.15 >= 0.05", "15m", "ticket",
            ": {{ $labels.device }} has {{ $value | humanizePercentage }} free",
        ),
        _node(
            "NodeDiskFull", f"{_free('bytes')} < 0.05", "2m", "page",
            ": {{ $labels.device }} has {{ $value | humanizePercentage }} free",
        ),
        _node(
            "NodeDiskFillsIn24h", f"({_free('bytes')} < 0.4) and on (instance, device) ({left} < 0)", "1h", "ticket",
            ": {{ $labels.device }} is full within a day at this pace; {{ $value | humanizePercentage }} are free",
        ),
        _node(
            "NodeInodesLow", f"{_free('inodes')} < 0.1", "15m", "ticket",
            ": {{ $labels.device }} has {{ $value | humanizePercentage }} of its inodes free",
        ),
    ]  # fmt: skip


def _machine() -> list[Rule]:
    clock = 'abs(node_time_seconds{job="node"} - timestamp(node_time_seconds{job="node"}))'
    conntrack = 'node_nf_conntrack_entries{job="node"} / (node_nf_conntrack_entries_limit{job="node"} > 0)'
    memory = 'node_memory_MemAvailable_bytes{job="node"} / node_memory_MemTotal_bytes{job="node"}'
    idle = 'avg by (instance) (rate(node_cpu_seconds_total{job="node",mode="idle"}[5m]))'
    synchronised = 'max_over_time(node_timex_sync_status{job="node"}[10m])'
    return [
        _node(
            "NodeMemoryLow", f"max by (instance) ({memory}) < 0.1", "10m", "ticket",
            " has {{ $value | humanizePercentage }} of its memory free",
        ),
        _node(
            "NodeOutOfMemory", 'max by (instance) (increase(node_vmstat_oom_kill{job="node"}[10m])) > 0', "", "ticket",
            ": the kernel ended a process for lack of memory",
        ),
        _node(
            "NodeProcessorBusy", f"1 - {idle} > 0.95", "30m", "ticket",
            ": its processors are {{ $value | humanizePercentage }} busy",
        ),
        _node(
            "NodeClockSkew", f"max by (instance) ({clock}) > 2", "5m", "ticket",
            ": its clock is {{ $value | humanizeDuration }} away from that of Prometheus",
        ),
        _node(
            "NodeClockNotSynchronised", f"max by (instance) ({synchronised}) + 1 == 1", "1h", "ticket",
            ": nothing keeps its clock right",
        ),
        _node(
            "NodeConntrackFull", f"max by (instance) ({conntrack}) > 0.8", "5m", "page",
            ": the table of connections is {{ $value | humanizePercentage }} full; when it is, connections fail",
        ),
    ]  # fmt: skip
