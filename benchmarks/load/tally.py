"""What a load has seen: every request with the moment it was due, how long it took from then, and how it failed."""

from __future__ import annotations

import json
from array import array
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from typing import Any

ALWAYS = ((0.0, float("inf")),)


@dataclass(frozen=True)
class Loss:
    """A request that failed. `due` is by the clock on the wall, `after` the seconds from then to the failure."""

    due: float
    after: float
    kind: str
    name: str
    where: str
    reason: str
    number: str  # its X-Request-Id, which the services' logs have too

    @property
    def at(self) -> float:
        """When it failed."""
        return self.due + self.after


@dataclass(frozen=True)
class Summary:
    """Requests that were due in a window; latencies in milliseconds, of those that did not fail."""

    sent: int
    lost: int
    p50: float
    p99: float
    most: float

    def to_json(self) -> dict[str, float]:
        """Return the figures, rounded."""
        return {name: round(value, 1) for name, value in asdict(self).items()}


@dataclass
class Tally:
    """All requests of a load. `late` is how late the generator itself was (ms): above a few, its latencies mislead."""

    kinds: list[str] = field(default_factory=list)
    due: array[float] = field(default_factory=lambda: array("d"))
    kind: array[int] = field(default_factory=lambda: array("B"))
    took: array[float] = field(default_factory=lambda: array("f"))  # ms; a loss has -1
    late: array[float] = field(default_factory=lambda: array("f"))
    losses: list[Loss] = field(default_factory=list)
    cpu: float = 0.0  # seconds that the generator itself took

    def answered(self, kind: str, due: float, seconds: float, late: float) -> None:
        """Note a request that was answered as it should."""
        self._note(kind, due, seconds * 1e3, late)

    def lost(self, loss: Loss, late: float) -> None:
        """Note one that was not."""
        self._note(loss.kind, loss.due, -1.0, late)
        self.losses.append(loss)

    def _note(self, kind: str, due: float, took: float, late: float) -> None:
        if kind not in self.kinds:
            self.kinds.append(kind)
        self.due.append(due)
        self.kind.append(self.kinds.index(kind))
        self.took.append(took)
        self.late.append(late * 1e3)

    def window(self, spans: Sequence[tuple[float, float]] = ALWAYS, kind: str | None = None) -> Summary:
        """Sum up the requests that were due within spans of time, of one kind or of all."""
        wanted = None if kind is None else self.kinds.index(kind) if kind in self.kinds else -1
        took = [
            took
            for due, number, took in zip(self.due, self.kind, self.took, strict=True)
            if wanted in (None, number) and any(start <= due < end for start, end in spans)
        ]
        good = sorted(one for one in took if one >= 0)
        return Summary(len(took), len(took) - len(good), share(good, 0.5), share(good, 0.99), share(good, 1.0))

    def lateness(self) -> float:
        """Return the 99th percentile of how late requests were begun, in milliseconds."""
        return share(sorted(self.late), 0.99)

    def to_json(self) -> dict[str, Any]:
        """Return everything, as `from_json` takes it."""
        columns = {
            "due": [round(value, 4) for value in self.due],
            "kind": list(self.kind),
            "took": [round(value, 2) for value in self.took],
            "late": [round(value, 2) for value in self.late],
        }
        return {
            "kinds": self.kinds,
            **columns,
            "losses": [asdict(loss) for loss in self.losses],
            "cpu": round(self.cpu, 2),
        }

    @classmethod
    def from_json(cls, data: Mapping[str, Any]) -> Tally:
        """Return what `to_json` gave."""
        return cls(
            list(data["kinds"]),
            array("d", data["due"]),
            array("B", data["kind"]),
            array("f", data["took"]),
            array("f", data["late"]),
            [Loss(**loss) for loss in data["losses"]],
            data["cpu"],
        )


def share(ordered: Sequence[float], part: float) -> float:
    """Return the value below or at which this part of an ascending list lies; 0 of an empty one."""
    if not ordered:
        return 0.0
    return ordered[max(0, -int(-len(ordered) * part // 1) - 1)]


def reasons(losses: Iterable[Loss]) -> dict[str, int]:
    """Count losses by kind, service and reason, the most frequent first."""
    return dict(Counter(f"{loss.kind} {loss.name}: {loss.reason}" for loss in losses).most_common())


def report(tally: Tally, first: int = 20) -> str:
    """Return a tally as lines for people."""
    lines = [f"{'':<14}{'sent':>9}{'lost':>7}{'p50 ms':>9}{'p99 ms':>9}{'max ms':>9}"]
    for kind in [*sorted(tally.kinds), None]:
        found = tally.window(kind=kind)
        name = kind or "all"
        lines.append(f"{name:<14}{found.sent:9}{found.lost:7}{found.p50:9.1f}{found.p99:9.1f}{found.most:9.1f}")
    each = tally.cpu / len(tally.due) * 1e3 if tally.due else 0.0
    lines.append(f"the generator: {each:.2f} ms CPU a request, {tally.lateness():.1f} ms late (p99)")
    lines += [f"{count:7} {reason}" for reason, count in reasons(tally.losses).items()]
    began = min(tally.due, default=0.0)
    for loss in sorted(tally.losses, key=lambda one: one.at)[:first]:
        lines.append(
            f"  +{loss.due - began:8.3f} s, failed after {loss.after:6.3f} s  {loss.kind} {loss.name} "
            f"{loss.where} {loss.number}: {loss.reason}"
        )
    return "\n".join(lines)


def dump(tally: Tally) -> str:
    """Return a tally as one line of JSON."""
    return json.dumps(tally.to_json(), separators=(",", ":"))
