"""Everything that goes wrong: nothing else is touched, the message helps at night, the exit code fits.

The tests share one small stack on two hosts; each leaves it as the files say.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.e2e.conftest import MakeImages, MakeProject
from tests.e2e.runs import docker_on, services
from tests.e2e.small import HOSTS, Site, make_site, untouched, without_hosts
from tests.e2e.stack import cli, eventually, ok
from tests.lab import shell
from tests.lab.fixtures import LabFactory

pytestmark = [pytest.mark.lab, pytest.mark.timeout(900)]

DEPLOY = "staging deploy --plain"


@pytest.fixture(scope="module")
def site(lab_factory: LabFactory, make_project: MakeProject, make_images: MakeImages) -> Iterator[Site]:
    """Two hosts that have the images; nothing is deployed yet."""
    lab = lab_factory(HOSTS)
    yield make_site(lab, make_project, make_images)
    lab.down()


def test_a_host_in_a_foreign_swarm_is_left_there(site: Site) -> None:
    """First: the hosts are in no cluster yet."""
    tail = site.lab["tail"]
    tail.docker("swarm init --advertise-addr eth0")
    try:
        refused = ok(site.run(DEPLOY), 1)
        assert "tail-server: it is in a foreign Swarm" in refused.stderr
        assert "docker swarm leave --force" in refused.stderr, "what to do"
        assert "nothing was changed" in refused.stderr
        assert tail.docker("node ls -q").stdout.strip(), "it still manages its own Swarm"
    finally:
        tail.docker("swarm leave --force")


def test_a_first_deploy_that_fails_leaves_what_is_healthy(site: Site) -> None:
    failed = ok(site.run("staging deploy --json", "services.billing.environment.DEMO_CRASH=1"), 7)
    assert failed.data["release"]["taken_back"] is None
    assert "there is nothing to go back to, what is healthy stays" in failed.data["release"]["summary"]
    assert len(site.services()["rate-limiter"]) == 1
    assert len(site.services()["edge"]) == 2
    assert "user-dashboard" not in site.services(), "it needs billing"
    status = ok(site.run("staging status"), 7)
    assert "billing" in status.stdout


@pytest.fixture(scope="module")
def stack(site: Site) -> Site:
    """The same, deployed: release 2, and the first good one."""
    site.ready()
    return site


# --- services


def test_a_service_that_crashes(stack: Site) -> None:
    before = stack.services()
    failed = ok(stack.run("staging deploy --json", "services.billing.environment.DEMO_CRASH=1"), 6)
    (failure,) = failed.events("failure")
    assert failure["service"] == "billing"
    assert failure["host"] == "tail-server", "as the inventory names it"
    assert "crashed" in failure["reason"]
    assert "exit code 3" in failure["reason"]
    assert "non-zero exit (3)" in failure["task_error"]
    assert any("DEMO_CRASH=1: refusing to start" in line for line in failure["log"])
    assert failure["others"]["user-dashboard"] == "not touched"
    assert set(failure["others"]) == {"edge", "rate-limiter", "user-dashboard"}
    assert failure["hint"]
    assert "billing failed on tail-server: it crashed" in failed.envelope["errors"][0]["message"]
    assert failed.data["release"]["untouched"] == ["user-dashboard"]
    assert failed.data["release"]["taken_back"]["services"] == ["billing"]
    assert "is back on release 2, healthy and verified: billing" in failed.envelope["errors"][0]["message"]
    assert stack.services() == before, "not even one task is another"
    ok(stack.run("staging status"))


@pytest.mark.parametrize(
    ("service", "setting", "health", "task"),
    [
        ("billing", "DEMO_UNHEALTHY=1", "503 Service Unavailable", "health check failed"),
        ("rate-limiter", "DEMO_NOT_SERVING=1", "NOT_SERVING", "health check failed"),
        ("billing", "DEMO_HANG=1", "time", "health check failed"),
    ],
)
def test_never_healthy_on_a_host_that_is_no_manager(
    stack: Site, service: str, setting: str, health: str, task: str
) -> None:
    failed = ok(stack.run(DEPLOY, f"services.{service}.environment.{setting}"), 6)
    lines = [line.strip() for line in failed.stdout.splitlines()]
    head = next(line for line in lines if f"{service} failed on tail-server" in line)
    assert task in head
    told = "\n".join(lines[next(index for index, line in enumerate(lines) if head in line) :])
    said = next(line for line in told.splitlines() if line.startswith("health:"))
    assert health in said or health in told.partition("health:")[2].splitlines()[1], told
    assert "log line" in told
    assert '"service": "' + service in told, "its own log"
    assert "the others:" in told
    assert "what to do:" in told
    assert told.count("Say why") == 0, "the playbook's own failure is no news"
    assert failed.stderr.startswith(f"Error: {service} failed on tail-server: "), failed.stderr
    assert f"Everything is back on release 2, healthy and verified: {service}." in failed.stderr
    assert "Follow the release" not in failed.stdout
    log = stack.project.logs("staging")[-1].read_text()
    assert head.split("  ")[-1] in log


def test_it_dies_again_and_again(stack: Site) -> None:
    failed = ok(stack.run("staging deploy --json", "services.billing.environment.DEMO_DIE_AFTER=1"), 6)
    (failure,) = failed.events("failure")
    assert "exit code 1" in failure["reason"]
    assert any("Traceback" in line or "DEMO_DIE_AFTER" in line for line in failure["log"]), failure["log"]


def test_nobody_waits_for_an_edge_that_failed(stack: Site) -> None:
    """The one published service that changes would have 300 seconds; it is given up with the edge."""
    failed = ok(
        stack.run(
            "staging deploy --json",
            'edge.entrypoint=["false"]',
            "services.rate-limiter.environment.ROUND=2",
            "services.rate-limiter.update.deadline=300",
        ),
        6,
    )
    told = {failure["service"]: failure for failure in failed.events("failure")}
    assert "edge" in told
    if "rate-limiter" in told:  # it may have answered before the edge's port was gone
        assert "the edge has failed" in told["rate-limiter"]["reason"]
        assert "edge" in told["rate-limiter"]["hint"]
    assert failed.data["release"]["seconds"] < 250
    assert "edge" in failed.data["release"]["taken_back"]["services"]
    ok(stack.run("staging status"))


# --- what is refused before anything is touched


@pytest.mark.parametrize(
    ("settings", "words"),
    [
        (
            ["services.billing.memory=900GB", "services.billing.reserve_memory=900GB"],
            ["tail-server", "memory"],
        ),
        (
            ["services.billing.image=registry.invalid/team/billing:9"],
            ["registry.invalid/team/billing:9", "docker login", "docker load", "images.archives"],
        ),
    ],
)
def test_what_cannot_work_changes_nothing(stack: Site, settings: list[str], words: list[str]) -> None:
    with untouched(stack):
        refused = ok(stack.run(DEPLOY, *settings), 1)
        for word in words:
            assert word in refused.stderr, refused


def test_a_build_that_fails_shows_its_last_lines(stack: Site) -> None:
    folder = stack.project.root / "broken"
    folder.mkdir()
    loop = "for n in $(seq 40); do echo line $n; done"
    (folder / "Dockerfile").write_text(f"FROM {stack.images[0]}\nRUN {loop}; no-such-command --really\n")
    with untouched(stack):
        failed = ok(stack.run(DEPLOY, "services.billing.build=broken"), 1)
    assert "building llmdeploy/broken" in failed.stderr
    assert "no-such-command" in failed.stdout
    assert "line 40" in failed.stdout
    assert "line 3\n" not in failed.stdout, "not all of it"


def test_a_port_of_somebody_else(stack: Site) -> None:
    tail = stack.lab["tail"]
    tail.exec("setsid python3 -m http.server 3999 >/dev/null 2>&1 </dev/null &")
    eventually("it listens", lambda: "3999" in tail.exec("ss -ltn").stdout)
    try:
        with untouched(stack):
            ports = "services.billing.ports=[{number: 8082, protocol: http, published: 3999}]"
            refused = ok(stack.run(DEPLOY, ports), 1)
        assert "tail-server: port 3999 is in use by python3 (process " in refused.stderr
        assert "nothing was changed" in refused.stderr
    finally:
        tail.exec("pkill -f 'http.server 3999'", check=False)


def test_a_service_of_somebody_else(stack: Site) -> None:
    head = stack.lab["head"]
    create = ["service", "create", "--detach", "--no-resolve-image", "--name", "gateway"]
    head.docker([*create, stack.images[0], "gateway"])
    try:
        refused = ok(stack.run(DEPLOY, "services.gateway={group: tail, ports: [{number: 8083, protocol: http}]}"), 1)
        assert "gateway exists and belongs to somebody else" in refused.stderr
        assert "nothing was changed" in refused.stderr
        assert "llmdeploy.stack" not in json.dumps(services(docker_on(head))["gateway"]["Spec"])
    finally:
        head.docker("service rm gateway")


# --- hosts that cannot be used


def unreachable(site: Site, env: dict[str, str] | None = None) -> Any:
    return ok(site.run(DEPLOY, env=env), 5)


def test_a_wrong_key(stack: Site, tmp_path: Path) -> None:
    other = tmp_path / "other"
    shell.run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", str(other)])
    text = stack.lab.inventory_ini()
    stack.inventory(text.replace(str(stack.lab.keys.private), str(other)))
    try:
        with untouched(stack):
            said = unreachable(stack).stderr
        for host in stack.lab:
            assert f"{host.name}-server: the host refused our key (tried deploy@{host.ip} with key {other})" in said
        assert "authorized_keys" in said
    finally:
        stack.inventory()


@pytest.mark.parametrize(("known", "reason"), [("", "not known to this machine"), ("other", "has changed")])
def test_a_host_key_that_is_not_known_or_has_changed(stack: Site, tmp_path: Path, known: str, reason: str) -> None:
    hosts, text = stack.lab["head"], stack.lab.inventory_ini()
    file = tmp_path / "known"
    right = stack.lab.keys.known_hosts.read_text()
    file.write_text(right.replace(hosts.host_key(), stack.lab["tail"].host_key()) if known else "")
    stack.inventory(text.replace(str(stack.lab.keys.known_hosts), str(file)))
    try:
        with untouched(stack):
            said = unreachable(stack).stderr
        assert f"head-server: the host key {'has changed' if known else 'is not known to this machine'}" in said
        assert reason in said
        assert "llmdeploy ENV trust" in said
        if known:
            assert f"ssh-keygen -R {hosts.ip}" in said
            assert "tail-server" not in said
    finally:
        stack.inventory()


def test_host_keys_recorded_with_the_project(stack: Site) -> None:
    """Whoever has the project needs no known_hosts of their own, and a changed key stops them."""
    text = stack.lab.inventory_ini()
    file = stack.project.root / "environments" / "staging.known_hosts"
    own, other = (stack.lab[name].host_key() for name in ("head", "tail"))
    stack.inventory(text.replace(str(stack.lab.keys.known_hosts), "/dev/null"))
    try:
        refused = ok(stack.run("staging trust"), 2)
        assert "2 keys not recorded yet, and there is nobody to ask" in refused.stderr
        assert not file.exists()
        recorded = ok(stack.run("staging trust --yes"))
        assert "2 keys recorded in environments/staging.known_hosts" in recorded.stdout
        assert recorded.stdout.count("SHA256:") == 2
        ok(stack.run("staging plan"))
        assert ok(stack.run("staging trust --json")).data["recorded"] == 0
        file.write_text(file.read_text().replace(own, other))
        with untouched(stack):
            assert "head-server: the host key has changed" in unreachable(stack).stderr
        said = ok(stack.run("staging trust --yes"), 1).stderr
        assert f"head-server ({stack.lab['head'].ip}): the host key has changed: SHA256:" in said
        assert "llmdeploy staging trust --replace" in said
        ok(stack.run("staging trust --yes --replace"))
        assert own in file.read_text()
        ok(stack.run("staging plan"))
    finally:
        file.unlink(missing_ok=True)
        stack.inventory()


def test_a_user_without_sudo(stack: Site) -> None:
    try:
        stack.inventory(stack.lab.inventory_ini("nosudo"))
        with untouched(stack):
            said = unreachable(stack).stderr
        assert f"tail-server: sudo asks for a password (tried nosudo@{stack.lab['tail'].ip}" in said
        assert "--ask-become-pass" in said
        assert "NOPASSWD" in said
    finally:
        stack.inventory()


def test_a_host_that_is_down(stack: Site) -> None:
    """Named within 15 seconds of typing, apart from what this machine needs to start the command at all."""
    tail, head = stack.lab["tail"], stack.lab["head"]
    before = services(docker_on(head))
    base = ok(stack.run("staging validate")).seconds
    tail.kill()
    try:
        down = unreachable(stack)
        assert f"tail-server: no route to the host (tried deploy@{tail.ip}" in down.stderr or "no answer" in down.stderr
        assert "is the host up" in down.stderr
        assert "head-server" not in down.stderr
        assert down.seconds < 15 + 2 * base, down
        assert {name: one["Version"] for name, one in services(docker_on(head)).items()} == {
            name: one["Version"] for name, one in before.items()
        }
    finally:
        tail.start()
    eventually("it is back", lambda: "Down" not in head.docker("node ls --format {{.Status}}").stdout)
    eventually("all is healthy again", lambda: stack.run("staging status").code == 0, 180)


# --- before any host


def test_production_asks_and_there_is_nobody_to_ask(site: Site, tmp_path: Path) -> None:
    env, was_used = without_hosts(tmp_path)
    site.project.inventory("production", site.lab.inventory_ini())
    refused = ok(cli(site.project, "production deploy", env), 2)
    assert "production asks before every change" in refused.stderr
    assert "llmdeploy production deploy --yes" in refused.stderr
    assert not was_used()


def test_wrong_configuration_reaches_no_host(site: Site, tmp_path: Path) -> None:
    env, was_used = without_hosts(tmp_path)
    wrong = ["services.billing.replica=2", "services.user-dashboard.depends_on=[biling]"]
    refused = ok(site.run(DEPLOY, *wrong, env=env), 3)
    assert "2 problems in the configuration; nothing was contacted or changed" in refused.stderr
    assert "replicas" in refused.stderr, "what was probably meant"
    assert "billing" in refused.stderr
    assert not was_used()
