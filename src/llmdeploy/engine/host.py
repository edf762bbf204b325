"""What a host is and has, read at once and without changing anything. Standard library only.

The file is complete in itself: `script()` gives the text to feed to `python3 -I -` on a host, over Ansible's
connection or plain ssh alike, and `parse()` reads the answer. It judges nothing; that is `host_checks`.
"""

from __future__ import annotations

import gzip
import hashlib
import http.client
import importlib.util
import json
import os
import platform
import shutil
import socket
import subprocess
import time
from pathlib import Path
from typing import Any

SOCKET = "/var/run/docker.sock"
SYSTEMD = Path("/run/systemd/system")  # is there where systemd runs the host
STATE = Path("/var/lib/llmdeploy/host.json")
PROBE = Path("/opt/llmdeploy/bin/probe")
EDGE = Path("/opt/llmdeploy/edge")
FIREWALL = Path("/opt/llmdeploy/firewall")
FIREWALL_NOTE = Path("/var/lib/llmdeploy/firewall")  # which rules there were when they had been put there
FORWARDED, ADDRESSED = "LLMDEPLOY", "LLMDEPLOY-INPUT"  # our chains: for what Docker forwards, for the host itself
FIREWALL_ASKED = tuple(
    [program, "-w", "5", *words]
    for program in ("iptables", "ip6tables")
    for words in (
        ["-S", FORWARDED], ["-S", ADDRESSED], ["-C", "DOCKER-USER", "-j", FORWARDED], ["-C", "INPUT", "-j", ADDRESSED],
    )
)  # fmt: skip
LOCKED = "its Swarm is locked: it has been restarted, and its unlock key was not given yet"
UNLOCK = "llmdeploy ENV swarm unlock"
SERVICE_LABEL = "com.docker.swarm.service.name"
# feature → kernel module, configuration symbol
FEATURES = {
    "overlay": ("overlay", "CONFIG_OVERLAY_FS"),
    "vxlan": ("vxlan", "CONFIG_VXLAN"),
    "ipvs": ("ip_vs", "CONFIG_IP_VS"),
    "esp": ("esp4", "CONFIG_INET_ESP"),
}


class EngineError(Exception):
    """The Docker engine refused a request (`status` is its HTTP code) or does not answer (0)."""

    def __init__(self, message: str, status: int = 0) -> None:
        super().__init__(message)
        self.status = status


class _Connection(http.client.HTTPConnection):
    def __init__(self, path: str, timeout: float) -> None:
        super().__init__("localhost", timeout=timeout)
        self._path = path

    def connect(self) -> None:
        self.sock = socket.socket(socket.AF_UNIX)
        self.sock.settimeout(self.timeout)
        self.sock.connect(self._path)


class Engine:
    """The Docker engine of this host through its socket; every call has a deadline."""

    def __init__(self, path: str = SOCKET, timeout: float = 10.0) -> None:
        self._path = path
        self._timeout = timeout

    def call(self, method: str, path: str, body: Any = None, timeout: float | None = None) -> Any:
        """Send one request and return the decoded answer (None where there is none)."""
        connection = _Connection(self._path, timeout or self._timeout)
        data = None if body is None else json.dumps(body)
        try:
            connection.request(method, path, data, {"Content-Type": "application/json"})
            answer = connection.getresponse()
            text = answer.read().decode("utf-8", "replace")
        except (OSError, http.client.HTTPException) as error:
            raise EngineError(f"{method} {path}: {error or type(error).__name__}") from error
        finally:
            connection.close()
        if answer.status >= 400:
            raise EngineError(_message(text), answer.status)
        return json.loads(text) if text.strip() else None

    def get(self, path: str) -> Any:
        """GET that gives None for what is not there."""
        try:
            return self.call("GET", path)
        except EngineError as error:
            if error.status == 404:
                return None
            raise


def _message(text: str) -> str:
    try:
        return str(json.loads(text)["message"])
    except (ValueError, KeyError, TypeError):
        return text.strip() or "no message"


# --- the machine


def _read(path: str | Path) -> str:
    try:
        return Path(path).read_text(errors="replace")
    except OSError:
        return ""


