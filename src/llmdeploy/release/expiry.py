"""Until when the edge's certificate is good, as the labels of live services say it. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime, timezone
from typing import Any

from llmdeploy.release.spec import EDGE
from llmdeploy.release.tls import EDGE_TLS, MODE_LABEL, UNTIL_LABEL

WARN_DAYS = 21


def tls_state(services: Mapping[str, Mapping[str, Any]], now: datetime) -> dict[str, Any] | None:
    """`{"mode", "until", "days", "warn"}` of the live services by name; None where there is no edge.

    `until` is ISO 8601, empty without TLS; `days` are whole ones, less than 0 after it has expired.
    """
    if EDGE not in services:
        return None
    mode = _labels(services[EDGE]).get(MODE_LABEL, "off")
    until = _labels(services.get(EDGE_TLS) or {}).get(UNTIL_LABEL, "")
    if mode == "off" or not until:
        return {"mode": "off", "until": "", "days": None, "warn": True}
    ends = datetime.strptime(until, "%Y-%m-%dT%H:%M:%SZ").replace(tzinfo=timezone.utc)
    days = (ends - now).days
    return {"mode": mode, "until": until, "days": days, "warn": days <= WARN_DAYS}


def _labels(service: Mapping[str, Any]) -> Mapping[str, str]:
    return (service.get("Spec") or {}).get("Labels") or {}
