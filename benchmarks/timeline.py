"""What happened on the hosts around a lost request: the release engine's lines, and the containers' starts and ends."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from benchmarks.load.tally import Loss
from benchmarks.stage import Stage
from tests.lab import Host
from tests.lab.lab import together

EVENTS = ("start", "kill", "die", "oom", "health_status")
BEFORE, AFTER = 3.0, 0.3  # seconds around a loss that are told


@dataclass(frozen=True)
class Moment:
    """Something that happened, by the clock on the wall (the lab's hosts share this machine's)."""

    at: float
    text: str


def timeline(stage: Stage, since: float, until: float) -> list[Moment]:
    """Return everything between two moments, in order."""
    jobs = stage.manager.exec("cat /var/lib/llmdeploy/jobs/*/progress.jsonl", check=False).stdout
    engine = [moment for line in jobs.splitlines() if (moment := _step(json.loads(line)))]
    docker = [moment for found in together(lambda host: _events(host, since, until), stage.lab) for moment in found]
    return sorted((one for one in [*engine, *docker] if since <= one.at <= until), key=lambda one: one.at)


def around(loss: Loss, moments: Sequence[Moment]) -> list[str]:
    """Return what happened shortly before a request failed, relative to the moment in which it was due."""
    near = [one for one in moments if loss.due - BEFORE <= one.at <= loss.at + AFTER]
    return [f"{one.at - loss.due:+8.3f} s  {one.text}" for one in near]


def _step(line: dict[str, Any]) -> Moment | None:
    if line["kind"] == "service":
        return Moment(line["t"], f"{line['name']} {line['state']} {line['healthy']}/{line['wanted']}")
    if line["kind"] in ("release", "end"):
        return Moment(line["t"], f"release {line.get('state') or line.get('verdict')}")
    return None


def _events(host: Host, since: float, until: float) -> list[Moment]:
    words = ["events", "--since", f"{since:.3f}", "--until", f"{until:.3f}", "--format", "{{json .}}"]
    filters = [word for event in EVENTS for word in ("--filter", f"event={event}")]
    lines = host.docker([*words, "--filter", "type=container", *filters]).stdout.splitlines()
    return [_event(host.name, json.loads(line)) for line in lines]


def _event(host: str, event: dict[str, Any]) -> Moment:
    attributes = event["Actor"]["Attributes"]
    task = ".".join(attributes.get("name", "").split(".")[:2])
    signal = f" (signal {attributes['signal']})" if "signal" in attributes else ""
    return Moment(event["timeNano"] / 1e9, f"{task} on {host}: {event['Action']}{signal}")
