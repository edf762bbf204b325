"""A release that fails is taken back whole while people use the stack: every way to fail, with requests all the time.

`billing` is asked through the edge from before a failure until after its end; it has two replicas and changes with the
others. Each test leaves the stack on the release that it found it on.
"""

from __future__ import annotations

import json
import os
import re
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import pytest

from tests.e2e.conftest import MakeImages, MakeProject
from tests.e2e.runs import configs, docker_on, services, tasks
from tests.e2e.small import HOSTS, Site, make_site, untouched
from tests.e2e.stack import Result, eventually, ok, request, start
from tests.e2e.traffic import Traffic
from tests.lab import Host
from tests.lab.fixtures import LabFactory

pytestmark = [pytest.mark.lab, pytest.mark.timeout(600)]

DEPLOY = "staging deploy --json"
LIFE = float(os.environ.get("LLMDEPLOY_LIFE", "7"))  # seconds that a healthy replica lives in one of the tests
CATALOGUE = """
stack: small
edge: {build: edge, memory: 256MB}
defaults: {build: demo, memory: 256MB, stop_grace: 3}
services:
  billing:
    group: tail
    build: first
    replicas: 2
    ports: [{number: 8082, protocol: http, published: true}]
    health: {interval: 1, start_period: 3}
    update: {deadline: 60}
  secrets-service:
    group: tail
    ports: [{number: 8085, protocol: http}]
    health: {interval: 1, start_period: 3}
  auth-service:
    group: head
    ports: [{number: 8081, protocol: http, published: true}]
    depends_on: [secrets-service]
    health: {interval: 1, start_period: 3}
verify:
  requests:
    - name: a key is known
      service: auth-service
      port: 8081
      method: POST
      path: /v1/check
      headers: {Authorization: Bearer demo-key}
"""
CRASHED = r"it crashed( \(\d times\))?"  # a busy machine may see the second time as well
ALL_CHANGE = [f"services.{name}.environment.ROUND=2" for name in ("billing", "secrets-service", "auth-service")]
HANGS = r"awaiting headers|deadline exceeded|request canceled|[Tt]imeout"  # as Docker comes to know it
REGISTRIES = """
import http.server, socket, threading

class Empty(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        known = self.path == "/v2/"
        body = b"{}" if known else b'{"errors": [{"code": "MANIFEST_UNKNOWN", "message": "manifest unknown"}]}'
        self.send_response(200 if known else 404)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)
    do_HEAD = do_GET
    def log_message(self, *_): pass

def silent():
    server, kept = socket.create_server(("127.0.0.1", 5002)), []
    while True:
        kept.append(server.accept())

threading.Thread(target=silent, daemon=True).start()
http.server.ThreadingHTTPServer(("127.0.0.1", 5001), Empty).serve_forever()
"""


@pytest.fixture(scope="module")
def site(lab_factory: LabFactory, make_project: MakeProject, make_images: MakeImages) -> Iterator[Site]:
    """The stack on release 1; `billing` has an image of its own."""
    lab = lab_factory(HOSTS)
    site = make_site(lab, make_project, make_images)
    demo = next(ref for ref in site.images if "/demo:" in ref)
    for name in ("first", "second"):
        folder = site.project.root / name
        folder.mkdir()
        (folder / "Dockerfile").write_text(f"FROM {demo}\nLABEL its={name}\n")
    site.project.catalogue(CATALOGUE)
    lab.load(*make_images(site.project, "staging"))
    site.ready()
    yield site
    lab.down()


# --- what everything is measured by


@dataclass(frozen=True)
class State:
    """What runs: the services as they are written, the containers' settings and hosts, the edge's configuration."""

    written: dict[str, Any]
    running: dict[str, list[str]]
    edge: list[str]


def state(site: Site) -> State:
    manager = docker_on(site.lab["head"])
    found = tasks(manager)
    idents = [ident for own in found.values() for ident in own]
    specs = {one["ID"]: one["Spec"]["ContainerSpec"] for one in json.loads(manager(["inspect", *idents]))}
    return State(
        {name: one["Spec"] for name, one in services(manager).items()},
        {
            name: sorted(f"{host}: {specs[ident]['Image']} {specs[ident].get('Env')}" for ident, host in own.items())
            for name, own in found.items()
        },
        [host.ssh("cat /opt/llmdeploy/edge/haproxy.cfg").stdout for host in site.lab],
    )


