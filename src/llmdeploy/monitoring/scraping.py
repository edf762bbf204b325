"""What Prometheus asks: every replica of everything, found by Docker's DNS, and what the blackbox exporter probes.

`tasks.NAME` gives each replica's address; the name alone may give one that balances. Keys: Prometheus, configuration;
all of them are known to 2.42 and later.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any
from urllib.parse import parse_qs, urlsplit

from llmdeploy.config.watching import PartName
from llmdeploy.monitoring.blackbox import Probe, edge_probe, replica_probe
from llmdeploy.monitoring.rules.words import duration
from llmdeploy.monitoring.scope import Endpoint, Scope, metrics_of
from llmdeploy.release.spec import EDGE, EDGE_STATUS_PORT

PROBER: PartName = "blackbox-exporter"
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
# One replica's series. A service that makes a label of what its users send would fill Prometheus' memory otherwise.
_MOST_SERIES = 50_000
_METRICS = "/metrics"
_OFFSET = 0.5  # seconds that the blackbox exporter keeps of the time it has, to answer
_OF_HOSTS: dict[PartName, str] = {"node-exporter": "node", "cadvisor": "cadvisor"}  # what their jobs are called

Job = dict[str, Any]
_OF_CONTAINERS: Job = {
    # With cAdvisor's own times a container that is gone would go on for five minutes.
    "honor_timestamps": False,
    "metric_relabel_configs": [
        {
            "source_labels": ["container_label_com_docker_swarm_service_name"],
            "regex": "(.+)",
            "target_label": "service",
        },
        {"action": "labeldrop", "regex": "container_label_.+|id"},  # `name` tells containers apart
    ],
}


def jobs(scope: Scope) -> list[Job]:
    """Every scrape job. One of Prometheus' has a single path, port and module, so that several of them make one of
    ours; their label `job` is what these are called."""
    found = [*_services(scope), *_edge(scope), *_parts(scope), *_docker(scope)]
    return [*found, *_replicas(scope), *_edge_ports(scope)] if PROBER in scope.parts else found


def tasks(name: str, port: int) -> dict[str, Any]:
    """Prometheus' `dns_sd_config` of all running tasks of a service."""
    # The dot at the end: or the search domains of the host would be asked as well, and one may answer to every name.
    return {"names": [f"tasks.{name}."], "type": "A", "port": port, "refresh_interval": _REFRESH}


def _services(scope: Scope) -> Iterator[Job]:
    for name, service in scope.services.items():
        metrics = metrics_of(service)
        if metrics:
            yield {**_job("services", name, metrics, of=name, service=name), "sample_limit": _MOST_SERIES}


def _edge(scope: Scope) -> Iterator[Job]:
    yield _job("edge", EDGE, Endpoint(EDGE_STATUS_PORT, _METRICS), service=EDGE)
    if scope.settings.has_tls:
        yield _job("edge-certificate", EDGE, Endpoint(EDGE_STATUS_PORT, "/metrics/certificate"), service=EDGE)


def _parts(scope: Scope) -> Iterator[Job]:
    for part in scope.parts:
        known = {} if part in _OF_HOSTS else {"service": part}
        job = _job(_OF_HOSTS.get(part, part), part, Endpoint(PART_PORTS[part], _METRICS), **known)
        yield {**job, **_OF_CONTAINERS} if part == "cadvisor" else job


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
            job = _job("replicas", name, Endpoint(port, "/probe"), of=name, service=name)
            yield _probed(scope, job, probe, name)  # by its name, as the edge asks it


def _edge_ports(scope: Scope) -> Iterator[Job]:
    for name, service in scope.services.items():
        for port in service.ports:
            if port.edge:
                at = Endpoint(port.edge, "/probe")
                job = _job("edge-probe", EDGE, at, of=f"{name}-{port.edge}", service=name, port=str(port.edge))
                probe = edge_probe(scope, service, port)
                yield _probed(scope, job, probe, scope.tls.name if probe.tls else "")


def _job(job: str, name: str, at: Endpoint, *, of: str = "", **labels: str) -> Job:
    """All replicas of the service `name`. `of`: what tells this job from others whose label `job` is the same."""
    path, query = urlsplit(at.path).path, parse_qs(urlsplit(at.path).query, keep_blank_values=True)
    given = {"job": job, **labels} if of else labels
    relabel = [{"target_label": label, "replacement": value} for label, value in given.items()]
    return {
        "job_name": f"{job}/{of}" if of else job,
        "metrics_path": path,
        **({"params": query} if query else {}),
        "dns_sd_configs": [tasks(name, at.port)],
        **({"relabel_configs": relabel} if relabel else {}),
    }


def _probed(scope: Scope, job: Job, probe: Probe, host: str) -> Job:
    """The same, not asked itself but probed; `host`: the name that HTTP asks for, "" for its address."""
    through = [
        {"source_labels": ["__address__"], "target_label": "instance"},
        {"source_labels": ["__address__"], "target_label": "__param_target", "replacement": probe.target},
        {"target_label": "__address__", "replacement": f"{PROBER}:{PART_PORTS[PROBER]}"},
    ]
    named = {"hostname": [host]} if probe.kind == "http" and host else {}
    return {
        **job,
        "scrape_timeout": duration(min(scope.monitoring.interval, probe.timeout + _OFFSET)),
        "params": {"module": [probe.module], **named},
        "relabel_configs": [*job["relabel_configs"], *through],
    }
