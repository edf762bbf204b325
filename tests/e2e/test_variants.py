"""Other shapes: three replicas, other users, other inventories, and a catalogue of services that are not ours."""

from __future__ import annotations

import shutil
import socket
import subprocess
import textwrap
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import pytest
import yaml

from tests.e2e.conftest import MakeImages, MakeProject
from tests.e2e.runs import docker_on, lab_snapshot, services, tasks
from tests.e2e.stack import (
    COMMAND,
    RARELY,
    SERVICES,
    SERVING,
    Project,
    chat,
    cli,
    grpc_call,
    grpc_health,
    in_terminal,
    ok,
    request,
)  # fmt: skip
from tests.lab import Host, Lab, shell
from tests.lab.fixtures import LabFactory

pytestmark = [pytest.mark.lab, pytest.mark.timeout(1200)]

CATALOGUES = Path(__file__).parent / "catalogues"
TRIES = 60


@dataclass(frozen=True)
class Site:
    """Hosts and a project for them."""

    lab: Lab
    project: Project


# --- three replicas, deployed by three kinds of users. These tests build on one another, in this order.

THREE = ("a", "b", "c")
GROUPS = {"head": ["a"], "model-proxy": ["b"], "tail": ["a", "b", "c"], "ui": ["c"]}
REPLICATED = ("tail-go", "gateway", "rate-limiter")


@pytest.fixture(scope="module")
def three(lab_factory: LabFactory, make_project: MakeProject, demo_images: list[str]) -> Iterator[Site]:
    """Only the first host is given the images: the others get them from it."""
    lab = lab_factory(THREE)
    try:
        lab["a"].load(*demo_images)
        project = make_project()
        project.set("staging", "defaults", RARELY)
        for name in REPLICATED:
            project.set("staging", f"services.{name}.replicas", 3)
        yield Site(lab, project)
    finally:
        lab.down()


def test_a_user_with_a_sudo_password_is_asked_for_it(three: Site) -> None:
    three.project.inventory("staging", three.lab.inventory_ini("carol", GROUPS))
    run = in_terminal(three.project, "staging deploy --ask-become-pass --yes", {"password": "carol-password"})
    assert run.code == 0, run
    assert not run.left, run
    assert "carol-password" not in run.stdout
    log = three.project.logs("staging")[-1]
    assert "carol-password" not in log.read_text() + log.with_suffix(".ansible.txt").read_text()


def test_all_replicas_run_on_different_hosts_and_answer(three: Site) -> None:
    found = tasks(docker_on(three.lab["a"]))
    assert {name: len(found[name]) for name in REPLICATED} == dict.fromkeys(REPLICATED, 3)
    for name in REPLICATED:
        assert sorted(found[name].values()) == list(THREE), "spread over the hosts of the group"
    for address in (host.ip for host in three.lab):
        assert len(answering(partial(served_by, address))) == 3, "every edge balances over all three"
        assert grpc_health(address, 50051) == SERVING
    check = "/llmdemo.RateLimiter/Check"
    ask = b'{"key": "test"}'
    assert len(answering(lambda: grpc_call(three.lab["b"].ip, 50051, check, ask)[1])) == 3
    gateways = answering(lambda: chat(three.lab["c"].ip).headers["x-served-via"].split(", ")[0])
    assert len(gateways) >= 2, "inside the network as well"


def served_by(address: str) -> str:
    return chat(address).served_by


def answering(ask: Callable[[], str]) -> set[str]:
    """The replicas that answer, until three are known or patience ends."""
    seen: set[str] = set()
    for _ in range(TRIES):
        seen.add(ask())
        if len(seen) == 3:
            break
    assert "" not in seen
    return seen


def test_root_needs_no_sudo_and_finds_nothing_to_prepare(three: Site) -> None:
    three.project.inventory("staging", three.lab.inventory_ini("root", GROUPS))
    assert ok(cli(three.project, "staging plan --json")).data["steps"] == []


def test_a_yaml_inventory_with_ports_users_and_a_password(three: Site) -> None:
    a, b, c = three.lab
    b.ssh("/usr/sbin/sshd -p 2222 -o PidFile=/run/sshd-2222.pid")
    known = three.project.root / "known_hosts"
    lines = three.lab.keys.known_hosts.read_text()
    known.write_text(f"{lines}[{b.ip}]:2222 {b.host_key()}\n")
    hosts = {
        "one": {"ansible_host": a.ip, "ansible_user": "root"},
        "two": {"ansible_host": b.ip, "ansible_user": "deploy", "ansible_port": 2222},
        "three": {"ansible_host": c.ip, "ansible_user": "carol", "ansible_become_password": "carol-password"},
    }
    names = dict(zip(THREE, hosts, strict=True))
    inventory = {
        "all": {
            "vars": {
                "ansible_ssh_private_key_file": str(three.lab.keys.private),
                "ansible_ssh_common_args": f"-o UserKnownHostsFile={known} -o StrictHostKeyChecking=yes",
            },
            "hosts": hosts,
            "children": {
                group: {"hosts": {names[member]: {} for member in members}} for group, members in GROUPS.items()
            },
        }
    }
    three.project.inventory("staging", yaml.safe_dump(inventory), ".yml")
    b.exec("kill $(cat /run/sshd.pid)")  # so it is the other port or none
    three.project.set("staging", "services.rate-limiter.environment.DEMO_VERSION", "3")
    before = lab_snapshot(three.lab)
    ok(cli(three.project, "staging plan"), 10)
    run = ok(cli(three.project, "staging deploy --yes --json"))
    assert {one["host"] for one in run.events("host")} == set(hosts)
    assert "carol-password" not in run.stdout + run.stderr
    after = lab_snapshot(three.lab)
    assert [name for name, found in after.tasks.items() if found != before.tasks[name]] == ["rate-limiter"]
    assert len(after.tasks["rate-limiter"]) == 3
    rows = ok(cli(three.project, "staging status --json")).data["services"]
    assert {row["name"] for row in rows if row["state"] == "healthy"} == {"edge", *SERVICES}


