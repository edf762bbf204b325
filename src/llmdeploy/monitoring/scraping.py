"""What Prometheus asks: every replica of everything, found by Docker's DNS, and what the blackbox exporter probes.

`tasks.NAME` gives each replica's address; the name alone may give one that balances. Keys: Prometheus, configuration.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from llmdeploy.config.watching import PartName
from llmdeploy.monitoring.blackbox import Probe, edge_probe, replica_probe
from llmdeploy.monitoring.scope import Scope, metrics_of
from llmdeploy.release.spec import EDGE, EDGE_STATUS_PORT

PROBER = "blackbox-exporter"
PART_PORTS: dict[PartName, int] = {
    "prometheus": 9090,
    "alertmanager": 9093,
    "grafana": 3000,
    "loki": 3100,
    "alloy": 12345,
    "node-exporter": 9100,
    "cadvisor": 8080,
    "blackbox-exporter": 9115,
}
_REFRESH = "10s"
_OF_HOSTS: dict[PartName, str] = {"node-exporter": "node", "cadvisor": "cadvisor"}  # what their jobs are called
_SERVICE_OF_CONTAINER = "container_label_com_docker_swarm_service_name"

Job = dict[str, Any]


def jobs(scope: Scope) -> list[Job]:
    """Every scrape job. A job of Prometheus' has one module, path and port, so that ours are several of its; the
    label `job` is what they are called together."""
    found = [*_services(scope), *_edge(scope), *_parts(scope), *_docker(scope)]
    return [
        *found,
        *(_replicas(scope) if PROBER in scope.parts else []),
        *(_edges(scope) if PROBER in scope.parts else []),
    ]


def _services(scope: Scope) -> Iterator[Job]:
    for name, service in scope.services.items():
        metrics = metrics_of(service)
        if metrics:
            yield _job("services", name, name, metrics.port, path=metrics.path, service=name)


def _edge(scope: Scope) -> Iterator[Job]:
    yield _job("edge", "", EDGE, EDGE_STATUS_PORT, service=EDGE)
    if scope.settings.has_tls:
        yield _job("edge-certificate", "", EDGE, EDGE_STATUS_PORT, path="/metrics/certificate", service=EDGE)


def _parts(scope: Scope) -> Iterator[Job]:
    for part in scope.parts:
        if part == "cadvisor":
            named = [
                {"source_labels": [_SERVICE_OF_CONTAINER], "regex": "(.+)", "target_label": "service"},
                {"action": "labeldrop", "regex": "container_label_.+|id"},
            ]
            yield {**_job("cadvisor", "", part, PART_PORTS[part]), "metric_relabel_configs": named}
        else:
            service = "" if part in _OF_HOSTS else part
            yield _job(_OF_HOSTS.get(part, part), "", part, PART_PORTS[part], service=service)


def _docker(scope: Scope) -> Iterator[Job]:
    port = scope.monitoring.docker_metrics
    if port:
        targets = [
            {"targets": [f"{address}:{port}"], "labels": {"node": name}} for name, address in scope.hosts.items()
        ]
        yield {"job_name": "docker", "static_configs": targets}


def _replicas(scope: Scope) -> Iterator[Job]:
    for name, service in scope.services.items():
        found = replica_probe(service)
        if found:
            port, probe = found
            yield _probed(_job("replicas", name, name, port, service=name), probe)


def _edges(scope: Scope) -> Iterator[Job]:
    for name, service in scope.services.items():
        for port in service.ports:
            if port.edge:
                job = _job("edge-probe", f"{name}-{port.edge}", EDGE, port.edge, service=name, port=str(port.edge))
                yield _probed(job, edge_probe(scope, service, port))


def _job(job: str, of: str, name: str, number: int, *, path: str = "/metrics", **labels: str) -> Job:
    """All replicas of the service `name`. `of`: what tells this job of Prometheus' from others of the label `job`."""
    given = {"job": job, **labels} if of else labels
    relabel = [{"target_label": label, "replacement": value} for label, value in given.items() if value]
    return {
        "job_name": f"{job}/{of}" if of else job,
        "metrics_path": path,
        "dns_sd_configs": [{"names": [f"tasks.{name}"], "type": "A", "port": number, "refresh_interval": _REFRESH}],
        **({"relabel_configs": relabel} if relabel else {}),
    }


def _probed(job: Job, probe: Probe) -> Job:
    """The same, not asked itself but probed."""
    through = [
        {"source_labels": ["__address__"], "target_label": "instance"},
        {"source_labels": ["__address__"], "target_label": "__param_target", "replacement": probe.target},
        {"target_label": "__address__", "replacement": f"{PROBER}:{PART_PORTS[PROBER]}"},
    ]
    return {
        **job,
        "metrics_path": "/probe",
        "params": {"module": [probe.module]},
        "relabel_configs": [*job.get("relabel_configs", []), *through],
    }
