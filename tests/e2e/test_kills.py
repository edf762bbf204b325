"""Whatever dies in a release, with -9 or for want of power: the stack serves on, and the next run brings it to an end.

LLMDEPLOY_E2E_KILLS says how many kills (default 2), of the engine, of the manager's Docker, of the manager itself and
of the engine while it takes back, in turn. `billing` has a replica on each of two hosts and is asked all the time, at
the worker's edge. Where the manager or its Docker dies, requests may fail there that the manager's edge answers: Swarm
goes on with the update once it is back, and may have all replicas there before the worker's network reaches them again.
"""

from __future__ import annotations

import itertools
import os
import random
import shlex
import shutil
import threading
import time
from collections.abc import Iterator
from dataclasses import dataclass

import pytest

from tests.e2e.conftest import MakeImages, MakeProject
from tests.e2e.runs import configs, docker_on, services
from tests.e2e.small import HOSTS, Site, make_site
from tests.e2e.stack import Project, Result, cli, eventually, ok, start
from tests.e2e.traffic import Traffic
from tests.lab import Host
from tests.lab.fixtures import LabFactory

KILLS = int(os.environ.get("LLMDEPLOY_E2E_KILLS", "2"))
SEED = int(os.environ.get("LLMDEPLOY_E2E_SEED", "20261123"))
pytestmark = [pytest.mark.lab, pytest.mark.timeout(300 + 150 * KILLS)]

DEPLOY = "staging deploy --plain"
CATALOGUE = """
stack: small
edge: {build: edge, memory: 256MB}
defaults: {build: demo, memory: 256MB, stop_grace: 3}
services:
  billing:
    group: both
    replicas: 2
    ports: [{number: 8082, protocol: http, published: true}]
    health: {interval: 1, start_period: 5}
  rate-limiter:
    group: tail
    ports: [{number: 50051, protocol: grpc, published: true}]
    health: {interval: 1, start_period: 5}
  user-dashboard:
    group: head
    ports: [{number: 3000, protocol: web, published: true}]
    depends_on: [billing]
    health: {interval: 1, start_period: 5}
"""
NAMES = ("billing", "rate-limiter", "user-dashboard")
KINDS = ("engine", "docker", "manager", "engine, taking back")
RETURN = 20.0  # seconds until containers of a host that is back are reached from the others
UNDER_WAY = 10  # requests that a dying host takes with it, before the edge has noticed
STEPS = {"engine": 14, "docker": 14, "manager": 14, "engine, taking back": 8}  # progress lines that there are at least
# On the manager: waits for a job newer than $1 and for $2 lines of its progress (after the way back began, with $3).
WAIT = """
while [ "$(ls -t /var/lib/llmdeploy/jobs | head -n 1)" = "$1" ]; do sleep 0.02; done
cd "/var/lib/llmdeploy/jobs/$(ls -t /var/lib/llmdeploy/jobs | head -n 1)"
lines() { cat progress.jsonl 2>/dev/null | if [ -n "$3" ]; then sed -n '/taking-back/,$p'; else cat; fi | wc -l; }
until [ "$(lines "$@")" -ge "$2" ] || grep -q '"kind": "end"' progress.jsonl; do sleep 0.02; done
"""
KILL_ENGINE = """grep -q '"kind": "end"' progress.jsonl || kill -9 $(cat pid)"""
KILL_DOCKER = "kill -9 $(pidof dockerd)"


@pytest.fixture(scope="module")
def site(lab_factory: LabFactory, make_project: MakeProject, make_images: MakeImages) -> Iterator[Site]:
    lab = lab_factory(HOSTS)
    site = make_site(lab, make_project, make_images)
    site.project.catalogue(CATALOGUE)
    groups = {"head": ["head"], "tail": ["tail"], "both": ["head", "tail"]}
    site.project.inventory("staging", lab.inventory_ini(groups=groups))
    site.ready()
    assert crowd(site) == ["head", "tail"], "one replica on each host"
    yield site
    lab.down()


