"""The job: one release as data, complete enough for the engine to run it alone (docs/architecture.md)."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any

from llmdeploy.config.models import Settings
from llmdeploy.release.health import Check, certificate_checks, port_checks, request_check
from llmdeploy.release.measuring import metric_checks, watch
from llmdeploy.release.order import wave_numbers
from llmdeploy.release.spec import EDGE, Spec, edge_spec, keeper_spec, service_spec
from llmdeploy.release.tls import DEADLINE as TLS_DEADLINE
from llmdeploy.release.tls import EDGE_TLS, NOT_YET, EdgeTls
from llmdeploy.release.tls import STABILITY as TLS_STABILITY

EDGE_STABILITY = 1.0
EDGE_DEADLINE = 90.0
Job = dict[str, Any]


@dataclass(frozen=True)
class By:
    """Who makes a release, from where, with what. `git_time`: when `git` was committed (Unix time), 0 unknown."""

    user: str
    host: str
    message: str = ""
    tool: str = ""
    git: str = ""
    dirty: bool = False
    git_time: int = 0


def build_job(
    settings: Settings,
    *,
    environment: str,
    action: str,
    job_id: str,
    by: By,
    images: Mapping[str, str],
    edge_host: str,
    edge_config: str,
    secrets: Mapping[str, str] | None = None,
    tls: EdgeTls = NOT_YET,
    files: Mapping[str, Mapping[str, str]] | None = None,
    on_failure: str = "take-back",
    canary: bool = False,
) -> Job:
    """The job for `settings`; what is to be removed, and what was seen of the cluster, is filled in by the plan.

    images       service (and `edge`) → its image reference, the key of its pin
    edge_host    the address the manager asks published ports at
    edge_config  the text of haproxy.cfg
    secrets      what each secret is called in the cluster
    tls          the edge's certificate, where it has one
    files        service → target → what the configuration file is called in the cluster
    """
    sealed, placed = secrets or {}, files or {}
    graph = {name: [*service.depends_on] for name, service in settings.services.items()}
    numbers = wave_numbers({EDGE: [], **graph})
    services = _edge_entries(
        settings, images[EDGE], edge_spec(settings, edge_config, sealed, placed.get(EDGE, {})), tls
    )
    for name, service in settings.services.items():
        services[name] = {
            "wave": numbers[name],
            "image": images[name],
            "spec": service_spec(settings, name, service, sealed, placed.get(name, {})),
            "depends_on": graph[name],
            "stability": service.update.stability,
            "deadline": service.update.deadline,
            "canary": service.update.canary,
            "group": service.group,
            "answers": [check for check in port_checks(settings, name, edge_host, tls) if check["via"] == "edge"],
        }
    return {
        "format": 1,
        "id": job_id,
        "stack": settings.stack,
        "environment": environment,
        "action": action,
        "target": 0,
        "by": asdict(by),
        "catalogue": catalogue(settings),
        "network": settings.network.name,
        "deadline": settings.deadline,
        "on_failure": on_failure,
        "pace": "waves",
        "canary": canary,
        "keep": settings.releases.keep,
        "remove": [],
        "seen": {},
        "edge": {"config": edge_config},
        **({"tls": tls.check} if settings.has_tls else {}),
        "services": services,
        "edge_host": edge_host,
        "verify": [request_check(settings, request, edge_host, tls) for request in settings.verify.requests],
        "watch": watch(settings),
        "metrics": metric_checks(settings, watched=settings.monitoring.enabled),
    }


def catalogue(settings: Settings) -> str:
    """A short hash of everything the files say, after all layers."""
    return hashlib.sha256(settings.model_dump_json().encode()).hexdigest()[:12]


def all_checks(settings: Settings, edge_host: str, tls: EdgeTls = NOT_YET) -> list[Check]:
    """Everything `verify` asks: each port of each service over its own protocol, the certificate, the real requests."""
    ports = [check for name in settings.services for check in port_checks(settings, name, edge_host, tls)]
    return [
        *ports,
        *certificate_checks(settings, edge_host, tls),
        *(request_check(settings, request, edge_host, tls) for request in settings.verify.requests),
    ]


def _edge_entries(settings: Settings, image: str, spec: Spec, tls: EdgeTls) -> dict[str, Any]:
    """The edge, and with TLS the service that has its certificate."""
    entry = {"wave": 1, "image": image, "depends_on": [], "group": EDGE, "answers": []}
    edge = {**entry, "spec": spec, "stability": EDGE_STABILITY, "deadline": EDGE_DEADLINE}
    if not settings.has_tls:
        return {EDGE: edge}
    keeper = {**entry, "spec": keeper_spec(settings, tls), "stability": TLS_STABILITY, "deadline": TLS_DEADLINE}
    return {EDGE_TLS: keeper, EDGE: {**edge, "wave": 2, "depends_on": [EDGE_TLS]}}
