"""Interruption is a choice, never an accident: what is typed, what is sent, what is simply gone.

One small stack; each test changes it and takes an end of its own. A service that starts slowly gives the time for it.
"""

from __future__ import annotations

import itertools
import os
import re
import signal
from collections.abc import Iterator
from contextlib import suppress

import pytest

from tests.e2e.conftest import MakeImages, MakeProject
from tests.e2e.runs import docker_on, services
from tests.e2e.small import HOSTS, Site, Terminal, make_site, terminal
from tests.e2e.stack import Running, cli, eventually, ok, processes, start
from tests.lab.fixtures import LabFactory

pytestmark = [pytest.mark.lab, pytest.mark.timeout(900)]

DEPLOY = "staging deploy --plain"
SLOW = 9  # seconds from start to healthy of the one service that is slow
ROUNDS = itertools.count(1)
STARTED = "starting     billing  0/1"
QUESTION = "[d]etach or [s]top"


@pytest.fixture(scope="module")
def site(lab_factory: LabFactory, make_project: MakeProject, make_images: MakeImages) -> Iterator[Site]:
    lab = lab_factory(HOSTS)
    site = make_site(lab, make_project, make_images)
    site.ready()
    yield site
    lab.down()


@pytest.fixture
def words(site: Site) -> Iterator[list[str]]:
    """A deploy that changes a slow service and one that depends on it; afterwards no release is under way."""
    number = next(ROUNDS)
    yield site.words(
        DEPLOY,
        f"services.billing.environment.DEMO_SLOW_START={SLOW}",
        f"services.billing.environment.ROUND={number}",
        "services.billing.health.start_period=60",
        f"services.user-dashboard.environment.ROUND={number}",
    )
    eventually("no release is under way", lambda: not under_way(site), 180)


def under_way(site: Site) -> bool:
    return "small.lock" in site.lab["head"].docker("config ls --format {{.Name}}").stdout.split()


def round_of(site: Site, service: str, words: list[str]) -> bool:
    """Whether the service runs what these words say."""
    value = next(word for word in words if word.startswith(f"services.{service}.environment.ROUND")).rpartition(".")[2]
    spec = services(docker_on(site.lab["head"]))[service]["Spec"]["TaskTemplate"]["ContainerSpec"]
    return value in (spec.get("Env") or [])


def finished_by_itself(site: Site, words: list[str]) -> None:
    """The release that nobody watches ends well: another process follows it to its end and gives its exit code."""
    attached = ok(cli(site.project, "staging attach --plain"))
    assert "done         billing" in attached.stdout
    assert "done         user-dashboard" in attached.stdout
    assert re.search(r"release \d+ done in", attached.stdout)
    assert round_of(site, "billing", words)
    assert round_of(site, "user-dashboard", words)
    ok(cli(site.project, "staging status"))


def stopped(site: Site, words: list[str], said: str) -> None:
    """What had been started is taken back, what had not been is untouched, and it is said."""
    assert "stopping: the release engine has been told" in said
    assert "back         billing" in said
    assert re.search(r"release \d+ stopped in .*taken back to release \d+ and verified: billing", said), said
    assert "everything is back on release" in said
    assert not round_of(site, "billing", words)
    assert not round_of(site, "user-dashboard", words)
    ok(cli(site.project, "staging status"))


# --- nobody there any more


def test_killed_at_once_the_release_goes_on(site: Site, words: list[str]) -> None:
    run = start(site.project, words)
    run.wait_for(STARTED)
    os.killpg(run.process.pid, signal.SIGKILL)
    run.process.wait(30)
    status = cli(site.project, "staging status")
    assert "under way: deploy, by" in status.stdout, status
    finished_by_itself(site, words)
    eventually("nothing of it is left here", lambda: not processes(run.run, run.process.pid), 180)


def test_a_closed_terminal_detaches(site: Site, words: list[str]) -> None:
    run = terminal(site.project, words)
    run.wait_for(STARTED)
    run.hang_up()
    ended = run.end()
    assert ended.code == 130, ended
    assert not ended.left, ended
    finished_by_itself(site, words)


# --- Ctrl-C


