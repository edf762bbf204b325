"""The releases of a stack as the cluster keeps them, and which of them somebody left open. Reads only."""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from llmdeploy.engine import ledger
from llmdeploy.engine.api import Docker, Json
from llmdeploy.engine.lock import BEAT_EVERY, STALE_AFTER
from llmdeploy.engine.spec import KIND_LABEL
from llmdeploy.errors import LlmdeployError

LOOK_AGAIN = 0.5  # seconds between two looks at a heartbeat


@dataclass(frozen=True)
class Entry:
    """One release: its number, its labels (docs/architecture.md), and the config object that has both."""

    number: int
    labels: dict[str, str]
    config: Json = field(repr=False)

    @property
    def manifest(self) -> dict[str, Any]:
        """`{"format", "job", "pins"}`: the complete desired state."""
        return ledger.manifest(self.config)

    @property
    def verdict(self) -> str:
        """running, good, failed, rolled back or interrupted."""
        return self.labels.get("verdict", "")


def entries(docker: Docker, stack: str) -> list[Entry]:
    """All releases of the stack, the newest first."""
    return of_configs(docker.configs(stack, "release"))


def of_configs(configs: Sequence[Json]) -> list[Entry]:
    """The releases among the stack's config objects, the newest first."""
    found = [Entry(ledger.number(item), dict(item["Spec"]["Labels"]), item) for item in configs if ledger.number(item)]
    return sorted(found, key=lambda entry: entry.number, reverse=True)


def find(docker: Docker, stack: str, number: int, environment: str = "ENV") -> Entry:
    """The release `number`. Raises LlmdeployError with the numbers there are."""
    return pick(entries(docker, stack), number, environment)


def pick(found: Sequence[Entry], number: int, environment: str = "ENV") -> Entry:
    """As `find`, among releases that have been read."""
    for entry in found:
        if entry.number == number:
            return entry
    there_are = f"there are {spans([entry.number for entry in found])}" if found else "there is none yet"
    raise LlmdeployError(
        f"there is no release {number}: {there_are}", hint=f"llmdeploy {environment} history lists them"
    )


def where(found: Sequence[Entry]) -> ledger.Position:
    """Where the stack stands: the release it is on, and the one that brought it there."""
    return ledger.position({entry.number: entry.labels for entry in found})


def standing(found: Sequence[Entry]) -> int:
    """The release the stack is on, 0 before the first good one."""
    return where(found).number


def holder(configs: Sequence[Json]) -> Json | None:
    """The lock among the stack's config objects, None when nobody holds it."""
    return next((item for item in configs if (item["Spec"].get("Labels") or {}).get(KIND_LABEL) == "lock"), None)


def is_open(entry: Entry, lock: Json | None) -> bool:
    """Whether a release was left without an end: it is `running`, and its own run does not hold the lock.

    `lock` is the lock's config object as in `holder`. That a holder is gone cannot be told from one reading
    (`silence`): its release is not called open.
    """
    return entry.verdict == "running" and (lock is None or _job(lock["Spec"]["Labels"]) != _job(entry.labels))


def open_release(found: Sequence[Entry], lock: Json | None) -> Entry | None:
    """The release that was left open, None where there is none; only the newest can be."""
    return found[0] if found and is_open(found[0], lock) else None


def silence(docker: Docker, stack: str, lock: Json) -> float:
    """For how many seconds the lock's holder has given no sign of life; 0.0 when it does.

    Its last beat is dated by the cluster's clock, ours may differ: so a beat that looks old is only a reason to watch
    for the next one, a few seconds long.
    """
    age = time.time() - _moment(str(lock["UpdatedAt"]))
    if age < STALE_AFTER:
        return 0.0
    until = time.monotonic() + BEAT_EVERY + 1
    while time.monotonic() < until:
        time.sleep(LOOK_AGAIN)
        now = holder(docker.configs(stack, "lock"))
        if now is None or now["Version"] != lock["Version"]:
            return 0.0
    return age


def living(docker: Docker, stack: str, configs: Sequence[Json]) -> Json | None:
    """The lock among the stack's config objects, None when nobody holds it or its holder is gone."""
    lock = holder(configs)
    return None if lock is None or silence(docker, stack, lock) else lock


def spans(numbers: Sequence[int]) -> str:
    """In: 1, 2, 3, 7. Out: `1 to 3, 7`."""
    runs: list[list[int]] = []
    for number in sorted(numbers):
        if runs and number == runs[-1][-1] + 1:
            runs[-1].append(number)
        else:
            runs.append([number])
    return ", ".join(f"{run[0]} to {run[-1]}" if len(run) > 2 else ", ".join(map(str, run)) for run in runs)


def _job(labels: Mapping[str, str]) -> str:
    return labels.get("job", "")


def _moment(text: str) -> float:
    """Docker's time (nine digits after the point, in UTC) as Unix time."""
    return datetime.fromisoformat(text[:19] + "+00:00").timestamp()
