"""What a run looks like at this moment: events are applied, views draw it. Pure, time is handed in."""

from __future__ import annotations

from dataclasses import dataclass, field

from llmdeploy.events import (
    CheckResult,
    Event,
    HostStep,
    PhaseStarted,
    ReleaseEnded,
    ReleasePlanned,
    ServiceState,
)
from llmdeploy.view.words import ENDED, FINISHED


@dataclass
class Phase:
    """A phase, when it began and ended, and whether something has failed in it."""

    name: str
    began: float
    ended: float | None = None
    bad: bool = False


@dataclass
class Host:
    """The step a host is at, since when, and how many steps have changed something on it."""

    name: str
    step: str = ""
    state: str = "running"
    detail: str = ""
    began: float = 0.0
    changes: int = 0

    @property
    def bad(self) -> bool:
        """Whether the host is out of the run."""
        return self.state in ("failed", "unreachable")


@dataclass
class Service:
    """The newest state of a service and when it arrived (its elapsed time goes on from there)."""

    name: str
    wave: int = 0
    action: str = ""
    state: str = "waiting"
    healthy: int = 0
    wanted: int = 0
    elapsed: float = 0.0
    detail: str = ""
    arrived: float = 0.0

    def seconds(self, now: float) -> float:
        """Seconds since the service was started, going on while it is under way."""
        going = self.state not in ENDED and self.state != "waiting"
        return self.elapsed + (now - self.arrived if going else 0.0)


@dataclass
class Run:
    """Everything a view needs to draw a run."""

    began: float
    phases: list[Phase] = field(default_factory=list)
    hosts: dict[str, Host] = field(default_factory=dict)
    services: dict[str, Service] = field(default_factory=dict)
    checks: list[CheckResult] = field(default_factory=list)
    number: int = 0
    end: ReleaseEnded | None = None
    closed: float | None = None

    def apply(self, event: Event, now: float) -> None:
        """Takes in one event that arrived at `now`."""
        if isinstance(event, PhaseStarted):
            self._end_phase(now)
            self.phases.append(Phase(event.name, now))
            self.hosts = {name: host for name, host in self.hosts.items() if host.bad}
        elif isinstance(event, HostStep):
            self._host(event, now)
        elif isinstance(event, ReleasePlanned):
            self.number = event.number
            for row in event.services:
                self._service(row["name"]).wave, self._service(row["name"]).action = row["wave"], row["action"]
        elif isinstance(event, ServiceState):
            self._state(event, now)
        elif isinstance(event, CheckResult):
            self.checks.append(event)
        elif isinstance(event, ReleaseEnded):
            self.end = event
            self._blame(event.exit != 0)

    def close(self, now: float) -> None:
        """The run is over: nothing ticks any more."""
        self.closed = now
        self._end_phase(now)

    def done(self) -> int:
        """How many services are through."""
        return sum(service.state in FINISHED for service in self.services.values())

    def ordered(self) -> list[Service]:
        """The services in the order of their waves, then by name."""
        return sorted(self.services.values(), key=lambda service: (service.wave, service.name))

    def _end_phase(self, now: float) -> None:
        if self.phases and self.phases[-1].ended is None:
            self.phases[-1].ended = now

    def _blame(self, bad: bool) -> None:
        """Something has failed: the phase we are in is marked."""
        if self.phases and bad:
            self.phases[-1].bad = True

    def _host(self, event: HostStep, now: float) -> None:
        host = self.hosts.setdefault(event.host, Host(event.host, began=now))
        if event.step != host.step:
            host.began = now
        host.step, host.state, host.detail = event.step, event.state, event.detail
        host.changes += event.state == "changed"
        self._blame(host.bad)

    def _state(self, event: ServiceState, now: float) -> None:
        service = self._service(event.name)
        service.state, service.wave = event.state, event.wave or service.wave
        service.healthy, service.wanted = event.healthy, event.wanted
        service.elapsed, service.detail, service.arrived = event.elapsed, event.detail, now
        self._blame(event.state == "failed")

    def _service(self, name: str) -> Service:
        return self.services.setdefault(name, Service(name))
