"""Secrets with the command: made, delivered to whom they are meant for, rotated, taken back, and nowhere else.

The tests build on one another, in this order.
"""

from __future__ import annotations

import shutil
import signal
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.e2e import leaks
from tests.e2e.conftest import MakeImages, MakeProject
from tests.e2e.runs import docker_on, services
from tests.e2e.small import HOSTS, Site, make_site
from tests.e2e.stack import COMMAND, Result, cli, eventually, ok, start
from tests.lab.fixtures import LabFactory

pytestmark = [pytest.mark.lab, pytest.mark.timeout(900)]

CATALOGUE = """
stack: small
edge: {build: edge, memory: 256MB}
defaults: {build: demo, memory: 256MB, stop_grace: 3, environment: {DEMO_NOTICE: 0}}
swarm: {autolock: true}
secrets:
  api_keys: {kind: given}
  signing: {kind: key-pair}
  session: {length: 40}
services:
  secrets-service:
    group: tail
    ports: [{number: 8085, protocol: http}]
    environment: {API_KEYS_FILE: /run/secrets/api_keys}
    health: {interval: 1, start_period: 3}
    secrets: [api_keys, {name: session, file: session.key, mode: "0440", gid: "10001"}]
  billing:
    group: head
    ports: [{number: 8082, protocol: http, published: true}]
    health: {interval: 1, start_period: 3}
    secrets: [signing.pub]
  rate-limiter:
    group: tail
    ports: [{number: 50051, protocol: grpc}]
    health: {interval: 1, start_period: 3}
"""
PASSWORD, ANOTHER = "correct-horse-battery-7c41", "staple-battery-horse-91d0"
KEYS = "marked-4c1fe0c2a9,marked-8d20b75e13"
TOKENS = ["SWMTKN-1-", "SWMKEY-1-"]  # how join tokens and the unlock key of a Swarm begin
FAILING = ["services.secrets-service.environment.DEMO_UNHEALTHY=1", "services.secrets-service.update.deadline=12"]


@pytest.fixture(scope="module")
def site(lab_factory: LabFactory, make_project: MakeProject, make_images: MakeImages) -> Iterator[Site]:
    lab = lab_factory(HOSTS)
    made = make_site(lab, make_project, make_images, CATALOGUE)
    file = made.project.root / ".vault-password"
    file.write_text(f"{PASSWORD}\n")
    file.chmod(0o600)
    yield made
    lab.down()


@pytest.fixture(scope="module")
def said() -> list[Result]:
    """What commands have said that `test_nothing_leaks` looks through."""
    return []


def given(site: Site, words: str, value: str) -> subprocess.CompletedProcess[str]:
    """The command with something at its standard input."""
    return subprocess.run(
        [str(COMMAND), *words.split()],
        cwd=site.project.root, env=site.project.environ({}), input=value, capture_output=True, text=True, timeout=60,
    )  # fmt: skip


def value(site: Site, name: str) -> str:
    return ok(site.run(f"staging secrets get {name}")).stdout.rstrip("\n")


def read(site: Site, service: str, file: str) -> str:
    """A file of a service's newest task."""
    for host in site.lab:
        for ident in host.docker(["ps", "--quiet", "--filter", f"name={service}."]).stdout.split()[:1]:
            return host.docker(["exec", ident, "cat", f"/run/secrets/{file}"]).stdout
    raise AssertionError(f"{service} runs nowhere")


def versions(site: Site) -> dict[str, int]:
    return {name: int(one["Version"]["Index"]) for name, one in services(docker_on(site.lab["head"])).items()}


def test_without_its_secrets_no_host_is_contacted(site: Site) -> None:
    for words in ("staging deploy --plain", "staging plan", "staging update"):
        refused = ok(site.run(words), 3)
        for name in ("api_keys", "session", "signing"):
            assert name in refused.stderr
        assert "secrets" in refused.stderr
    assert site.lab["head"].docker("info --format {{.Swarm.LocalNodeState}}").stdout.strip() == "inactive"


def test_what_is_generated_is_encrypted_and_what_people_set_is_kept(site: Site) -> None:
    ok(site.run("staging secrets init"))
    assert given(site, "staging secrets set api_keys", KEYS).returncode == 0
    file = site.project.root / "environments" / "staging.secrets.yml"
    assert file.read_text().startswith("$ANSIBLE_VAULT;")
    assert file.stat().st_mode & 0o777 == 0o600
    assert value(site, "api_keys") == KEYS
    session = value(site, "session")
    assert len(session) == 40
    ok(site.run("staging secrets init"))
    assert (value(site, "api_keys"), value(site, "session")) == (KEYS, session)


def swarms_own(site: Site) -> list[str]:
    """The join tokens and the unlock key, as the cluster has them."""
    asked = ("join-token --quiet manager", "join-token --quiet worker", "unlock-key --quiet")
    found = [site.lab["head"].docker(f"swarm {words}").stdout.strip() for words in asked]
    assert [one.startswith(tuple(TOKENS)) for one in found] == [True] * 3
    return found


def test_each_service_is_given_its_own_and_no_other(site: Site, said: list[Result]) -> None:
    with leaks.watched(TOKENS) as processes:
        said.append(ok(site.run("staging deploy --plain -vvv")))
    assert not processes
    assert "swarm unlock-key --store" in said[0].stdout, "who turns autolock on has to know about the key"
    assert read(site, "secrets-service", "api_keys") == KEYS
    assert read(site, "secrets-service", "session.key") == value(site, "session")
    assert read(site, "billing", "signing.pub").rstrip() == value(site, "signing.pub").rstrip()
    for host in site.lab:
        for ident in host.docker("ps --quiet").stdout.split():
            name = host.docker(["inspect", "--format", "{{.Name}}", ident]).stdout
            files = host.docker(["exec", ident, "ls", "/run/secrets"], check=False).stdout.split()
            owner = next((one for one in ("secrets-service", "billing") if one in name), "")
            assert sorted(files) == {"secrets-service": ["api_keys", "session.key"], "billing": ["signing.pub"]}.get(
                owner, []
            )
    ok(site.run("staging plan"))


