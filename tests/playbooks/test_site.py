"""site.yml on real hosts: from bare to a cluster, then nothing to do, then one difference after the other."""

from __future__ import annotations

import json
import time
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager

import pytest

from tests.lab import Host, Lab
from tests.playbooks.conftest import EDGE_ROOT, JOB, edge_config, edge_job
from tests.playbooks.site import Site

pytestmark = [pytest.mark.lab, pytest.mark.timeout(900)]


@pytest.fixture(scope="module", autouse=True)
def deployed(site: Site, lab: Lab) -> Site:
    """The first run, which every other test stands on."""
    run = site.run()
    print(run.output[-3000:], run.times())
    assert run.code == 0, run.failures
    secrets = lab["head"].docker("swarm join-token -q worker").stdout.split("-")[-1].strip()
    assert secrets not in run.output
    assert secrets not in json.dumps(run.lines)
    return site


def image_ids(lab: Lab, ref: str, hosts: str = "head proxy tail ui") -> set[str]:
    return {lab[host].docker(["image", "inspect", "-f", "{{.Id}}", ref]).stdout.strip() for host in hosts.split()}


def labels(lab: Lab, host: str) -> dict[str, str]:
    found: dict[str, str] = json.loads(
        lab["head"].docker(["node", "inspect", "-f", "{{json .Spec.Labels}}", host]).stdout
    )
    return found


# --- what the first run left


def test_the_bare_host_has_docker_and_all_are_in_one_swarm(lab: Lab) -> None:
    nodes = lab["head"].docker(["node", "ls", "--format", "{{.Hostname}} {{.Status}}"]).stdout.split("\n")[:-1]
    assert sorted(nodes) == ["head Ready", "proxy Ready", "tail Ready", "ui Ready"]
    rotation = json.loads(lab["ui"].exec("cat /etc/docker/daemon.json").stdout)["log-opts"]
    assert rotation == {"max-size": "10m", "max-file": "3"}


def test_groups_became_labels(lab: Lab) -> None:
    assert labels(lab, "tail") == {"group.tail": "yes"}


def test_the_network_is_an_overlay_of_the_stack(lab: Lab) -> None:
    found = json.loads(lab["head"].docker("network inspect llm-network").stdout)[0]
    assert (found["Driver"], found["Attachable"]) == ("overlay", False)
    assert found["Labels"] == {"llmdeploy.stack": "llm"}


def test_images_are_the_same_everywhere(lab: Lab, site: Site) -> None:
    assert len(image_ids(lab, site.variables["llmdeploy_images"][0]["ref"])) == 1
    assert len(image_ids(lab, EDGE_ROOT.tag, "head ui")) == 1
    assert lab["tail"].docker(["image", "inspect", EDGE_ROOT.tag], check=False).returncode != 0


def test_probe_and_fingerprint_are_in_place(lab: Lab) -> None:
    assert lab["ui"].exec("stat -c '%a %U' /var/lib/llmdeploy/host.json").stdout == "600 root\n"
    assert lab["ui"].exec("stat -c %a /opt/llmdeploy/bin/probe").stdout == "755\n"


# --- nothing to do


def test_the_second_run_changes_nothing_and_touches_each_host_once(site: Site) -> None:
    run = site.run()
    print(run.times())
    assert run.code == 0
    assert run.changed == []
    ours = [line["action"] for line in run.lines if line["state"] != "skipped" and "llmdeploy_" in line["action"]]
    assert sorted(ours) == ["llmdeploy_decide", *["llmdeploy_host"] * 4, "llmdeploy_release"]


def test_full_skips_nothing_and_still_changes_nothing(site: Site) -> None:
    site.variables["llmdeploy_full"] = True
    try:
        run = site.run()
    finally:
        site.variables["llmdeploy_full"] = False
    assert run.code == 0, run.failures
    assert len(run.of("llmdeploy_docker")) == 4
    assert run.changed == []


# --- one difference each


def test_a_new_group_sets_labels_and_nothing_else(site: Site, lab: Lab) -> None:
    lab["head"].docker("node update --label-add rack=7 tail")
    site.hosts["tail"]["llmdeploy_groups"] = ["tail", "model-proxy"]
    run = site.run()
    assert run.changed == ["head: cluster : Set roles, labels and the network"], run.failures
    assert labels(lab, "tail") == {"group.tail": "yes", "group.model-proxy": "yes", "rack": "7"}
    site.hosts["tail"]["llmdeploy_groups"] = ["tail"]
    assert site.run().code == 0
    assert labels(lab, "tail") == {"group.tail": "yes", "rack": "7"}


