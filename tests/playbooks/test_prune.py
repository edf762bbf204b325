"""What no kept release needs goes from every host, after a release by itself and with prune.yml; all else stays."""

from __future__ import annotations

import json
import shlex
from collections.abc import Iterator
from typing import Any

import pytest

from tests.lab import Host, Lab, roots
from tests.lab.fixtures import LabFactory
from tests.playbooks.conftest import JOB
from tests.playbooks.site import PLAYBOOKS, Run, Site, lab_host, render

pytestmark = [pytest.mark.lab, pytest.mark.timeout(600)]
HOSTS = ("head", "tail")
SECOND = 1_000_000_000
RECORD = "/var/lib/llmdeploy/images"


@pytest.fixture(scope="module")
def lab(lab_factory: LabFactory) -> Iterator[Lab]:
    lab = lab_factory(HOSTS)
    tiny = roots.ensure(roots.TINY)
    lab.load(tiny)
    for host in lab:
        host.docker(["tag", tiny, "debian:bookworm-slim"])
    yield lab
    lab.down()


@pytest.fixture(scope="module")
def site(lab: Lab, tmp_path_factory: pytest.TempPathFactory) -> Site:
    """Two hosts; a service whose image is another one with each release, of which two are kept."""
    return render(tmp_path_factory.mktemp("site"), {host.name: lab_host(host, "deploy") for host in lab})


def release(site: Site, number: int) -> str:
    """Make a release with an image of its own, for both hosts; out: the image's name."""
    site.variables["llmdeploy_images"] = []
    ref = site.build("toy", {"Dockerfile": "FROM debian:bookworm-slim\nCOPY n /n\n", "n": f"{number}\n" * 99}, HOSTS)
    secrets = site.folder / "secrets.json"
    secrets.write_text(json.dumps({f"llm.key.{number}": value(number)}))
    site.variables["llmdeploy_secrets_file"] = str(secrets)
    contents = site.folder / "configs.json"
    contents.write_text(json.dumps({f"llm.file.{number}": f"text {number}\n"}))
    site.variables["llmdeploy_configs_file"] = str(contents)
    site.job({**JOB, "id": f"job-{number}", "keep": 2, "services": {"toy": service(ref, number)}})
    run = site.run("-vvv")
    assert run.code == 0, run.failures
    assert value(number) not in run.output
    return ref


def value(number: int) -> str:
    return f"very-secret-{number}"


def secrets(host: Host) -> list[str]:
    return sorted(host.docker(["secret", "ls", "--format", "{{.Name}}"]).stdout.split())


def files(host: Host) -> list[str]:
    """The configuration files of services that the cluster has."""
    return sorted(
        name for name in host.docker(["config", "ls", "--format", "{{.Name}}"]).stdout.split() if ".file." in name
    )