@pytest.fixture(scope="module")
def elsewhere(site: Site) -> Project:
    """The same project on another machine."""
    root = site.project.root.with_name(f"{site.project.root.name}-elsewhere")
    shutil.copytree(site.project.root, root)
    return Project(root)


def rounds(site: Site) -> set[str]:
    """The ROUND of each service."""
    found = services(docker_on(site.lab["head"]))
    envs = [found[name]["Spec"]["TaskTemplate"]["ContainerSpec"].get("Env") or [] for name in NAMES]
    return {next((text.removeprefix("ROUND=") for text in env if text.startswith("ROUND=")), "") for env in envs}


def words(number: int | str, *more: str) -> list[str]:
    """A deploy that changes all services."""
    settings = [f"services.{name}.environment.ROUND={number}" for name in NAMES]
    return [*shlex.split(DEPLOY), *(word for value in [*settings, *more] for word in ("--set", value))]


@dataclass
class Struck:
    """A release in which something was killed; `alone`: no healthy replica of billing was on the worker just then."""

    ended: Result
    alone: bool


def strike(site: Site, kind: str, step: int, former: str, alone: list[bool]) -> None:
    """Wait for the step of the release that comes after the job `former`, kill, and note whether nobody was left."""
    head = site.lab["head"]
    wait = ["sh", "-c", WAIT + {"engine": KILL_ENGINE, "docker": KILL_DOCKER}.get(kind.partition(",")[0], "true")]
    arguments = [*wait, "wait", former, str(step), "back" if "back" in kind else ""]
    head.exec(shlex.join(arguments), check=False)
    alone.append(not site.lab["tail"].docker("ps --quiet --filter name=billing. --filter health=healthy").stdout)
    if kind == "docker":
        time.sleep(2)
        head.exec("rm -f /var/run/docker.pid; service docker start || (setsid dockerd </dev/null >/dev/null 2>&1 &)")
        head.wait()
    elif kind == "manager":
        head.kill()
        time.sleep(2)
        head.start()


def newest_job(manager: Host) -> str:
    return manager.exec("ls -t /var/lib/llmdeploy/jobs | head -n 1").stdout.strip()


def answers(site: Site) -> bool:
    """Whether the manager has its cluster again, with both hosts."""
    said = site.lab["head"].docker("node ls --format {{.Status}}", check=False)
    return said.returncode == 0 and said.stdout.split() == ["Ready", "Ready"]


def interrupted_release(site: Site, number: int, kind: str, step: int) -> Struck:
    """A release in which something is killed; afterwards the manager is there again."""
    former = newest_job(site.lab["head"])
    broken = ["services.user-dashboard.environment.DEMO_CRASH=1"] if "back" in kind else []
    run = start(site.project, words(number, *broken))
    alone: list[bool] = []
    killer = threading.Thread(target=strike, args=(site, kind, step, former, alone))
    killer.start()
    ended = run.end(240)
    killer.join(120)
    assert not killer.is_alive()
    eventually("the manager is back", lambda: answers(site), 120)
    return Struck(ended, alone[0])


def verdicts(project: Project) -> dict[int, str]:
    """Release → how it ended, as any machine is told."""
    return {row["number"]: row["verdict"] for row in ok(cli(project, "staging history --json")).data["releases"]}


def told_as_open(project: Project, number: int) -> bool:
    """Whether `status` says so; what it looked like before is no news to a killed run's own machine."""
    return f"release {number} was left open" in cli(project, "staging status").stdout


