"""Requests lost, and how slow they get, while services that have two replicas or more are changed in every way."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from benchmarks.figures import Figures, Section
from benchmarks.load.asks import ASKS, KINDS
from benchmarks.load.tally import Loss, Tally, reasons
from benchmarks.stage import ENVIRONMENT, Stage
from benchmarks.timeline import Moment, around, timeline
from benchmarks.timing import Sample
from benchmarks.underload import load

SERVICES = tuple(sorted({ask.name for ask in ASKS}))
RATES = {"http": 45.0, "grpc": 45.0, "grpc-stream": 2.5, "sse": 2.5}
WARM = 3.0  # seconds until all connections of a load are open
CALM = 15.0  # seconds of load before the first change
SETTLE = 8.0  # and after every change: what was replaced has ended then
MOST_TOLD = 30
SETTINGS = """
services:
  model-proxy: {replicas: 2, environment: {TOKEN_DELAY_MS: 20}}  # a stream lasts about a second
  rate-limiter: {replicas: 2, environment: {RATE_LIMIT: 100000000}}
  head-go: {replicas: 2}
  tail-go: {replicas: 2}
  admin-dashboard: {replicas: 2}
  user-dashboard: {replicas: 2}
"""


@dataclass(frozen=True)
class Step:
    """One command under load. What is not `counted` only makes ready for the next one: its time is not "during"."""

    words: Sequence[str]
    good: tuple[int, ...] = (0,)
    counted: bool = True


def versions(services: Sequence[str], number: str) -> list[str]:
    """Return the options that give these services another environment, so that all their replicas change."""
    values = [f"services.{name}.environment.DEMO_VERSION={number}" for name in services]
    return [word for value in values for word in ("--set", value)]


def _broken(number: str) -> list[str]:
    """Return options as above, of which the last service never becomes healthy: everything is taken back."""
    last = "services.user-dashboard"
    more = [f"{last}.environment.DEMO_UNHEALTHY=1", f"{last}.update.deadline=15"]
    return [*versions(SERVICES, number), *(word for value in more for word in ("--set", value))]


def _to(replicas: int) -> list[str]:
    return [f"{name}={replicas}" for name in SERVICES]


Round = Callable[[str], list[Step]]
SCENARIOS: dict[str, Round] = {
    "deploy": lambda number: [Step(["deploy", *versions(SERVICES, number)])],
    "update": lambda number: [Step(["update", *versions(SERVICES, number)])],
    "canary": lambda number: [Step(["update", "--canary", *versions(SERVICES, number)])],
    "rollback": lambda number: [Step(["update", *versions(SERVICES, number)], counted=False), Step(["rollback"])],
    "taken back": lambda number: [Step(["update", *_broken(number)], good=(6,))],
    "scale": lambda _: [Step(["scale", *_to(3)]), Step(["scale", *_to(2)])],
}


@dataclass
class Seen:
    """What a scenario showed."""

    name: str
    tally: Tally
    steps: list[tuple[Step, Sample]]
    moments: list[Moment] = field(default_factory=list)

    def during(self) -> list[tuple[float, float]]:
        """Return the spans of time in which a counted command ran."""
        return [(one.began, one.began + one.seconds) for step, one in self.steps if step.counted]

    def before(self) -> list[tuple[float, float]]:
        """Return the span before the first command, without the load's own beginning."""
        return [(min(self.tally.due, default=0.0) + WARM, self.steps[0][1].began)]

    def to_json(self) -> dict[str, Any]:
        """Return the figures, and for each loss when it was, why, and what happened around it."""
        spans = {"before": self.before(), "during": self.during(), "whole": [(0.0, float("inf"))]}
        return {
            "scenario": self.name,
            "commands": [f"{' '.join(step.words[:2])} {sample.seconds:.1f} s" for step, sample in self.steps],
            "cores busy": round(max(sample.busy for _, sample in self.steps), 2),
            "generator": {"late ms p99": round(self.tally.lateness(), 1), "cpu s": self.tally.cpu},
            "requests": {
                kind or "all": {name: self.tally.window(span, kind).to_json() for name, span in spans.items()}
                for kind in (None, *KINDS)
            },
            "lost": reasons(self.tally.losses),
            "losses": [self._told(loss) for loss in self.tally.losses[:MOST_TOLD]],
        }

    def _told(self, loss: Loss) -> dict[str, Any]:
        running = [
            f"{loss.at - sample.began:.1f} s into `{' '.join(step.words[:2])}`"
            for step, sample in self.steps
            if sample.began <= loss.at <= sample.began + sample.seconds + SETTLE
        ]
        return {
            "what": f"{loss.kind} {loss.name} {loss.where} {loss.number}",
            "reason": loss.reason,
            "after": round(loss.after, 3),
            "when": running[-1] if running else "between",
            "around": around(loss, self.moments),
        }