def test_an_image_the_builder_lost_comes_back_from_another_host(site: Site, lab: Lab) -> None:
    ref = site.variables["llmdeploy_images"][0]["ref"]
    before = image_ids(lab, ref)
    lab["head"].docker(["image", "rm", ref])
    run = site.run()
    assert run.changed == ["head: images : Deliver the images that are missing"], run.failures
    assert image_ids(lab, ref) == before


def test_a_changed_image_is_built_once_and_delivered(site: Site, lab: Lab) -> None:
    old = site.variables["llmdeploy_images"].pop(0)
    ref = site.build("tiny", {"Dockerfile": "FROM scratch\nCOPY hello /hello\n", "hello": "new\n"}, old["hosts"])
    run = site.run()
    assert run.code == 0, run.failures
    assert run.of("llmdeploy_image")[0]["result"]["made"] == [ref]
    assert sorted(line["host"] for line in run.of("llmdeploy_deliver") if line["changed"]) == ["proxy", "tail", "ui"]
    assert len(image_ids(lab, ref)) == 1


def test_an_image_that_nobody_has_is_explained(site: Site) -> None:
    site.variables["llmdeploy_images"].append({"ref": "nobody/has:this", "kind": "registry", "hosts": ["tail"]})
    try:
        run = site.run()
    finally:
        site.variables["llmdeploy_images"].pop()
    assert run.code == 2
    assert "nobody/has:this is not on this host, and no registry gives it" in run.failures
    assert "docker load" in run.failures


def test_a_dockerfile_that_fails_shows_its_last_lines(site: Site) -> None:
    site.build("bad", {"Dockerfile": "FROM scratch\nCOPY missing /missing\n"}, ["tail"])
    try:
        run = site.run()
    finally:
        site.variables["llmdeploy_images"].pop()
    assert run.code == 2
    assert "COPY failed" in run.failures


def test_sudo_with_a_password(site: Site, lab: Lab) -> None:
    """The password goes to sudo's question and never to the command behind it."""
    old = {name: dict(host) for name, host in site.hosts.items()}
    for name, host in site.hosts.items():
        ssh = host["llmdeploy_ssh"]
        more = {"ansible_user": "carol", "ansible_become_password": "carol-password"}
        site.hosts[name] = {**host, **more, "llmdeploy_ssh": [*ssh[:-2], "carol", ssh[-1]]}
    ref = site.build("carol", {"Dockerfile": "FROM scratch\nCOPY a /a\n", "a": "carol\n"}, ["tail", "ui"])
    try:
        run = site.run()
    finally:
        site.hosts = old
        site.variables["llmdeploy_images"].pop()
    assert run.code == 0, run.failures
    assert len(image_ids(lab, ref, "tail ui")) == 1
    assert "carol-password" not in run.output + json.dumps([line["result"] for line in run.lines])


# --- problems


@contextmanager
def listening(host: Host, port: int) -> Iterator[None]:
    host.exec(f"nohup python3 -m http.server {port} >/dev/null 2>&1 & echo $! >/tmp/listener; sleep 0.5")
    try:
        yield
    finally:
        host.exec("kill $(cat /tmp/listener)")


def test_all_problems_of_all_hosts_are_said_at_once(site: Site, lab: Lab) -> None:
    site.hosts["proxy"]["llmdeploy_memory_mb"] = 10_000_000
    site.variables["llmdeploy_network"]["mtu"] = 1400
    try:
        with listening(lab["tail"], 8000):
            run = site.run()
    finally:
        site.hosts["proxy"]["llmdeploy_memory_mb"] = 64
        site.variables["llmdeploy_network"]["mtu"] = None
    assert run.code == 2
    problems = run.of("llmdeploy_decide")[0]["result"]["problems"]
    assert {(one["host"], one["check"]) for one in problems} == {
        ("proxy", "memory"),
        ("tail", "port"),
        ("head", "network"),
    }
    assert "tail: port 8000 is in use by python3 (process" in run.failures
    assert "has mtu the default, wanted 1400" in run.failures
    assert run.changed == []