def test_a_rotated_secret_rolls_who_uses_it_and_a_rollback_brings_the_old_one_back(site: Site) -> None:
    before, old = versions(site), value(site, "session")
    ok(site.run("staging secrets rotate session --store-only"))
    plan = ok(site.run("staging plan"), 10)
    assert "secret session.key changed" in plan.stdout
    ok(site.run("staging secrets rotate session --plain"))
    new = value(site, "session")
    assert new != old
    assert read(site, "secrets-service", "session.key") == new
    after = versions(site)
    assert {name for name in after if after[name] != before[name]} == {"secrets-service"}
    ok(site.run("staging rollback --yes --plain"))
    assert read(site, "secrets-service", "session.key") == old


def test_another_password(site: Site) -> None:
    """Whoever has the old one opens the file no more."""
    new = site.project.root / "new-password"
    new.write_text(f"{ANOTHER}\n")
    new.chmod(0o600)
    before = value(site, "session")
    ok(site.run("staging secrets rekey --new-password-file new-password"))
    refused = ok(site.run("staging secrets get session"), 3)
    assert "does not open with the password from" in refused.stderr
    new.replace(site.project.root / ".vault-password")
    assert value(site, "session") == before


def test_a_manager_that_was_restarted_is_locked_until_it_is_given_the_key(site: Site, said: list[Result]) -> None:
    said.append(ok(site.run("staging swarm unlock-key --store")))
    site.lab["head"].crash_docker()
    for words in ("deploy --plain", "status", "doctor", "rollback --yes"):
        refused = ok(site.run(f"staging {words}"), 1)
        assert "its Swarm is locked" in refused.stdout + refused.stderr, words
        assert "llmdeploy ENV swarm unlock" in refused.stdout + refused.stderr, words
    said.append(ok(site.run("staging swarm unlock")))
    assert "unlocked head-server with the key from environments/staging.secrets.yml" in said[-1].stdout
    eventually("all is healthy", lambda: site.run("staging status").code == 0, 60)


def test_nothing_leaks(site: Site, said: list[Result], tmp_path: Path) -> None:
    """Every verb that a secret passes through, also those that fail and those that are stopped; Swarm's own as well."""
    private = value(site, "signing").splitlines()[1]
    marks = [*KEYS.split(","), value(site, "session"), private, PASSWORD, ANOTHER, *swarms_own(site)]
    results = said
    with leaks.watched(marks) as processes:
        results.append(ok(site.run("staging deploy --full --plain -vvv")))
        results.append(ok(site.run("staging deploy --plain -vvv", *FAILING), 6))
        results.append(ok(site.run("staging secrets rotate session -vvv")))
        ok(site.run("staging secrets rotate session --store-only"))
        results.append(ok(site.run("staging update --json")))
        results.append(ok(site.run("staging plan --json")))
        results.append(ok(site.run("staging doctor --json")))
        results.append(ok(site.run("staging rollback --yes -vvv")))
        results.append(ok(site.run("staging secrets list")))
        run = start(site.project, site.words("staging deploy --plain -vvv", *FAILING))
        run.wait_for("secrets-service")
        run.signal(signal.SIGTERM)
        results.append(ok(run.end(), 130))
        results.append(ok(cli(site.project, "staging history show 3 --json")))
    marks.append(value(site, "session"))
    assert not processes
    for result in results:
        assert not [mark for mark in marks if mark in result.stdout + result.stderr], result
    home, project = Path.home(), site.project.root
    places = [site.project.state, project, Path("/dev/shm"), home / ".ansible", *Path("/tmp").glob("lld-*")]
    allowed = {str(project / ".vault-password")}
    assert set(leaks.in_files(places, marks)) <= allowed
    history = [home / name for name in (".bash_history", ".python_history", ".local/state/llmdeploy")]
    assert not leaks.in_files(history, marks)
    for host in site.lab:
        assert leaks.on_host(host, marks) == []
        assert leaks.in_docker(host, marks) == []


def test_autolock_goes_with_its_setting(site: Site) -> None:
    off = "swarm.autolock=false"
    steps = ok(site.run("staging plan --json", off), 10).data["steps"]
    assert steps == ["have managers locked after a restart no longer"]
    ok(site.run("staging deploy --plain", off))
    now = ["info", "--format", "{{.Swarm.Cluster.Spec.EncryptionConfig.AutoLockManagers}}"]
    assert site.lab["head"].docker(now).stdout.strip() == "false"


def test_a_search_that_finds_nothing_can_find_something(site: Site, tmp_path: Path) -> None:
    """What the test before rests on."""
    (tmp_path / "log").write_text(f"key={KEYS.split(',', maxsplit=1)[0]}\n")
    assert leaks.in_files([tmp_path], KEYS.split(",")) == [str(tmp_path / "log")]
    head = site.lab["head"]
    head.exec(f"echo {KEYS} > /tmp/leak; echo {KEYS} | docker config create leak -")
    try:
        assert leaks.on_host(head, KEYS.split(",")) == ["/tmp/leak"]
        assert len(leaks.in_docker(head, KEYS.split(","))) == 1
    finally:
        head.exec("rm /tmp/leak; docker config rm leak")
    with leaks.watched(KEYS.split(",")) as seen:
        subprocess.run(["sh", "-c", f": {KEYS}; sleep 0.5"], check=True)
    assert seen
    shutil.rmtree(tmp_path)