def service(ref: str, number: int) -> dict[str, Any]:
    health = {"Test": ["CMD", "true"], "Interval": SECOND // 2, "Timeout": SECOND, "Retries": 2}
    container = {"Image": "", "Command": ["sleep", "999"], "StopGracePeriod": 0, "Healthcheck": health}
    file = {"Name": "key", "UID": "0", "GID": "0", "Mode": 0o400}
    container["Secrets"] = [{"SecretName": f"llm.key.{number}", "File": file}]
    container["Configs"] = [{"ConfigName": f"llm.file.{number}", "File": {**file, "Name": "/etc/toy.conf"}}]
    task = {
        "ContainerSpec": container,
        "Placement": {"Constraints": ["node.labels.group.head==yes"]},
        "Networks": [{"Target": "llm-network"}],
    }
    spec = {
        "Labels": {"llmdeploy.stack": "llm"},
        "TaskTemplate": task,
        "Mode": {"Replicated": {"Replicas": 1}},
        "EndpointSpec": {"Mode": "dnsrr"},
    }
    return {"wave": 1, "image": ref, "spec": spec, "depends_on": [], "stability": 0.2, "deadline": 30.0, "answers": []}


def has(host: Host, name: str) -> bool:
    return host.docker(["image", "inspect", name], check=False).returncode == 0


def make(host: Host, name: str) -> str:
    """Make an image that no other is like; out: its id."""
    script = f"mkdir /tmp/i && echo {name} > /tmp/i/name && tar -c -C /tmp/i . | docker import - {name}; rm -r /tmp/i"
    return host.exec(script).stdout.strip()


def prune(site: Site, *more: str) -> Run:
    report = site.folder / "report.json"
    report.unlink(missing_ok=True)
    given = {"llmdeploy_released_on": "head", "tidy_must": True, "tidy_report": str(report)}
    return site.run("-e", json.dumps(given), *more, playbook=PLAYBOOKS / "prune.yml")


def notes(run: Run) -> list[str]:
    return [entry["text"] for line in run.lines for entry in line["result"].get("lines") or [] if "text" in entry]


def test_a_release_that_leaves_the_history_takes_its_images_with_it(site: Site, lab: Lab) -> None:
    refs = [release(site, 1)]
    for host in lab:
        assert refs[0] in host.exec(f"cat {RECORD}").stdout.split()
    refs += [release(site, number) for number in (2, 3, 4)]
    kept = lab["head"].docker(["config", "ls", "--format", "{{.Name}}"]).stdout.split()
    releases = sorted(name for name in kept if ".release." in name)
    assert releases == ["llm.release.2", "llm.release.3", "llm.release.4"]  # two, and where two rollbacks lead
    assert secrets(lab["head"]) == ["llm.key.2", "llm.key.3", "llm.key.4"]
    assert files(lab["head"]) == ["llm.file.2", "llm.file.3", "llm.file.4"]
    container = lab["head"].docker(["ps", "--quiet", "--filter", "name=toy"]).stdout.split()[0]
    assert lab["head"].docker(["exec", container, "cat", "/run/secrets/key"]).stdout == value(4)
    assert lab["head"].docker(["exec", container, "cat", "/etc/toy.conf"]).stdout == "text 4\n"
    # On `head` the image of an ended task is in use until Swarm forgets the task.
    assert [has(lab["tail"], ref) for ref in refs] == [False, True, True, True]
    assert [has(lab["head"], ref) for ref in refs][1:] == [True, True, True]
    assert has(lab["head"], "debian:bookworm-slim")
    assert refs[0] not in lab["tail"].exec(f"cat {RECORD}").stdout


def test_an_ordinary_release_tidies_nothing(site: Site) -> None:
    run = site.run()
    assert run.code == 0, run.failures
    assert run.of("llmdeploy_prune") == []


def test_prune_leaves_what_is_needed_used_or_not_ours(site: Site, lab: Lab) -> None:
    head, tail = lab["head"], lab["tail"]
    for host in lab:
        make(host, "llmdeploy/demo:old")
    kept, used = make(tail, "llmdeploy/demo:kept"), make(tail, "llmdeploy/demo:used")
    tail.docker(["create", "--name", "user", used, "/x"])
    for name in ("stranger:1", "brought:1", "brought:2", "llmdeploy/demo:tagged"):
        make(tail, name)
    tail.docker(["tag", "llmdeploy/demo:tagged", "mine:1"])
    tail.exec(f"echo brought:1 >> {RECORD}")
    ledger(head, "other", 1, {"demo": kept}, edge="cccc")
    for name in ("llm.edge.aaaa", "llm.edge.bbbb", "other.edge.cccc", "other.edge.dddd"):
        config(head, name, "edge", name.split(".")[0])
    ledger(head, "llm", 9, {}, edge="aaaa")
    for name, stack in (("llm.key.0", "llm"), ("other.key.0", "other"), ("theirs", "")):
        label = [f"--label=llmdeploy.stack={stack}"] if stack else []
        head.exec(shlex.join(["echo", "x"]) + " | " + shlex.join(["docker", "secret", "create", *label, name, "-"]))

    run = prune(site)
    assert run.code == 0, run.failures + run.output[-2000:]
    assert not has(head, "llmdeploy/demo:old")
    gone = ["llmdeploy/demo:old", "brought:1"]
    stays = ["llmdeploy/demo:kept", "llmdeploy/demo:used", "llmdeploy/demo:tagged", "mine:1", "stranger:1", "brought:2"]
    assert [has(tail, name) for name in gone] == [False, False]
    assert [has(tail, name) for name in stays] == [True] * len(stays)
    configs = head.docker(["config", "ls", "--format", "{{.Name}}"]).stdout.split()
    assert {name for name in configs if ".edge." in name} == {"llm.edge.aaaa", "other.edge.cccc", "other.edge.dddd"}

    assert secrets(head) == ["llm.key.2", "llm.key.3", "llm.key.4", "other.key.0", "theirs"]

    report = json.loads((site.folder / "report.json").read_text())
    assert (report["configs"], report["secrets"]) == (["llm.edge.bbbb"], ["llm.key.0"])
    assert sorted(name for one in report["hosts"]["tail"]["removed"] for name in one["names"]) == sorted(gone)
    assert report["hosts"]["head"]["bytes"] >= 0
    assert any(text.startswith("tail: removed 2 images that no release needs") for text in notes(run))
    again = prune(site)
    assert (again.code, again.changed) == (0, []), again.failures


def test_while_another_run_holds_a_lock_nothing_goes(site: Site, lab: Lab) -> None:
    head = lab["head"]
    make(head, "llmdeploy/demo:old")
    config(head, "other.lock", "lock", "other", job="x", user="ben", host="ci", action="deploy")
    refused = prune(site)
    assert refused.code == 2
    assert "ben on ci is running `deploy` here" in refused.failures
    gentle = prune(site, "-e", "tidy_must=false")
    assert gentle.code == 0, gentle.failures
    assert "nothing is tidied up: ben on ci is running" in " ".join(notes(gentle))
    assert has(head, "llmdeploy/demo:old")
    ours = prune(site, "-e", "tidy_job=x")
    assert ours.code == 0, ours.failures
    assert not has(head, "llmdeploy/demo:old")
    head.docker("config rm other.lock")


def test_a_release_that_cannot_be_read_removes_nothing(site: Site, lab: Lab) -> None:
    head = lab["head"]
    make(head, "llmdeploy/demo:old")
    config(head, "llm.release.77", "release", "llm", number="77", verdict="failed")
    refused = prune(site)
    assert refused.code == 2
    assert "llm.release.77 cannot be read, so nothing is removed" in refused.failures
    gentle = prune(site, "-e", "tidy_must=false")
    assert gentle.code == 0
    assert "head: not tidied up: llm.release.77 cannot be read" in " ".join(notes(gentle))
    assert has(head, "llmdeploy/demo:old")
    head.docker("config rm llm.release.77")


def config(on: Host, name: str, kind: str, stack: str, content: str = "", **labels: str) -> None:
    given = {"llmdeploy.stack": stack, "llmdeploy.kind": kind, **labels}
    words = [word for key, value in given.items() for word in ("--label", f"{key}={value}")]
    on.exec(f"cat > /tmp/config <<'END'\n{content}\nEND\ndocker config create {' '.join(words)} {name} /tmp/config")


def ledger(host: Host, stack: str, number: int, pins: dict[str, str], *, edge: str) -> None:
    """A good release, of which only its needs are of interest."""
    spec = {"Labels": {"llmdeploy.edge": edge}, "TaskTemplate": {"ContainerSpec": {}}}
    manifest = {"format": 1, "job": {"stack": stack, "services": {"edge": {"spec": spec}}}, "pins": pins}
    config(
        host, f"{stack}.release.{number}", "release", stack, json.dumps(manifest), number=str(number), verdict="good"
    )
