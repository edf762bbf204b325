"""The order of a release, pure: which services may start now, which a failure blocks."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence

FINISHED = frozenset({"done", "unchanged", "removed"})

Depends = Mapping[str, Sequence[str]]


def problem(depends: Depends) -> str:
    """What is wrong with the dependencies (a cycle, an unknown name), or an empty text."""
    for name, needed in depends.items():
        unknown = [other for other in needed if other not in depends]
        if unknown:
            return f"{name} depends on {unknown[0]}, which is not in this release"
    resolved: set[str] = set()
    while len(resolved) < len(depends):
        free = [name for name, needed in depends.items() if name not in resolved and resolved.issuperset(needed)]
        if not free:
            circle = sorted(set(depends) - resolved)
            return f"the dependencies of {', '.join(circle)} form a circle"
        resolved.update(free)
    return ""


def startable(states: Mapping[str, str], depends: Depends, over: Collection[str] = FINISHED) -> list[str]:
    """The services that wait and whose dependencies are all over: finished, or as `over` says."""
    return [
        name
        for name, state in states.items()
        if state == "waiting" and all(states[needed] in over for needed in depends[name])
    ]


def blocked(failed: Collection[str], depends: Depends) -> set[str]:
    """Everything that depends on a failed service, directly or through others."""
    found: set[str] = set()
    more = True
    while more:
        bad = found | set(failed)
        more_names = {name for name, needed in depends.items() if name not in bad and bad.intersection(needed)}
        found |= more_names
        more = bool(more_names)
    return found