@pytest.mark.thorough("tests/e2e/test_secrets.py with one manager")
def test_managers_that_are_locked_are_unlocked_all_together(three: Site) -> None:
    """Those that are locked all wait for each other: none is a manager again before most of them are."""
    project, lab = three.project, three.lab
    lock = ["--set", "swarm.autolock=true"]
    ok(cli(project, ["staging", "deploy", "--yes", "--plain", *lock]))
    key = ok(cli(project, "staging swarm unlock-key")).stdout.strip()
    for host in lab:
        host.crash_docker()
    assert ok(cli(project, "staging status"), 1).stderr.count("its Swarm is locked") == 3
    given = subprocess.run(
        [str(COMMAND), "staging", "swarm", "unlock"],
        cwd=project.root, env=project.environ({}), input=f"{key}\n", capture_output=True, text=True, timeout=120,
    )  # fmt: skip
    assert given.returncode == 0, given
    assert "with the key from standard input" in given.stdout
    assert key not in given.stdout + given.stderr


# --- other services on one host, with no change in the program. These tests build on one another, in this order.


@pytest.fixture(scope="module")
def shop(lab_factory: LabFactory, make_project: MakeProject, make_images: MakeImages) -> Iterator[Site]:
    """Most images are made on this machine once; nginx is built on the host, from the base image that is there."""
    project = make_project()
    shutil.copytree(CATALOGUES / "classic", project.root, dirs_exist_ok=True)
    project.catalogue((CATALOGUES / "classic" / "all.yml").read_text())
    project.settings("shop", {})
    lab = lab_factory(["solo"])
    try:
        project.inventory("shop", lab.inventory_ini("deploy", {"data": ["solo"], "web": ["solo"]}))
        made = make_images(project, "shop", without=["nginx"])
        lab.load("debian:bookworm-slim", *made)
        yield Site(lab, project)
    finally:
        lab.down()


def solo(shop: Site) -> Host:
    return shop.lab["solo"]


def container(shop: Site, service: str) -> str:
    """The running container of a service."""
    mine = f"label=com.docker.swarm.service.name={service}"
    [ident] = solo(shop).docker(["ps", "--quiet", "--filter", mine]).stdout.split()
    return ident


def redis(shop: Site, *words: str) -> str:
    """One command in Redis' own protocol, through the edge."""
    parts = "".join(f"${len(word)}\r\n{word}\r\n" for word in words)
    with socket.create_connection((solo(shop).ip, 6379), timeout=30) as line, line.makefile("rb") as answers:
        line.sendall(f"*{len(words)}\r\n{parts}".encode())
        first = answers.readline().decode().strip()
        return answers.readline().decode().strip() if first.startswith("$") else first


def sql(shop: Site, statement: str) -> str:
    words = ["psql", "--host=127.0.0.1", "--quiet", "--tuples-only", "--no-align", "--command", statement]
    return solo(shop).docker(["exec", container(shop, "postgres"), *words, "postgres"]).stdout.strip()


def test_redis_postgres_nginx_and_a_program_without_a_shell(shop: Site) -> None:
    run = ok(cli(shop.project, "shop deploy --yes --json"))
    assert run.data["verdict"] == "done"
    assert "make" in str(run.data["changed"]).lower(), "nginx was built there"
    assert [one["ok"] for one in run.events("check")] == [True]
    rows = ok(cli(shop.project, "shop status --json")).data["services"]
    assert {row["name"]: row["state"] for row in rows} == dict.fromkeys(
        ("edge", "registry", "redis", "postgres", "nginx", "hello"), "healthy"
    )


def test_redis_speaks_its_own_protocol_through_the_edge(shop: Site) -> None:
    assert redis(shop, "PING") == "+PONG"
    assert redis(shop, "SET", "greeting", "hello") == "+OK"
    assert redis(shop, "GET", "greeting") == "hello"
    assert request(solo(shop).ip, 8080, "/").body == "Hello\n"


