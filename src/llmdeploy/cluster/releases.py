"""What `history` says, pure: from the releases as read to rows for people and `--json`."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import Any

from llmdeploy.cluster import history
from llmdeploy.cluster.history import Entry
from llmdeploy.engine.api import Json
from llmdeploy.release import differences, dora

Row = dict[str, Any]
_TEXTS = (
    "verdict", "result", "summary", "environment", "action", "user", "host", "reason", "git", "catalogue", "tool",
    "started", "finished", "unlocked", "job",
)  # fmt: skip


def listed(found: Sequence[Entry], lock: Json | None, most: int) -> Row:
    """`{"on", "source", "settled", "open", "running", "releases": [row, …], "left_off"}`: the newest first, so many.

    `on` is the release the stack is on, `source` the one that brought it there (a rollback's own number); not `settled`
    where a newer one is under way (`running`), was left open (`open`) or kept as it failed. `lock` as in `is_open`.
    """
    left_open, where = history.open_release(found, lock), history.where(found)
    under_way = found[0].number if found and found[0].verdict == "running" and not left_open else None
    return {
        "on": where.number,
        "source": where.source,
        "settled": where.settled,
        "open": left_open.number if left_open else None,
        "running": under_way,
        "releases": [row(entry, found, lock) for entry in found[:most]],
        "left_off": max(len(found) - most, 0),
    }


def row(entry: Entry, found: Sequence[Entry], lock: Json | None) -> Row:
    """One release by its labels; `on`: the stack is on it; `open`: it was left without an end."""
    labels = entry.labels
    return {
        "number": entry.number,
        "on": entry.number == history.standing(found),
        "open": history.open_release(found, lock) == entry,
        **{key: labels.get(key, "") for key in _TEXTS},
        "dirty": labels.get("dirty", "") not in ("", "no", "false"),
        "git_time": _number(labels.get("git_time")),
        "target": _number(labels.get("target")),
        "taken_back_to": _number(labels.get("taken_back_to")),
        "seconds": float(labels.get("seconds") or 0.0),
        "changed": [name for name in labels.get("changed", "").split(",") if name],
    }


def shown(entry: Entry, found: Sequence[Entry], lock: Json | None) -> Row:
    """One release whole: its row, and `against` (the number of the release before), `services`, `removed`, `waves`,
    `edge`, `network`, `requests`, `stack_changes`."""
    manifest, before = entry.manifest, release_before(entry, found)
    old = before.manifest if before else None
    times = _times(entry)
    actions = {one["name"]: one for one in differences.between(old, manifest)}
    services = [
        {**one, **actions[one["name"]], "time": times.get(one["name"])} for one in differences.services(manifest)
    ]
    return {
        **row(entry, found, lock),
        "against": before.number if before else None,
        "services": services,
        "removed": [name for name, one in actions.items() if one["action"] == "remove"],
        "waves": waves(times),
        "edge": differences.edge_sha(manifest),
        "network": manifest["job"].get("network", ""),
        "requests": [one["name"] for one in manifest["job"].get("verify") or []],
        "stack_changes": differences.stack_changes(old, manifest) if old else [],
    }


def compared(old: Entry, new: Entry) -> Row:
    """`{"from", "to", "services", "stack_changes", "edge": {"from", "to", "lines"}}`."""
    before, after = old.manifest, new.manifest
    lines = differences.edge_lines(differences.edge_config(before), differences.edge_config(after))
    return {
        "from": old.number,
        "to": new.number,
        "services": differences.between(before, after),
        "stack_changes": differences.stack_changes(before, after),
        "edge": {"from": differences.edge_sha(before), "to": differences.edge_sha(after), "lines": lines},
    }


def four_keys(found: Sequence[Entry], lock: Json | None, now: float, within: float) -> Row:
    """The figures of `dora.four_keys` over all releases that are kept; `lock` as in `is_open`."""
    left_open = history.open_release(found, lock)
    labels = {entry.number: entry.labels for entry in found}
    return dora.four_keys(labels, now, within, left_open.number if left_open else None)


def release_before(entry: Entry, found: Sequence[Entry]) -> Entry | None:
    """The release the stack was on when this one began, None for the first, or when the history has it no more."""
    older = {one.number: one for one in found if one.number < entry.number}
    position = history.where(list(older.values()))
    return older.get(position.number) or older.get(position.source)


def waves(times: Mapping[str, Mapping[str, Any]]) -> list[Row]:
    """`[{"wave", "services", "began", "seconds"}]` of those that were begun, seconds since the release began."""
    found: dict[int, list[tuple[str, float, float]]] = {}
    for name, one in times.items():
        if one.get("began") is not None and one.get("action") != "unchanged":
            began = float(one["began"])
            found.setdefault(int(one.get("wave") or 0), []).append((name, began, began + float(one["seconds"])))
    return [
        {
            "wave": wave,
            "services": [name for name, _, _ in members],
            "began": min(began for _, began, _ in members),
            "seconds": round(max(ended for _, _, ended in members) - min(began for _, began, _ in members), 2),
        }
        for wave, members in sorted(found.items())
    ]


def _times(entry: Entry) -> dict[str, dict[str, Any]]:
    try:
        found = json.loads(entry.labels.get("times") or "{}")
    except ValueError:
        return {}
    return found if isinstance(found, dict) else {}


def _number(text: str | None) -> int | None:
    return int(text) if text and text.isdigit() and int(text) else None