def test_control_c_and_detach(site: Site, words: list[str]) -> None:
    run = terminal(site.project, words)
    run.wait_for(STARTED)
    run.type("\x03")
    run.wait_for(QUESTION)
    run.type("d\n")
    ended = ok(run.end(), 130)
    assert "detached, the release goes on" in ended.stdout
    assert "llmdeploy staging attach" in ended.stdout
    finished_by_itself(site, words)


def test_control_c_and_stop(site: Site, words: list[str]) -> None:
    run = terminal(site.project, words)
    run.wait_for(STARTED)
    run.type("\x03")
    run.wait_for(QUESTION)
    run.type("s\n")
    ended = ok(run.end(), 130)
    stopped(site, words, ended.stdout)


def test_control_c_twice_stops(site: Site, words: list[str]) -> None:
    """In the live view, where a person is most likely to do it."""
    live = [word for word in words if word != "--plain"]
    run: Terminal = terminal(site.project, live)
    run.wait_for("starting    billing")
    run.type("\x03")
    run.wait_for(QUESTION)
    run.type("\x03")
    ended = ok(run.end(), 130)
    assert "stopping: the release engine has been told" in ended.stdout
    assert "everything is back on release" in ended.stdout
    assert not round_of(site, "billing", words)
    assert not round_of(site, "user-dashboard", words)


def test_control_c_before_the_release(site: Site, words: list[str]) -> None:
    run = terminal(site.project, words)
    run.wait_for("== Look")
    run.type("\x03")
    ended = ok(run.end(), 130)
    assert QUESTION not in ended.stdout, "there is nothing to detach from"
    said = "stopped before the release began: no service was touched" in ended.stdout
    assert said or "its engine has been told to stop" in ended.stdout, "on a slow machine it may just have begun"
    eventually("no release is under way", lambda: not under_way(site), 60)
    assert not round_of(site, "billing", words)


def test_control_c_while_hosts_are_read(site: Site, words: list[str]) -> None:
    """Even before Ansible: no traceback, nothing left."""
    run = terminal(site.project, words)
    eventually("ssh is at work", lambda: any("ssh" in line for _, line in processes(run.run, run.process.pid)))
    run.type("\x03")
    ended = run.end()
    assert ended.code == 130, ended
    assert not ended.left, ended
    assert "Traceback" not in ended.stdout
    assert "nterrupted" in ended.stdout
    assert not round_of(site, "billing", words)


# --- signals


@pytest.mark.parametrize(
    "choice", ["abort", pytest.param("detach", marks=pytest.mark.thorough("tests/unit/run/test_start.py"))]
)
def test_sigterm_follows_on_interrupt(site: Site, words: list[str], choice: str) -> None:
    run: Running = start(site.project, [*words, "--on-interrupt", choice])
    run.wait_for(STARTED)
    run.signal(signal.SIGTERM)
    ended = ok(run.end(), 130)
    if choice == "abort":
        stopped(site, words, ended.stdout)
    else:
        assert "detached, the release goes on" in ended.stdout
        finished_by_itself(site, words)


def test_control_c_without_a_terminal_is_an_abort(site: Site, words: list[str]) -> None:
    """The whole process group gets it, as from a CI job's shell."""
    run = start(site.project, words)
    run.wait_for(STARTED)
    with suppress(ProcessLookupError):
        run.signal(signal.SIGINT, group=True)
    stopped(site, words, ok(run.end(), 130).stdout)


# --- time


def test_a_time_limit_ends_the_release(site: Site, words: list[str]) -> None:
    limited = ok(cli(site.project, [*words, "--limit-time", "5s"]), 6)
    assert "billing failed on tail-server: the deadline of the whole release (5 s) passed" in limited.stderr
    assert not round_of(site, "billing", words)
    assert not round_of(site, "user-dashboard", words)
    assert not under_way(site)
    wrong = ok(cli(site.project, [*words, "--limit-time", "soon"]), 2)
    assert "--limit-time soon" in wrong.stderr


def test_afterwards_the_stack_is_as_the_files_say(site: Site) -> None:
    site.ready()
    ok(cli(site.project, "staging status"))
    ok(cli(site.project, "staging plan"))