def _sha256(path: Path) -> str:
    try:
        return hashlib.sha256(path.read_bytes()).hexdigest()
    except OSError:
        return ""


def _system() -> dict[str, str]:
    pairs = (line.partition("=") for line in _read("/etc/os-release").splitlines())
    values = {key: value.strip().strip("\"'") for key, _, value in pairs}
    return {
        "id": values.get("ID", ""),
        "version": values.get("VERSION_ID", ""),
        "codename": values.get("VERSION_CODENAME", ""),
        "name": values.get("PRETTY_NAME", "") or platform.system(),
    }


def _features() -> dict[str, bool | None]:
    """Whether the running kernel has each feature; None where the host does not say."""
    release = platform.release()
    tables = "".join(_read(f"/lib/modules/{release}/modules.{name}") for name in ("builtin", "dep"))
    config = _read("/boot/config-" + release) or _kernel_config()
    found: dict[str, bool | None] = {}
    for feature, (module, symbol) in FEATURES.items():
        if Path("/sys/module", module).exists() or f"/{module}.ko" in tables:
            found[feature] = True
        elif config:
            found[feature] = f"\n{symbol}=" in config
        else:
            found[feature] = False if tables else None
    if "\toverlay\n" in _read("/proc/filesystems"):
        found["overlay"] = True
    return found


def _kernel_config() -> str:
    try:
        return gzip.decompress(Path("/proc/config.gz").read_bytes()).decode()
    except (OSError, EOFError):
        return ""


def _memory_mb(key: str) -> int:
    for line in _read("/proc/meminfo").splitlines():
        if line.startswith(key + ":"):
            return int(line.split()[1]) // 1024
    return 0


def _disk(path: str) -> dict[str, Any]:
    """Room on the file system that holds `path`, or will hold it."""
    folder = Path(path)
    while not folder.exists():
        folder = folder.parent
    usage = shutil.disk_usage(folder)
    return {"path": path, "free_mb": usage.free >> 20, "total_mb": usage.total >> 20}


