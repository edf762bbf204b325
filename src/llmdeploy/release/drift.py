"""What somebody changed by hand since the last release, and what a job would do about it. Pure.

A service is compared with the release that wrote it: the one the stack is on, or a newer one that was kept as it failed
or left open (its label tells). Other releases' changes are no drift.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from llmdeploy.engine import spec
from llmdeploy.engine.ledger import Position
from llmdeploy.release.differences import Manifest, specs

Json = dict[str, Any]
Row = dict[str, Any]
GOES_BACK, STAYS = "goes back", "stays"


@dataclass(frozen=True)
class Cluster:
    """What was read of the cluster: services by name (ours without helpers, and all others), network id → name, and the
    daemon's API version."""

    services: Mapping[str, Json]
    foreign: Mapping[str, Json]
    networks: Mapping[str, str]
    api: str


def drift(
    cluster: Cluster,
    manifests: Mapping[int, Manifest],
    where: Position,
    job: Mapping[str, Any],
    pins: Mapping[str, str],
) -> list[Row]:
    """Rows `{"service", "kind": "changed|removed|added|foreign", "changes": [{"what", "then"}], "then"}`.

    `manifests` are those of the ledger by number, `where` is where the stack stands, `job` and `pins` what would be
    done. `then` says what comes of it.
    """
    last = manifests.get(where.number) or manifests.get(where.source)
    wanted = specs({"job": job, "pins": pins}, cluster.api)
    if last is None:
        return _foreign(cluster, job)
    made = specs(last, cluster.api)
    rows = []
    for name, service in sorted(cluster.services.items()):
        release = _release(service)
        newer = manifests.get(release) if release > where.source else None
        base = specs(newer, cluster.api).get(name) if newer else made.get(name)
        if base is not None:
            rows += _changed(name, service["Spec"], base, wanted.get(name), cluster.networks)
        elif not release:
            rows.append(_row(name, "added", _fate_of_stranger(name, wanted, job)))
    rows += [
        _row(name, "removed", "is made again" if name in wanted else "stays away")
        for name in sorted(set(made) - set(cluster.services) - set(cluster.foreign))
    ]
    return rows + _foreign(cluster, job)


def _changed(
    name: str, live: spec.Spec, base: spec.Spec, wanted: spec.Spec | None, networks: Mapping[str, str]
) -> list[Row]:
    """The fields that differ from what the release wrote, each with what comes of it."""
    by_hand = _lines(base, live, networks)
    if not by_hand:
        return []
    written, goal = _lines(live, wanted, networks) if wanted else {}, spec.fields(wanted, networks) if wanted else {}
    table = spec.fields(base, networks)
    changes = [
        {"what": line, "then": _fate(written.get(key), same=goal.get(key) == table.get(key))}
        for key, line in by_hand.items()
    ]
    fates = {change["then"] for change in changes}
    return [{**_row(name, "changed", fates.pop() if len(fates) == 1 else ""), "changes": changes}]


def _lines(old: spec.Spec, new: spec.Spec, networks: Mapping[str, str]) -> dict[str, str]:
    """`{field: readable line}` of what differs."""
    before, after = spec.fields(old, networks), spec.fields(new, networks)
    keys = [key for key in sorted({*before, *after}) if before.get(key) != after.get(key)]
    return dict(zip(keys, spec.diff(old, new, networks), strict=True))


def _fate(written: str | None, *, same: bool) -> str:
    """In: what would be written over it, and whether that is what the release had."""
    if written is None:
        return STAYS
    if same:
        return GOES_BACK
    return f"becomes {written.rpartition(' → ')[2]}" if " → " in written else "is written anew"


def _fate_of_stranger(name: str, wanted: Mapping[str, spec.Spec], job: Mapping[str, Any]) -> str:
    if name in wanted:
        return "is taken over"
    return "is removed" if name in (job.get("remove") or []) else STAYS


def _foreign(cluster: Cluster, job: Mapping[str, Any]) -> list[Row]:
    """Services of others on our network: they can reach ours, and are never touched."""
    return [
        _row(name, "foreign", STAYS)
        for name, service in sorted(cluster.foreign.items())
        if f"network {job['network']}" in spec.fields(service["Spec"], cluster.networks)
    ]


def _row(name: str, kind: str, then: str) -> Row:
    return {"service": name, "kind": kind, "changes": [], "then": then}


def _release(service: Json) -> int:
    label = str((service["Spec"].get("Labels") or {}).get(spec.RELEASE_LABEL, ""))
    return int(label) if label.isdigit() else 0
