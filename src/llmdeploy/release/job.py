"""The job: one release as data, complete enough for the engine to run it alone (docs/architecture.md)."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any

from llmdeploy.config.models import Settings
from llmdeploy.release.health import Check, port_checks, request_check
from llmdeploy.release.order import wave_numbers
from llmdeploy.release.spec import EDGE, edge_spec, service_spec

EDGE_STABILITY = 1.0
EDGE_DEADLINE = 90.0
Job = dict[str, Any]


@dataclass(frozen=True)
class By:
    """Who makes a release, from where, with what."""

    user: str
    host: str
    message: str = ""
    tool: str = ""
    git: str = ""
    dirty: bool = False


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
    on_failure: str = "take-back",
    canary: bool = False,
) -> Job:
    """The job for `settings`; what is to be removed, and what was seen of the cluster, is filled in by the plan.

    images       service (and `edge`) → its image reference, the key of its pin
    edge_host    the address the manager asks published ports at
    edge_config  the text of haproxy.cfg
    secrets      what each secret is called in the cluster
    """
    sealed = secrets or {}
    graph = {name: [*service.depends_on] for name, service in settings.services.items()}
    numbers = wave_numbers({EDGE: [], **graph})
    services: dict[str, Any] = {EDGE: _edge_entry(settings, images[EDGE], edge_config, sealed)}
    for name, service in settings.services.items():
        services[name] = {
            "wave": numbers[name],
            "image": images[name],
            "spec": service_spec(settings, name, service, sealed),
            "depends_on": graph[name],
            "stability": service.update.stability,
            "deadline": service.update.deadline,
            "canary": service.update.canary,
            "group": service.group,
            "answers": [check for check in port_checks(name, service, edge_host) if check["via"] == "edge"],
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
        "services": services,
        "edge_host": edge_host,
        "verify": [request_check(request, settings.services, edge_host) for request in settings.verify.requests],
    }


def catalogue(settings: Settings) -> str:
    """A short hash of everything the files say, after all layers."""
    return hashlib.sha256(settings.model_dump_json().encode()).hexdigest()[:12]


def all_checks(settings: Settings, edge_host: str) -> list[Check]:
    """Everything `verify` asks: each port of each service over its own protocol, then the real requests."""
    ports = [check for name, service in settings.services.items() for check in port_checks(name, service, edge_host)]
    return [
        *ports,
        *(request_check(request, settings.services, edge_host) for request in settings.verify.requests),
    ]


def _edge_entry(settings: Settings, image: str, config: str, secrets: Mapping[str, str]) -> dict[str, Any]:
    return {
        "wave": 1,
        "image": image,
        "spec": edge_spec(settings, config, secrets),
        "depends_on": [],
        "stability": EDGE_STABILITY,
        "deadline": EDGE_DEADLINE,
        "group": EDGE,
        "answers": [],
    }
