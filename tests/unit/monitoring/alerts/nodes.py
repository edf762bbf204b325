"""Hosts and Swarm: nodes.yml, swarm.yml."""

from tests.unit.monitoring.alerts.cases import Case, Series, Table, scope


def host(number: int, values: str = "1x120") -> Series:
    """A host that tells its name."""
    return {
        f'up{{job="node",instance="n{number}"}}': values,
        f'node_uname_info{{job="node",instance="n{number}",nodename="host{number}"}}': values,
    }


def of(name: str, more: str = "") -> str:
    return f'node_{name}{{job="node",instance="n1"{more}}}'


def disk(free: float, what: str = "bytes") -> Series:
    """A disk of which so much is free, mounted twice."""
    left, size = {"bytes": ("avail_bytes", "size_bytes"), "inodes": ("files_free", "files")}[what]
    found: dict[str, str] = {}
    for mount in ("/", "/etc/hosts"):
        where = f',device="/dev/vda1",fstype="ext4",mountpoint="{mount}"'
        found |= {of(f"filesystem_{left}", where): f"{free * 100}x120", of(f"filesystem_{size}", where): "100x120"}
    return found


def filling(left: str) -> Series:
    where = ',device="/dev/vda1",fstype="ext4",mountpoint="/"'
    return {of("filesystem_avail_bytes", where): left, of("filesystem_size_bytes", where): "10000x120"}


HEALTHY: Series = {
    **host(1),
    **host(2),
    **disk(0.5),
    **disk(0.5, "inodes"),
    of("memory_MemAvailable_bytes"): "50x120",
    of("memory_MemTotal_bytes"): "100x120",
    of("vmstat_oom_kill"): "2x120",
    of("cpu_seconds_total", ',mode="idle",cpu="0"'): "0+40x120",
    of("load1"): "1x120",
    of("time_seconds"): "0+60x120",
    of("timex_sync_status"): "1x120",
    of("nf_conntrack_entries"): "10x120",
    of("nf_conntrack_entries_limit"): "100x120",
}
ONE = {"nodename": "host1"}
ON_DISK = {**ONE, "device": "/dev/vda1"}
CASES = [
    Case("NodeDown", {**host(1, "1x10 stale"), **host(2)}, "15m", [ONE]),
    Case("NodeDown", {**host(1, "1x10 0x30"), **host(2)}, "15m", [ONE]),
    Case("NodeDown", {**host(1), **host(2)}, "15m"),
    Case("NodesMissing", host(1), "20m", [{}]),
    Case("NodesMissing", {**host(1), **host(2)}, "20m"),
    Case("NodeDiskLow", {**host(1), **disk(0.1)}, "20m", [ON_DISK]),
    Case("NodeDiskLow", {**host(1), **disk(0.03)}, "20m"),
    Case("NodeDiskFull", {**host(1), **disk(0.03)}, "5m", [ON_DISK]),
    Case("NodeDiskFull", {**host(1), **disk(0.1)}, "5m"),
    Case("NodeInodesLow", {**host(1), **disk(0.05, "inodes")}, "20m", [ON_DISK]),
    Case("NodeInodesLow", {**host(1), **disk(0.2, "inodes")}, "20m"),
    Case(
        "NodeMemoryLow", {**host(1), of("memory_MemAvailable_bytes"): "5x60", of("memory_MemTotal_bytes"): "100x60"},
        "15m", [ONE],
    ),
    Case(
        "NodeMemoryLow", {**host(1), of("memory_MemAvailable_bytes"): "20x60", of("memory_MemTotal_bytes"): "100x60"},
        "15m",
    ),
    Case("NodeOutOfMemory", {**host(1), of("vmstat_oom_kill"): "0x5 1x60"}, "8m", [ONE]),
    Case("NodeOutOfMemory", {**host(1), of("vmstat_oom_kill"): "7x60"}, "8m"),
    Case("NodeProcessorBusy", {**host(1), of("cpu_seconds_total", ',mode="idle",cpu="0"'): "0+1x90"}, "45m", [ONE]),
    Case("NodeProcessorBusy", {**host(1), of("cpu_seconds_total", ',mode="idle",cpu="0"'): "0+20x90"}, "45m"),
    Case("NodeClockSkew", {**host(1), of("time_seconds"): "5+60x60"}, "10m", [ONE]),
    Case("NodeClockSkew", {**host(1), of("time_seconds"): "1+60x60"}, "10m"),
    Case("NodeClockNotSynchronised", {**host(1), of("timex_sync_status"): "0x120"}, "80m", [ONE]),
    Case("NodeClockNotSynchronised", {**host(1), of("timex_sync_status"): "0x5 1 0x5 1 0x5 1 0x5 1 0x5 1 0x90"}, "80m"),
    Case(
        "NodeConntrackFull",
        {**host(1), of("nf_conntrack_entries"): "90x60", of("nf_conntrack_entries_limit"): "100x60"}, "10m", [ONE],
    ),
    Case(
        "NodeConntrackFull",
        {**host(1), of("nf_conntrack_entries"): "9x60", of("nf_conntrack_entries_limit"): "100x60"}, "10m",
    ),
]  # fmt: skip
HOURS = [
    Case("NodeDiskFillsIn24h", {**host(1), **filling("3500-30x120")}, "8h", [ON_DISK]),
    Case("NodeDiskFillsIn24h", {**host(1), **filling("9000-30x120")}, "8h"),  # most of it is free
    Case("NodeDiskFillsIn24h", {**host(1), **filling("3000-1x120")}, "8h"),
]


def swarm(name: str, node: str = "m1", more: str = "") -> str:
    return f'swarm_{name}{{job="docker",node="{node}"{more}}}'


def managers(*values: str) -> Series:
    return {swarm("node_manager", f"m{number}"): value for number, value in enumerate(values)}


ALIVE, DEAD = "1x60", "1x10 stale"
SWARM = [
    Case("SwarmNodeDown", {swarm("manager_nodes", more=',state="down"'): "1x30"}, "5m", [{}]),
    Case("SwarmNodeDown", {swarm("manager_nodes", more=',state="ready"'): "3x30"}, "5m"),
    Case("SwarmNoLeader", {swarm("manager_leader"): "0x9", swarm("manager_leader", "m2"): "0x9"}, "5m", [{}]),
    Case("SwarmNoLeader", {swarm("manager_leader"): "0x9", swarm("manager_leader", "m2"): "1x9"}, "5m"),
    Case("SwarmQuorumAtRisk", managers(ALIVE, ALIVE, DEAD), "20m", [{}]),
    Case("SwarmQuorumAtRisk", managers(ALIVE, ALIVE, ALIVE), "20m"),
    Case("SwarmQuorumAtRisk", managers(ALIVE, ALIVE, ALIVE, ALIVE, DEAD), "20m"),  # one more may go
    Case("SwarmQuorumAtRisk", managers(ALIVE, "0x60"), "20m"),  # one manager, one worker
]
WELL: Series = {
    **managers(ALIVE, ALIVE, ALIVE),
    swarm("manager_leader"): "1x60",
    swarm("manager_nodes", more=',state="ready"'): "3x60",
    swarm("manager_nodes", more=',state="down"'): "0x60",
}
TABLES = [
    Table("nodes.yml", CASES, HEALTHY, scope()),
    Table("nodes.yml", HOURS, {**host(1), **host(2)}, scope(), step="10m"),
    Table("swarm.yml", SWARM, WELL, scope()),
]
