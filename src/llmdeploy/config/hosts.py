"""The inventory as the rest of the program sees it."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from llmdeploy.errors import Problem


@dataclass(frozen=True)
class Host:
    """One host. `variables` are its ansible_* and llmdeploy_* variables, from the inventory and the files beside it."""

    name: str
    address: str
    user: str | None = None
    port: int | None = None
    local: bool = False
    groups: tuple[str, ...] = ()
    variables: dict[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class Inventory:
    """The hosts of one environment; `groups` gives host names, `file` is the inventory's path in the project."""

    hosts: tuple[Host, ...]
    groups: dict[str, tuple[str, ...]]
    file: str

    def in_group(self, name: str) -> tuple[Host, ...]:
        """The hosts of group `name`, in the inventory's order; none when there is no such group."""
        names = set(self.groups.get(name, ()))
        return tuple(host for host in self.hosts if host.name in names)


@dataclass(frozen=True)
class ParsedHost:
    """A host as Ansible gives it; `variables` are plain data, only ansible_* and llmdeploy_* ones."""

    name: str
    groups: tuple[str, ...]
    variables: dict[str, Any]


@dataclass(frozen=True)
class Parsed:
    """An inventory as Ansible gives it, with what is wrong with single variables."""

    hosts: tuple[ParsedHost, ...]
    groups: dict[str, tuple[str, ...]]
    problems: tuple[Problem, ...]
