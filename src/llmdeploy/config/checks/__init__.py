"""Checks across the configuration: what is right on its own but wrong together. All pure but `files`."""

from __future__ import annotations

from llmdeploy.config.checks import (
    containers,
    files,
    groups,
    health,
    monitoring,
    order,
    ports,
    registries,
    requests,
    secrets,
    tls,
)
from llmdeploy.config.draft import Draft
from llmdeploy.errors import Problem

_MODULES = (containers, files, groups, health, monitoring, order, ports, registries, requests, secrets, tls)


def check(draft: Draft) -> list[Problem]:
    """Every problem that the checks find in `draft`."""
    return [problem for module in _MODULES for problem in module.check(draft)]
