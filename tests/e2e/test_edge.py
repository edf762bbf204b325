"""The edge under load: what changes behind it, or about it, loses no request.

The load is bounded: a few clients, some hundred requests each, paced so that they last as long as the change.
"""

from __future__ import annotations

import http.client
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import closing
from dataclasses import dataclass, field

import grpc  # type: ignore[import-untyped]
import pytest

from tests.e2e.conftest import MakeImages, MakeProject
from tests.e2e.runs import docker_on, services
from tests.e2e.small import HOSTS, Site, make_site
from tests.e2e.stack import SERVING, Running, cli, eventually, ok, request, start
from tests.lab import Host
from tests.lab.fixtures import LabFactory

pytestmark = [pytest.mark.lab, pytest.mark.timeout(900)]

DEPLOY = "staging deploy --plain"
CATALOGUE = """
stack: small
edge: {build: edge, memory: 256MB}
defaults: {build: demo, memory: 256MB}
services:
  billing:
    group: tail
    ports: [{number: 8082, protocol: http, published: true}]
    replicas: 2
    health: {interval: 1}
  rate-limiter:
    group: tail
    ports: [{number: 50051, protocol: grpc, published: true}]
    replicas: 2
    health: {interval: 1}
  model-proxy:
    group: tail
    ports: [{number: 8100, protocol: http}, {number: 50061, protocol: grpc, published: true}]
    replicas: 2
    health: {interval: 1}
  user-dashboard:
    group: head
    ports: [{number: 3000, protocol: web}]
    health: {interval: 1}
"""
MOST = 4000  # requests of one load, whatever happens


@pytest.fixture(scope="module")
def site(lab_factory: LabFactory, make_project: MakeProject, make_images: MakeImages) -> Iterator[Site]:
    lab = lab_factory(HOSTS)
    site = make_site(lab, make_project, make_images)
    site.project.catalogue(CATALOGUE)
    site.ready()
    yield site
    lab.down()


@dataclass
class Load:
    """Clients that ask with a short pause, half of them on connections that they keep."""

    host: str
    port: int = 8082
    clients: int = 6
    pace: float = 0.03
    answers: Counter[str] = field(default_factory=Counter)
    served_by: Counter[str] = field(default_factory=Counter)
    lost: list[tuple[float, str]] = field(default_factory=list)
    _stop: threading.Event = field(default_factory=threading.Event)
    _threads: list[threading.Thread] = field(default_factory=list)

    def __enter__(self) -> Load:
        self._began = time.monotonic()
        for number in range(self.clients):
            thread = threading.Thread(target=self._client, args=(number % 2 == 0,), daemon=True)
            thread.start()
            self._threads.append(thread)
        return self

    def __exit__(self, *_: object) -> None:
        self._stop.set()
        for thread in self._threads:
            thread.join(60)

    @property
    def number(self) -> int:
        return sum(self.answers.values())

    def _client(self, keep: bool) -> None:
        connection = http.client.HTTPConnection(self.host, self.port, timeout=30)
        while not self._stop.is_set() and self.number < MOST:
            try:
                connection.request("GET", "/v1/usage", headers={} if keep else {"Connection": "close"})
                answer = connection.getresponse()
                answer.read()
                said = str(answer.status)
                self.served_by[answer.headers.get("X-Served-By", "")] += 1
            except (OSError, http.client.HTTPException) as error:
                said = f"{type(error).__name__}: {error}"
                connection.close()
            self.answers[said] += 1
            if said != "200":
                self.lost.append((round(time.monotonic() - self._began, 1), said))
            time.sleep(self.pace)
        connection.close()

    def until(self, run: Running, at_least: int = 300) -> None:
        """Go on until the command has ended, and for a moment after."""
        while run.process.poll() is None or self.number < at_least:
            time.sleep(0.1)
            assert any(thread.is_alive() for thread in self._threads) or self.number >= MOST
        after = self.number + 100
        while self.number < min(after, MOST):
            time.sleep(0.1)


def under_load(site: Site, *settings: str, clients: int = 6) -> tuple[Load, str]:
    """Deploy with these settings while clients ask; returns what they saw and what the deploy said."""
    with Load(site.lab["head"].ip, clients=clients) as load:
        run = start(site.project, site.words(DEPLOY, *settings))
        load.until(run)
        said = ok(run.end()).stdout
    print(
        f"{load.number} requests: {dict(load.answers)}; lost at {load.lost[:20]}"
    )  # shown by `pytest -s`, or on failure
    return load, said


def config_of(host: Host) -> str:
    return host.ssh("cat /opt/llmdeploy/edge/haproxy.cfg").stdout


def edge_tasks(site: Site) -> set[str]:
    return set(site.services()["edge"])


# --- the edge itself


def test_another_timeout_and_another_backend_lose_no_request(site: Site) -> None:
    before = edge_tasks(site)
    load, said = under_load(site, "edge.stream_timeout=1800", "edge.slots=9")
    assert "done         edge" in said
    assert not load.lost
    assert edge_tasks(site) == before, "it was reloaded, not restarted"
    for host in site.lab:
        assert "timeout server 1800s" in config_of(host)
        assert "server-template r 9 tasks.billing:8082" in config_of(host)


@pytest.mark.thorough("nothing: it measures, and promises nothing")
def test_a_port_that_is_new_restarts_the_edge(site: Site, record_property: Callable[[str, object], None]) -> None:
    """Host ports belong to the task: Docker can only replace it. What that costs is measured, not promised away."""
    before = edge_tasks(site)
    ports = "services.user-dashboard.ports=[{number: 3000, protocol: web, published: true}]"
    load, _ = under_load(site, ports, clients=2)  # few, so that the load outlasts the restart
    assert edge_tasks(site) != before
    lost = len(load.lost)
    record_property("requests", load.number)
    record_property("lost", lost)
    seconds = round(load.lost[-1][0] - load.lost[0][0], 1) if lost else 0.0
    record_property("seconds", seconds)
    print(f"a new published port: {lost} of {load.number} requests lost, within {seconds} s")
    for host in site.lab:
        eventually("the new port answers", lambda host=host: request(host.ip, 3000).status == 200)  # type: ignore[misc]
    site.ready()


