"""Reads every host at once over ssh, as the playbook's first play does."""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from typing import Any

from llmdeploy.cluster.access import Access
from llmdeploy.cluster.remote import on_all, run_script
from llmdeploy.engine import host
from llmdeploy.engine.host_checks import clock_skew
from llmdeploy.errors import LlmdeployError


def look(
    accesses: Sequence[Access], wanted: Mapping[str, dict[str, Any]], *, timeout: float
) -> dict[str, dict[str, Any] | LlmdeployError]:
    """Host name → its facts (`engine.host.read`, with `skew` in seconds), or why it could not be read.

    `wanted`: host name → what to look for there (`ports`, `images`, `network`).
    """

    def one(access: Access) -> dict[str, Any]:
        before = time.time()
        answer = run_script(access, host.script(wanted[access.host]), timeout=timeout)
        after = time.time()
        try:
            facts = host.parse(answer)
        except ValueError as error:
            raise LlmdeployError(f"{access.host}: reading the host failed: {error}") from None
        return {**facts, "skew": round(clock_skew(facts["time"], before, after), 1)}

    return on_all(accesses, one)
