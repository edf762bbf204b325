"""Inventory groups: every service and the edge have at least one host."""

from __future__ import annotations

from collections.abc import Iterator

from llmdeploy.config.draft import Draft
from llmdeploy.config.inventory import group_mark
from llmdeploy.config.marks import KeyPath
from llmdeploy.config.nearest import did_you_mean
from llmdeploy.errors import Problem


def check(draft: Draft) -> Iterator[Problem]:
    """Groups that are not in the inventory, and groups in which a service has no host to run on."""
    if draft.inventory is None or not draft.inventory.hosts:
        return
    users: dict[str, list[str]] = {}
    for user, group, path in _uses(draft):
        if group not in draft.inventory.groups:
            hint = did_you_mean(group, set(draft.inventory.groups) - {"ungrouped"})
            why = f"no group `{group}` in {draft.inventory.file}"
            yield draft.problem(*path, why=why, hint=hint)
        elif not draft.inventory.groups[group]:
            users.setdefault(group, []).append(user)
    for group, names in users.items():
        mark = group_mark(draft.inventory_text, draft.inventory.file, group)
        why = f"the group has no host; needed by {', '.join(names)}"
        yield Problem(mark.file, mark.line, group, "", why, "write a host under it")


def _uses(draft: Draft) -> Iterator[tuple[str, str, KeyPath]]:
    for name, _ in draft.services():
        group = draft.group(name)
        if group is not None:
            yield name, group, ("services", name, "group")
    for index, group in enumerate(draft.settings.edge.groups or ()):
        yield "the edge", group, ("edge", "groups", index)
