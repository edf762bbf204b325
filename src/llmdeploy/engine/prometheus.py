"""Instant questions to Prometheus (HTTP API v1, `/api/v1/query`)."""

from __future__ import annotations

import re
from collections.abc import Collection, Mapping

from .peers import PATIENCE, Peer, PeerError

LEAST_WINDOW = 30  # seconds; a rate needs two looks of Prometheus
Labels = tuple[tuple[str, str], ...]
_PLAIN = re.compile(r"[A-Za-z0-9_-]")


def ask(peer: Peer, query: str, at: float | None = None) -> dict[Labels, float]:
    """Every series of the answer, by its labels without its name. Raises PeerError.

    at  the moment that is asked about, Unix time; None for now
    """
    form = {"query": query, "timeout": f"{PATIENCE:g}s", **({"time": f"{at:.3f}"} if at is not None else {})}
    answer = peer.ask("POST", "/api/v1/query", form=form)
    try:
        kind, result = answer["data"]["resultType"], answer["data"]["result"]
        if kind == "scalar":
            return {(): float(result[1])}
        if kind == "vector":
            return {_labels(one["metric"]): float(one["value"][1]) for one in result if "value" in one}
    except (KeyError, IndexError, TypeError, ValueError):
        raise PeerError(f"{peer.name}: its answer is not one of Prometheus") from None
    raise PeerError(f"{peer.name}: the query gives a {kind}, not one value for each series")


def filled(query: str, services: Collection[str], window: float) -> str:
    """The query with `$services` as a regular expression and `$window` as a duration such as 45s."""
    names = "|".join(escaped(name) for name in sorted(services))
    return query.replace("$services", names).replace("$window", f"{max(LEAST_WINDOW, int(window))}s")


def escaped(name: str) -> str:
    """A name as RE2 takes it literally. In brackets: a backslash would need another one in PromQL's strings."""
    return "".join(char if _PLAIN.fullmatch(char) else f"[{char}]" for char in name)


def named(labels: Labels) -> str:
    """What a series is about, for people: its service, and what tells it from others."""
    rest = dict(labels)
    service = rest.pop("service", "")
    other = ", ".join(f"{key}={value}" for key, value in rest.items() if key not in ("job", "environment", "stack"))
    return service + (f" ({other})" if service and other else other)


def _labels(metric: Mapping[str, str]) -> Labels:
    return tuple(sorted((key, str(value)) for key, value in metric.items() if key != "__name__"))
