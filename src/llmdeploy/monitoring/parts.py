"""The parts of the monitoring as services like all others: images, arguments, volumes, limits, health.

Versions and arguments are those of the programs' own documentation; data lies on named volumes, which take the owner
that the image's folder has.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from llmdeploy.config.models import Service
from llmdeploy.config.watching import GRAFANA_KEY, GRAFANA_PASSWORD, Part, PartName
from llmdeploy.monitoring.alertmanager import alertmanager_files, alertmanager_secrets
from llmdeploy.monitoring.alloy import alloy_files
from llmdeploy.monitoring.blackbox import AUTHORITY_FILE, blackbox_files
from llmdeploy.monitoring.grafana import grafana_environment, grafana_files
from llmdeploy.monitoring.loki import loki_files
from llmdeploy.monitoring.prometheus import prometheus_files
from llmdeploy.monitoring.scope import Scope

EVERYWHERE = "all"  # the group of what runs on every host
NODE = "{{.Node.Hostname}}"  # Docker puts the host's name there
METRICS_ON_HOST = "/var/lib/llmdeploy/metrics"  # llmdeploy's own, for the node exporter's textfile collector
GRAFANA_USER = "472"  # of its image
WITH_LOGIN = ("grafana",)
NOBODY_ELSE = "127.0.0.0/8"  # beside the environment's own hosts, which always may
MB = 1024**2
Given = dict[str, Any]


def part_services(scope: Scope, group: str, home: str, authority: str | None) -> dict[str, Service]:
    """Every part of `scope` by its name; `group`: whose host keeps the data.

    home       where people reach the edge, without a port: https://gw.example.com
    authority  the file of the project that the edge's authority is in, None where there is none
    """
    makers: dict[PartName, Callable[[], Given]] = {
        "prometheus": lambda: _prometheus(scope, home),
        "alertmanager": lambda: _alertmanager(scope, home),
        "grafana": lambda: _grafana(scope, home),
        "loki": lambda: _loki(scope),
        "alloy": lambda: _alloy(scope),
        "node-exporter": _node_exporter,
        "cadvisor": _cadvisor,
        "blackbox-exporter": lambda: _blackbox(scope, authority),
    }
    return {name: _service(scope, name, {"group": group, **makers[name]()}) for name in scope.parts}


def volumes(stack: str) -> list[str]:
    """The named volumes that keep the monitoring's data."""
    return [_volume(stack, name) for name in ("prometheus", "alertmanager", "grafana", "loki", "alloy")]


def _volume(stack: str, part: str) -> str:
    return f"{stack}-{part}-data"


def _service(scope: Scope, name: PartName, own: Given) -> Service:
    """The part as it is built in, and what the settings say of it on top."""
    part = scope.monitoring.parts.get(name, Part())
    image = scope.monitoring.image(name)
    source = {"image": image} if image else {"build": part.build}
    limits = {key: value for key in ("cpus", "memory", "reserve_memory") if (value := getattr(part, key)) is not None}
    return Service.model_validate(
        {
            "update": {"order": "stop-first"},  # its data, or its port, is one task's at a time
            "stop_grace": 30,
            "read_only": True,
            **own,
            **source,
            **limits,
            "environment": {**own.get("environment", {}), **part.environment},
            "command": [*own.get("command", []), *part.arguments],
            "ports": [_port(scope, name, part, **own["ports"][0])],
        }
    )


def _port(scope: Scope, name: PartName, part: Part, **port: Any) -> Given:
    edge = scope.monitoring.published(name)
    if edge is None:
        return port
    allowed = part.allow_from
    if allowed is None and name not in WITH_LOGIN:
        allowed = scope.monitoring.allow_from or [NOBODY_ELSE]
    return {**port, "published": edge, "allow_from": allowed or []}


def _url(scope: Scope, name: PartName, home: str) -> str:
    """Where people reach a part, empty for nowhere."""
    port = scope.monitoring.published(name)
    return f"{home}:{port}" if port else ""


def _known_as(url: str) -> list[str]:
    return [f"--web.external-url={url}"] if url else []  # for links in what it tells people


def _prometheus(scope: Scope, home: str) -> Given:
    keep = scope.monitoring.retention
    return {
        "ports": [{"number": 9090, "protocol": "web"}],
        "health": {"path": "/-/ready", "start_period": 120},  # it reads its log of writes first
        "cpus": 1.0,
        "memory": 2048 * MB,
        "volumes": [f"{_volume(scope.settings.stack, 'prometheus')}:/prometheus"],
        "files": _files(prometheus_files(scope)),
        "command": [
            "--config.file=/etc/prometheus/prometheus.yml",
            "--storage.tsdb.path=/prometheus",
            f"--storage.tsdb.retention.time={keep.metrics:.0f}s",
            f"--storage.tsdb.retention.size={keep.size}B",
            *_known_as(_url(scope, "prometheus", home)),
        ],
    }


