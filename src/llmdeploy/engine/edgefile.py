"""The edge's configuration as a Swarm config object, and the job that puts it on the edge hosts (being written)."""

from __future__ import annotations

import hashlib
from typing import Any

from .api import Docker, ExistsError
from .spec import KIND_LABEL, STACK_LABEL

LABEL = "llmdeploy.edge"


def sha(text: str) -> str:
    """What names a configuration: the first 12 digits of its SHA-256."""
    return hashlib.sha256(text.encode()).hexdigest()[:12]


def publish(docker: Docker, stack: str, text: str) -> str:
    """Make sure that the configuration is a config object. Out: its name."""
    name = f"{stack}.edge.{sha(text)}"
    try:
        docker.create_config(name, text.encode(), {STACK_LABEL: stack, KIND_LABEL: "edge", "sha": sha(text)})
    except ExistsError:
        pass
    return name


def begin(docker: Docker, stack: str, edge_spec: dict[str, Any]) -> None:
    """Start the job that puts it on the edge hosts."""
    raise NotImplementedError


def state(docker: Docker, stack: str) -> tuple[str, str]:
    """How far that job is."""
    raise NotImplementedError
