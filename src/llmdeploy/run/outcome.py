"""How a run ended. Pure."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

from llmdeploy.errors import Exit
from llmdeploy.events import HostProblem, HostStep, ReleaseEnded
from llmdeploy.run.translate import Translator

Status = Literal["successful", "failed", "interrupted", "unsure", "stopped", "stopping", "detached", "deadline"]


@dataclass(frozen=True)
class RunOutcome:
    """What the command line needs to know after a run.

    status      successful, failed; interrupted (before the release began), unsure (it should not have begun, and the
                manager cannot be asked), stopped (the engine has taken back what it had done), stopping (it was told
                to, nobody waited), detached (the release goes on), deadline
    message     one sentence: why it failed, or what state things are in
    changed     host → the steps that changed something on it
    end         the engine's verdict, None when the release was never begun or not followed to its end
    """

    status: Status
    exit_hint: Exit
    message: str = ""
    unreachable: dict[str, str] = field(default_factory=dict)
    failed: list[HostStep] = field(default_factory=list)
    problems: list[HostProblem] = field(default_factory=list)
    changed: dict[str, list[str]] = field(default_factory=dict)
    end: ReleaseEnded | None = None
    seconds: float = 0.0
    log_path: Path | None = None

    def to_json(self) -> dict[str, Any]:
        """Out: plain data for the envelope."""
        return {
            "status": self.status,
            "message": self.message,
            "unreachable": self.unreachable,
            "failed": [step.to_json() for step in self.failed],
            "problems": [problem.to_json() for problem in self.problems],
            "changed": self.changed,
            "release": self.end.to_json() if self.end else None,
            "seconds": self.seconds,
            "log": str(self.log_path) if self.log_path else None,
        }


_MESSAGES: dict[Status, str] = {
    "interrupted": "stopped before the release began: no service was touched; a host may be prepared in part, "
    "the next run continues there",
    "unsure": "stopped; whether the release had begun is not known, as the manager does not answer",
    "stopping": "the release was told to stop; on the manager it takes back what it had done",
    "detached": "the release goes on, on the manager",
}


def outcome(
    seen: Translator, *, forced: Status | None, rc: int | None, error: str, seconds: float, log_path: Path | None
) -> RunOutcome:
    """In: what was seen of the run, the status if we ended it ourselves, Ansible's exit code. Out: the outcome."""
    # What goes wrong in ansible-runner after the recap (it may miss its child's end) changes nothing.
    fine = rc == 0 or (rc is None and seen.finished and not seen.failed and not seen.unreachable)
    fine = fine and (seen.end is None or seen.end.exit == 0)
    status = forced or ("successful" if fine else "failed")
    if status in ("stopped", "deadline") and seen.end and seen.end.verdict in ("done", "unchanged"):
        status = "successful"  # it was finished before it heard of the wish
    return RunOutcome(
        status=status,
        exit_hint=_exit(status, seen),
        message=_MESSAGES.get(status) or _message(status, seen, error, rc),
        unreachable=dict(seen.unreachable),
        failed=list(seen.failed.values()),
        problems=list(seen.problems),
        changed={host: list(steps) for host, steps in seen.changed.items()},
        end=seen.end,
        seconds=round(seconds, 1),
        log_path=log_path,
    )


def _exit(status: Status, seen: Translator) -> Exit:
    end = seen.end
    if status == "stopped" and end and end.exit == Exit.UNHEALTHY:
        return Exit.UNHEALTHY  # what it had done could not be taken back
    if status in ("interrupted", "unsure", "stopped", "stopping", "detached"):
        return Exit.INTERRUPTED
    if status == "successful":
        return Exit.DONE
    if status == "deadline" and end and end.verdict == "stopped":
        return Exit.ROLLED_BACK if end.taken_back and end.taken_back["verified"] else Exit.FAILED
    if end and end.exit:
        return _known(end.exit)
    return Exit.UNREACHABLE if seen.unreachable and status == "failed" else Exit.FAILED


def _known(code: int) -> Exit:
    return Exit(code) if code in Exit._value2member_map_ else Exit.FAILED


def _message(status: Status, seen: Translator, error: str, rc: int | None) -> str:
    if status == "deadline":
        return "not finished within the time limit" + (f": {seen.end.summary}" if seen.end else "")
    if seen.end and (status != "failed" or seen.end.exit):
        return seen.end.summary or f"release {seen.end.verdict}"
    if status == "successful":
        return ""
    if seen.unreachable:
        return "; ".join(f"{host}: {why}" for host, why in seen.unreachable.items())
    if seen.failed:
        return "; ".join(f"{host}: {step.step}: {step.detail}" for host, step in seen.failed.items())
    return error or (seen.errors[-1] if seen.errors else f"ansible-playbook ended with {rc}")