def releases(site: Site) -> list[dict[str, str]]:
    """The labels of the ledger, the oldest first."""
    names = [name for name in configs(docker_on(site.lab["head"])) if ".release." in name]
    found = [one["Spec"]["Labels"] for one in json.loads(site.lab["head"].docker(["config", "inspect", *names]).stdout)]
    return sorted(found, key=lambda labels: int(labels["number"]))


@contextmanager
def traffic(site: Site) -> Iterator[Traffic]:
    """Requests through the edge of the first host; they must flow before and afterwards."""
    with Traffic(site.lab["head"].ip, 8082) as asked:
        asked.flows()
        yield asked
        asked.flows()
    print(asked)  # shown by `pytest -s`, or on failure


@contextmanager
def everything_comes_back(site: Site, verdict: str = "rolled back") -> Iterator[Traffic]:
    """Whatever happens meanwhile: afterwards all is as before, the ledger says so, and nobody has lost a request."""
    before, number = state(site), len(releases(site))
    with traffic(site) as asked:
        yield asked
        eventually("all is as before", lambda: state(site) == before, 30)
    known = releases(site)
    assert len(known) == number + 1
    assert known[-1]["verdict"] == verdict
    assert known[-1]["finished"]
    if verdict == "rolled back":
        assert known[-1]["taken_back_to"] == known[0]["number"] == "1"
    assert "small.lock" not in configs(docker_on(site.lab["head"]))
    ok(site.run("staging status"))


def told(failed: Result) -> str:
    """What a person reads in the end, after the picture of why it failed."""
    message = failed.envelope["errors"][0]["message"]
    assert "is back on release 1, healthy and verified: " in message, message
    assert failed.data["release"]["taken_back"]["verified"] is True
    return str(message)


# --- a service that does not work


@pytest.mark.parametrize(
    ("setting", "reason"),
    [
        pytest.param("DEMO_CRASH=1", f"{CRASHED} with exit code 3", id="crashes at start"),
        pytest.param(
            "DEMO_UNHEALTHY=1", "its health check failed", id="never healthy",
            marks=pytest.mark.thorough("tests/e2e/test_failures.py"),
        ),
    ],
)  # fmt: skip
def test_a_service_that_never_works(site: Site, setting: str, reason: str) -> None:
    with everything_comes_back(site) as asked:
        failed = ok(site.run(DEPLOY, f"services.billing.environment.{setting}"), 6)
    assert re.search(f"billing failed on tail-server: {reason}", told(failed))
    (failure,) = failed.events("failure")
    assert any(setting in line or "503" in line for line in failure["log"])
    assert not asked.lost


def test_healthy_at_first_then_dead(site: Site) -> None:
    """It is watched longer than it lives. What it was answering when it died is lost, and nothing else."""
    old = set(site.services()["billing"])
    update = {"stability": LIFE + 5, "delay": LIFE + 5, "deadline": 3 * LIFE + 60}
    watched = [f"services.billing.update.{key}={value}" for key, value in update.items()]
    with everything_comes_back(site) as asked:
        failed = ok(site.run(DEPLOY, f"services.billing.environment.DEMO_DIE_AFTER={LIFE}", *watched), 6)
    assert re.search(f"billing failed on tail-server: {CRASHED} with exit code 1", told(failed))
    (failure,) = failed.events("failure")
    assert any("dying as asked" in line for line in failure["log"])
    assert len(asked.lost) <= asked.clients
    assert len(old & set(site.services()["billing"])) == 1, "the other replica was not replaced before"


# --- several services, and the edge


