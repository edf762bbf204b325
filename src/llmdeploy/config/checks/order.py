"""`depends_on`: known services, no service waiting for itself, no circle."""

from __future__ import annotations

from collections.abc import Iterator
from graphlib import CycleError, TopologicalSorter

from llmdeploy.config.draft import Draft
from llmdeploy.config.nearest import did_you_mean
from llmdeploy.errors import Problem


def check(draft: Draft) -> Iterator[Problem]:
    """Unknown dependencies, services that depend on themselves, and every circle, shown."""
    graph: dict[str, set[str]] = {}
    for name, service in draft.services():
        graph[name] = set()
        for index, other in enumerate(service.depends_on):
            path = ("services", name, "depends_on", index)
            if other in service.depends_on[:index]:
                yield draft.problem(*path, why=f"`{other}` is named twice")
            elif other == name:
                yield draft.problem(*path, why=f"`{name}` depends on itself")
            elif other == "edge":
                yield draft.problem(*path, why="nothing depends on the edge; it follows the services")
            elif other not in draft.names:
                hint = did_you_mean(other, draft.names - {name})
                yield draft.problem(*path, why=f"no service `{other}`", hint=hint)
            else:
                graph[name].add(other)
    yield from _circles(draft, graph)


def _circles(draft: Draft, graph: dict[str, set[str]]) -> Iterator[Problem]:
    while circle := _circle(graph):
        first, second = circle[0], circle[1]
        index = draft.settings.services[first].depends_on.index(second)
        why = "services wait for each other: " + " → ".join(circle)
        yield draft.problem("services", first, "depends_on", index, why=why, value=second)
        graph[first].discard(second)  # open this circle to find the next


def _circle(graph: dict[str, set[str]]) -> list[str]:
    """A circle as `a, b, c, a` where each depends on the next, beginning at the first by name; empty if none."""
    try:
        TopologicalSorter({name: sorted(others) for name, others in sorted(graph.items())}).prepare()
    except CycleError as error:
        circle = list(reversed(error.args[1]))[:-1]
        start = circle.index(min(circle))
        return [*circle[start:], *circle[: start + 1]]
    return []
