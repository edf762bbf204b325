"""A whole deploy as events with the seconds between them: for tests, and to look at a view with one's own eyes.

python -m tests.unit.view.script KIND [speed] [options of make_view: plain json quiet verbose]
KIND: good bad hosts back stuck canary rollback
"""

from __future__ import annotations

import sys
import time
from collections.abc import Iterator
from typing import Any

from llmdeploy.errors import Exit
from llmdeploy.events import (
    CheckResult,
    Event,
    Failure,
    HostProblem,
    HostStep,
    Note,
    PhaseStarted,
    ReleaseEnded,
    ReleasePlanned,
    ServiceState,
)
from llmdeploy.view import ViewMode, make_view, show_outcome

HOSTS = ("head-server", "model-proxy-server", "tail-server", "ui-server")
WAVES = {
    "model-proxy": 1, "secrets-service": 1, "billing": 1, "auth-service": 2, "head-go": 2, "rate-limiter": 2,
    "gateway": 3, "tail-go": 4, "admin-dashboard": 5, "user-dashboard": 5,
}  # fmt: skip
Timed = Iterator[tuple[float, Event]]


def preparation(hosts: tuple[str, ...] = HOSTS) -> Timed:
    """Look at all hosts, prepare one of them, images."""
    yield 0.3, PhaseStarted("Look")
    for host in hosts:
        yield 0.02, HostStep(host, "Look", "Read the host", "running")
    for host in hosts:
        yield 0.1, HostStep(host, "Look", "Read the host", "ok", seconds=1.1)
    yield (
        0.1,
        HostProblem(hosts[-1], "disk", "warning", "9 GB free on /var/lib/docker", "20 GB are enough"),
    )
    yield 0.2, PhaseStarted("Prepare")
    for host in hosts:
        yield 0.0, HostStep(host, "Prepare", "Install Docker", "running")
    for index, host in enumerate(hosts):
        yield 0.8, HostStep(host, "Prepare", "Install Docker", "changed" if index == 1 else "ok", seconds=index * 7)
    yield 0.1, PhaseStarted("Images")
    yield 0.0, HostStep(hosts[0], "Images", "Build what is missing", "running")
    yield 1.0, HostStep(hosts[0], "Images", "Build what is missing", "running", "attempt 3 of 40")
    yield 1.0, HostStep(hosts[0], "Images", "Build what is missing", "changed", seconds=2.0)
    yield 0.1, PhaseStarted("Release")
    yield 0.1, HostStep(hosts[0], "Release", "Follow the release", "running")


def release(broken: str = "") -> Timed:
    """Ten services in five waves; `broken` never becomes healthy."""
    rows = [{"name": name, "wave": wave, "action": "create", "changes": []} for name, wave in WAVES.items()]
    yield 0.1, ReleasePlanned(7, rows)
    for name, wave in WAVES.items():
        yield 0.0, ServiceState(name, "waiting", wave, 0, 1)
    for wave in range(1, 6):
        members = [name for name, at in WAVES.items() if at == wave]
        for name in members:
            yield 0.1, ServiceState(name, "starting", wave, 0, 2 if name == "gateway" else 1, 0.1, "preparing")
        for name in members:
            if name == broken:
                yield from _breaks(name, wave)
                return
            wanted = 2 if name == "gateway" else 1
            yield 0.4, ServiceState(name, "healthy", wave, wanted, wanted, 2.4)
            yield 0.3, ServiceState(name, "answering", wave, wanted, wanted, 4.4, "port 8000: HTTP 503")
            yield 0.4, ServiceState(name, "done", wave, wanted, wanted, 4.9)
    for name in ("tail-go:8000", "chat completion"):
        yield 0.2, CheckResult(name, True, 41.5)
    done = list(WAVES)
    yield 0.1, ReleaseEnded("done", 0, "10 services done", 31.2, done, done, [])


