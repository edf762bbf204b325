"""What a run looks like at this moment: events are applied, views draw it. Pure, time is handed in."""

from __future__ import annotations

from collections.abc import Mapping
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
    back: bool = False

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
    checks_before: list[CheckResult] = field(default_factory=list)  # of what is being taken back
    number: int = 0
    end: ReleaseEnded | None = None
    closed: float | None = None
    back: dict[str, Service] = field(default_factory=dict)  # the services on the way back, in their order
    back_to: int = 0  # the release it leads to

    def apply(self, event: Event, now: float) -> None:
        """Takes in one event that arrived at `now`."""
        if isinstance(event, PhaseStarted):
            self._end_phase(now)
            self.phases.append(Phase(event.name, now))
            self.hosts = {name: host for name, host in self.hosts.items() if host.bad}
        elif isinstance(event, HostStep):
            self._host(event, now)
        elif isinstance(event, ReleasePlanned):
            self._planned(event)
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

    @property
    def taking_back(self) -> bool:
        """Whether everything is brought back to an older release, or has been."""
        return bool(self.back)

    def done(self) -> int:
        """How many services are through."""
        return _through(self.services)

    def done_back(self) -> int:
        """How many services are back."""
        return _through(self.back)

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

    def _planned(self, event: ReleasePlanned) -> None:
        """What shall be done. On the way back only what was touched is told of."""
        if not event.back:  # the way back has the number of where it leads
            self.number = event.number
        rows = [row for row in event.services if not event.back or row["action"] != "unchanged"]
        for row in rows:
            service = self._service(row["name"], back=event.back)
            service.wave, service.action = row["wave"], row["action"]
        if event.back:
            self.back_to = event.to
            self.checks_before, self.checks = self.checks, []
            self._blame(True)

    def _state(self, event: ServiceState, now: float) -> None:
        if event.back and event.name not in self.back and event.state in ("waiting", "unchanged"):
            return
        service = self._service(event.name, back=event.back)
        service.state, service.wave = event.state, event.wave or service.wave
        service.healthy, service.wanted = event.healthy, event.wanted
        service.elapsed, service.detail, service.arrived = event.elapsed, event.detail, now
        self._blame(event.state == "failed")

    def _service(self, name: str, *, back: bool = False) -> Service:
        return (self.back if back else self.services).setdefault(name, Service(name, back=back))


def _through(services: Mapping[str, Service]) -> int:
    return sum(service.state in FINISHED for service in services.values())
