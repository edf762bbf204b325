"""Asks every service over its own protocol, from a host that runs the edge: no Ansible, nothing installed."""

from __future__ import annotations

import json
from collections.abc import Sequence
from importlib.resources import files
from typing import Any

from llmdeploy.cluster.access import Access
from llmdeploy.cluster.remote import run_script

MARGIN = 15.0  # seconds for ssh and Python beyond the checks' own time limits


def verify(access: Access, checks: Sequence[dict[str, Any]]) -> list[dict[str, Any]]:
    """Each check's result, `{"name", "service", "ok", "ms", "detail"}`, in the order of `checks`.

    Raises UnreachableError when the host cannot be reached.
    """
    source = files("llmdeploy.engine").joinpath("checks.py").read_text(encoding="utf-8")
    text = f"{source}\n\nmain({json.dumps(json.dumps(list(checks)))})\n"
    limit = sum(float(check["timeout"]) for check in checks) + MARGIN
    results = [
        json.loads(line) for line in run_script(access, text, timeout=limit).splitlines() if line.startswith("{")
    ]
    order = {check["name"]: index for index, check in enumerate(checks)}
    return sorted(results, key=lambda result: order.get(result["name"], len(order)))