def test_healthy_but_what_depends_on_it_fails_the_verification(site: Site) -> None:
    """Every service comes up; only the request at the end finds it out. The edge's configuration changes as well."""
    with everything_comes_back(site) as asked:
        errors = "services.secrets-service.environment.DEMO_ERRORS=1"
        failed = ok(site.run(DEPLOY, *ALL_CHANGE, errors, "edge.slots=9"), 6)
    assert "every service is healthy, but a key is known: HTTP 503" in told(failed)
    assert "The keys are not available yet" in told(failed)
    assert sorted(failed.data["release"]["taken_back"]["services"]) == [
        "auth-service", "billing", "edge", "secrets-service",
    ]  # fmt: skip
    assert not asked.lost, "the edge was reloaded, twice"


@pytest.mark.thorough("tests/docker/engine/test_taking_back.py and test_edgefile.py")
def test_the_last_of_several_fails_and_a_new_port_is_closed_again(site: Site) -> None:
    port = "services.secrets-service.ports=[{number: 8085, protocol: http, published: true}]"
    with everything_comes_back(site):
        crash = "services.auth-service.environment.DEMO_CRASH=1"
        failed = ok(site.run(DEPLOY, *ALL_CHANGE, crash, port), 6)
        with pytest.raises(ConnectionRefusedError):
            request(site.lab["tail"].ip, 8085)
    assert re.search(f"auth-service failed on head-server: {CRASHED} with exit code 3", told(failed))
    back = [one["name"] for one in failed.events("service") if one["back"] and one["state"] == "done"]
    assert back.index("auth-service") < back.index("secrets-service"), "what depends on it goes first"
    assert {"auth-service", "billing", "edge", "secrets-service"} == set(back)


# --- images


@pytest.fixture(scope="module")
def registries(site: Site) -> Site:
    """On the manager: a registry that has nothing (5001), and one that takes connections and never answers (5002)."""
    head = site.lab["head"]
    head.ssh("cat >/tmp/registries.py", input=REGISTRIES)
    head.exec("setsid python3 /tmp/registries.py >/dev/null 2>&1 </dev/null &")
    eventually("they listen", lambda: ":5001" in head.exec("ss -ltn").stdout)
    return site


@pytest.mark.parametrize(
    ("port", "reason"),
    [
        pytest.param(
            5000, "connection refused", id="registry down",
            marks=pytest.mark.thorough("the one whose image is missing"),
        ),
        pytest.param(5001, "manifest unknown", id="image missing"),
        pytest.param(5002, HANGS, id="pull hangs", marks=pytest.mark.thorough("the one whose image is missing")),
    ],
)  # fmt: skip
def test_no_image_changes_nothing(registries: Site, port: int, reason: str) -> None:
    image = f"127.0.0.1:{port}/team/billing:2"
    with untouched(registries), traffic(registries) as asked:
        failed = ok(registries.run("staging deploy --plain", f"services.billing.image={image}", *ALL_CHANGE[1:]), 1)
    assert f"the image {image} is not on this host, and no registry gives it" in failed.stderr
    assert re.search(reason, failed.stderr), failed
    assert "Hint: let this host reach the registry" in failed.stderr
    assert "release" not in failed.stdout
    assert not asked.lost


# --- places


@pytest.mark.thorough("tests/docker/engine/test_release.py, without the memory")
def test_no_memory_and_no_node(site: Site) -> None:
    """On one host somebody else's service has the memory, the other one takes nothing new."""
    head = site.lab["head"]
    total = int(head.docker("node inspect tail --format {{.Description.Resources.MemoryBytes}}").stdout) // 2**20
    half = ["--reserve-memory", f"{total // 2}m", "--constraint", "node.hostname==tail"]
    create = ["service", "create", "--no-resolve-image", "--name", "stranger", *half, "--entrypoint", "sleep"]
    head.docker([*create, site.images[0], "600"])
    head.docker("node update --availability pause head")
    third = [f"services.billing.{key}={total // 3}MiB" for key in ("memory", "reserve_memory")]
    try:
        with everything_comes_back(site) as asked:
            failed = ok(site.run(DEPLOY, *third, ALL_CHANGE[-1]), 6)
    finally:
        head.docker("node update --availability active head")
        head.docker("service rm stranger")
    reasons = {one["service"]: one["reason"] for one in failed.events("failure")}
    assert set(reasons) == {"billing", "auth-service"}
    assert "no host can run it: no suitable node" in reasons["billing"]
    assert "insufficient resources" in reasons["billing"]
    assert "not available for new tasks" in reasons["auth-service"]
    assert all("labels and the free memory" in one["hint"] for one in failed.events("failure"))
    assert told(failed)
    assert not asked.lost