@pytest.mark.thorough("tests/docker/engine/test_edgefile.py")
def test_a_configuration_that_haproxy_refuses_changes_nothing(site: Site) -> None:
    before, tasks = [config_of(host) for host in site.lab], site.services()
    refused = ok(cli(site.project, site.words(DEPLOY, 'services.billing.health.path=/he"alth')), 6)
    said = refused.stdout + refused.stderr
    assert "HAProxy refuses the new configuration on " in said
    assert "the old one stays in use" in said
    assert "unmatched quote" in said, "HAProxy's own words"
    assert [config_of(host) for host in site.lab] == before
    assert site.services() == tasks
    assert request(site.lab["tail"].ip, 8082).status == 200
    ok(cli(site.project, "staging plan"))


def test_a_file_that_was_changed_by_hand_is_shown_and_put_right(site: Site) -> None:
    site.ready()
    tail, before, tasks = site.lab["tail"], config_of(site.lab["tail"]), edge_tasks(site)
    tail.ssh("sudo sh -c 'echo \"# by hand\" >> /opt/llmdeploy/edge/haproxy.cfg'")
    assert "put the edge's configuration in place" in ok(cli(site.project, "staging plan"), 10).stdout
    site.ready()
    assert config_of(tail) == before
    assert edge_tasks(site) == tasks
    ok(cli(site.project, "staging plan"))


# --- what is behind it


def test_a_rolling_update_loses_no_request(site: Site) -> None:
    old = set(site.services()["billing"])
    load, said = under_load(site, "services.billing.environment.DEMO_VERSION=2")
    assert "done         billing" in said
    assert not load.lost
    assert not old & set(site.services()["billing"])
    assert len(load.served_by) == 4, "two old ones, two new ones"
    site.ready()


def test_a_killed_replica_is_left_out_within_seconds(site: Site) -> None:
    tail = site.lab["tail"]
    eventually("both answer", lambda: len(served(site)) == 2)
    name = tail.docker("ps --quiet --filter label=com.docker.swarm.service.name=billing").stdout.split()[0]
    with Load(site.lab["head"].ip, clients=4) as load:
        time.sleep(1)
        tail.docker(["kill", name])
        killed = time.monotonic() - load._began
        deadline = time.monotonic() + 20
        while time.monotonic() < deadline and load.number < MOST:
            time.sleep(0.2)
    print(f"{load.number} requests: {dict(load.answers)}; killed at {killed:.1f}, lost at {load.lost}")
    late = [moment for moment, _ in load.lost if moment > killed + 8]
    assert not late, load.lost
    assert len(load.lost) < load.number / 10
    eventually("both answer again", lambda: len(served(site)) == 2)
    ok(cli(site.project, "staging status"))


def served(site: Site) -> set[str]:
    return {request(site.lab["head"].ip, 8082).served_by for _ in range(8)}


def test_grpc_is_balanced_by_request(site: Site) -> None:
    """All calls go over one connection; without a proxy that knows HTTP/2 one replica would get them all."""
    seen: Counter[str] = Counter()
    options = [("grpc.enable_http_proxy", 0)]
    with closing(grpc.insecure_channel(f"{site.lab['head'].ip}:50051", options=options)) as channel:
        call = channel.unary_unary("/llmdemo.RateLimiter/Check", lambda data: data, lambda data: data)
        for _ in range(60):
            answer, done = call.with_call(b'{"key": "test"}', timeout=30, wait_for_ready=True)
            assert b"allowed" in answer
            seen[str(dict(done.initial_metadata())["x-served-by"])] += 1
    assert len(seen) == 2, seen
    assert min(seen.values()) >= 20, seen


NOT_SERVING = b"\x08\x02"  # grpc.health.v1.HealthCheckResponse


def test_grpc_of_a_service_with_http_health_goes_on_while_it_is_replaced(site: Site) -> None:
    """One replica, then the other; each is checked over HTTP/1, not only the first that the edge ever knew."""
    old = set(site.services()["model-proxy"])
    lost: list[str] = []
    calls = 0
    watched = ("services.model-proxy.environment.DEMO_VERSION=2", "services.model-proxy.update.canary=3")
    run = start(site.project, site.words("staging deploy --canary --plain", *watched))
    with closing(grpc.insecure_channel(f"{site.lab['head'].ip}:50061", options=[("grpc.enable_http_proxy", 0)])) as way:
        call = way.unary_unary("/grpc.health.v1.Health/Check", lambda data: data, lambda data: data)
        after: float | None = None
        while after is None or time.monotonic() < after + 5:
            after = time.monotonic() if after is None and run.process.poll() is not None else after
            calls += 1
            try:
                assert call(b"", timeout=30) in (SERVING, NOT_SERVING), "one that stops says so"
            except grpc.RpcError as error:
                lost.append(f"{error.code()}: {error.details()}")
            time.sleep(0.05)
    assert "canary" in ok(run.end()).stdout
    assert not old & set(site.services()["model-proxy"])
    assert not lost, f"{len(lost)} of {calls}: {lost[:3]}"


def test_the_stack_is_as_the_files_say(site: Site) -> None:
    site.ready()
    assert set(services(docker_on(site.lab["head"]))) == {
        "edge",
        "billing",
        "rate-limiter",
        "model-proxy",
        "user-dashboard",
    }
