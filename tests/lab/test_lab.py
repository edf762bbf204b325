"""The lab is what it says: real hosts over SSH that form a Swarm, break, and come back."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from tests.lab import Host, Lab, LabError, roots, shell
from tests.lab import __main__ as cli
from tests.lab.fixtures import LabFactory

pytestmark = [pytest.mark.lab, pytest.mark.timeout(600)]  # the first run ever builds the roots


def eventually(what: str, true: Callable[[], bool], within: float = 60) -> None:
    deadline = time.monotonic() + within
    while not true():
        assert time.monotonic() < deadline, f"not within {within:g} s: {what}"
        time.sleep(0.3)


# --- Access


def test_hosts_carry_their_names_and_addresses(lab4: Lab) -> None:
    assert [host.ssh("hostname").stdout.strip() for host in lab4] == ["head", "model-proxy", "tail", "ui"]
    for host in lab4:
        assert host.ip in host.ssh("hostname -I").stdout.split()
        assert host.docker("info --format {{.Driver}}").stdout.strip() == "overlay2"


@pytest.mark.parametrize(
    ("user", "command", "rights"),
    [
        ("root", "id -un", "root"),
        ("deploy", "sudo -n id -un", "root"),
        ("carol", "echo carol-password | sudo -S -p '' id -un", "root"),
        ("carol", "sudo -n id -un", None),
        ("nosudo", "id -un", "nosudo"),
        ("nosudo", "sudo -n id -un", None),
        ("deploy", "docker ps -q && echo reached", None),  # not in the group docker
    ],
)
def test_each_user_has_exactly_its_rights(lab4: Lab, user: str, command: str, rights: str | None) -> None:
    done = lab4["head"].ssh(command, user=user, check=False)
    assert (done.stdout.strip() if done.returncode == 0 else None) == rights, done.stderr


def test_a_host_with_another_key_is_refused(lab4: Lab) -> None:
    head, tail = lab4["head"], lab4["tail"]
    known = lab4.keys.known_hosts
    right = known.read_text()
    known.write_text(right.replace(head.host_key(), tail.host_key()))
    try:
        with pytest.raises(LabError, match="Host key verification failed"):
            head.ssh("true")
        tail.ssh("true")
    finally:
        known.write_text(right)
    head.ssh("true")


def test_a_hundred_connections_at_once_are_let_in(lab4: Lab) -> None:
    with ThreadPoolExecutor(20) as pool:
        ends = list(pool.map(lambda _: lab4["ui"].ssh("true", check=False).returncode, range(100)))
    assert ends == [0] * 100


def test_the_lab_is_found_again_by_its_name(lab4: Lab, capsys: pytest.CaptureFixture[str]) -> None:
    assert Lab.attach(lab4.name) == lab4
    assert cli.main(["status", "--name", lab4.name]) == 0
    assert lab4["tail"].ip in capsys.readouterr().out
    with pytest.raises(LabError, match="a lab named"):
        Lab.up(["head"], name=lab4.name)
    lab4["head"].ssh("true")


def test_the_inventory_names_groups_hosts_and_keys(lab4: Lab) -> None:
    text = lab4.inventory_ini("carol", {"head": ["head"], "web": ["tail", "ui"]})
    head, tail, ui = (lab4[name].ip for name in ("head", "tail", "ui"))
    assert text == (
        f"[head]\nhead-server ansible_host={head} ansible_user=carol\n\n"
        f"[web]\ntail-server ansible_host={tail} ansible_user=carol\n"
        f"ui-server ansible_host={ui} ansible_user=carol\n\n"
        f"[all:vars]\nansible_ssh_private_key_file={lab4.keys.private}\n"
        f"ansible_ssh_common_args=-o UserKnownHostsFile={lab4.keys.known_hosts} -o IdentitiesOnly=yes\n"
    )
    assert lab4.keys.folder.stat().st_mode & 0o777 == 0o700


# --- A Swarm across the hosts


@pytest.fixture(scope="module")
def swarm(lab4: Lab) -> Iterator[Lab]:
    head, *others = lab4
    head.docker("swarm init --advertise-addr eth0")
    token = head.docker("swarm join-token -q worker").stdout.strip()
    for host in others:
        host.docker(f"swarm join --token {token} {head.ip}:2377")
    tiny = roots.ensure(roots.TINY)
    lab4.load(tiny)
    head.docker("network create --driver overlay --attachable llm")
    create = (
        "service create --detach --name web --network llm --endpoint-mode dnsrr --no-resolve-image"
        " --replicas 4 --replicas-max-per-node 1 --hostname {{.Node.Hostname}}"
    )
    serve = "mkdir -p /www && hostname >/www/index.html && exec httpd -f -p 8000 -h /www"
    head.docker([*create.split(), tiny, "sh", "-c", serve])
    yield lab4
    for host in lab4:
        host.docker("swarm leave --force", check=False)


def ready(swarm: Lab) -> dict[str, str]:
    rows = swarm["head"].docker(["node", "ls", "--format", "{{.Hostname}} {{.Status}}"]).stdout.splitlines()
    return dict(row.split() for row in rows)


def answers(host: Host) -> set[str]:
    """Ask the service from a container on that host, each of its addresses once."""
    tiny = roots.ensure(roots.TINY)
    ask = (
        "for address in $(nslookup tasks.web | awk '/^Address/ {print $NF}' | grep -v 127.0.0.11);"
        " do timeout 3 wget -q -O - http://$address:8000/; done; timeout 3 wget -q -O - http://web:8000/"
    )
    command = ["run", "--rm", "--network=llm", tiny, "sh", "-c", ask]
    return set(host.docker(command, check=False).stdout.split())


def test_a_service_is_reached_across_hosts(swarm: Lab) -> None:
    for host in swarm:
        eventually(f"all four answer {host.name}", lambda host=host: answers(host) == set(swarm.hosts))  # type: ignore[misc]


def test_a_killed_host_comes_back_into_the_swarm(swarm: Lab) -> None:
    tail = swarm["tail"]
    key = tail.host_key()
    tail.kill()
    eventually("tail is down", lambda: ready(swarm)["tail"] == "Down")
    tail.start()
    assert tail.host_key() == key
    tail.ssh("true")
    eventually("tail is ready", lambda: ready(swarm)["tail"] == "Ready")
    eventually("tail serves again", lambda: "tail" in answers(swarm["head"]))


def test_a_cut_network_heals(swarm: Lab) -> None:
    ui = swarm["ui"]
    ui.disconnect()
    assert ui.ip not in ui.exec("hostname -I").stdout
    eventually("ui is down", lambda: ready(swarm)["ui"] == "Down")
    ui.connect()
    ui.ssh("true")
    eventually("ui is ready", lambda: ready(swarm)["ui"] == "Ready")
    eventually("ui serves again", lambda: "ui" in answers(swarm["head"]))


def test_a_frozen_host_goes_on(swarm: Lab) -> None:
    proxy = swarm["model-proxy"]
    proxy.pause()
    try:
        eventually("model-proxy is down", lambda: ready(swarm)["model-proxy"] == "Down")
    finally:
        proxy.unpause()
    eventually("model-proxy is ready", lambda: ready(swarm)["model-proxy"] == "Ready")


# --- Other hosts


def test_a_bare_host_gets_docker_and_keeps_it(lab_factory: LabFactory) -> None:
    with lab_factory(["ui"], bare=["ui"]) as lab:
        ui = lab["ui"]
        assert ui.ssh("command -v docker dockerd", check=False).stdout == ""
        assert ui.ssh("python3 -c 'import docker'", check=False).returncode != 0
        ui.ssh("apt-get -q update && DEBIAN_FRONTEND=noninteractive apt-get -qy install docker.io", user="root")
        assert ui.docker("version", check=False).returncode != 0, "nothing has started it yet"
        ui.ssh("service docker start || (setsid dockerd </dev/null >/var/log/docker.log 2>&1 &)")
        eventually("the engine answers", lambda: ui.docker("version", check=False).returncode == 0)
        ui.kill()
        ui.start()
        assert ui.docker("info --format {{.Driver}}").stdout.strip() == "overlay2"


def test_a_reset_makes_hosts_new_under_the_same_addresses(lab_factory: LabFactory) -> None:
    with lab_factory(["a", "b"]) as lab:
        before = {host.name: (host.ip, host.host_key()) for host in lab}
        lab["a"].ssh("touch /root/mark; service docker restart")
        lab.reset()
        assert lab["a"].ssh("ls /root/mark", check=False).returncode != 0
        assert all(host.host_key() != before[host.name][1] for host in lab)
        assert Lab.attach(lab.name) == lab
    assert shell.docker("ps", "--all", "--quiet", "--filter", f"label=llmlab={lab.name}").stdout == ""
    assert not Path(lab.keys.folder).exists()


@pytest.mark.parametrize(
    ("hosts", "options", "reason"),
    [
        ([], {}, "one to 200"),
        (["a", "a"], {}, "different names"),
        (["A"], {}, "not a name"),
        (["a"], {"bare": ["b"]}, "not among the hosts"),
    ],
)
def test_wrong_words_are_refused(hosts: list[str], options: dict[str, list[str]], reason: str) -> None:
    with pytest.raises(LabError, match=reason):
        Lab.up(hosts, name="wrong", **options)
