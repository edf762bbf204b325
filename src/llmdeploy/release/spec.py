"""Docker's raw ServiceSpec for each service of the catalogue, and for the edge.

The image is left empty: the release engine fills in the pin. Specifications are complete, so that a release can be
applied again without the files it came from. Field names: Docker Engine API, `ServiceSpec`.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from llmdeploy.config.models import Container, Edge, FileUse, SecretUse, Service, Settings, Volume
from llmdeploy.config.watching import PARTS
from llmdeploy.engine import edgejob
from llmdeploy.release import tls
from llmdeploy.release.health import NANO, PROBE, PROBE_FOLDER, PROBE_ON_HOST, docker_healthcheck

EDGE = "edge"
EDGE_FOLDER = "/edge"
EDGE_ON_HOST = "/opt/llmdeploy/edge"
EDGE_STATUS_PORT = 8404

PART_LABEL = "llmdeploy.part"  # of services that belong to the monitoring

Spec = dict[str, Any]


def service_spec(
    settings: Settings, name: str, service: Service, secrets: Mapping[str, str], files: Mapping[str, str]
) -> Spec:
    """The complete specification of one service.

    What they are called in the cluster: `secrets` by their names, `files` by their targets.
    """
    container = _container(service, {"LLMDEPLOY_SERVICE": name}, secrets, files)
    healthcheck = docker_healthcheck(service)
    if healthcheck:
        container["Healthcheck"] = healthcheck
    container["Mounts"].append(_bind(PROBE_ON_HOST, PROBE_FOLDER, read_only=True))
    replicated = {"Replicated": {"Replicas": service.replicas}}
    return {
        "Name": name,
        "Labels": _labels(settings, name),
        "TaskTemplate": _task(settings, container, service, service.group),
        "Mode": {"Global": {}} if service.mode == "global" else replicated,
        "UpdateConfig": _update(
            service.update.parallelism, service.update.order, service.update.delay, service.update.stability
        ),
        "EndpointSpec": {"Mode": "dnsrr"},
    }


def is_part(service: Mapping[str, Any], stack: str) -> bool:
    """Whether Docker's `service` belongs to the monitoring of `stack`."""
    labels = service["Spec"].get("Labels") or {}
    return PART_LABEL in labels and labels.get("llmdeploy.stack") == stack


def _labels(settings: Settings, name: str) -> dict[str, str]:
    part = {PART_LABEL: "monitoring"} if settings.monitoring.enabled and name in PARTS else {}
    return {"llmdeploy.stack": settings.stack, **part}


def edge_spec(settings: Settings, config: str, secrets: Mapping[str, str], files: Mapping[str, str]) -> Spec:
    """The edge: HAProxy on every edge host, with the published ports of all services in host mode.

    With TLS it sees the certificate that `edge-tls` puts beside it.

    `config` is the text of its configuration. The service's label names it: another one restarts no task.
    """
    edge = settings.edge
    container = _container(edge, {}, secrets, files)
    container |= {
        "Command": edge.entrypoint or tls.waiting(f"{EDGE_FOLDER}/haproxy.cfg"),
        "Args": edge.command
        or ["-W", "-db", "-S", f"{EDGE_FOLDER}/run/master.sock", "-f", f"{EDGE_FOLDER}/haproxy.cfg"],
        "User": edge.user or "root",
        "StopSignal": "SIGUSR1",  # lets open requests finish
        "Healthcheck": {
            "Test": ["CMD", PROBE, "http", str(EDGE_STATUS_PORT), "/health"],
            "Interval": 2 * NANO,
            "Timeout": 3 * NANO,
            "Retries": 3,
            "StartPeriod": 10 * NANO,
        },
    }
    container["Mounts"] += [
        _bind(PROBE_ON_HOST, PROBE_FOLDER, read_only=True),
        _bind(EDGE_ON_HOST, EDGE_FOLDER, read_only=False),
        tls.volume(settings.stack, read_only=True),
    ]
    return {
        "Name": EDGE,
        "Labels": {
            "llmdeploy.stack": settings.stack,
            edgejob.LABEL: edgejob.sha(config),
            tls.MODE_LABEL: settings.tls.mode,
        },
        "TaskTemplate": _task(settings, container, edge, EDGE),
        "Mode": {"Global": {}},
        # A host port can be held by one task only, so the old one must go first.
        "UpdateConfig": _update(1, "stop-first", 0.0, 2.0),
        "EndpointSpec": {"Mode": "dnsrr", "Ports": [_host_port(port) for port in published_ports(settings)]},
    }