def test_replicas_that_docker_put_on_one_host_are_spread_again(site: Site) -> None:
    """The worker takes no new task until both are on the manager, as half of Docker's updates end without that."""
    head = site.lab["head"]
    watched = "--set services.billing.environment.ROUND=0 --set services.billing.update.stability=8"
    with Traffic(site.lab["tail"].ip, 8082, other=head.ip) as asked:
        asked.flows()
        head.docker("node update --availability pause tail")
        run = start(site.project, f"staging update billing --plain {watched}")
        try:
            eventually("both are on the manager", lambda: crowd(site) == ["head", "head"], 60)
        finally:
            head.docker("node update --availability active tail")
        done = ok(run.end())
        asked.flows()
    assert "billing: Docker had put too many replicas on head; now 1 on head, 1 on tail" in done.stdout
    assert crowd(site) == ["head", "tail"]
    assert [*asked.lost, *asked.turned] == []
    assert ok(cli(site.project, ["staging", "plan", "--json", *shlex.split(watched)])).data["drift"] == []


def crowd(site: Site) -> list[str]:
    """The hosts that the replicas of billing run on."""
    return sorted(site.services()["billing"].values())


def test_kills_leave_nothing_half_way(site: Site, elsewhere: Project) -> None:
    chance, open_ones = random.Random(SEED), 0
    most = 4_000 * (KILLS + 1)
    with Traffic(site.lab["tail"].ip, 8082, other=site.lab["head"].ip, most=most) as asked:
        asked.flows()
        for number, kind in zip(range(1, KILLS + 1), itertools.cycle(KINDS)):
            step, lost, turned = chance.randint(1, STEPS[kind]), len(asked.lost), len(asked.turned)
            name = f"kill {number}: {kind} at step {step}"
            struck = interrupted_release(site, number, kind, step)
            back = asked.now
            assert not struck.ended.left, name
            newest, verdict = max(verdicts(elsewhere).items())
            if verdict == "running":
                open_ones += 1
                eventually("status tells of the open release", lambda: told_as_open(elsewhere, newest), 90)  # noqa: B023
            again = ok(cli(elsewhere, words(number)))
            assert rounds(site) == {str(number)}, name
            assert all(site.services().values()), name
            assert "small.lock" not in configs(docker_on(site.lab["head"])), name
            assert "running" not in verdicts(elsewhere).values(), name
            ok(cli(elsewhere, "staging status"))
            missed, away = asked.lost[lost:], asked.turned[turned:]
            if crowd(site) != ["head", "tail"]:  # Docker moved a replica of the dead host after the release had ended
                assert kind in ("docker", "manager"), name
                ok(cli(elsewhere, words(f"{number}-spread")))
                assert crowd(site) == ["head", "tail"], name
            told = f"{name}: exit {struck.ended.code}, left {verdict}, again {again.seconds:.0f} s"
            print(f"{told}; {len(away)} answered by the other edge, by none {missed}")
            if "engine" in kind:
                assert [*missed, *away] == [], name
            if struck.alone:  # in the midst of an update Docker may have all replicas of a service on one host
                assert all(when < back + RETURN for when, _ in missed), name
            else:
                assert len(missed) <= UNDER_WAY, name
        asked.flows()
    assert open_ones >= KILLS // 2, "most were killed in the middle of their work"
    print(asked)


def test_abort_from_another_machine(site: Site, elsewhere: Project) -> None:
    before = rounds(site)
    slow = ["services.billing.environment.DEMO_SLOW_START=60", "services.billing.health.start_period=90"]
    with Traffic(site.lab["tail"].ip, 8082) as asked:
        run = start(site.project, words(99, *slow))
        run.wait_for("done         rate-limiter")
        aborted = ok(cli(elsewhere, "staging abort --plain --yes --message 'wrong day'"))
        stopped = ok(run.end(), 130)
        asked.flows()
    for said in (aborted.stdout, stopped.stdout):
        assert "everything is back on release" in said
    assert "back         rate-limiter" in aborted.stdout
    assert rounds(site) == before
    assert max(verdicts(elsewhere).items())[1] == "rolled back"
    assert "small.lock" not in configs(docker_on(site.lab["head"]))
    assert not asked.lost
    ok(cli(elsewhere, "staging status"))