def _breaks(name: str, wave: int, *, ended: bool = True) -> Timed:
    yield 1.5, ServiceState(name, "starting", wave, 0, 1, 12.0, "started 3 times, last exit code 1")
    later = [other for other, at in WAVES.items() if at > wave]
    yield 0.1, ServiceState(name, "failed", wave, 0, 1, 31.0, "its task ended with exit code 1")
    for other in later:
        yield 0.0, ServiceState(other, "blocked", WAVES[other], 0, 1)
    others = {other: "not touched" if other in later else "done" for other in WAVES if other != name}
    log = [
        "2025-11-23T18:00:01Z level=info msg=\"starting\" version=2.4.1",
        *(f"2025-11-23T18:00:{second:02}Z level=error msg=\"cannot reach model-proxy:50061\" attempt={second}"
          for second in range(2, 20)),
        "panic: no upstream after 18 attempts, giving up; the configuration was /etc/head-go/config.yml and had none",
    ]  # fmt: skip
    yield 0.1, Failure(
        name, "not healthy within 30 s: its task ended with exit code 1", "head-server", "task: non-zero exit (1)",
        "GET /health: connection refused", log, others, "llmdeploy staging logs head-go",
    )  # fmt: skip
    if not ended:
        return
    done = [other for other, at in WAVES.items() if at < wave]
    yield 0.1, ReleaseEnded("unhealthy", 7, f"{name} did not become healthy", 44.0, [*done, name], done, later)


CHANGED = ("model-proxy", "billing", "head-go", "gateway")


def update(broken: str = "", *, canary: bool = False, stuck: str = "") -> Timed:
    """Release 7 of four services out of ten; `broken` fails and all is taken back to release 4, except `stuck`."""
    rows = [
        {"name": name, "wave": wave, "action": "change", "changes": ["image 2.4.0 → 2.4.1"]}
        if name in CHANGED
        else {"name": name, "wave": wave, "action": "unchanged", "changes": []}
        for name, wave in WAVES.items()
    ]
    yield 0.1, ReleasePlanned(7, rows)
    for name, wave in WAVES.items():
        yield 0.0, ServiceState(name, "waiting" if name in CHANGED else "unchanged", wave, 1, 1)
    for name in CHANGED:
        wave, wanted = WAVES[name], 2 if name == "gateway" else 1
        yield 0.3, ServiceState(name, "starting", wave, 0, wanted, 0.1, "preparing")
        if name == broken:
            yield from _breaks(name, wave, ended=False)
            yield from _goes_back([one for one in CHANGED if WAVES[one] <= wave], stuck)
            return
        if canary and wanted > 1:
            for passed in (1.0, 2.0):
                yield 1.0, ServiceState(name, "canary", wave, 1, 2, 2.0 + passed, "1 of 2 is new, watched 10 s")
            yield 0.2, CheckResult("chat completion", True, 43.0)
            yield 0.2, ServiceState(name, "starting", wave, 1, wanted, 0.1, "1 of 2 is new")
        yield 0.4, ServiceState(name, "done", wave, wanted, wanted, 4.9)
    for name in ("tail-go:8000", "chat completion"):
        yield 0.2, CheckResult(name, True, 41.5)
    changed = list(CHANGED)
    yield 0.1, ReleaseEnded("done", 0, "4 services done", 31.2, changed, changed, [], number=7)


