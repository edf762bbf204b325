"""Manifests of releases for tests: the job of a small catalogue, its images pinned, as the ledger keeps it."""

from __future__ import annotations

import copy
from typing import Any

from llmdeploy.release.job import By, build_job
from tests.unit.catalogue import settings

Manifest = dict[str, Any]
SERVICES: dict[str, dict[str, Any]] = {
    "store": {"image": "redis:7", "ports": [{"number": 6379, "protocol": "tcp"}]},
    "web": {
        "image": "registry.example.com/web:1.3",
        "ports": [{"number": 8000, "protocol": "http", "published": True}],
        "depends_on": ["store"],
        "memory": "1GiB",
    },
}


def sha(letter: str) -> str:
    """A hash that can be told from others."""
    return f"sha256:{letter * 64}"


def manifest(
    services: dict[str, dict[str, Any]] | None = None, *, images: str = "a", edge: str = "e", **rest: Any
) -> Manifest:
    """A release of `services`, their images' hashes made of `images`, the edge's configuration named by `edge`."""
    made = settings(copy.deepcopy(SERVICES if services is None else services), stack="llm", **rest)
    refs = {name: str(service.image) for name, service in made.services.items()}
    refs["edge"] = "haproxy:3.2"
    job = build_job(
        made, environment="staging", action="deploy", job_id="job", by=By("ana", "laptop"), images=refs,
        edge_host="127.0.0.1", edge_config=f"global\n  maxconn 100\n# {edge}\n",
    )  # fmt: skip
    job["services"]["edge"]["spec"]["Labels"]["llmdeploy.edge"] = edge * 12
    pins = {ref: f"{ref.partition(':')[0]}@{sha(images)}" for ref in refs.values()}
    return {"format": 1, "job": job, "pins": pins}


def live(made: Manifest, name: str, release: int | None = 1, **spec: Any) -> dict[str, Any]:
    """A service as it runs after a release; `spec` replaces parts of its specification."""
    entry = copy.deepcopy(made["job"]["services"][name])
    found = {**entry["spec"], "Name": name, **spec}
    found["TaskTemplate"]["ContainerSpec"]["Image"] = made["pins"][entry["image"]]
    labels = {**(found.get("Labels") or {}), "llmdeploy.stack": "llm"}
    found["Labels"] = {**labels, **({"llmdeploy.release": str(release)} if release else {})}
    return {"ID": name, "Version": {"Index": 1}, "Spec": found}
