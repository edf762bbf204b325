"""What the cluster's kept releases need, and the config objects and secrets of ours that none of them does."""

from __future__ import annotations

import re
from collections.abc import Callable
from contextlib import suppress
from typing import Any

from .api import Docker, DockerError, Json
from .host_prune import needed
from .ledger import manifest, number
from .lock import LockedError
from .spec import KIND_LABEL

_OURS = re.compile(r"(.+)\.(?:release\.\d+|lock|edge\.\w+|file\.\w+)")


def read(docker: Docker, stack: str, job: str = "") -> dict[str, Any]:
    """Out: `needed` (of `host_prune`), `configs` and `secrets` (`{"ID", "Name"}` of this stack's that are superfluous),
    and `busy`: who is changing a stack of this cluster, the run `job` itself left aside. Changes nothing.

    What is superfluous is listed before the releases are read: what a run makes meanwhile is not in the list.
    """
    listed, secrets = docker.ids()["configs"], docker.secrets(stack)
    stacks = {found[1] for name in listed if (found := _OURS.fullmatch(name))}
    kept = {name: docker.configs(name) for name in sorted(stacks)}
    everything = [config for configs in kept.values() for config in configs]
    wanted = needed([_manifest(one) for one in everything if number(one)], docker.services())
    mine = [one for one in kept.get(stack, []) if _kind(one) in ("edge", "file") and one["Spec"]["Name"] in listed]
    superfluous = [one for one in mine if one["Spec"]["Name"] not in wanted["configs"]]
    return {
        "needed": wanted,
        "configs": [_row(one) for one in superfluous],
        "secrets": [_row(one) for one in secrets if one["Spec"]["Name"] not in wanted["secrets"]],
        "busy": next((str(LockedError(one["Spec"]["Labels"])) for one in everything if _held(one, job)), ""),
    }


def remove_configs(docker: Docker, configs: list[Json]) -> list[str]:
    """Remove config objects, those of `read`. Out: the names of those that are gone."""
    return _remove(configs, docker.remove_config)


def remove_secrets(docker: Docker, secrets: list[Json]) -> list[str]:
    """Remove secrets, those of `read`. Out: the names of those that are gone."""
    return _remove(secrets, docker.remove_secret)


def _remove(items: list[Json], remove: Callable[[str], None]) -> list[str]:
    gone = []
    for item in items:
        with suppress(DockerError):  # a service uses it by now
            remove(item["ID"])
            gone.append(item["Name"])
    return gone


def _row(item: Json) -> Json:
    return {"ID": item["ID"], "Name": item["Spec"]["Name"]}


def _manifest(config: Json) -> dict[str, Any]:
    try:
        return manifest(config)
    except (ValueError, KeyError, OSError) as problem:
        raise DockerError(f"{config['Spec']['Name']} cannot be read, so nothing is removed: {problem}") from problem


def _kind(config: Json) -> str:
    return str((config["Spec"].get("Labels") or {}).get(KIND_LABEL, ""))


def _held(config: Json, job: str) -> bool:
    return _kind(config) == "lock" and (not job or config["Spec"]["Labels"].get("job") != job)