def test_a_host_that_is_down_is_named(site: Site, lab: Lab) -> None:
    lab["proxy"].pause()
    began = time.monotonic()
    try:
        run = site.run()
    finally:
        lab["proxy"].unpause()
    assert run.code == 4
    assert [line["host"] for line in run.lines if line["state"] == "unreachable"] == ["proxy"]
    assert time.monotonic() - began < 30
    assert run.changed == []


# --- the edge

FILE = "/opt/llmdeploy/edge/haproxy.cfg"


@pytest.fixture
def edge(site: Site, lab: Lab) -> Iterator[str]:
    """An edge on one host, as a release brings it up."""
    site.edge(edge_config("one"), ["head"])
    site.job(edge_job(edge_config("one")))
    run = site.run()
    assert run.code == 0, run.failures
    yield f"http://{lab['head'].ip}:8000/"
    site.edge("", [])
    site.job(JOB)
    lab["head"].docker("service rm edge edge-config")
    lab["head"].exec(
        "while docker ps -q --filter label=com.docker.swarm.service.name=edge | grep -q .; do sleep 0.2; done"
    )


def answer(url: str) -> str:
    with urllib.request.urlopen(url, timeout=5) as found:
        return str(found.read().decode())


def test_the_configuration_of_the_edge_comes_with_the_release(site: Site, lab: Lab, edge: str) -> None:
    assert answer(edge) == "one"
    assert lab["head"].exec(f"cat {FILE}").stdout == edge_config("one")
    assert lab["ui"].exec(f"test -e {FILE}", check=False).returncode == 1, "it is no edge host"

    site.job(edge_job(edge_config("one")))
    assert site.run().changed == []

    lab["head"].exec(f"echo '# by hand' >> {FILE}")
    site.job(edge_job(edge_config("one")))
    run = site.run()
    assert run.code == 0, run.failures
    assert lab["head"].exec(f"cat {FILE}").stdout == edge_config("one"), "put right, although the service is the same"
    assert answer(edge) == "one"

    broken = edge_config("two") + "  nonsense\n"
    site.edge(broken, ["head"])
    site.job({**edge_job(broken), "on_failure": "keep"})
    run = site.run()
    assert run.code == 2
    progress = run.of("llmdeploy_release")[-1]["result"]["job_dir"] + "/progress.jsonl"
    lines = [json.loads(line) for line in lab["head"].exec(f"cat {progress}").stdout.splitlines()]
    reason = next(line["reason"] for line in lines if line["kind"] == "failure")
    assert reason.startswith("HAProxy refuses the new configuration on head; the old one stays in use: ")
    assert "unknown keyword 'nonsense'" in reason
    assert answer(edge) == "one"
    assert lab["head"].exec(f"cat {FILE}").stdout == edge_config("one")


# --- Docker that was there


def test_settings_of_others_stay_and_nothing_running_is_restarted(site: Site, lab: Lab) -> None:
    ui = lab["ui"]
    ui.exec("""echo '{"debug": false, "labels": ["rack=7"]}' >/etc/docker/daemon.json""")
    ui.docker(["run", "--detach", "--name", "busy", EDGE_ROOT.tag, "sleep", "600"])
    site.hosts["ui"]["llmdeploy_fingerprint"] = "test-2"
    run = site.run()
    assert ui.docker("rm --force busy", check=False).returncode == 0
    assert json.loads(ui.exec("cat /etc/docker/daemon.json").stdout) == {
        "debug": False,
        "labels": ["rack=7"],
        "log-driver": "json-file",
        "log-opts": {"max-size": "10m", "max-file": "3"},
    }
    assert [line["host"] for line in run.of("llmdeploy_docker")] == ["ui"]
    result = run.of("llmdeploy_docker")[0]["result"]
    assert (result["changed"], result["restarted"]) == (True, False)
    assert "it was not restarted, because 1 containers run" in result["notes"][0]


def test_settings_that_are_no_json_are_not_touched(site: Site, lab: Lab) -> None:
    lab["ui"].exec("cp /etc/docker/daemon.json /tmp/kept; echo '{oops' >/etc/docker/daemon.json")
    site.hosts["ui"]["llmdeploy_fingerprint"] = "test-3"
    run = site.run()
    left = lab["ui"].exec("cat /etc/docker/daemon.json; cp /tmp/kept /etc/docker/daemon.json").stdout
    site.hosts["ui"]["llmdeploy_fingerprint"] = "test-2"
    assert run.code == 2
    assert "/etc/docker/daemon.json is not valid JSON" in run.failures
    assert left == "{oops\n"
