"""What is wrong with a host, judged from what `host` read there. Pure; runs where the decision is made.

A problem is `{"host", "check", "level": "error" | "warning", "message", "hint"}`. The message names what is wrong,
the hint what to do.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from typing import Any

Facts = Mapping[str, Any]
Problem = dict[str, str]

SUPPORTED = {"debian": ("12", "13"), "ubuntu": ("22.04", "24.04")}
SUPPORTED_NAMES = "Debian 12 and 13, Ubuntu 22.04 and 24.04"
OLDEST_PYTHON = (3, 8)  # what Ansible's modules need
MANAGER_PYTHON = (3, 10)  # what the release engine needs
OLDEST_DOCKER = (20, 10)
SKEW_WARNING, SKEW_ERROR = 5.0, 60.0  # seconds
ARCHITECTURES = ("x86_64", "aarch64")
# first version, last version, level, why, what to do
KNOWN_BAD: tuple[tuple[tuple[int, ...], tuple[int, ...], str, str, str], ...] = (
    ((25, 0, 13), (25, 0, 13), "error", "does not find some services by name (moby#51341)", "25.0.14 or 28.5.2"),
    ((28, 2, 0), (28, 2, 99), "error", "does not find some services by name (moby#50129)", "28.5.2"),
    ((29, 1, 0), (29, 1, 0), "error", "answers no names inside containers (moby#51614)", "29.1.1 or later"),
    (
        (29, 6, 0),
        (29, 6, 2),
        "warning",
        "refuses an image that is there when the registry says 'unauthorized'",
        "29.7.0 or later",
    ),
    (
        (29, 0, 0),
        (29, 7, 2),
        "warning",
        "can lose service names for hours after a host was cut off for 10 to 30 s (moby#53141)",
        "28.5.2, or the first 29.x after 29.7.2",
    ),
)


def check(host: str, facts: Facts, wanted: Mapping[str, Any]) -> list[Problem]:
    """All problems of one host, errors first.

    `wanted`: `install` (Docker may be installed), `disk_mb`, `memory_mb`, `ports`, `encrypted` (network), `manager`,
    `skew` (seconds the host's clock is ahead, None if not known).
    """
    found = [{"host": host, **problem} for rule in _RULES for problem in rule(facts, wanted)]
    return sorted(found, key=lambda problem: problem["level"])


def clock_skew(host_time: float, before: float, after: float) -> float:
    """How far a clock read between `before` and `after` is surely ahead (negative: behind), in seconds."""
    return min(0.0, host_time - before) or max(0.0, host_time - after)


def version(text: str) -> tuple[int, ...]:
    """`20.10.24+dfsg1` → (20, 10, 24)."""
    return tuple(int(part) for part in re.findall(r"\d+", re.split(r"[-+~]", text)[0])[:3])


def _problem(check_name: str, level: str, message: str, hint: str = "") -> Problem:
    return {"check": check_name, "level": level, "message": message, "hint": hint}


def _rights(facts: Facts, _: Mapping[str, Any]) -> Iterator[Problem]:
    if not facts["root"]:
        hint = "connect as root, or as a user who may use sudo and with ansible_become: true"
        yield _problem("rights", "error", "commands do not run as root there", hint)


def _system(facts: Facts, _: Mapping[str, Any]) -> Iterator[Problem]:
    system, docker = facts["system"], facts["docker"]
    if facts["arch"] not in ARCHITECTURES:
        hint = "use a host with an x86-64 or 64-bit ARM processor"
        yield _problem("system", "error", f"machine type {facts['arch']} is not supported", hint)
    if system["version"] in SUPPORTED.get(system["id"], ()):
        return
    if docker["installed"]:
        message = f"{system['name']} is not tested; Docker is there already, so it may work"
        yield _problem("system", "warning", message, "tested: " + SUPPORTED_NAMES)
    else:
        hint = f"use {SUPPORTED_NAMES}, or install Docker there by hand"
        yield _problem("system", "error", f"Docker cannot be installed on {system['name']}", hint)


def _python(facts: Facts, wanted: Mapping[str, Any]) -> Iterator[Problem]:
    needed = MANAGER_PYTHON if wanted.get("manager") else OLDEST_PYTHON
    if version(facts["python"])[:2] < needed:
        role = "a manager" if wanted.get("manager") else "a host"
        message = f"Python {facts['python']} is too old: {role} needs {needed[0]}.{needed[1]}"
        hint = "set ansible_python_interpreter to a newer one, or let another host be manager (llmdeploy_manager)"
        yield _problem("python", "error", message, hint)


def _disk(facts: Facts, wanted: Mapping[str, Any]) -> Iterator[Problem]:
    disk, needed = facts["disk"], int(wanted.get("disk_mb") or 0)
    hint = "free some room (docker system df), or lower the requirement"
    if disk["free_mb"] < needed:
        message = f"{disk['free_mb']} MB free at {disk['path']}, {needed} MB needed"
        yield _problem("disk", "error", message, hint)
    elif disk["free_mb"] * 20 < disk["total_mb"]:
        message = f"only {disk['free_mb']} of {disk['total_mb']} MB free at {disk['path']}"
        yield _problem("disk", "warning", message, hint)


def _memory(facts: Facts, wanted: Mapping[str, Any]) -> Iterator[Problem]:
    reserved, total = int(wanted.get("memory_mb") or 0), facts["memory_mb"]
    if reserved > total:
        message = f"services reserve {reserved} MB of memory, the host has {total} MB"
        yield _problem("memory", "error", message, "lower reservations, or move a group to another host")
    elif reserved > total * 0.9:
        message = f"services reserve {reserved} of {total} MB of memory; little is left for the system"
        yield _problem("memory", "warning", message, "lower reservations, or move a group to another host")


def _clock(_: Facts, wanted: Mapping[str, Any]) -> Iterator[Problem]:
    skew = wanted.get("skew")
    if skew is None or abs(skew) <= SKEW_WARNING:
        return
    message = f"the clock is {abs(skew):.0f} s {'ahead' if skew > 0 else 'behind'} of this machine's"
    level = "error" if abs(skew) > SKEW_ERROR else "warning"
    yield _problem("clock", level, message, "turn on time synchronisation there: timedatectl set-ntp true")


def _ports(facts: Facts, wanted: Mapping[str, Any]) -> Iterator[Problem]:
    for port in sorted(int(one) for one in wanted.get("ports") or ()):
        owner = facts["ports"].get(str(port))
        if owner is None or owner.get("service") == "edge" or _of_dying_edge(facts, owner):
            continue
        hint = "stop it, or give the service another published port"
        yield _problem("port", "error", f"port {port} is in use by {_owner(owner)}", hint)


def _of_dying_edge(facts: Facts, owner: Mapping[str, Any]) -> bool:
    """Whether Docker holds the port for an edge container that came or went while the host was read."""
    return (
        owner.get("process") == "docker-proxy" and not owner.get("container") and bool(facts["edge"].get("restarting"))
    )


def _owner(owner: Mapping[str, Any]) -> str:
    if owner.get("container"):
        return f"the container {owner['container']}"
    if owner.get("process"):
        return f"{owner['process']} (process {owner['pid']})"
    return "an unknown process"


def _kernel(facts: Facts, wanted: Mapping[str, Any]) -> Iterator[Problem]:
    features = facts["kernel"]["features"]
    hint = "use a kernel of the distribution, or load the module"
    for name, why in (("overlay", "Docker's storage"), ("vxlan", "the network between the hosts")):
        if features[name] is False:
            message = f"the kernel {facts['kernel']['release']} has no {name}, which {why} needs"
            yield _problem("kernel", "error", message, hint)
    if wanted.get("encrypted") and features["esp"] is False:
        message = f"the kernel {facts['kernel']['release']} has no ESP, which an encrypted network needs"
        yield _problem("kernel", "error", message, hint + ", or set network.encrypted: false")


def _docker(facts: Facts, wanted: Mapping[str, Any]) -> Iterator[Problem]:
    docker = facts["docker"]
    if not docker["installed"] and not wanted.get("install", True):
        hint = "install it, or set docker.install: true"
        yield _problem("docker", "error", "Docker is not installed", hint)
    elif docker["running"]:
        yield from _docker_version(docker["version"])


def _docker_version(text: str) -> Iterator[Problem]:
    number = version(text)
    if number < OLDEST_DOCKER:
        yield _problem("docker", "error", f"Docker {text} is too old: 20.10 is the oldest that works", "update it")
    for first, last, level, why, better in KNOWN_BAD:
        if first <= number <= last:
            yield _problem("docker", level, f"Docker {text} {why}", f"use {better}")


_RULES = (_rights, _system, _python, _disk, _memory, _clock, _ports, _kernel, _docker)