def prepare(stage: Stage) -> None:
    """Bring up the stack in which every published service has two replicas."""
    (stage.project / "environments" / f"{ENVIRONMENT}.yml").write_text(SETTINGS)
    stage.llmdeploy("deploy", "--yes", "--plain")
    stage.chat()


def measure(stage: Stage, figures: Figures, names: Sequence[str], seconds: float, rate: float = 1.0) -> None:
    """Run each scenario for so long at least, in whole rounds, under one load each of `rate` times the usual one."""
    prepare(stage)
    found: list[Seen] = []
    section = Section("requests while services change")
    figures.sections.append(section)
    for name in names:
        time.sleep(SETTLE)
        print(f"  {name}", flush=True)
        found.append(run(stage, name, seconds, {kind: rate * usual for kind, usual in RATES.items()}))
        section.data = [one.to_json() for one in found]
        section.lines = table(section.data)
        print("\n".join(table([section.data[-1]])[1:]), flush=True)


def run(stage: Stage, name: str, seconds: float, rates: Mapping[str, float]) -> Seen:
    """Run one scenario."""
    steps: list[tuple[Step, Sample]] = []
    began, number = time.time(), 0
    with load([host.ip for host in stage.lab], rates) as running:
        time.sleep(CALM)
        while not steps or time.time() - began < seconds:
            number += 1
            for step in SCENARIOS[name](f"{name.replace(' ', '-')}-{int(began) % 100000}-{number}"):
                steps.append((step, stage.llmdeploy(*step.words, "--yes", "--plain", good=step.good)))
                time.sleep(SETTLE)
    moments = timeline(stage, began, time.time()) if running.tally.losses else []
    return Seen(name, running.tally, steps, moments)


def table(rows: Sequence[Mapping[str, Any]]) -> list[str]:
    """Return the figures of scenarios as lines of a table, then every loss."""
    kinds = [f"{kind:>22}" for kind in KINDS]
    lines = [f"{'':<12}{'rounds':>8}{'sent':>9}{'lost':>6}  p99 in ms before > during{''.join(kinds)}"]
    for row in rows:
        asked = row["requests"]
        each = [f"{asked[kind]['before']['p99']:.0f} > {asked[kind]['during']['p99']:.0f}" for kind in KINDS]
        sent, lost = asked["all"]["whole"]["sent"], asked["all"]["whole"]["lost"]
        lines.append(
            f"{row['scenario']:<12}{len(row['commands']):8}{sent:9.0f}{lost:6.0f}{'':27}"
            + "".join(f"{one:>22}" for one in each)
        )
    total = [sum(row["requests"]["all"]["whole"][what] for row in rows) for what in ("sent", "lost")]
    lines.append(f"{'all':<12}{'':8}{total[0]:9.0f}{total[1]:6.0f}")
    for row in rows:
        lines += [f"  {row['scenario']}: {count} x {reason}" for reason, count in row["lost"].items()]
        for loss in row["losses"]:
            lines.append(f"    {loss['when']}, failed after {loss['after']} s: {loss['what']}: {loss['reason']}")
            lines += [f"      {moment}" for moment in loss["around"]]
    return lines
