"""The history of releases: one Swarm config object `STACK.release.N` each, with the whole job and its verdict."""

from __future__ import annotations

import base64
import gzip
import json
from collections.abc import Mapping
from typing import Any

from .api import ConflictError, Docker, Json, MissingError
from .spec import STACK_LABEL

KEEP = 20
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
    return int(labels.get("number", 0)) if labels.get("llmdeploy.kind") == "release" else 0


def disposable(releases: Mapping[int, str], keep: int = KEEP) -> list[int]:
    """Which of `{number: verdict}` to remove: all but the newest `keep` and the newest that went well."""
    newest = sorted(releases, reverse=True)
    good = next((item for item in newest if releases[item] == "done"), None)
    return sorted(item for item in newest[keep:] if item != good)


class Ledger:
    """The releases of one stack."""

    def __init__(self, docker: Docker, stack: str) -> None:
        self._docker, self._stack = docker, stack
        self._mine = ""

    def latest(self) -> int:
        """The highest number so far, 0 when there is none."""
        return max((number(config) for config in self._docker.configs(self._stack)), default=0)

    def open(self, manifest: Mapping[str, Any], labels: Mapping[str, str]) -> int:
        """Write the next release as running, tidy older ones, and return its number."""
        known = {number(config): config for config in self._docker.configs(self._stack) if number(config)}
        mine = max(known, default=0) + 1
        kind = {STACK_LABEL: self._stack, "llmdeploy.kind": "release", "number": str(mine)}
        own = {**labels, **kind, "verdict": "running"}
        self._mine = self._docker.create_config(f"{self._stack}.release.{mine}", encode(manifest), own)
        verdicts = {item: config["Spec"]["Labels"].get("verdict", "") for item, config in known.items()}
        for item in disposable({**verdicts, mine: "running"}):
            self._docker.remove_config(known.pop(item)["ID"])
        for config in known.values():  # we hold the lock, so nobody else can be running
            if config["Spec"]["Labels"].get("verdict") == "running":
                self._label(config["ID"], {"verdict": "interrupted"})
        return mine

    def close(self, labels: Mapping[str, str]) -> None:
        """Write how our release ended."""
        if self._mine:
            self._label(self._mine, labels)

    def _label(self, config_id: str, labels: Mapping[str, str]) -> None:
        try:
            config = self._docker.config(config_id)
            self._docker.label_config(config, {**config["Spec"]["Labels"], **labels})
        except (ConflictError, MissingError):
            return  # somebody tidies the history by hand: not our release's problem