def _address() -> str:
    """The address from which this host reaches the world (nothing is sent); empty without a default route."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
        try:
            probe.connect(("192.0.2.1", 9))
            return str(probe.getsockname()[0])
        except OSError:
            return ""


# --- ports


def _listening() -> dict[int, str]:
    """Every TCP port that something listens on, with the inode of its socket."""
    ports: dict[int, str] = {}
    for table in ("/proc/net/tcp", "/proc/net/tcp6"):
        for line in _read(table).splitlines()[1:]:
            words = line.split()
            if len(words) > 9 and words[3] == "0A":
                ports[int(words[1].rpartition(":")[2], 16)] = words[9]
    return ports


def _owners(inodes: set[str]) -> dict[str, dict[str, Any]]:
    """Which process holds each of these sockets; only root sees those of others."""
    owners: dict[str, dict[str, Any]] = {}
    for process in Path("/proc").iterdir() if inodes else ():
        if not process.name.isdigit():
            continue
        try:
            links = [os.readlink(handle) for handle in (process / "fd").iterdir()]  # noqa: PTH115 (3.8 has no readlink)
        except OSError:
            continue
        for link in links:
            if link.startswith("socket:[") and link[8:-1] in inodes:
                owners[link[8:-1]] = {"process": _read(process / "comm").strip(), "pid": int(process.name)}
    return owners


def _ports(wanted: list[int], containers: list[dict[str, Any]]) -> dict[str, dict[str, Any]]:
    """Which of the wanted ports are taken, and by what: a process, and the container it serves if there is one."""
    listening = {port: inode for port, inode in _listening().items() if port in wanted}
    owners = _owners(set(listening.values()))
    taken: dict[str, dict[str, Any]] = {str(port): owners.get(inode, {}) for port, inode in listening.items()}
    for container in containers:
        for published in container.get("Ports") or ():
            port = published.get("PublicPort")
            if port in wanted and published.get("Type") == "tcp":
                taken.setdefault(str(port), {}).update(_owner(container))
    return taken


def _owner(container: dict[str, Any]) -> dict[str, str]:
    names = container.get("Names") or [container.get("Id", "")[:12]]
    labels = container.get("Labels") or {}
    return {"container": names[0].lstrip("/"), "service": labels.get(SERVICE_LABEL, "")}


# --- Docker


def _docker(engine: Engine, wanted: dict[str, Any]) -> tuple[dict[str, Any], list[dict[str, Any]]]:
    """The state of Docker, and its containers, the ended ones too."""
    docker: dict[str, Any] = {
        "installed": any(shutil.which(name, path=_PATH) for name in ("dockerd", "docker")),
        "cli": bool(shutil.which("docker", path=_PATH)),
        "sdk": importlib.util.find_spec("docker") is not None,
        "running": False,
        "error": "",
    }
    try:
        info = engine.call("GET", "/info")
        containers = engine.call("GET", "/containers/json?all=1")
        images = _images(engine, wanted.get("images") or [])
        swarm = _swarm(info.get("Swarm") or {})
        cluster = _cluster(engine, wanted.get("network", "")) if swarm["manager"] else None
    except EngineError as error:
        docker["error"] = str(error)
        return docker, []
    drivers = [value for key, value in info.get("DriverStatus") or () if key == "driver-type"]
    docker.update(
        running=True,
        version=info.get("ServerVersion", ""),
        root=info.get("DockerRootDir", ""),
        store="containerd" if drivers else "classic",
        swarm=swarm,
        cluster=cluster,
        images=images,
    )
    return docker, containers


_PATH = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"


def _swarm(swarm: dict[str, Any]) -> dict[str, Any]:
    managers = swarm.get("RemoteManagers") or []
    known = swarm.get("Cluster") or {}
    return {
        "state": swarm.get("LocalNodeState", "inactive") or "inactive",
        "error": swarm.get("Error", ""),
        "node": swarm.get("NodeID", ""),
        "cluster": known.get("ID", ""),
        "autolock": bool(((known.get("Spec") or {}).get("EncryptionConfig") or {}).get("AutoLockManagers")),
        "manager": bool(swarm.get("ControlAvailable")),
        "address": swarm.get("NodeAddr", ""),
        "managers": sorted(manager.get("Addr", "") for manager in managers),
    }


def _cluster(engine: Engine, network: str) -> dict[str, Any]:
    """What a manager knows of the whole cluster; `error` where the managers have no majority."""
    try:
        nodes = [node_facts(node) for node in engine.call("GET", "/nodes")]
        found = engine.get("/networks/" + network) if network else None
        edge = engine.get("/services/" + EDGE.name)
    except EngineError as error:
        return {"error": str(error), "nodes": [], "network": None, "edge": {}}
    return {"error": "", "nodes": nodes, "network": network_facts(found), "edge": _labels(edge)}


def _labels(service: dict[str, Any] | None) -> dict[str, str]:
    return (service or {"Spec": {}})["Spec"].get("Labels") or {}


def node_facts(node: dict[str, Any]) -> dict[str, Any]:
    """The part of a Swarm node that decisions need."""
    spec, status = node["Spec"], node.get("Status") or {}
    return {
        "id": node["ID"],
        "hostname": (node.get("Description") or {}).get("Hostname", ""),
        "role": spec.get("Role", ""),
        "availability": spec.get("Availability", ""),
        "labels": spec.get("Labels") or {},
        "state": status.get("State", ""),
        "address": status.get("Addr", ""),
    }


def network_facts(network: dict[str, Any] | None) -> dict[str, Any] | None:
    """The part of a Docker network that decisions need."""
    if network is None:
        return None
    options = network.get("Options") or {}
    pools = (network.get("IPAM") or {}).get("Config") or []
    return {
        "driver": network.get("Driver", ""),
        "attachable": bool(network.get("Attachable")),
        "encrypted": "encrypted" in options,
        "mtu": int(options.get("com.docker.network.driver.mtu") or 0),
        "subnets": [pool.get("Subnet", "") for pool in pools],
        "labels": network.get("Labels") or {},
    }


def _images(engine: Engine, wanted: list[str]) -> dict[str, Any]:
    """Of the wanted references: `tags` {reference: id}, `digests` {repo@digest: id}; `made` are ids of no registry."""
    names = {full_name(ref): ref for ref in wanted}
    repositories = {repository(ref) for ref in wanted}
    tags: dict[str, str] = {}
    digests: dict[str, str] = {}
    made: list[str] = []
    for image in engine.call("GET", "/images/json") if wanted else ():
        known = [digest for digest in image.get("RepoDigests") or () if repository(digest) in repositories]
        for tag in image.get("RepoTags") or ():
            if full_name(tag) in names:
                tags[names[full_name(tag)]] = image["Id"]
                made += [] if known else [image["Id"]]
        digests.update((full_name(digest), image["Id"]) for digest in known)
    return {"tags": tags, "digests": digests, "made": made}


def repository(ref: str) -> str:
    """`redis:7@sha256:…` → `docker.io/library/redis`: the name of the repository, written in full."""
    name = ref.partition("@")[0]
    host, slash, rest = name.partition("/")
    if not slash or not ("." in host or ":" in host or host == "localhost"):
        rest = name if slash else "library/" + name
        host = "docker.io"
    return f"{host}/{rest.partition(':')[0]}"


def full_name(ref: str) -> str:
    """`redis` → `docker.io/library/redis:latest`: the one way to write a reference, by digest where it has one."""
    name, at, digest = ref.partition("@")
    if at:
        return f"{repository(ref)}@{digest}"
    tag = name.rpartition("/")[2].partition(":")[2]
    return f"{repository(ref)}:{tag or 'latest'}"


# --- the packet filter


def firewall() -> dict[str, Any]:
    """`sha256` of the script that restricts published ports here; `intact`: its rules are there as it left them."""
    found = _sha256(FIREWALL)
    return {"sha256": found, "intact": bool(found) and _read(FIREWALL_NOTE).strip() == firewall_rules()}


def firewall_rules() -> str:
    """A hash of the rules that are there now."""
    digest = hashlib.sha256()
    for command in FIREWALL_ASKED:
        try:
            done = subprocess.run(command, capture_output=True, timeout=10, check=False)
        except (OSError, subprocess.TimeoutExpired):
            continue
        digest.update(b"%d %s" % (done.returncode, done.stdout))
    return digest.hexdigest()


# --- all of it


def read(wanted: dict[str, Any]) -> dict[str, Any]:
    """Read this host. `wanted`: `ports`, `images` (references) and `network`, to be looked for."""
    docker, containers = _docker(Engine(), wanted)
    edges = [one for one in containers if (one.get("Labels") or {}).get(SERVICE_LABEL) == EDGE.name]
    edge = [one["Id"] for one in edges if one.get("State") == "running"]
    try:
        state = json.loads(_read(STATE) or "{}")
    except ValueError:
        state = {}
    return {
        "format": 1,
        "hostname": socket.gethostname(),
        "python": platform.python_version(),
        "arch": platform.machine(),
        "root": os.geteuid() == 0,
        "systemd": SYSTEMD.is_dir(),
        "system": _system(),
        "kernel": {"release": platform.release(), "features": _features()},
        "cpus": os.cpu_count() or 1,
        "memory_mb": _memory_mb("MemTotal"),
        "memory_free_mb": _memory_mb("MemAvailable"),
        "disk": _disk(docker.get("root") or "/var/lib/docker"),
        "address": _address(),
        "ports": _ports([int(port) for port in wanted.get("ports") or ()], containers),
        "docker": docker,
        "state": state,
        "probe": _sha256(PROBE),
        "firewall": firewall(),
        "edge": {"sha256": _sha256(EDGE / "haproxy.cfg"), "containers": edge, "restarting": len(edges) > len(edge)},
        "time": time.time(),
    }


def main(wanted: str) -> str:
    """Both sides in JSON: what to look for, and what was found."""
    return json.dumps(read(json.loads(wanted)))


def script(wanted: dict[str, Any]) -> str:
    """The program text for `python3 -I -` on a host; it prints one line."""
    return f"{Path(__file__).read_text(encoding='utf-8')}\n\nprint(main({json.dumps(wanted)!r}))\n"


def parse(output: str) -> dict[str, Any]:
    """What `script` printed; what a login shell says around it is skipped. ValueError if there is nothing."""
    for line in reversed(output.splitlines()):
        if line.startswith('{"format": '):
            found: dict[str, Any] = json.loads(line)
            return found
    raise ValueError("the host gave no facts")
