"""Reads the inventory of an environment: checks the file, lets Ansible parse it, types what comes back."""

from __future__ import annotations

import re
from dataclasses import replace
from pathlib import Path
from typing import Any

from llmdeploy.config.guard import host_problems
from llmdeploy.config.hosts import Host, Inventory, Parsed, ParsedHost
from llmdeploy.config.marks import Mark
from llmdeploy.config.nearest import did_you_mean
from llmdeploy.config.plainini import parse_plain
from llmdeploy.config.textfile import read_text, refuse
from llmdeploy.config.untouched import untouched
from llmdeploy.config.yamlinventory import check_yaml
from llmdeploy.errors import Problem
from llmdeploy.project import Project

MAX_HOSTS = 2_000
_RANGE = re.compile(r"\[(\d+):(\d+)(?::(\d+))?\]")
_SSH = ("ssh", "smart", "paramiko", "paramiko_ssh")
_LOCAL = "local"


def read_inventory(project: Project, environment: str) -> tuple[Inventory, list[Problem]]:
    """The hosts of `environment`, and problems of single hosts. Raises ConfigError when there is nothing to use."""
    files = project.inventory_files(environment)
    path = project.inventory_file(environment)
    file = _shown(project, path)
    if len(files) > 1:
        others = ", ".join(_shown(project, other) for other in files[1:])
        raise refuse(file, 0, f"there is a second inventory: {others}", "keep one of them")
    text = read_text(path, file, missing="name the hosts there; see `llmdeploy init` for an example")
    _refuse_what_is_not_static(text, path, file)
    parsed = parse_plain(text, path, project.catalogue) or _parse(path, file, project)
    problems = list(parsed.problems)
    hosts = []
    for raw in parsed.hosts:
        mark = _line_of(raw.name, text, file)
        host, found = _host(raw, mark)
        hosts.append(host)
        problems += found
        problems = [_placed(problem, raw.name, mark) for problem in problems]
    if not hosts:
        problems.append(Problem(file, 0, "", "", "no host in it", "write one line for each host under its [group]"))
    return Inventory(tuple(hosts), parsed.groups, file), problems


def _parse(path: Path, file: str, project: Project) -> Parsed:
    with untouched():
        from llmdeploy.config.parser import parse  # noqa: PLC0415 - ansible: 0.3 s, only when hosts are wanted
    return parse(path.absolute(), file, project.catalogue.absolute())


def group_mark(text: str, file: str, group: str) -> Mark:
    """The line on which `group` begins in the inventory `text`."""
    name = re.escape(group)
    pattern = re.compile(rf"^\s*(\[{name}(:\w+)?\]|[\"']?{name}[\"']?\s*:)", re.MULTILINE)
    found = pattern.search(text)
    return Mark(file, text.count("\n", 0, found.start(1)) + 1 if found else 0)


def _shown(project: Project, path: Path) -> str:
    return path.relative_to(project.root).as_posix()


def _refuse_what_is_not_static(text: str, path: Path, file: str) -> None:
    """Raises ConfigError for scripts, plugin configurations, and what would take forever to parse."""
    hint = "write the hosts down in an .ini or .yml inventory (ansible-inventory --list --yaml prints one)"
    if text.startswith("#!"):
        raise refuse(file, 1, "is a program; inventories are read, never run", hint)
    if path.suffix != ".ini":
        check_yaml(text, file, hint)
    for number, row in enumerate(text.splitlines(), 1):
        count = 1
        for begin, end, step in _RANGE.findall(row):
            count *= max(1, (_small(end) - _small(begin)) // max(1, _small(step or "1")) + 1)
            if step and not _small(step):
                raise refuse(file, number, "the step of a range must not be 0")
        if count > MAX_HOSTS:
            raise refuse(file, number, f"stands for {count} hosts; at most {MAX_HOSTS} are read")


def _placed(problem: Problem, host: str, mark: Mark) -> Problem:
    return replace(problem, line=mark.line) if problem.path.startswith(f"{host}.") else problem


def _small(digits: str) -> int:
    return int(digits[:9])


def _line_of(host: str, text: str, file: str) -> Mark:
    pattern = re.compile(rf"^\s*[\"']?{re.escape(host)}(?=[\s:\"']|$)", re.MULTILINE)
    found = pattern.search(text)
    return Mark(file, text.count("\n", 0, found.end()) + 1 if found else 0)


def _host(raw: ParsedHost, mark: Mark) -> tuple[Host, list[Problem]]:
    """The typed host, and what is wrong with its variables."""
    problems: list[Problem] = []

    def note(key: str, value: Any, why: str, hint: str = "") -> None:
        path = f"{raw.name}.{key}".rstrip(".")
        problems.append(Problem(mark.file, mark.line, path, str(value)[:60], why, hint))

    def pick(*names: str) -> Any:
        return next((raw.variables[name] for name in names if raw.variables.get(name) not in (None, "")), None)

    for key, value, why, hint in host_problems(raw.name, raw.variables):
        note(key, value, why, hint)
    connection = str(pick("ansible_connection") or "ssh").removeprefix("ansible.builtin.")
    if connection not in (*_SSH, _LOCAL):
        hint = did_you_mean(connection, [*_SSH, _LOCAL], otherwise="write ")
        note("ansible_connection", connection, "hosts are reached by ssh or are local", hint)
    address = str(pick("ansible_host", "ansible_ssh_host") or raw.name)
    is_odd = address.startswith("-") or not address.isprintable() or " " in address
    if is_odd and "{{" not in address:  # a template that cannot be filled in has been reported
        note("ansible_host", address, "is not an address")
    port = pick("ansible_port", "ansible_ssh_port")
    number = int(str(port)) if re.fullmatch(r"\d{1,5}", str(port)) else 0
    if port is not None and not 1 <= number <= 65535:
        note("ansible_port", port, "must be a port number, 1 to 65535")
    user = pick("ansible_user", "ansible_ssh_user")
    host = Host(
        name=raw.name,
        address=address,
        user=None if user is None else str(user),
        port=number or None,
        local=connection == _LOCAL,
        groups=raw.groups,
        variables=raw.variables,
    )
    return host, problems