def keeper_spec(settings: Settings, certificate: tls.EdgeTls) -> Spec:
    """`edge-tls`, where the edge is."""
    return tls.keeper_spec(settings, certificate, _placement(EDGE))


def published_ports(settings: Settings) -> list[int]:
    """The ports the edge answers on, sorted."""
    return sorted(port.edge for service in settings.services.values() for port in service.ports if port.edge)


def _container(given: Container, extra: dict[str, str], secrets: Mapping[str, str], files: Mapping[str, str]) -> Spec:
    variables = {**extra, **{key: _text(value) for key, value in given.environment.items()}}
    container: Spec = {
        "Image": "",
        "Env": [f"{key}={value}" for key, value in sorted(variables.items())],
        "Mounts": [_mount(volume) for volume in given.volumes],
        "StopGracePeriod": int(given.stop_grace * NANO),
        "CapabilityDrop": ["ALL"],
        "Privileges": {"NoNewPrivileges": True},
    }
    container["Mounts"] += [{"Type": "tmpfs", "Target": folder} for folder in given.tmpfs]
    if given.capabilities:
        container["CapabilityAdd"] = [f"CAP_{name}" for name in given.capabilities]
    if given.read_only:
        container["ReadOnly"] = True
    if given.secrets:
        container["Secrets"] = [_secret(use, secrets) for use in given.secrets]
    if given.files:
        container["Configs"] = [_file(use, files) for use in given.files]
    if given.hostname is not None:
        container["Hostname"] = given.hostname
    if given.entrypoint is not None:
        container["Command"] = given.entrypoint
    if given.command is not None:
        container["Args"] = given.command
    if given.user is not None:
        container["User"] = given.user
    return container


def _text(value: str | float | bool) -> str:
    return str(value).lower() if isinstance(value, bool) else str(value)


def _task(settings: Settings, container: Spec, given: Service | Edge, group: str) -> Spec:
    return {
        "ContainerSpec": container,
        "Resources": {
            "Limits": {"NanoCPUs": int(given.cpus * NANO), "MemoryBytes": given.memory, "Pids": given.pids},
            "Reservations": {"NanoCPUs": int(given.reserve_cpus * NANO), "MemoryBytes": given.reserve_memory},
        },
        "RestartPolicy": {"Condition": "any", "Delay": 2 * NANO},
        "Placement": _placement(group),
        "Networks": [{"Target": settings.network.name}],
    }


def _placement(group: str) -> Spec:
    return {"Constraints": [f"node.labels.group.{group}==yes"]}


def _update(parallelism: int, order: str, delay: float, monitor: float) -> Spec:
    return {
        "Parallelism": parallelism,
        "Delay": int(delay * NANO),
        # The release engine decides what happens after a failure, for all services together.
        "FailureAction": "pause",
        "Monitor": int(monitor * NANO),
        "MaxFailureRatio": 0,
        "Order": order,
    }


def _secret(use: SecretUse, names: Mapping[str, str]) -> Spec:
    """By its name in the cluster, which changes with the value; where nobody knows that, by its own."""
    file = {"Name": use.file or use.name, "UID": use.uid, "GID": use.gid, "Mode": int(use.mode, 8)}
    return {"SecretName": names.get(use.name, use.name), "File": file}


def _file(use: FileUse, names: Mapping[str, str]) -> Spec:
    """By its name in the cluster, which changes with the content; where nobody has read it, by its target."""
    file = {"Name": use.target, "UID": use.uid, "GID": use.gid, "Mode": int(use.mode, 8)}
    return {"ConfigName": names.get(use.target, use.target), "File": file}


def _mount(volume: Volume) -> Spec:
    if volume.source.startswith("/"):
        mount = _bind(volume.source, volume.target, read_only=volume.read_only)
        return {**mount, "BindOptions": {"Propagation": "rslave"}} if volume.follow_mounts else mount
    return {"Type": "volume", "Source": volume.source, "Target": volume.target, "ReadOnly": volume.read_only}


def _bind(source: str, target: str, *, read_only: bool) -> Spec:
    return {"Type": "bind", "Source": source, "Target": target, "ReadOnly": read_only}


def _host_port(port: int) -> Spec:
    return {"Protocol": "tcp", "TargetPort": port, "PublishedPort": port, "PublishMode": "host"}
