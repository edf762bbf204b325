"""Who reaches what: every port of every host is tried from a host outside, before and after what resets rules.

The tests build on one another, in this order.
"""

from __future__ import annotations

import time
from collections.abc import Iterator

import pytest

from tests.e2e.conftest import MakeImages, MakeProject
from tests.e2e.small import Site, make_site
from tests.e2e.stack import eventually, ok, request
from tests.lab import Host
from tests.lab.fixtures import LabFactory

pytestmark = [pytest.mark.lab, pytest.mark.timeout(900)]

SSH = 22
PUBLIC, PRIVATE = 3000, 8082
CATALOGUE = """
stack: small
edge: {build: edge, memory: 256MB}
defaults: {build: demo, memory: 256MB, stop_grace: 3}
services:
  billing:
    group: tail
    ports: [{number: 8082, protocol: http, published: true}]
    health: {interval: 1, start_period: 3}
  rate-limiter:
    group: tail
    ports: [{number: 50051, protocol: grpc}]
    health: {interval: 1, start_period: 3}
  user-dashboard:
    group: head
    ports: [{number: 3000, protocol: web, published: true}]
    depends_on: [billing]
    health: {interval: 1, start_period: 3}
"""
# Run on the host outside: prints the ports of $1 to which a connection can be made. What has not answered in time, as a
# port that drops everything, is asked once more when there is less to do.
SCAN = """
import select, socket, sys, time
def connected(ports, patience):
    waiting, answers = {}, select.epoll()
    for port in ports:
        one = socket.socket(socket.AF_INET, socket.SOCK_STREAM | socket.SOCK_NONBLOCK)
        if one.connect_ex((sys.argv[1], port)) not in (0, 115):
            continue
        waiting[one.fileno()] = port, one
        answers.register(one.fileno(), select.EPOLLOUT)
    until, found = time.monotonic() + patience, []
    while waiting and time.monotonic() < until:
        for number, _ in answers.poll(0.2):
            port, one = waiting.pop(number)
            if one.getsockopt(socket.SOL_SOCKET, socket.SO_ERROR) == 0:
                found.append(port)
            one.close()
    silent = [port for port, _ in waiting.values()]
    return found, silent
found, silent = [], []
for first in range(1, 65536, 500):
    some, none = connected(range(first, min(first + 500, 65536)), 1.5)
    found, silent = found + some, silent + none
found += connected(silent, 5)[0]
print(*sorted(found))
"""


# Run on a host: sends a datagram to each of the named UDP ports of $1. Whether it was dropped only the rule's counter
# tells: who listens there does not answer either.
SEND = """
import socket, sys
for port in map(int, sys.argv[2:]):
    socket.socket(socket.AF_INET, socket.SOCK_DGRAM).sendto(b"x" * 64, (sys.argv[1], port))
"""


@pytest.fixture(scope="module")
def site(lab_factory: LabFactory, make_project: MakeProject, make_images: MakeImages) -> Iterator[Site]:
    """Two hosts, and one that is none of the stack's."""
    lab = lab_factory(("head", "tail", "away"))
    site = make_site(lab, make_project, make_images, CATALOGUE)
    site.inventory(lab.inventory_ini(groups={"head": ["head"], "tail": ["tail"]}))
    yield site
    lab.down()


def allow(site: Site, *networks: str) -> None:
    """Say who may use billing's port."""
    port = {"number": PRIVATE, "protocol": "http", "published": True, "allow_from": list(networks)}
    site.project.set("staging", "services.billing.ports", [port])


def answers(site: Site, target: Host, port: int) -> bool:
    """Whether the host outside gets an answer of a service."""
    command = (
        f"timeout 3 python3 -c 'import urllib.request as r; r.urlopen(\"http://{target.ip}:{port}/health\").read()'"
    )
    return site.lab["away"].exec(command, check=False).returncode == 0


def dropped(host: Host) -> dict[str, int]:
    """Swarm's ports and how many packets to them the host has dropped."""
    found = {}
    for line in host.exec("iptables -v -x -n -L LLMDEPLOY-INPUT").stdout.splitlines():
        words = line.split()
        if "DROP" in words and (port := words[-1].removeprefix("dpt:")) in ("2377", "4789", "7946"):
            found[f"{words[-2]} {port}"] = int(words[0])
    return found