def _goes_back(touched: list[str], stuck: str) -> Timed:
    """What was touched returns to release 4, the last one first: waves are counted anew."""
    rows: list[dict[str, Any]] = [
        {"name": name, "wave": 3 - WAVES[name], "action": "change", "changes": ["image 2.4.1 → 2.4.0"]}
        for name in reversed(touched)
    ]
    gone: dict[str, Any] = {"name": "new-one", "wave": 3, "action": "remove", "changes": []}
    same = {"name": "auth-service", "wave": 2, "action": "unchanged", "changes": []}
    yield 0.1, ReleasePlanned(4, [*rows, gone, same], "20261123-175900-ab12", "taking-back", 4)
    for row in (*rows, gone):
        yield 0.0, ServiceState(row["name"], "waiting", row["wave"], 1, 1, back=True)
    yield 0.0, ServiceState("auth-service", "unchanged", 2, 1, 1, back=True)
    for row in rows:
        name, wave = row["name"], row["wave"]
        yield 0.6, ServiceState(name, "starting", wave, 0, 1, 0.4, "preparing", back=True)
        if name == stuck:
            why = "no suitable node (insufficient memory on 4 nodes)"
            yield 2.0, ServiceState(name, "failed", wave, 0, 1, 60.0, why, back=True)
            yield 0.0, Failure(name, why, hint="llmdeploy staging status")
            continue
        yield 0.6, ServiceState(name, "healthy", wave, 1, 1, 1.9, back=True)
        yield 0.6, ServiceState(name, "done", wave, 1, 1, 2.6, back=True)
    yield 0.3, ServiceState("new-one", "starting", 3, 0, 0, 0.3, "ending its tasks", back=True)
    yield 0.3, ServiceState("new-one", "removed", 3, 0, 0, 2.3, back=True)
    if not stuck:
        for name in ("tail-go:8000", "chat completion"):
            yield 0.2, CheckResult(name, True, 44.0)
    runs = "release 7, image sha256:0a1b2c3d4e5f"
    left = {"service": stuck, "runs": runs, "wanted": "release 4", "reason": "no suitable node"}
    back: dict[str, Any] = {
        "to": 4, "verified": not stuck, "services": [row["name"] for row in rows if row["name"] != stuck],
        "removed": ["new-one"], "seconds": 6.2,
        "stuck": [left] if stuck else [],
    }  # fmt: skip
    verdict, code = ("unhealthy", 7) if stuck else ("rolled-back", 6)
    said = "head-go: failed; billing, model-proxy: done; gateway: not touched; "
    if stuck:
        said += f"taking back to release 4 failed: {stuck} runs {runs} (no suitable node)"
        said += "; next: llmdeploy staging rollback 4"
    else:
        said += f"taken back to release 4 and verified: {', '.join([*back['services'], *back['removed']])}"
    yield 0.1, ReleaseEnded(verdict, code, said, 52.0, [*touched], [], ["gateway"], number=7, taken_back=back)


def script(kind: str) -> Timed:
    """good: all is well; bad: head-go fails; hosts: fifty hosts, one cannot be reached, one fails;

    back: a release of four services fails and is taken back; stuck: and one of them cannot go back; canary; rollback.
    """
    if kind == "hosts":
        hosts = tuple(f"node-{number:02}" for number in range(1, 51))
        yield from list(preparation(hosts))[:158]
        why = "timed out after 5 s, tried deploy@node-07.example.com:22, key ~/.ssh/id_ed25519; is the host up?"
        yield 1.0, HostStep("node-07", "Prepare", "Install Docker", "unreachable", why, 5.1)
        yield 1.0, HostStep("node-09", "Prepare", "Install Docker", "failed", "apt: no space left on device", 2.1)
        yield 2.0, Note("warning", "stopping")
        return
    if kind in ("back", "stuck", "canary", "rollback"):
        yield 0.2, PhaseStarted("Look")
        yield 0.2, HostStep(HOSTS[0], "Look", "Read the host", "ok", seconds=1.1)
        yield 0.2, PhaseStarted("Release")
        broken = "head-go" if kind in ("back", "stuck") else ""
        yield from update(broken, canary=kind == "canary", stuck="billing" if kind == "stuck" else "")
        return
    yield from preparation()
    yield from release("head-go" if kind == "bad" else "")


def main(kind: str = "good", speed: str = "1", *options: str) -> None:
    """Plays a script on the terminal."""
    mode = ViewMode(**dict.fromkeys(options, True), command="staging deploy")
    end: ReleaseEnded | None = None
    action = "rollback" if kind == "rollback" else "deploy"
    with make_view(mode, environment="staging", action=action) as view:
        for pause, event in script(kind):
            time.sleep(pause / float(speed))
            view.on_event(event)
            end = event if isinstance(event, ReleaseEnded) else end
    code = Exit(end.exit) if end else Exit.FAILED
    data = {
        "environment": "staging", "action": action, "target": 4 if kind == "rollback" else 0,
        "verdict": end.verdict if end else "failed", "seconds": 44.0,
        "release": end.to_json() if end else None, "log": "/home/ana/.local/state/llmdeploy/logs/staging/1.log",
        "changed": {"model-proxy-server": ["Install Docker"]},
        "addresses": [{"service": "tail-go", "url": "http://10.0.0.3:8000"}],
    }  # fmt: skip
    hint = "llmdeploy staging status shows what runs; correct the cause and deploy again"
    errors = [] if code == Exit.DONE else [{"message": end.summary if end else "two hosts failed", "hint": hint}]
    show_outcome("staging deploy", "deploy", data, exit_code=code, errors=errors, json=mode.json)


if __name__ == "__main__":
    main(*sys.argv[1:])
