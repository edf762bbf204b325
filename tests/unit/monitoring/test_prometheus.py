"""What Prometheus asks, by its own word: everything of an environment, and nothing that is not there."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
import yaml

from llmdeploy.config.watching import PARTS
from llmdeploy.monitoring.prometheus import CONFIG_FILE, RULES, prometheus_files
from llmdeploy.monitoring.scope import Scope, metrics_of
from llmdeploy.monitoring.scraping import PROBER, jobs
from tests.unit.catalogue import settings
from tests.unit.monitoring.conftest import said_by, small, write
from tests.unit.monitoring.live import asked, eventually, free_port, running

SCOPES = ["scope", "scope_with_tls", "small_scope"]
TIMEOUTS = {"usual": 2, "slow": 8, "endless": 60}


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
        # Without the dot at the end, a search domain that answers to every name makes targets of what is not there.
        assert all(name.startswith("tasks.") and name.endswith(".") for name in found["names"])
        if job["metrics_path"] == "/probe":
            assert job["relabel_configs"][-1] == {"target_label": "__address__", "replacement": f"{PROBER}:9115"}


def test_alerts_go_to_alertmanager(small_scope: Scope) -> None:
    (one,) = yaml.safe_load(prometheus_files(small_scope)[CONFIG_FILE])["alerting"]["alertmanagers"]
    assert [(found["names"], found["port"]) for found in one["dns_sd_configs"]] == [(["tasks.alertmanager."], 9093)]


def test_what_containers_do_is_about_their_service_and_ends_with_them(scope: Scope) -> None:
    (job,) = [job for job in jobs(scope) if job["job_name"] == "cadvisor"]
    assert job["honor_timestamps"] is False
    assert {rule.get("target_label") for rule in job["metric_relabel_configs"]} == {"service", None}


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


def test_a_path_with_a_query_is_asked_with_it() -> None:
    given = settings({"one": {"metrics": {"port": 80, "path": "/v1/metrics?format=prometheus&all="}}})
    (job,) = [job for job in jobs(Scope("dev", given)) if told(job, "job") == "services"]
    assert (job["metrics_path"], job["params"]) == ("/v1/metrics", {"format": ["prometheus"], "all": [""]})


def test_a_slow_health_check_gets_its_time_but_not_more_than_there_is() -> None:
    ports = [{"number": 80, "protocol": "http"}]
    given = settings({name: {"ports": ports, "health": {"timeout": time}} for name, time in TIMEOUTS.items()})
    found = {told(job, "service"): job for job in jobs(Scope("dev", given)) if told(job, "job") == "replicas"}
    assert {name: job["scrape_timeout"] for name, job in found.items()} == {
        "usual": "5500ms", "slow": "8500ms", "endless": "15s",
    }  # fmt: skip


def test_a_real_one_runs_with_it(scope_with_tls: Scope, tmp_path: Path) -> None:
    words = [f"--config.file={placed(scope_with_tls, tmp_path)}", f"--storage.tsdb.path={tmp_path / 'data'}"]
    with running("prometheus", free_port(), *words) as url:
        groups = eventually(lambda: asked(f"{url}/api/v1/rules"))["data"]["groups"]
        pools = yaml.safe_load(asked(f"{url}/api/v1/status/config")["data"]["yaml"])["scrape_configs"]
    assert len({group["file"] for group in groups}) == len(prometheus_files(scope_with_tls)) - 1
    assert len(pools) == len(jobs(scope_with_tls))