# --- not taken back


@pytest.mark.thorough("tests/docker/engine/test_taking_back.py")
def test_kept_for_looking_until_a_rollback(site: Site) -> None:
    before = state(site)
    with traffic(site) as asked:
        kept = ok(site.run(f"{DEPLOY} --no-rollback", "services.billing.environment.DEMO_CRASH=1", *ALL_CHANGE[1:]), 7)
        (error,) = kept.envelope["errors"]
        assert re.search(f"billing failed on tail-server: {CRASHED} with exit code 3", error["message"])
        assert "kept for looking" in error["hint"]
        assert "llmdeploy staging rollback" in error["hint"]
        assert kept.data["release"]["taken_back"] is None
        assert releases(site)[-1]["verdict"] == "failed"
        env = services(docker_on(site.lab["head"]))["billing"]["Spec"]["TaskTemplate"]["ContainerSpec"]["Env"]
        assert "DEMO_CRASH=1" in env
        assert "billing" in ok(site.run("staging status"), 7).stdout
        assert len(site.services()["billing"]) >= 2, "the old replicas serve on"
        ok(site.run("staging rollback --json --yes"))
    eventually("all runs as before", lambda: state(site).running == before.running, 30)
    assert not asked.lost


@pytest.mark.thorough("tests/docker/engine/test_taking_back.py")
def test_taking_back_fails_as_well(site: Site) -> None:
    """The old image is gone from its host: it is said what runs where, and the told command brings it all back."""
    head, tail = site.lab["head"], site.lab["tail"]
    before = state(site)
    old = before.written["billing"]["TaskTemplate"]["ContainerSpec"]["Image"]
    slow = ["services.auth-service.environment.DEMO_SLOW_START=300", "services.auth-service.health.start_period=300"]
    with traffic(site) as asked:
        run = start(site.project, site.words(DEPLOY, "services.billing.build=second", *slow))
        run.wait_for(lambda said: _done(said, "billing") and '"auth-service", "state": "starting"' in said)
        eventually("the old image is gone", lambda: _lost_image(tail, old))
        eventually("the new one runs", lambda: head.docker(f"ps --quiet --filter {_OF}auth-service").stdout.split()[1:])
        head.docker(["kill", head.docker(f"ps --quiet --filter {_OF}auth-service").stdout.split()[0]])
        failed = ok(run.end(), 7)
        back = failed.data["release"]["taken_back"]
        assert back["verified"] is False
        assert [one["service"] for one in back["stuck"]] == ["billing"]
        assert "No such image" in back["stuck"][0]["reason"]
        (error,) = failed.envelope["errors"]
        number = back["to"]
        assert "auth-service failed on head-server: it crashed" in error["message"]
        assert f"taking back to release {number} failed:" in error["message"]
        assert f"billing runs {back['stuck'][0]['runs']}, wanted is release {number}: " in error["message"]
        assert error["hint"] == f"llmdeploy staging rollback {number}"
        assert releases(site)[-1]["verdict"] == "failed"
        ok(site.run(f"{error['hint'].removeprefix('llmdeploy ')} --yes --json"))
    eventually("all runs as before", lambda: state(site).running == before.running, 30)
    assert not asked.lost, "replicas of the new image served meanwhile"


_OF = "label=com.docker.swarm.service.name="


def _done(said: str, name: str) -> bool:
    lines = [json.loads(line) for line in said.splitlines() if line.startswith("{") and line.endswith("}")]
    return any(one.get("kind") == "service" and (one["name"], one["state"]) == (name, "done") for one in lines)


def _lost_image(tail: Host, image: str) -> bool:
    """Take an image from a host by hand, with the ended containers that still hold it."""
    ended = tail.docker(f"ps --all --quiet --filter ancestor={image} --filter status=exited").stdout.split()
    if ended:
        tail.docker(["rm", *ended], check=False)
    tail.docker(["image", "rm", "--force", image], check=False)
    return tail.docker(["image", "inspect", image], check=False).returncode != 0