def closed_to_others(site: Site, host: Host) -> None:
    """Nobody outside reaches Swarm's ports, by UDP either; the cluster's own hosts do."""
    before = dropped(host)
    assert set(before) == {"tcp 2377", "tcp 7946", "udp 7946", "udp 4789"}
    site.lab["away"].exec(f"python3 -c '{SEND}' {host.ip} 4789 7946")
    after = dropped(host)
    assert all(after[name] > before[name] for name in ("udp 4789", "udp 7946")), (before, after)
    own = site.lab["tail" if host.name == "head" else "head"]
    own.exec(f"python3 -c '{SEND}' {host.ip} 4789 7946")
    assert dropped(host) == after


def as_restricted(site: Site) -> None:
    for host in (site.lab["head"], site.lab["tail"]):
        closed_to_others(site, host)
        eventually(f"{host.name} answers", lambda: answers(site, host, PUBLIC), 90)  # noqa: B023
        assert not answers(site, host, PRIVATE), host.name


def test_only_who_is_allowed_reaches_a_published_port_and_nothing_else_is_open(site: Site) -> None:
    allow(site, "192.0.2.0/24")
    ok(site.run("staging deploy --plain"))
    as_restricted(site)
    for host in (site.lab["head"], site.lab["tail"]):
        found = site.lab["away"].exec(f"python3 -c '{SCAN}' {host.ip}").stdout.split()
        assert {int(port) for port in found} == {SSH, PUBLIC}, host.name
        assert request(host.ip, PUBLIC).status == 200
    ok(site.run("staging verify"))  # the stack's own hosts are allowed always
    assert ok(site.run("staging plan --json")).data["changes"] is False


def test_what_is_left_on_hosts_is_roots_and_nobody_else_writes_or_reads_more_than_they_must(site: Site) -> None:
    """Modes of everything that a run puts on a host; what a container must read is readable, and nothing else."""
    known = {
        "/opt/llmdeploy/bin/probe": 0o755,
        "/opt/llmdeploy/firewall": 0o755,
        "/opt/llmdeploy/edge/haproxy.cfg": 0o644,
        "/var/lib/llmdeploy": 0o700,
        "/var/lib/llmdeploy/host.json": 0o600,
        "/var/lib/llmdeploy/firewall": 0o600,
        "/etc/init.d/llmdeploy-firewall": 0o755,
        "/etc/docker/daemon.json": 0o644,
    }
    for host in (site.lab["head"], site.lab["tail"]):
        places = "/opt/llmdeploy /var/lib/llmdeploy /etc/init.d/llmdeploy-firewall /etc/docker/daemon.json"
        found = {}
        for line in host.exec(f"find {places} -printf '%m %U %p\\n'").stdout.splitlines():
            mode, owner, path = line.split(" ", 2)
            found[path] = int(mode, 8)
            assert owner == "0", line
            assert not int(mode, 8) & 0o022, line
        assert {path: found.get(path) for path in known} == known, host.name
        jobs = [mode & 0o077 for path, mode in found.items() if path.endswith("/job.json")]
        assert set(jobs) == ({0} if host.name == "head" else set()), "the manager has them, for itself"


def test_the_rules_outlive_docker_and_the_host(site: Site) -> None:
    head = site.lab["head"]
    head.crash_docker()
    as_restricted(site)
    head.kill()
    time.sleep(1)
    head.start()
    as_restricted(site)
    assert ok(site.run("staging plan --json")).data["steps"] == []


def test_rules_that_somebody_flushed_are_put_back(site: Site) -> None:
    site.lab["tail"].exec("iptables -F DOCKER-USER")
    assert answers(site, site.lab["tail"], PRIVATE)
    plan = ok(site.run("staging plan --json"), 10).data
    assert plan["steps"] == ["tail-server: restrict who may use its ports"]
    ok(site.run("staging deploy --plain"))
    as_restricted(site)


def test_who_is_allowed_later_and_then_everybody(site: Site) -> None:
    away = site.lab["away"].ip
    allow(site, away)
    site.project.set("staging", "swarm.allow_from", [away])
    ok(site.run("staging deploy --plain"))
    for host in (site.lab["head"], site.lab["tail"]):
        assert answers(site, host, PRIVATE)
        connect = f'import socket; socket.create_connection(("{host.ip}", 7946), 3)'
        site.lab["away"].exec(f"python3 -c '{connect}'")
    allow(site)
    site.project.set("staging", "swarm.allow_from", ["0.0.0.0/0"])
    ok(site.run("staging deploy --plain"))
    for host in (site.lab["head"], site.lab["tail"]):
        assert answers(site, host, PRIVATE)
        assert "LLMDEPLOY" not in host.exec("iptables-save; ip6tables-save; ls /etc/init.d /opt/llmdeploy").stdout
