"""A release of some services only: they are as the configuration says, all others as the last good release. Pure."""

from __future__ import annotations

import re
from collections.abc import Collection, Mapping
from graphlib import CycleError
from typing import Any

from llmdeploy.config.nearest import did_you_mean
from llmdeploy.errors import LlmdeployError, UsageError
from llmdeploy.release.job import Job
from llmdeploy.release.manifest import Manifest, at_edge, trusting
from llmdeploy.release.order import wave_numbers
from llmdeploy.release.spec import EDGE
from llmdeploy.release.tls import CERTIFICATE_FILE, EDGE_TLS

Pins = dict[str, str]


def partial(job: Job, base: Manifest, selected: Collection[str]) -> tuple[Job, Pins]:
    """In: the job of the whole configuration, the last good release, the names of some services (`edge` is one).

    Out: the job in which only those are as in `job`, and the pins of all others, which are not to be resolved again.
    Raises UsageError for an unknown name, LlmdeployError where the two do not fit together.
    """
    _refuse_unknown(job, base, selected)
    selected = {*selected, *([EDGE_TLS] if EDGE in selected and EDGE_TLS in job["services"] else [])}
    old = at_edge(dict(base["job"]), str(job["edge_host"]))
    fresh_refs = {job["services"][name]["image"] for name in selected}
    kept, pins = _kept(old, base["pins"], fresh_refs, selected)
    services = {**kept, **{name: dict(job["services"][name]) for name in selected}}
    merged = {
        **job,
        "services": _in_waves(services, _deploy(job)),
        "verify": _verify(job, old, selected),
        "edge": job.get("edge") if EDGE in selected else old.get("edge"),
        "tls": job.get("tls") if EDGE in selected else old.get("tls"),
    }
    _refuse_misfits(merged, job, old, selected)
    return trusting({key: value for key, value in merged.items() if value is not None}), pins


def without(manifest: Manifest, names: Collection[str]) -> Manifest:
    """The manifest as if the services `names` had never been in it."""
    job = manifest["job"]
    services = {name: entry for name, entry in job["services"].items() if name not in names}
    asked = [check for check in job.get("verify") or [] if check["service"] not in names]
    return {**manifest, "job": {**job, "services": services, "verify": asked}}


def _refuse_unknown(job: Job, base: Manifest, selected: Collection[str]) -> None:
    for name in selected:
        if name in job["services"]:
            continue
        if name in base["job"]["services"]:
            hint = f"llmdeploy {job['environment']} deploy --remove-orphans removes it"
            raise UsageError(f"the service {name} is not in the catalogue any more", hint=hint)
        raise UsageError(f"there is no service {name!r}", hint=did_you_mean(name, job["services"]))


def _kept(
    old: Job, old_pins: Mapping[str, str], fresh_refs: Collection[str], selected: Collection[str]
) -> tuple[dict[str, Any], Pins]:
    """The services that stay, and their pins. A name that is about to be resolved again cannot be their key."""
    kept: dict[str, Any] = {}
    pins: Pins = {}
    for name, entry in old["services"].items():
        if name in selected:
            continue
        pin = old_pins[entry["image"]]
        key = pin if entry["image"] in fresh_refs else entry["image"]
        kept[name], pins[key] = {**entry, "image": key}, pin
    return kept, pins


def _in_waves(services: Mapping[str, Any], otherwise: str) -> dict[str, Any]:
    graph = {name: list(entry.get("depends_on") or []) for name, entry in services.items()}
    for name, needed in graph.items():
        if missing := [other for other in needed if other not in services]:
            raise LlmdeployError(
                f"{name} depends on {', '.join(missing)}, which the last good release does not have",
                hint=f"update {' '.join(missing)} as well, or {otherwise}",
            )
    try:
        numbers = wave_numbers(graph)
    except CycleError as error:
        circle = " → ".join(error.args[1])
        raise LlmdeployError(
            f"with the services of the last good release the dependencies go in a circle: {circle}", hint=otherwise
        ) from None
    return {name: {**services[name], "wave": numbers[name]} for name in sorted(services, key=lambda one: numbers[one])}


def _verify(job: Job, old: Job, selected: Collection[str]) -> list[Any]:
    """The real requests: of the services that stay as they were verified then, so that dependants are asked again."""
    mine = [check for check in job.get("verify") or [] if check["service"] in selected]
    return [*(check for check in old.get("verify") or [] if check["service"] not in selected), *mine]


def _refuse_misfits(merged: Job, job: Job, old: Job, selected: Collection[str]) -> None:
    """What a service needs of the rest of the stack must be there without a deploy."""
    if merged["network"] != old["network"]:
        raise LlmdeployError(
            f"the network is {merged['network']} now, the last good release uses {old['network']}", hint=_deploy(job)
        )
    for name in merged["services"]:
        wanted = _routes(job if name in selected else old, name)
        if wanted != _routes(merged, name):
            also = EDGE if name in selected else name
            raise LlmdeployError(
                f"how the edge reaches {name} has changed since the last good release",
                hint=f"update {also} as well, or {_deploy(job)}",
            )


def _routes(job: Job, service: str) -> list[str]:
    """The sections of haproxy.cfg that lead to the service, whatever the certificate is."""
    config = str((job.get("edge") or {}).get("config", ""))
    config = CERTIFICATE_FILE.sub("", config)
    return re.findall(rf"(?m)^(?:frontend|backend) {re.escape(service)}-\d+\n(?:[ \t]+.*\n|\n)*", config)


def _deploy(job: Job) -> str:
    return f"llmdeploy {job['environment']} deploy"
