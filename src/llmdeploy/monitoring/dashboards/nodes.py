"""Hosts: how busy they are, what waits, what fails (use, saturation, errors), and when their disks are full."""

from __future__ import annotations

from collections.abc import Iterator

from llmdeploy.monitoring.dashboards.build import Dashboard, Panel, Row, Target, Variable
from llmdeploy.monitoring.dashboards.panels import Column, Graph, Table
from llmdeploy.monitoring.dashboards.shared import disk_days, has, made
from llmdeploy.monitoring.scope import Scope

_CHOSEN = '{nodename=~"$node"}'
_NODE_LINK = "/d/llmdeploy-nodes?var-node=${__value.text}&${__url_time_range}"
_DEVICES = 'device!~"lo|veth.*|br-.*|docker.*"'


def dashboard(scope: Scope) -> Dashboard:
    """Every host, or those that are chosen above it; without panels where there is no node exporter."""
    rows = [
        Row("Hosts", [_table()]),
        Row("Processors", list(_processors())),
        Row("Memory", list(_memory())),
        Row("Disks", list(_disks())),
        Row("Network and clock", list(_network())),
    ]
    variables = [Variable("node", "Host", "label_values(node_uname_info, nodename)", several=True)]
    about = "Processors, memory, disks and network of every host."
    return made(scope, "nodes", "Hosts", about, rows if has(scope, "node-exporter") else [], variables)


def named(expr: str) -> str:
    """PromQL: `expr` by instance, of the hosts that are chosen, with their names as label `nodename`."""
    return f'({expr}) * on (instance) group_left (nodename) node_uname_info{{job="node",nodename=~"$node"}}'


def _rate(name: str, matchers: str = "", by: str = "instance") -> str:
    more = f",{matchers}" if matchers else ""
    return named(f'sum by ({by}) (rate({name}{{job="node"{more}}}[$__rate_interval]))')


def _table() -> Table:
    def largest(name: str) -> str:
        return f"max by (nodename) ({name}{_CHOSEN})"

    days = f"min by (nodename) ({named(disk_days())})"
    uptime = named('time() - max by (instance) (node_boot_time_seconds{job="node"})')
    columns = [
        Column("Processors", largest("node:cpu_busy:ratio_rate5m"), "percentunit", 0, [(0.8, "orange"), (0.95, "red")]),
        Column("Load per core", largest("node:load1_per_core"), "short", 2, [(1.5, "orange")]),
        Column("Memory", largest("node:memory_used:ratio"), "percentunit", 0, [(0.8, "orange"), (0.9, "red")]),
        Column("Fullest disk", largest("node:disk_used:ratio"), "percentunit", 0, [(0.85, "orange"), (0.95, "red")]),
        Column("Days until it is full", days, "short", 0),
        Column("Up since", f"max by (nodename) ({uptime})", "s", 0),
    ]
    return Table(
        title="Hosts", labels={"nodename": "Host"}, columns=columns, links={"Host": _NODE_LINK}, sort="Host", height=7
    )


def _processors() -> Iterator[Panel]:
    yield Graph(
        title="Processors busy",
        targets=[Target(f"node:cpu_busy:ratio_rate5m{_CHOSEN}", "{{nodename}}")],
        unit="percentunit",
        maximum=1,
    )
    yield Graph(
        title="Load per core", targets=[Target(f"node:load1_per_core{_CHOSEN}", "{{nodename}}")], unit="short", limit=1
    )
    yield Graph(
        title="Tasks that wait for a processor",
        about="Part of the time in which something waited (pressure stall information).",
        targets=[Target(_rate("node_pressure_cpu_waiting_seconds_total"), "{{nodename}}")],
        unit="percentunit",
    )


def _memory() -> Iterator[Panel]:
    yield Graph(
        title="Memory in use",
        targets=[Target(f"node:memory_used:ratio{_CHOSEN}", "{{nodename}}")],
        unit="percentunit",
        maximum=1,
        limit=0.9,
    )
    yield Graph(
        title="Tasks that wait for memory",
        targets=[Target(_rate("node_pressure_memory_waiting_seconds_total"), "{{nodename}}")],
        unit="percentunit",
    )
    yield Graph(
        title="Ends for lack of memory",
        targets=[
            Target(
                named('max by (instance) (increase(node_vmstat_oom_kill{job="node"}[$__rate_interval]))'),
                "{{nodename}}",
            )
        ],
        unit="short",
    )


def _disks() -> Iterator[Panel]:
    yield Graph(
        title="Disks in use",
        targets=[Target(f"node:disk_used:ratio{_CHOSEN}", "{{nodename}} {{device}}")],
        unit="percentunit",
        maximum=1,
        limit=0.85,
        width=6,
    )
    yield Graph(
        title="Days until a disk is full",
        about="At the pace of the last 6 hours; no line where nothing fills.",
        targets=[Target(f"{named(disk_days())} < 365", "{{nodename}} {{device}}")],
        unit="short",
        width=6,
    )
    yield Graph(
        title="Read and written",
        targets=[Target(f"node:disk_bytes:rate5m{_CHOSEN}", "{{nodename}} {{direction}}")],
        unit="Bps",
        width=6,
    )
    yield Graph(
        title="Disks busy",
        targets=[
            Target(
                _rate("node_disk_io_time_seconds_total", 'device!~"loop.*|dm-.*"', "instance, device"),
                "{{nodename}} {{device}}",
            )
        ],
        unit="percentunit",
        width=6,
    )


def _network() -> Iterator[Panel]:
    errors = " + ".join(
        f'rate(node_network_{way}_errs_total{{job="node",{_DEVICES}}}[$__rate_interval])'
        for way in ("receive", "transmit")
    )
    conntrack = 'node_nf_conntrack_entries{job="node"} / (node_nf_conntrack_entries_limit{job="node"} > 0)'
    yield Graph(
        title="Network",
        targets=[Target(f"node:network_bytes:rate5m{_CHOSEN}", "{{nodename}} {{direction}}")],
        unit="Bps",
        width=6,
    )
    yield Graph(
        title="Network errors",
        targets=[Target(named(f"sum by (instance) ({errors})"), "{{nodename}}")],
        unit="cps",
        width=6,
    )
    yield Graph(
        title="Table of connections",
        targets=[Target(named(f"max by (instance) ({conntrack})"), "{{nodename}}")],
        unit="percentunit",
        limit=0.8,
        width=6,
    )
    yield Graph(
        title="Clock: how far off",
        targets=[Target(named('max by (instance) (abs(node_timex_offset_seconds{job="node"}))'), "{{nodename}}")],
        unit="s",
        width=6,
    )
