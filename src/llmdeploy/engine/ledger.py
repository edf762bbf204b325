"""The history of releases: one Swarm config object `STACK.release.N` each, with the whole job and its verdict."""

from __future__ import annotations

import base64
import gzip
import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from .api import ConflictError, Docker, Json, MissingError
from .spec import KIND_LABEL, STACK_LABEL

KEEP = 20
Releases = Mapping[int, Mapping[str, str]]  # number → labels
PLAIN_UP_TO = 200_000  # bytes; a config object may have 500 KB


def encode(manifest: Mapping[str, Any]) -> bytes:
    """A manifest as the data of a config object: JSON, or compressed when it is large."""
    plain = json.dumps(manifest, separators=(",", ":"), sort_keys=True).encode()
    return plain if len(plain) <= PLAIN_UP_TO else base64.b64encode(gzip.compress(plain, mtime=0))


def decode(data: bytes) -> dict[str, Any]:
    """The manifest in the data of a config object (without the base64 of Docker's own API)."""
    manifest: dict[str, Any] = json.loads(data if data.startswith(b"{") else gzip.decompress(base64.b64decode(data)))
    return manifest


def number(config: Json) -> int:
    """The release number of a config object, 0 when it is none."""
    labels = config["Spec"].get("Labels") or {}
    return int(labels.get("number", 0)) if labels.get(KIND_LABEL) == "release" else 0


@dataclass(frozen=True)
class Position:
    """Where a stack stands in its history.

    number   the release whose state it has, or should have: a rollback stands for its target; 0 before the first
    settled  whether it has: no release since was left open or kept as it failed
    source   the release that brought the stack there (a rollback's own number): a service with a newer label is younger
    """

    number: int = 0
    settled: bool = True
    source: int = 0


def position(releases: Releases) -> Position:
    """Where the stack stands, from `{number: labels}`."""
    settled = True
    for item in sorted(releases, reverse=True):
        verdict, target = releases[item].get("verdict", ""), _target(releases[item])
        if verdict == "good":
            return Position(target or item, settled, item)
        if verdict == "rolled back":
            continue
        if target and verdict != "running":  # it was meant to go there, and nothing newer was meant since
            return Position(target, False, item)
        settled = False
    return Position(0, settled, 0)


def standing(releases: Releases) -> int:
    """The release the stack is on, 0 before the first good one."""
    return position(releases).number


def rollback_target(releases: Releases, steps: int = 1) -> int:
    """Where a rollback of so many steps goes, 0 when there is no such release.

    The first step leads to the newest good release older than the one the stack is on; or to that one itself when
    something newer was left open or kept failed. Rollbacks are no steps: they stand for releases that are.
    """
    now = position(releases)
    good = [item for item, labels in releases.items() if labels.get("verdict") == "good" and not _target(labels)]
    older = sorted((item for item in good if item < now.number), reverse=True)
    path = [*([] if now.settled or not now.number else [now.number]), *older]
    return path[steps - 1] if 0 < steps <= len(path) else 0


def disposable(releases: Releases, keep: int = KEEP) -> list[int]:
    """Which releases to forget: all but the newest `keep`, where the stack is, what says that it is not settled there,
    and where two rollbacks would lead."""
    newest, now = sorted(releases, reverse=True), position(releases)
    unsettling = [item for item in newest if item > now.source and releases[item].get("verdict") != "rolled back"]
    needed = {now.number, now.source, *unsettling[:1]}
    needed |= {rollback_target(releases, 1), rollback_target(releases, 2)}
    return sorted(item for item in newest[keep:] if item not in needed)


def _target(labels: Mapping[str, str]) -> int:
    return int(labels.get("target") or 0)


class Ledger:
    """The releases of one stack. Written only by who holds its lock."""

    def __init__(self, docker: Docker, stack: str) -> None:
        self._docker, self._stack = docker, stack
        self._mine = ""

    def read(self) -> dict[int, Json]:
        """`{number: config object}`, manifests included (`manifest`)."""
        return {number(config): config for config in self._docker.configs(self._stack, "release")}

    def open(self, manifest: Mapping[str, Any], labels: Mapping[str, str]) -> int:
        """Write the next release as running and return its number; what another run left open is interrupted."""
        known = self.read()
        mine = max(known, default=0) + 1
        kind = {STACK_LABEL: self._stack, KIND_LABEL: "release", "number": str(mine)}
        own = {**labels, **kind, "verdict": "running"}
        self._mine = self._docker.create_config(f"{self._stack}.release.{mine}", encode(manifest), own)
        for config in known.values():  # we hold the lock, so nobody else can be running
            if config["Spec"]["Labels"].get("verdict") == "running":
                self._label(config["ID"], {"verdict": "interrupted"})
        return mine

    def close(self, labels: Mapping[str, str]) -> None:
        """Write how our release ended."""
        if self._mine:
            self._label(self._mine, labels)

    def forget(self, keep: int) -> list[int]:
        """Remove the releases that nobody can need any more. Out: their numbers."""
        known = self.read()
        gone = disposable(labels_of(known), keep)
        for item in gone:
            self._docker.remove_config(known.pop(item)["ID"])
        return gone

    def _label(self, config_id: str, labels: Mapping[str, str]) -> None:
        try:
            config = self._docker.config(config_id)
            self._docker.label_config(config, {**config["Spec"]["Labels"], **labels})
        except (ConflictError, MissingError):
            return  # somebody tidies the history by hand: not our release's problem


def labels_of(configs: Mapping[int, Json]) -> dict[int, dict[str, str]]:
    """`{number: labels}` of what `Ledger.read` gives."""
    return {item: config["Spec"]["Labels"] for item, config in configs.items()}


def manifest(config: Json) -> dict[str, Any]:
    """`{"format", "job", "pins"}` of a release's config object."""
    return decode(base64.b64decode(config["Spec"]["Data"]))
