"""The engine killed with -9 at every step and at random moments: nothing is lost, the next run needs no hand.

LLMDEPLOY_KILLS says how many kills (default 2; a soak takes 50).
"""

from __future__ import annotations

import os
import random
import signal
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from llmdeploy.engine import lock, run
from llmdeploy.engine.ledger import position
from llmdeploy.engine.progress import alive, read

from .conftest import Stack, end

pytestmark = pytest.mark.docker

KILLS = int(os.environ.get("LLMDEPLOY_KILLS", "2"))
NAMES = ("a", "b", "c")
Lines = list[dict[str, Any]]


def job(stack: Stack, version: str, *, broken: bool = False) -> dict[str, Any]:
    """Three services in a chain, all of one version; where it is `broken` the last one crashes."""
    services = {}
    for index, name in enumerate(NAMES):
        script = "exit 3" if broken and name == NAMES[-1] else "exec sleep 600"
        services[name] = (stack.spec(script, Env=[f"VERSION={version}"]), [NAMES[index - 1]] if index else [])
    return stack.job(services)


@contextmanager
def watched(stack: Stack) -> Iterator[list[str]]:
    """Look several times a second whether each service has a running task; the moments when one had none."""
    gaps: list[str] = []
    stop = threading.Event()

    def look() -> None:
        while not stop.wait(0.2):
            tasks = stack.client.tasks(filters={"label": f"llmdeploy.stack={stack.name}"})
            up = {task["ServiceID"] for task in tasks if task["Status"]["State"] == "running"}
            found = stack.client.services(filters={"label": f"llmdeploy.stack={stack.name}"})
            gaps.extend(f"{item['Spec']['Name']} at {time.monotonic():.1f}" for item in found if item["ID"] not in up)

    thread = threading.Thread(target=look)
    thread.start()
    try:
        yield gaps
    finally:
        stop.set()
        thread.join()


def start_and_kill(stack: Stack, given: dict[str, Any], when: Callable[[Lines, float], bool]) -> Path:
    """Start the engine on its own and kill it as soon as `when(lines, seconds)` says so, or let it end before."""
    folder = run.prepare(stack.folder, given, stack.pins)
    run.spawn(folder)
    began = time.monotonic()
    while alive(folder) and not when(read(folder)[0], time.monotonic() - began):
        time.sleep(0.01)
    if alive(folder):
        os.kill(int((folder / "pid").read_text()), signal.SIGKILL)
    while alive(folder):
        time.sleep(0.01)
    return folder


def at_step(number: int) -> Callable[[Lines, float], bool]:
    """As soon as so many progress lines are written."""
    return lambda lines, _seconds: len(lines) >= number


def after(seconds: float) -> Callable[[Lines, float], bool]:
    """So long after the start."""
    return lambda _lines, passed: passed >= seconds


def moments() -> list[tuple[str, Callable[[Lines, float], bool], bool]]:
    """Kills at steps and at random moments in turn; every third in a release that is being taken back."""
    chance = random.Random(20261123)
    found: list[tuple[str, Callable[[Lines, float], bool], bool]] = []
    for kill in range(KILLS):
        broken = kill % 3 == 2
        if kill % 2:
            seconds = chance.uniform(0.05, 8.0 if broken else 5.0)
            found.append((f"{seconds:.2f} s", after(seconds), broken))
        else:
            found.append((f"step {kill // 2 + 1}", at_step(kill // 2 + 1), broken))
    return found


@pytest.mark.timeout(120 + 25 * KILLS)
def test_kills_leave_nothing_half_way(stack: Stack, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(lock, "BEAT_EVERY", 0.4)
    monkeypatch.setattr(lock, "STALE_AFTER", 1.5)
    assert end(stack.run(job(stack, "0")))["verdict"] == "done"
    killed = 0
    with watched(stack) as gaps:
        for turn, (name, when, broken) in enumerate(moments(), 1):
            folder = start_and_kill(stack, job(stack, str(turn), broken=broken), when)
            killed += not any(line["kind"] == "end" for line in read(folder)[0])
            lines = stack.run(job(stack, str(turn)))
            assert end(lines)["verdict"] in ("done", "unchanged"), (name, broken, lines)
            live = {stack.live(short)["Spec"]["TaskTemplate"]["ContainerSpec"]["Env"][0] for short in NAMES}
            assert live == {f"VERSION={turn}"}, (name, broken)
            assert stack.configs("lock") == []
            labels = {int(one["Spec"]["Labels"]["number"]): one["Spec"]["Labels"] for one in stack.configs("release")}
            assert position(labels).settled
            assert [one["verdict"] for one in labels.values()].count("running") == 0
    assert gaps == []
    assert killed >= KILLS // 2, "most were killed in the middle of their work"
    print(f"{killed} engines killed at work of {KILLS}")
