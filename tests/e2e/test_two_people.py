"""Two people, one stack: who comes second is told, who has died is replaced, what a third one changes is respected."""

from __future__ import annotations

import getpass
import json
import os
import shutil
import signal
import socket
from collections.abc import Iterator

import pytest

from tests.e2e.conftest import MakeImages, MakeProject
from tests.e2e.runs import configs, docker_on, services
from tests.e2e.small import HOSTS, Site, make_site
from tests.e2e.stack import Project, Running, cli, eventually, ok, start
from tests.lab import Host
from tests.lab.fixtures import LabFactory

pytestmark = [pytest.mark.lab, pytest.mark.timeout(600)]

DEPLOY = "staging deploy --plain"
SLOW = ["services.billing.environment.DEMO_SLOW_START=15", "services.billing.health.start_period=60"]
STARTED = "starting     billing  0/1"
ME = f"{getpass.getuser()} on {socket.gethostname()}"


@pytest.fixture(scope="module")
def site(lab_factory: LabFactory, make_project: MakeProject, make_images: MakeImages) -> Iterator[Site]:
    lab = lab_factory(HOSTS)
    site = make_site(lab, make_project, make_images)
    site.ready()
    yield site
    lab.down()


@pytest.fixture(scope="module")
def elsewhere(site: Site) -> Project:
    """The same project on another machine: a folder of its own, and nothing that the first one has kept."""
    root = site.project.root.with_name(f"{site.project.root.name}-elsewhere")
    shutil.copytree(site.project.root, root)
    return Project(root)


def slow(site: Site, number: int, *words: str) -> Running:
    """A deploy that is at work on `billing`."""
    settings = [*SLOW, f"services.billing.environment.ROUND={number}"]
    run = start(site.project, [*site.words(DEPLOY, *settings), *words])
    run.wait_for(STARTED)
    return run


def round_of(site: Site, service: str = "billing") -> str:
    env = services(docker_on(site.lab["head"]))[service]["Spec"]["TaskTemplate"]["ContainerSpec"].get("Env") or []
    return next((text.removeprefix("ROUND=") for text in env if text.startswith("ROUND=")), "")


def is_locked(site: Site) -> bool:
    return "small.lock" in configs(docker_on(site.lab["head"]))


def newest(project: Project) -> dict[str, str]:
    """The newest release, as `history` tells it to a machine."""
    rows = ok(cli(project, "staging history --json")).data["releases"]
    return dict(max(rows, key=lambda row: int(row["number"])))


def kill_engine(manager: Host) -> None:
    """Kill the release engine, as a person would who sees it hang."""
    folders = manager.exec("ls -t /var/lib/llmdeploy/jobs").stdout.split()
    manager.exec(f"kill -9 $(cat /var/lib/llmdeploy/jobs/{folders[0]}/pid)")


def test_the_second_is_told_who_it_is_and_a_third_one_waits(site: Site, elsewhere: Project) -> None:
    first = slow(site, 1, "--message", "new prices")
    try:
        waiting = start(elsewhere, f"{DEPLOY} --wait 3m --set services.rate-limiter.environment.ROUND=3")
        others = [start(elsewhere, words) for words in (DEPLOY, "staging status")]
        second, status = (ok(other.end(), code) for other, code in zip(others, (4, 0), strict=True))
        assert f"{ME} is running `deploy` here since 20" in second.stderr
        assert "(new prices)" in second.stderr
        assert "llmdeploy staging attach" in second.stderr
        assert "--wait 5m" in second.stderr
        assert "starting" not in second.stdout
        assert "under way: deploy, by" in status.stdout
        ok(first.end())
        done = ok(waiting.end())
    finally:
        first.kill()
    assert "Waiting for another run to end" in done.stderr
    assert f"{ME} is running `deploy` here since 20" in done.stderr
    assert "(new prices)" in done.stderr
    assert "billing: env DEMO_SLOW_START removed" in done.stdout, "its plan was made of what the first has left"
    assert (round_of(site), round_of(site, "rate-limiter")) == ("", "3")
    assert not is_locked(site)


@pytest.mark.thorough("tests/e2e/test_upkeep.py")
def test_a_holder_that_was_killed_is_replaced_by_the_next_run(site: Site, elsewhere: Project) -> None:
    """The command and its engine, with -9. Nobody has to unlock anything."""
    run = slow(site, 2)
    os.killpg(run.process.pid, signal.SIGKILL)
    kill_engine(site.lab["head"])
    run.kill()
    assert is_locked(site)
    number = newest(elsewhere)["number"]
    after = ok(cli(elsewhere, DEPLOY))
    said = after.stdout + after.stderr
    assert f"took over the lock of a run that gives no sign of life: {ME} is running `deploy` here since" in said
    assert f"release {number} was left open: going on from what it had done" in said
    assert round_of(site) == ""
    assert not is_locked(site)
    rows = {row["number"]: row["verdict"] for row in ok(cli(elsewhere, "staging history --json")).data["releases"]}
    assert rows[number] == "interrupted"
    assert newest(elsewhere)["verdict"] == "good"
    ok(cli(elsewhere, "staging status"))


def test_a_lock_that_is_forced_open_is_recorded(site: Site, elsewhere: Project) -> None:
    run = slow(site, 3)
    try:
        shown = ok(cli(elsewhere, "staging unlock"), 2)
        assert f"{ME} is running `deploy` here since 20" in shown.stderr
        assert "it lives" in shown.stderr
        assert is_locked(site)
        forced = ok(cli(elsewhere, ["staging", "unlock", "--force", "--message", "wrong branch"]))
        assert ME in forced.stdout
        lost = ok(run.end(), 4)
    finally:
        run.kill()
    assert "lock" in lost.stderr
    told = newest(elsewhere)
    assert ME in told["unlocked"]
    assert "wrong branch" in told["unlocked"]
    assert told["verdict"] == "failed"
    shown = ok(cli(elsewhere, "staging history"))
    assert "unlocked by" in shown.stdout
    ok(cli(elsewhere, DEPLOY))
    assert round_of(site) == ""


def test_a_change_by_hand_stops_the_release_and_stays(site: Site) -> None:
    head = site.lab["head"]
    run = slow(site, 4)
    try:
        head.docker("service scale --detach billing=2")
        stopped = ok(run.end(), 4)
    finally:
        run.kill()
    assert "billing was changed by somebody else during this release" in stopped.stderr
    assert "replicas" in stopped.stderr
    assert "llmdeploy staging plan" in stopped.stderr
    live = services(docker_on(head))["billing"]["Spec"]["Mode"]["Replicated"]["Replicas"]
    assert live == 2, "it is not overwritten"
    assert not is_locked(site)
    drift = ok(site.run("staging plan --json"), 10)
    assert "replicas" in json.dumps(drift.data)
    site.ready()
    eventually("one is left", lambda: len(site.services()["billing"]) == 1)
    ok(site.run("staging status"))
