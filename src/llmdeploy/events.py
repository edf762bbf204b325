"""The one vocabulary between a run and whoever shows it.

The room `run` makes these from Ansible's events and from the engine's progress lines, the room `view` shows them, and
`--json` prints them. Every event is frozen, knows the moment it happened (`t`, Unix time) and turns into plain data
with `to_json()`. Text of hosts and containers is made harmless on the way in (`clean`), so that no view has to.
"""

from __future__ import annotations

import dataclasses
import math
import re
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, ClassVar, TypeVar, cast

TAKING_BACK = "taking-back"
HOST_STATES = ("running", "ok", "changed", "failed", "unreachable", "skipped")
SERVICE_STATES = (
    "waiting", "starting", "canary", "healthy", "answering", "done", "unchanged", "failed", "blocked", "removed",
)  # fmt: skip


@dataclass(frozen=True)
class Event:
    """Base of all events; `kind` names the event in JSON."""

    kind: ClassVar[str] = "event"
    t: float = field(default_factory=time.time, compare=False, kw_only=True)

    def to_json(self) -> dict[str, Any]:
        """Out: plain data, `t` and `kind` first, then the event's own fields."""
        own = {item.name: getattr(self, item.name) for item in dataclasses.fields(self) if item.name != "t"}
        return {"t": round(self.t, 3), "kind": self.kind, **own}


@dataclass(frozen=True)
class PhaseStarted(Event):
    """A play of the playbook has begun its first task: Look, Prepare, Cluster, Images, Edge, Release."""

    kind: ClassVar[str] = "phase"
    name: str


@dataclass(frozen=True)
class HostStep(Event):
    """One task on one host: begun (`running`) or ended; `detail` says why, or which attempt it is."""

    kind: ClassVar[str] = "host"
    host: str
    phase: str
    step: str
    state: str
    detail: str = ""
    seconds: float = 0.0


@dataclass(frozen=True)
class HostProblem(Event):
    """What a check found on a host; `level` is error or warning."""

    kind: ClassVar[str] = "problem"
    host: str
    check: str
    level: str
    message: str
    hint: str = ""


@dataclass(frozen=True)
class ServiceState(Event):
    """Where a service of the release stands: state, wave, healthy of wanted replicas, seconds since its start.

    `back`: it is being taken back, and its state is that of the way back.
    """

    kind: ClassVar[str] = "service"
    name: str
    state: str
    wave: int = 0
    healthy: int = 0
    wanted: int = 0
    elapsed: float = 0.0
    detail: str = ""
    back: bool = False


@dataclass(frozen=True)
class ReleasePlanned(Event):
    """The engine has begun: what it will do, each service `{"name", "wave", "action", "changes": [...]}`.

    `state` is `started`, or `taking-back` when it begins to bring everything back to the release `to`.
    """

    kind: ClassVar[str] = "release"
    number: int
    services: list[dict[str, Any]] = field(default_factory=list)
    id: str = ""
    state: str = "started"
    to: int = 0
    orphans: list[str] = field(default_factory=list)

    @property
    def back(self) -> bool:
        """Whether this begins the way back."""
        return self.state == TAKING_BACK


@dataclass(frozen=True)
class CheckResult(Event):
    """One check of the finished stack, with its latency in milliseconds."""

    kind: ClassVar[str] = "check"
    name: str
    ok: bool
    ms: float = 0.0
    detail: str = ""


@dataclass(frozen=True)
class Failure(Event):
    """Why a service failed: everything somebody needs who was asleep a minute ago."""

    kind: ClassVar[str] = "failure"
    service: str
    reason: str
    host: str = ""
    task_error: str = ""
    health: str = ""
    log: list[str] = field(default_factory=list)
    others: dict[str, str] = field(default_factory=dict)
    hint: str = ""
    container: str = ""


@dataclass(frozen=True)
class Note(Event):
    """Anything else worth a line; `level` is info, warning, error or debug (debug: only with `-v` and in the log)."""

    kind: ClassVar[str] = "note"
    level: str
    text: str


@dataclass(frozen=True)
class ReleaseEnded(Event):
    """The engine's verdict: done, unchanged, rolled-back, unhealthy, failed, stopped, locked, conflict.

    `exit` is our exit code. `taken_back` tells how the way back went, None where nothing was taken back: `{"to",
    "verified", "services", "removed", "seconds", "stuck": [{"service", "runs", "wanted", "reason"}]}`.
    """

    kind: ClassVar[str] = "end"
    verdict: str
    exit: int = 0
    summary: str = ""
    seconds: float = 0.0
    changed: list[str] = field(default_factory=list)
    done: list[str] = field(default_factory=list)
    untouched: list[str] = field(default_factory=list)
    number: int = 0
    taken_back: dict[str, Any] | None = None
    dropped: list[int] = field(default_factory=list)


E = TypeVar("E", bound=Event)

# Terminal sequences: CSI ("colour", "clear"), OSC and its kin (window title, links, up to their end), two-byte escapes.
_ESCAPES = re.compile(r"\x1b\[[0-?]*[ -/]*[@-~]|\x1b[\]PX^_][^\x07\x1b]*(?:\x07|\x1b\\)?|\x1b[ -/]*[0-~]?")
# Control characters, C1 included, and what reverses or hides text; a tab and a line break are kept.
ACTED_ON = re.compile("[\x00-\x08\x0b-\x1f\x7f-\x9f\u200b\u200e\u200f\u2028-\u202e\u2060-\u2069\ufeff\ud800-\udfff]")


def harmless(text: str) -> str:
    """In: any text of a host or container. Out: the same without anything a terminal would act on."""
    return ACTED_ON.sub("", _ESCAPES.sub("", text.replace("\r\n", "\n")))


