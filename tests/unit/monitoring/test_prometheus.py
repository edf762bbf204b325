"""What Prometheus asks, by its own word: everything of an environment, and nothing that is not there."""

from __future__ import annotations

import json
import socket
import subprocess
import time
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

import pytest
import yaml

from llmdeploy.config.watching import PARTS
from llmdeploy.monitoring.prometheus import CONFIG_FILE, RULES, prometheus_files
from llmdeploy.monitoring.scope import Scope, metrics_of
from llmdeploy.monitoring.scraping import PROBER, jobs
from tests.programs import program
from tests.unit.monitoring.conftest import said_by, small, write

SCOPES = ["scope", "scope_with_tls", "small_scope"]


def told(job: dict[str, Any], label: str) -> str:
    """The value that a job gives a label."""
    fixed = [rule["replacement"] for rule in job.get("relabel_configs", []) if rule.get("target_label") == label]
    return str(fixed[0]) if fixed else (str(job["job_name"]) if label == "job" else "")


def services_of(scope: Scope, name: str) -> list[str]:
    return [told(job, "service") for job in jobs(scope) if told(job, "job") == name]


def placed(scope: Scope, root: Path) -> Path:
    """The configuration with its rules in a folder of this machine."""
    write(prometheus_files(scope), root)
    file = root / CONFIG_FILE[1:]
    file.write_text(file.read_text().replace(RULES, str(root / RULES[1:])))
    return file


@pytest.mark.parametrize("name", SCOPES)
def test_promtool_takes_it(name: str, request: pytest.FixtureRequest, tmp_path: Path) -> None:
    said = said_by("promtool", "check", "config", placed(request.getfixturevalue(name), tmp_path))
    assert "is valid prometheus config" in said
    assert "rule files found" in said


@pytest.mark.parametrize("name", SCOPES)
def test_everything_is_asked(name: str, request: pytest.FixtureRequest) -> None:
    scope: Scope = request.getfixturevalue(name)
    assert services_of(scope, "services") == [one for one, service in scope.services.items() if metrics_of(service)]
    with_ports = [one for one, service in scope.services.items() if service.ports]
    assert services_of(scope, "replicas") == with_ports
    published = [(one, str(port.edge)) for one, made in scope.services.items() for port in made.ports if port.edge]
    through = [job for job in jobs(scope) if told(job, "job") == "edge-probe"]
    assert [(told(job, "service"), told(job, "port")) for job in through] == published
    names = {told(job, "job") for job in jobs(scope)}
    assert {"edge", "node", "cadvisor", "prometheus", "alertmanager", "loki", "grafana", "alloy", PROBER} <= names
    assert ("edge-certificate" in names) == scope.settings.has_tls


def test_the_ten_services_tell_their_metrics(scope: Scope) -> None:
    assert len(services_of(scope, "services")) == 10


def test_each_is_found_by_docker_and_probed_through_the_prober(scope: Scope) -> None:
    for job in jobs(scope):
        (found,) = job["dns_sd_configs"]
        assert all(name.startswith("tasks.") for name in found["names"])
        if job["metrics_path"] == "/probe":
            assert job["relabel_configs"][-1] == {"target_label": "__address__", "replacement": f"{PROBER}:9115"}


@pytest.mark.parametrize("part", PARTS)
def test_a_part_that_is_left_out_is_not_asked_for(part: str) -> None:
    text = json.dumps(yaml.safe_load(prometheus_files(small(parts={part: {"enabled": False}}))[CONFIG_FILE]))
    assert f"tasks.{part}" not in text
    assert f'"{part}:' not in text


def test_docker_is_asked_where_it_tells_metrics() -> None:
    assert "docker" not in {job["job_name"] for job in jobs(small())}
    (job,) = [job for job in jobs(small(docker_metrics=9323)) if job["job_name"] == "docker"]
    assert [one["targets"] for one in job["static_configs"]] == [["10.0.0.1:9323"], ["10.0.0.4:9323"]]


def test_a_short_interval_is_not_shorter_than_its_timeout(tmp_path: Path) -> None:
    assert "is valid" in said_by("promtool", "check", "config", placed(small(interval="2s"), tmp_path))


@contextmanager
def running(file: Path, data: Path) -> Iterator[str]:
    """Prometheus on a port of this machine. Out: its address."""
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        port = taken.getsockname()[1]
    command = [program("prometheus"), f"--config.file={file}", f"--storage.tsdb.path={data}"]
    process = subprocess.Popen(
        [*command, f"--web.listen-address=127.0.0.1:{port}"], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
    )
    try:
        yield f"http://127.0.0.1:{port}"
    finally:
        process.kill()
        process.wait(10)


def asked(url: str, patience: float = 20.0) -> dict[str, Any]:
    end = time.monotonic() + patience
    while time.monotonic() < end:
        with suppress(OSError), urllib.request.urlopen(url, timeout=5) as answer:
            found: dict[str, Any] = json.load(answer)["data"]
            return found
        time.sleep(0.1)
    raise AssertionError(f"{url} does not answer")


def test_a_real_one_runs_with_it(scope_with_tls: Scope, tmp_path: Path) -> None:
    with running(placed(scope_with_tls, tmp_path), tmp_path / "data") as url:
        groups = asked(f"{url}/api/v1/rules")["groups"]
        pools = yaml.safe_load(asked(f"{url}/api/v1/status/config")["yaml"])["scrape_configs"]
    assert len({group["file"] for group in groups}) == len(prometheus_files(scope_with_tls)) - 1
    assert len(pools) == len(jobs(scope_with_tls))
