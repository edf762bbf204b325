"""What `status` says, pure: from one reading of the cluster to rows for people and `--json`."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime, timezone
from typing import Any

from llmdeploy.cluster import history, releases
from llmdeploy.cluster.history import Entry
from llmdeploy.cluster.live import Json, Live
from llmdeploy.config.models import Settings
from llmdeploy.engine.tasks import CRASHED, judge
from llmdeploy.release.expiry import tls_state
from llmdeploy.release.spec import EDGE
from llmdeploy.release.tls import EDGE_TLS

PAUSED = ("paused", "rollback_paused")


def status(live: Live, settings: Settings, *, silent: float = 0.0) -> dict[str, Any]:
    """`{"nodes": […], "services": […], "missing": […], "orphans": […], "tls"}`, and of the releases `release`, `on`,
    `open`, `running`: see `_releases`.

    `silent`: for how many seconds nothing has been heard of who holds the lock.
    """
    hosts = {node["ID"]: str(node["Description"]["Hostname"]) for node in live.nodes}
    wanted = [*([EDGE_TLS] if settings.has_tls else []), EDGE, *settings.services]
    return {
        "tls": tls_state(live.services, datetime.now(timezone.utc)),
        "nodes": [_node(node) for node in live.nodes],
        "services": [_service(live, settings, name, hosts) for name in wanted if name in live.services],
        "missing": [name for name in wanted if name not in live.services],
        "orphans": sorted(set(live.services) - set(wanted)),
        **_releases(live.configs, silent),
    }


def healthy(report: Mapping[str, Any]) -> bool:
    """Whether everything that should run does."""
    return not report["missing"] and all(row["state"] == "healthy" for row in report["services"])


def _releases(configs: list[Json], silent: float) -> dict[str, Any]:
    """Each as its labels, None where there is none: `release` is the newest, `on` the one the stack is on (with the
    fields of `engine.ledger.Position`), `open` one that was left without an end, `running` who holds the lock."""
    found, lock = history.of_configs(configs), history.holder(configs)
    living = None if silent else lock
    where, left_open = history.where(found), history.open_release(found, living)
    on = next((one for one in found if one.number == where.number), None)
    stands = {**(_labels(on) if on else {}), **vars(where)}
    return {
        "release": _labels(found[0]) if found else None,
        "on": stands if where.number else None,
        "open": releases.row(left_open, found, living) if left_open else None,
        "running": {**_plain(lock), "silent": round(silent)} if lock else None,
    }


def _labels(entry: Entry) -> dict[str, Any]:
    return {**_plain(entry.config), "number": entry.number}


def _plain(config: Json) -> dict[str, Any]:
    return {key: value for key, value in config["Spec"]["Labels"].items() if not key.startswith("llmdeploy.")}


def _node(node: Json) -> dict[str, Any]:
    labels = node["Spec"].get("Labels") or {}
    manager = node.get("ManagerStatus") or {}
    return {
        "name": node["Description"]["Hostname"],
        "state": node["Status"]["State"],
        "availability": node["Spec"]["Availability"],
        "role": "leader" if manager.get("Leader") else node["Spec"]["Role"],
        "address": node["Status"].get("Addr", ""),
        "docker": (node["Description"].get("Engine") or {}).get("EngineVersion", ""),
        "groups": sorted(key.removeprefix("group.") for key in labels if key.startswith("group.")),
    }


def _service(live: Live, settings: Settings, name: str, hosts: Mapping[str, str]) -> dict[str, Any]:
    service = live.services[name]
    tasks = [task for task in live.tasks if task["ServiceID"] == service["ID"]]
    crashed = [task for task in tasks if task["Status"]["State"] in CRASHED]
    verdict = judge(service, tasks, before=[task["ID"] for task in crashed], written=False)
    up = [task for task in tasks if task["Status"]["State"] == "running" and task["DesiredState"] == "running"]
    given = settings.services.get(name)
    paused = (service.get("UpdateStatus") or {}).get("State") in PAUSED
    state = _state(verdict.state, len(up), crashed)
    detail = "" if verdict.state == "healthy" else verdict.reason
    if paused and state == "healthy":  # the old task serves: Docker stops it only when the new one is healthy
        state, detail = "degraded", "its last update failed and is paused; what runs may be the version before"
    return {
        "name": name,
        "group": given.group if given else "edge",
        "wanted": verdict.wanted,
        "healthy": verdict.healthy,
        "state": state,
        "detail": detail,
        "image": service["Spec"]["TaskTemplate"]["ContainerSpec"]["Image"],
        "updated": service["UpdatedAt"],
        "hosts": sorted({hosts.get(task.get("NodeID", ""), "?") for task in up}),
        "ports": [port.edge for port in given.ports if port.edge] if given else [],
    }


def _state(verdict: str, up: int, crashed: list[Json]) -> str:
    if verdict == "healthy":
        return "healthy"
    if crashed:
        return "failing"
    return "degraded" if up else "starting"