def map_text(event: E, change: Callable[[str], str]) -> E:
    """In: an event and a function on text. Out: the event with every text in it changed, lists and dicts included."""
    fields = {item.name: map_value(getattr(event, item.name), change) for item in dataclasses.fields(event)}
    return dataclasses.replace(event, **fields)


def map_value(value: Any, change: Callable[[str], str]) -> Any:
    """In: what JSON can hold, and a function on text. Out: the same with every text in it changed."""
    if isinstance(value, str):
        return change(value)
    if isinstance(value, list | tuple):
        return [map_value(item, change) for item in value]
    if isinstance(value, dict):
        return {change(key) if isinstance(key, str) else key: map_value(item, change) for key, item in value.items()}
    return value


def clean(event: E) -> E:
    """The boundary: the event with all its text made harmless."""
    return map_text(event, harmless)


# --- values of unknown origin -> the types we promised; never an exception


def as_text(value: object) -> str:
    """Out: the value as text, nothing for None."""
    if isinstance(value, str):
        return value
    return "" if value is None else str(value)


def as_float(value: object) -> float:
    """Out: a finite number, 0.0 for anything else."""
    try:
        number = float(cast("Any", value))
    except (TypeError, ValueError, OverflowError):
        return 0.0
    return number if math.isfinite(number) else 0.0


def as_int(value: object) -> int:
    """Out: a whole number, 0 for anything else."""
    return int(as_float(value))


def as_texts(value: object) -> list[str]:
    """Out: a list of texts; a lone text becomes its lines."""
    if isinstance(value, str):
        return value.splitlines()
    return [as_text(item) for item in value] if isinstance(value, (list, tuple)) else []


def as_list(value: object) -> list[Any]:
    """Out: the value when it is a list, else an empty one."""
    return value if isinstance(value, list) else []


def as_mapping(value: object) -> Mapping[str, Any]:
    """Out: the value when it is a mapping, else an empty one."""
    return value if isinstance(value, Mapping) else {}


def _planned(line: Mapping[str, Any]) -> ReleasePlanned | None:
    state = as_text(line.get("state")) or "started"
    if state not in ("started", TAKING_BACK):
        return None
    rows = [_planned_service(as_mapping(row)) for row in as_list(line.get("services"))]
    return ReleasePlanned(
        as_int(line.get("number")), [row for row in rows if row["name"]], as_text(line.get("id")), state,
        as_int(line.get("to")), as_texts(line.get("orphans")),
    )  # fmt: skip


def _planned_service(row: Mapping[str, Any]) -> dict[str, Any]:
    return {
        "name": as_text(row.get("name")),
        "wave": as_int(row.get("wave")),
        "action": as_text(row.get("action")),
        "changes": as_texts(row.get("changes")),
    }


def _service(line: Mapping[str, Any]) -> ServiceState | None:
    name, state = as_text(line.get("name")), as_text(line.get("state"))
    if not name or not state:
        return None
    return ServiceState(
        name, state, as_int(line.get("wave")), as_int(line.get("healthy")), as_int(line.get("wanted")),
        as_float(line.get("elapsed")), as_text(line.get("detail")), line.get("back") is True,
    )  # fmt: skip


def _check(line: Mapping[str, Any]) -> CheckResult:
    return CheckResult(
        as_text(line.get("name")), line.get("ok") is True, as_float(line.get("ms")), as_text(line.get("detail"))
    )


def _failure(line: Mapping[str, Any]) -> Failure:
    others = {as_text(name): as_text(state) for name, state in as_mapping(line.get("others")).items()}
    service, reason, host, error, health = (
        as_text(line.get(key)) for key in ("service", "reason", "host", "task_error", "health")
    )
    hint, container = as_text(line.get("hint")), as_text(line.get("container"))
    return Failure(service, reason, host, error, health, as_texts(line.get("log")), others, hint, container)


def _end(line: Mapping[str, Any]) -> ReleaseEnded:
    return ReleaseEnded(
        as_text(line.get("verdict")), as_int(line.get("exit")), as_text(line.get("summary")),
        as_float(line.get("seconds")), as_texts(line.get("changed")), as_texts(line.get("done")),
        as_texts(line.get("untouched")), as_int(line.get("number")), _taken_back(line.get("taken_back")),
        [as_int(number) for number in as_list(line.get("dropped"))],
    )  # fmt: skip


def _taken_back(value: object) -> dict[str, Any] | None:
    if not isinstance(value, Mapping):
        return None
    stuck = [as_mapping(item) for item in as_list(value.get("stuck"))]
    return {
        "to": as_int(value.get("to")),
        "verified": value.get("verified") is True,
        "services": as_texts(value.get("services")),
        "removed": as_texts(value.get("removed")),
        "seconds": as_float(value.get("seconds")),
        "stuck": [{key: as_text(one.get(key)) for key in ("service", "runs", "wanted", "reason")} for one in stuck],
    }


def _note(line: Mapping[str, Any]) -> Note:
    return Note(as_text(line.get("level")) or "info", as_text(line.get("text")))


_KINDS: dict[str, Callable[[Mapping[str, Any]], Event | None]] = {
    "release": _planned,
    "service": _service,
    "check": _check,
    "failure": _failure,
    "end": _end,
    "note": _note,
}


def parse_progress(line: object) -> Event | None:
    """In: one progress line of the engine (docs/architecture.md). Out: its event; None for what we do not know.

    A newer engine may send more kinds and keys than we know, so nothing here raises.
    """
    data = as_mapping(line)
    make = _KINDS.get(as_text(data.get("kind")))
    event = make(data) if make else None
    if event is None:
        return None
    moment = as_float(data.get("t"))
    return clean(dataclasses.replace(event, t=moment) if moment else event)
