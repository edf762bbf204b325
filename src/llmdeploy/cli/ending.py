"""The words a run ends with: what failed and why, what became of it, and what to do next."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from llmdeploy.cli.connection import Connection
from llmdeploy.cli.logs import open_log
from llmdeploy.cli.running import Told
from llmdeploy.cli.session import Outcome, Session
from llmdeploy.errors import Exit, LlmdeployError, UnhealthyError
from llmdeploy.events import ReleaseEnded
from llmdeploy.release.job import Job
from llmdeploy.run.outcome import RunOutcome

FIRST = "this is the first release"  # the engine's words where there is nothing to go back to


def ended(session: Session, connection: Connection, job: Job, outcome: RunOutcome, told: Told) -> Outcome:
    """What a verb gives back after its run: the exit code is the engine's verdict."""
    data = outcome.to_json()
    data |= {"environment": connection.name, "action": job["action"], "target": job["target"]}
    data["verdict"] = outcome.end.verdict if outcome.end else outcome.status
    data["addresses"] = addresses(connection)
    data["failures"] = [one.to_json() for one in told.failures]
    if outcome.exit_hint == Exit.DONE and outcome.end:
        return Outcome("deploy", data)
    if outcome.exit_hint == Exit.DONE:
        error = {"message": "the playbook ended without a release", "hint": f"see {outcome.log_path}"}
        return Outcome("deploy", {**data, "verdict": "failed"}, Exit.FAILED, [error])
    if outcome.end and is_told_whole(outcome.exit_hint, outcome.end):
        error = release_error(outcome.end, told, job)
    else:
        hint = next_step(connection.name, str(job["action"]), outcome.exit_hint, outcome.status, data["verdict"])
        error = _brief(outcome.message, hint, whole=session.json)
    return Outcome("deploy", data, outcome.exit_hint, [error])


def unchanged(job: Job, services: Sequence[Mapping[str, Any]], results: Sequence[Mapping[str, Any]]) -> Outcome:
    """The outcome where nothing differs; `results` tell whether it works. Raises UnhealthyError where it does not."""
    environment = str(job["environment"])
    failed = [result for result in results if not result["ok"]]
    with open_log(job) as log:
        log.line("nothing to change: everything is as wanted")
        for one in results:
            log.line(f"{'ok  ' if one['ok'] else 'FAIL'}  {one['name']}  {one['ms']:.0f} ms  {one['detail']}")
    if failed:
        lines = "\n".join(f"{one['name']}: {one['detail']}" for one in failed)
        raise UnhealthyError(
            f"nothing to change, but {len(failed)} of {len(results)} checks fail:\n{lines}",
            hint=f"llmdeploy {environment} status",
            details={"checks": list(results)},
        )
    data = {"environment": environment, "verdict": "unchanged", "action": job["action"], "target": job["target"]}
    return Outcome("deploy", {**data, "services": list(services), "checks": list(results), "log": str(log.path)})


def is_told_whole(code: Exit, end: ReleaseEnded) -> bool:
    """Whether `release_error` has the words for this end: something failed, or somebody else wrote a service."""
    return code in (Exit.ROLLED_BACK, Exit.UNHEALTHY) or end.verdict == "conflict"


def release_error(end: ReleaseEnded, told: Told, job: Mapping[str, Any]) -> dict[str, str]:
    """The error for a release that failed: why, and what runs now. `job` has the environment, and more where known."""
    environment, message, back = str(job["environment"]), told.summary(end.summary), end.taken_back
    changed = _changed(environment) if end.verdict == "conflict" else ""
    if back is None:
        if FIRST in end.summary and FIRST not in message:
            message = f"{message}\n{end.summary[end.summary.index(FIRST) :]}"
        return {"message": message, "hint": changed or _kept(environment, job)}
    if back["verified"]:
        return {"message": f"{message}\n{_taken_back(back)}", "hint": changed or "correct the cause and try again"}
    wrong = "\n".join([f"taking back to release {back['to']} failed:", *_stuck(back, end.summary)])
    return {"message": f"{message}\n{wrong}", "hint": f"llmdeploy {environment} rollback {back['to']}"}


def _changed(environment: str) -> str:
    return f"llmdeploy {environment} plan shows what is different now"


def _kept(environment: str, job: Mapping[str, Any]) -> str:
    """What to do with a release that failed and was left so."""
    look = f"llmdeploy {environment} status"
    if job.get("on_failure") == "keep":
        return f"kept for looking: {look}; llmdeploy {environment} rollback takes it back"
    if job.get("on_failure") == "go-on":
        return f"{look} shows what runs; llmdeploy {environment} rollback {job['target']} tries again"
    return f"{look} shows what runs; correct the cause and deploy again"


def _taken_back(back: Mapping[str, Any]) -> str:
    moved = [*back["services"], *(f"{name} (removed again)" for name in back["removed"])]
    if not moved:
        return "Nothing had been changed by then."
    return f"Everything is back on release {back['to']}, healthy and verified: {', '.join(moved)}."


def _stuck(back: Mapping[str, Any], summary: str) -> list[str]:
    """One line for each service that did not come back: what runs instead."""
    rows = [
        f"  {one['service']} runs {one['runs']}, wanted is {one['wanted']}: {one['reason']}" for one in back["stuck"]
    ]
    return rows or [f"  {summary}"]


def next_step(environment: str, action: str, code: Exit, status: str = "", verdict: str = "") -> str:
    """What to type next, empty where there is nothing to say."""
    if status in ("detached", "stopping"):
        return f"llmdeploy {environment} attach follows it"
    if status == "unsure":
        return f"llmdeploy {environment} status shows what runs, once the manager answers"
    if status == "stopped":
        return f"llmdeploy {environment} history shows how it ended"
    if verdict == "conflict":
        return _changed(environment)
    steps = {
        Exit.UNHEALTHY: f"llmdeploy {environment} status shows what runs; correct the cause and deploy again",
        Exit.LOCKED: f"llmdeploy {environment} attach shows the other run",
        Exit.INTERRUPTED: f"llmdeploy {environment} {action} goes on from here",
        Exit.UNREACHABLE: f"llmdeploy {environment} doctor checks every host",
    }
    return steps.get(code, "")


def addresses(connection: Connection) -> list[dict[str, str]]:
    """Where to look: every port for people, and every HTTP port, at the first edge host, as far as that is known."""
    try:
        host = connection.edge_access.address
    except LlmdeployError:  # no settings, or no such host: the outcome itself does not depend on it
        return []
    settings = connection.env.settings
    return [
        {"service": name, "url": f"{'https' if settings.secured(port) else 'http'}://{host}:{port.edge}"}
        for name, service in settings.services.items()
        for port in service.ports
        if port.edge and port.protocol in ("web", "http")
    ]


def _brief(message: str, hint: str, *, whole: bool) -> dict[str, str]:
    """The error that ends a run. What a command printed the view has shown already; lines with an arrow are advice."""
    lines = message.splitlines() or [""]
    advice = [line.strip().removeprefix("→").strip() for line in lines if line.strip().startswith("→")]
    brief = message if whole or len(lines) == 1 else lines[0].rstrip(":") + (" (see above)" if len(lines) > 2 else "")
    return {"message": brief, "hint": "; ".join(advice) or hint}