def _alertmanager(scope: Scope, home: str) -> Given:
    return {
        "ports": [{"number": 9093, "protocol": "web"}],
        "health": {"path": "/-/ready"},
        "cpus": 0.25,
        "memory": 256 * MB,
        "volumes": [f"{_volume(scope.settings.stack, 'alertmanager')}:/alertmanager"],
        "files": _files(alertmanager_files(scope)),
        "secrets": alertmanager_secrets(scope),
        "command": [
            "--config.file=/etc/alertmanager/alertmanager.yml",
            "--storage.path=/alertmanager",
            "--cluster.listen-address=",  # one alone
            *_known_as(_url(scope, "alertmanager", home)),
        ],
    }


def _grafana(scope: Scope, home: str) -> Given:
    secrets = [{"name": name, "mode": "0400", "uid": GRAFANA_USER} for name in (GRAFANA_PASSWORD, GRAFANA_KEY)]
    return {
        "ports": [{"number": 3000, "protocol": "web"}],
        "health": {"path": "/api/health", "start_period": 120},  # it brings its database up to date first
        "read_only": False,  # its plugins unpack themselves
        "cpus": 0.5,
        "memory": 1024 * MB,
        "volumes": [f"{_volume(scope.settings.stack, 'grafana')}:/var/lib/grafana"],
        "files": _files(grafana_files(scope)),
        "secrets": secrets,
        "environment": grafana_environment(_url(scope, "grafana", home)),
    }


def _loki(scope: Scope) -> Given:
    return {
        "ports": [{"number": 3100, "protocol": "http"}],
        "health": {"path": "/ready", "start_period": 120},  # not before a quarter of a minute has passed
        "cpus": 1.0,
        "memory": 2048 * MB,
        "tmpfs": ["/tmp"],  # noqa: S108 (a folder in memory, the container's own)
        "volumes": [f"{_volume(scope.settings.stack, 'loki')}:/loki"],
        "files": _files(loki_files(scope)),
        "command": ["-config.file=/etc/loki/loki.yml"],
    }


def _alloy(scope: Scope) -> Given:
    return {
        "group": EVERYWHERE,
        "mode": "global",
        "ports": [{"number": 12345, "protocol": "http"}],
        "health": {"path": "/-/ready"},
        "cpus": 0.5,
        "memory": 512 * MB,
        "user": "root",  # Docker's socket is root's
        "tmpfs": ["/tmp"],  # noqa: S108 (a folder in memory, the container's own)
        "environment": {"NODE_NAME": NODE},
        "volumes": [
            "/var/run/docker.sock:/var/run/docker.sock:ro",
            f"{_volume(scope.settings.stack, 'alloy')}:/var/lib/alloy/data",
        ],
        "files": _files(alloy_files(scope)),
        "command": [
            "run",
            "--server.http.listen-addr=0.0.0.0:12345",
            "--storage.path=/var/lib/alloy/data",
            "--disable-reporting",
            "/etc/alloy/config.alloy",
        ],
    }


def _node_exporter() -> Given:
    return {
        "group": EVERYWHERE,
        "mode": "global",
        "hostname": NODE,
        "ports": [{"number": 9100, "protocol": "http"}],
        "health": {"path": "/"},
        "cpus": 0.25,
        "memory": 128 * MB,
        "volumes": [
            {"source": "/", "target": "/host", "read_only": True, "follow_mounts": True},
            f"{METRICS_ON_HOST}:/metrics:ro",
        ],
        "command": [
            "--path.rootfs=/host",
            "--path.procfs=/host/proc",
            "--path.sysfs=/host/sys",
            "--collector.textfile.directory=/metrics",
        ],
    }


def _cadvisor() -> Given:
    labels = ("llmdeploy.stack", "com.docker.swarm.service.name", "com.docker.swarm.task.name")
    return {
        "group": EVERYWHERE,
        "mode": "global",
        "hostname": NODE,
        "ports": [{"number": 8080, "protocol": "http"}],
        "health": {"path": "/healthz"},
        "cpus": 0.5,
        "memory": 512 * MB,
        "user": "root",
        "volumes": [
            {"source": "/", "target": "/rootfs", "read_only": True, "follow_mounts": True},
            "/var/run:/var/run:ro",  # whole: containerd's socket is there as well
            "/sys:/sys:ro",
            "/var/lib/docker:/var/lib/docker:ro",
        ],
        "command": [
            "--docker_only=true",
            "--store_container_labels=false",
            f"--whitelisted_container_labels={','.join(labels)}",
            "--housekeeping_interval=15s",
            "--enable_metrics=cpu,memory,network,diskIO,disk,oom_event",
        ],
    }


def _blackbox(scope: Scope, authority: str | None) -> Given:
    files = [file for file in _files(blackbox_files(scope)) if file["target"] != AUTHORITY_FILE]
    files += [{"target": AUTHORITY_FILE, "source": authority}] if authority else []
    return {
        "ports": [{"number": 9115, "protocol": "http"}],
        "health": {"path": "/-/healthy"},
        "cpus": 0.25,
        "memory": 128 * MB,
        "files": files,
        "command": ["--config.file=/etc/blackbox/blackbox.yml"],
    }


def _files(texts: Mapping[str, str]) -> list[Given]:
    return [{"target": target, "text": text} for target, text in texts.items()]