def test_the_program_from_scratch_is_checked_by_the_mounted_probe(shop: Site) -> None:
    hello = container(shop, "hello")
    assert solo(shop).docker(["exec", hello, "sh", "-c", "true"], check=False).returncode != 0, "it has no shell"
    spec = services(docker_on(solo(shop)))["hello"]["Spec"]["TaskTemplate"]["ContainerSpec"]
    assert spec["Healthcheck"]["Test"][1].startswith("/llmdeploy/")
    assert solo(shop).docker(["inspect", "--format", "{{.State.Health.Status}}", hello]).stdout.strip() == "healthy"


def test_verify_asks_services_of_every_kind(shop: Site) -> None:
    data = ok(cli(shop.project, "shop verify --json")).data
    assert data["failed"] == 0
    assert {check["service"] for check in data["checks"]} == {"registry", "redis", "postgres", "nginx", "hello"}
    assert {check["kind"] for check in data["checks"] if "kind" in check} <= {"http", "tcp", "request"}


def test_data_in_a_volume_survives_a_new_version(shop: Site) -> None:
    sql(shop, "CREATE TABLE kept (word text)")
    sql(shop, "INSERT INTO kept VALUES ('still here')")
    before = container(shop, "postgres")
    shop.project.set("shop", "services.postgres.environment.TZ", "UTC")
    again = ok(cli(shop.project, "shop deploy --yes --json"))
    assert again.data["release"]["changed"] == ["postgres"]
    assert container(shop, "postgres") != before
    assert sql(shop, "SELECT word FROM kept") == "still here"


@pytest.mark.thorough("tests/e2e/test_monitoring.py, a part of which is an archive")
def test_an_image_from_an_archive(shop: Site) -> None:
    """A file made by `docker save`, beside the project's other files; another file brings another image."""
    name, base = "acme/archived:1.0", image_of(shop, "hello")
    save(shop, name, base, "from an archive")
    shop.project.set("shop", "images.archives", ["archived.tar"])
    shop.project.set("shop", "services.archived", service(name, 8001))
    run = ok(cli(shop.project, "shop deploy --yes --json"))
    assert run.data["release"]["changed"] == ["archived", "edge"]
    assert request(solo(shop).ip, 8001).body == "from an archive\n"
    assert ok(cli(shop.project, "shop plan --json")).data["changes"] is False
    save(shop, name, base, "from another one of the same name")
    ok(cli(shop.project, "shop plan"), 10)
    run = ok(cli(shop.project, "shop update --yes --json"))
    assert run.data["release"]["changed"] == ["archived"]
    assert request(solo(shop).ip, 8001).body == "from another one of the same name\n"


def test_an_image_from_a_registry_is_pinned_and_follows_its_tag(shop: Site) -> None:
    """The registry is one of the services; it is pushed to through the edge."""
    name = "127.0.0.1:5000/acme/pulled:1"
    push(shop, name, "first")
    shop.project.set("shop", "services.pulled", service(name, 8002))
    ok(cli(shop.project, "shop deploy --yes"))
    assert request(solo(shop).ip, 8002).body == "first\n"
    assert image_of(shop, "pulled").startswith("127.0.0.1:5000/acme/pulled@sha256:")
    assert ok(cli(shop.project, "shop plan --json")).data["changes"] is False
    push(shop, name, "second")
    ok(cli(shop.project, "shop plan"), 10)
    run = ok(cli(shop.project, "shop deploy --yes --json"))
    assert run.data["release"]["changed"] == ["pulled"]
    assert request(solo(shop).ip, 8002).body == "second\n"
    assert ok(cli(shop.project, "shop deploy --yes --json")).data["verdict"] == "unchanged"


def service(image: str, port: int) -> dict[str, object]:
    return {
        "group": "web",
        "image": image,
        "memory": "32MB",
        "ports": [{"number": 8000, "protocol": "http", "published": port}],
    }


def image_of(shop: Site, name: str) -> str:
    return str(services(docker_on(solo(shop)))[name]["Spec"]["TaskTemplate"]["ContainerSpec"]["Image"])


def give(host: Host, name: str, base: str, greeting: str) -> None:
    """Make an image with a greeting of its own out of another one."""
    text = textwrap.dedent(f"""
        FROM {base}
        ENV GREETING="{greeting}"
    """)
    host.ssh(f"DOCKER_BUILDKIT=0 docker build --tag {name} -", input=text)


def save(shop: Site, name: str, base: str, greeting: str) -> None:
    """Make archived.tar in the project; the host keeps no other image than those that it uses."""
    host = solo(shop)
    give(host, "made:here", base, greeting)
    used = host.docker(["image", "ls", "--quiet", name]).stdout.strip()
    host.docker(["tag", "made:here", name])
    host.docker(["save", "--output", "/root/archived.tar", name])
    shell.docker("cp", f"{host.container}:/root/archived.tar", str(shop.project.root / "archived.tar"))
    host.docker(["tag", used, name] if used else ["rmi", name])
    host.docker(["rmi", "made:here"])


def push(shop: Site, name: str, greeting: str) -> None:
    give(solo(shop), name, image_of(shop, "hello"), greeting)
    solo(shop).docker(["push", name])
    solo(shop).docker(["rmi", name])
