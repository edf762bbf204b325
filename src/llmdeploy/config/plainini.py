"""Plain .ini inventories, read without Ansible: loading its parsers takes a third of a second, of every command.

Only what can mean one thing: hosts with variables under [group], variables under [group:vars]. For everything else
(ranges, quotes, templates, groups of groups, variables in files beside the inventory) the answer is None, and Ansible
itself is asked.
"""

from __future__ import annotations

import ast
import re
import warnings
from pathlib import Path
from typing import Any

from llmdeploy.config.hosts import Parsed, ParsedHost
from llmdeploy.config.normal import HOST_VARIABLES

_SECTION = re.compile(r"\[([A-Za-z0-9_][A-Za-z0-9_-]*)(:vars)?\]")
_HOST = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_.-]*")
_PAIR = re.compile(r"([A-Za-z_]\w*)=([\w./@+,~:-]*)", re.ASCII)
_VARIABLE = re.compile(r"([A-Za-z_]\w*)\s*=\s*([\w./@+,~:= -]*)", re.ASCII)
_OWN_VARIABLES = re.compile(rb"(?m)^[\"']?(ansible|llmdeploy)_")
_EVERYTHING = ("all", "ungrouped")
_SCALARS = (str, int, float, bool, type(None))


def parse_plain(text: str, path: Path, catalogue: Path) -> Parsed | None:
    """The inventory in `text`, the file at `path`; None where only Ansible knows what it means."""
    if path.suffix != ".ini" or not text.isascii() or _has_variable_files(path.parent, catalogue):
        return None
    found = _Plain()
    if not all(found.take(line.strip()) for line in text.splitlines()):
        return None
    return found.parsed()


def _has_variable_files(folder: Path, catalogue: Path) -> bool:
    """Whether files beside the inventory may give variables to hosts."""
    beside = [path for kind in ("host_vars", "group_vars") for path in (folder / kind).glob("*")]
    if beside not in ([], [catalogue]):
        return True
    try:
        return bool(beside) and bool(_OWN_VARIABLES.search(catalogue.read_bytes()))
    except OSError:
        return True


class _Plain:
    """What has been read so far."""

    def __init__(self) -> None:
        self._section, self._for_variables = "ungrouped", False
        self._groups: dict[str, list[str]] = {}
        self._hosts: dict[str, dict[str, Any]] = {}
        self._variables: dict[str, dict[str, Any]] = {}

    def take(self, line: str) -> bool:
        """One line, stripped. Out: whether it is plain."""
        if not line or line.startswith(("#", ";")):
            return True
        if line.startswith("["):
            found = _SECTION.fullmatch(line)
            if not found or (found[1] in _EVERYTHING and not found[2]):
                return False
            self._section, self._for_variables = found[1], bool(found[2])
            if self._for_variables:
                self._variables.setdefault(found[1], {})
            else:
                self._groups.setdefault(found[1], [])
            return True
        return self._variable(line) if self._for_variables else self._host(line)

    def _host(self, line: str) -> bool:
        name, *words = line.split()
        pairs = [_PAIR.fullmatch(word) for word in words]
        if not _HOST.fullmatch(name) or not all(pairs):
            return False
        own = {pair[1]: _value(pair[2]) for pair in pairs if pair}
        self._hosts.setdefault(name, {}).update(own)
        members = self._groups.setdefault(self._section, [])
        members += [] if name in members else [name]
        return all(isinstance(value, _SCALARS) for value in own.values())

    def _variable(self, line: str) -> bool:
        found = _VARIABLE.fullmatch(line)
        if not found or found[1] == "ansible_group_priority":
            return False
        value = self._variables[self._section][found[1]] = _value(found[2])
        return isinstance(value, _SCALARS)

    def parsed(self) -> Parsed | None:
        """All of it; None where variables are given to a group that is not there, or names are used twice."""
        if set(self._variables) - {*self._groups, "all"} or {*self._groups, *_EVERYTHING} & {*self._hosts}:
            return None
        named = {name: members for name, members in self._groups.items() if name not in _EVERYTHING}
        hosts = tuple(self._parsed(name, named) for name in self._hosts)
        in_groups = {host for members in named.values() for host in members}
        groups = {
            "all": tuple(self._hosts),
            "ungrouped": tuple(name for name in self._hosts if name not in in_groups),
            **{name: tuple(members) for name, members in named.items()},
        }
        return Parsed(hosts, groups, ())

    def _parsed(self, host: str, groups: dict[str, list[str]]) -> ParsedHost:
        mine = sorted(name for name, members in groups.items() if host in members)
        variables = dict(self._variables.get("all", {}))
        for name in mine:
            variables |= self._variables.get(name, {})
        variables |= self._hosts[host]
        kept = {key: value for key, value in variables.items() if key.startswith(HOST_VARIABLES)}
        return ParsedHost(host, tuple(mine), kept)


def _value(text: str) -> Any:
    """As Ansible reads a value: a number or a constant of Python where it is one, else text."""
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            return ast.literal_eval(text)
    except (ValueError, SyntaxError):
        return text
