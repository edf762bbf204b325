"""Small texts that several groups of rules share."""

from __future__ import annotations

from llmdeploy.release.measuring import GRPC_ERRORS, PROBES

__all__ = ["GRPC_ERRORS", "PROBES", "duration", "number", "percent", "seconds"]


def number(value: float) -> str:
    """A number as PromQL and people read it: 10, 0.25."""
    return f"{value:.12g}"


def seconds(value: float) -> str:
    """A duration in words: 10 s."""
    return f"{number(value)} s"


def percent(share: float) -> str:
    """A share in words: 14.4 %."""
    return f"{number(round(share * 100, 4))} %"


def duration(value: float) -> str:
    """Seconds as Prometheus writes a duration: 15s, 1500ms."""
    return f"{value:.0f}s" if value == int(value) else f"{value * 1000:.0f}ms"
