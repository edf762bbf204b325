"""Jobs made of a release that has been: the same again, or with other numbers of replicas. Pure."""

from __future__ import annotations

import copy
import re
from collections.abc import Callable, Mapping
from dataclasses import asdict
from typing import Any

from llmdeploy.config.nearest import did_you_mean
from llmdeploy.engine import edgejob
from llmdeploy.errors import UsageError
from llmdeploy.release.health import Check
from llmdeploy.release.job import By, Job
from llmdeploy.release.spec import EDGE
from llmdeploy.release.tls import CERTIFICATE_FILE, EDGE_TLS, EXPIRY, UNTIL_LABEL

Manifest = Mapping[str, Any]  # {"format", "job", "pins"}, as in the ledger


def again(manifest: Manifest, *, job_id: str, environment: str, action: str, by: By, edge_host: str) -> Job:
    """The job that brings the stack to what `manifest` says, in waves; it is taken back when it fails.

    `edge_host` is where the manager that carries it out asks published ports; it need not be the one of that time.
    """
    fresh = {
        "id": job_id,
        "environment": environment,
        "action": action,
        "target": 0,
        "by": asdict(by),
        "on_failure": "take-back",
        "pace": "waves",
        "canary": False,
        "remove": [],
        "seen": {},
    }
    return at_edge({**copy.deepcopy(dict(manifest["job"])), **fresh}, edge_host)


def back(job: Job, target: int) -> Job:
    """The same as a rollback to release `target`: everything at once, and the most that can be had."""
    return {**job, "target": target, "on_failure": "go-on", "pace": "at-once"}


def scaled(job: Job, replicas: Mapping[str, int]) -> Job:
    """The job with other numbers of replicas. Raises UsageError for a service that is not in it or has no number."""
    services = dict(job["services"])
    for name, count in replicas.items():
        if name not in services:
            raise UsageError(f"the stack has no service {name!r}", hint=did_you_mean(name, services))
        entry = copy.deepcopy(services[name])
        if "Replicated" not in (entry["spec"].get("Mode") or {}):
            raise UsageError(f"{name} is global: it runs once on every host of the group {entry['group']}")
        _refuse_too_many(name, entry, count, str((job.get("edge") or {}).get("config", "")))
        entry["spec"]["Mode"]["Replicated"]["Replicas"] = count
        services[name] = entry
    return {**job, "services": services}


def at_edge(job: Job, edge_host: str) -> Job:
    """The job with everything that is asked through the edge asked at `edge_host`."""
    return {**_asking(job, lambda check: _asked_at(check, edge_host)), "edge_host": edge_host}


def trusting(job: Job) -> Job:
    """The job with everything that is asked through TLS checked by the authority of its own edge."""
    tls = job.get("tls") or {}
    return _asking(job, lambda check: _checked_by(check, tls))


def _asking(job: Job, change: Callable[[Check], Check]) -> Job:
    """The job with what `change` makes of each of its checks."""
    services = {
        name: {**entry, "answers": [change(check) for check in entry.get("answers") or []]}
        for name, entry in job["services"].items()
    }
    return {**job, "services": services, "verify": [change(check) for check in job.get("verify") or []]}


def lasting(job: Job, newer: Job, now: str) -> Job:
    """The job, with the edge's certificate of `newer` where its own has expired (`now`: ISO 8601, UTC).

    A release is brought back as it was, but for what time has made useless.
    """
    mine, theirs = job["services"].get(EDGE_TLS), newer["services"].get(EDGE_TLS)
    if not mine or not theirs or not _until(mine) <= now < _until(theirs):
        return job
    config = job["edge"]["config"]
    for part in (CERTIFICATE_FILE, EXPIRY):
        config = part.sub(lambda _, part=part: _first(part, newer["edge"]["config"]), config)  # type: ignore[misc]
    edge = copy.deepcopy(job["services"][EDGE])
    edge["spec"]["Labels"][edgejob.LABEL] = edgejob.sha(config)
    services = {**job["services"], EDGE: edge, EDGE_TLS: {**theirs, "image": mine["image"]}}
    return trusting({**job, "services": services, "edge": {**job["edge"], "config": config}, "tls": newer.get("tls")})


def _until(keeper: Mapping[str, Any]) -> str:
    return str(keeper["spec"]["Labels"][UNTIL_LABEL])


def _first(part: re.Pattern[str], config: str) -> str:
    found = part.search(config)
    return found[0] if found else ""


def checks(job: Job) -> list[Check]:
    """Everything the job asks for itself: each published port, then the real requests."""
    answers = [check for entry in job["services"].values() for check in entry.get("answers") or []]
    return [*answers, *(job.get("verify") or [])]


def _asked_at(check: Check, edge_host: str) -> Check:
    return {**check, "host": edge_host} if check.get("via") == "edge" else dict(check)


def _checked_by(check: Check, tls: Mapping[str, str]) -> Check:
    return {**check, "tls": {**check["tls"], **tls}} if check.get("tls") else dict(check)


def _refuse_too_many(name: str, entry: Mapping[str, Any], count: int, edge_config: str) -> None:
    """The edge balances over a fixed number of replicas, and while one is replaced there is one more."""
    slots = re.search(rf"server-template \S+ (\d+) tasks\.{re.escape(name)}:", edge_config)
    update = entry["spec"].get("UpdateConfig") or {}
    extra = min(int(update.get("Parallelism") or count), count) if update.get("Order") == "start-first" else 0
    if slots and count + extra > int(slots[1]):
        why = f"{count} replicas of {name} and {extra} more during an update are too many for the edge's {slots[1]}"
        raise UsageError(f"{why} slots", hint=f"raise edge.slots to {count + extra} and deploy")
