"""A bad update that is healthy is taken back by what Prometheus says; a good one passes. Prometheus and Alertmanager
are the real programs, the service is a container that counts its requests."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

import pytest
import yaml

from llmdeploy.engine.textfile import FILE
from llmdeploy.release.measuring import metric_checks
from tests.unit.catalogue import settings
from tests.unit.monitoring.live import asked, eventually, free_port, running

from .conftest import Stack, end

pytestmark = pytest.mark.docker

# Counts 20 requests a second, of which so many in a hundred fail, and tells it on port 8080.
PROGRAM = """
mkdir /www && httpd -p 8080 -h /www
n=0
while true; do
  n=$((n + 1)) labels='job="services",route="/chat"'
  echo "http_requests_total{$labels,code=\\"500\\"} $((n * 20 * BAD / 100))" > /tmp/new
  echo "http_requests_total{$labels,code=\\"200\\"} $((n * 20 * (100 - BAD) / 100))" >> /tmp/new
  mv /tmp/new /www/metrics
  sleep 1
done
"""


def service(stack: Stack, port: int, bad: int) -> dict[str, tuple[dict[str, Any], list[str]]]:
    spec = stack.spec(PROGRAM, Env=[f"BAD={bad}"], Healthcheck=None)
    spec["UpdateConfig"]["Order"] = "stop-first"  # its port is the host's
    spec["EndpointSpec"]["Ports"] = [
        {"Protocol": "tcp", "TargetPort": 8080, "PublishedPort": port, "PublishMode": "host"}
    ]
    return {"web": (spec, [])}


def quick_checks() -> list[dict[str, Any]]:
    """The usual ones, asked sooner and faster."""
    usual = metric_checks(settings({"web": {}}), watched=True)
    return [{**check, "initial_delay": 4.0, "interval": 1.0} for check in usual]


@contextmanager
def monitoring(stack: Stack, port: int, folder: Path) -> Iterator[dict[str, dict[str, Any]]]:
    """Prometheus, which looks at the service every second, and Alertmanager. Out: what a job says of them."""
    target = {"targets": [f"127.0.0.1:{port}"], "labels": {"service": stack.service("web")}}
    scrape = {"job_name": "services", "honor_labels": True, "static_configs": [target]}
    config = {"global": {"scrape_interval": "1s", "scrape_timeout": "1s"}, "scrape_configs": [scrape]}
    (folder / "prometheus.yml").write_text(yaml.safe_dump(config))
    nobody = {"route": {"receiver": "nobody"}, "receivers": [{"name": "nobody"}]}
    (folder / "alertmanager.yml").write_text(yaml.safe_dump(nobody))
    words = {
        "prometheus": [
            f"--config.file={folder / 'prometheus.yml'}", f"--storage.tsdb.path={folder / 'metrics.data'}",
        ],
        "alertmanager": [
            f"--config.file={folder / 'alertmanager.yml'}", f"--storage.path={folder / 'silences.data'}",
            "--cluster.listen-address=",
        ],
    }  # fmt: skip
    ports = {name: free_port() for name in words}
    with ExitStack() as programs:
        for name, given in words.items():
            programs.enter_context(running(name, ports[name], *given))
        eventually(lambda: asked(f"http://127.0.0.1:{ports['prometheus']}/api/v1/status/buildinfo"))
        eventually(lambda: asked(f"http://127.0.0.1:{ports['alertmanager']}/api/v2/status"))
        yield {name: {"port": number, "tls": False} for name, number in ports.items()}


def test_a_bad_update_is_taken_back_by_its_metrics_and_a_good_one_passes(stack: Stack, tmp_path: Path) -> None:
    port, web = free_port(), stack.service("web")
    with monitoring(stack, port, tmp_path) as watch:

        def deployed(bad: int) -> list[dict[str, Any]]:
            job = stack.job(service(stack, port, bad), action="update", watch=watch, metrics=quick_checks())
            return stack.run(job)

        first = deployed(1)
        assert end(first)["verdict"] == "done", end(first)
        good = deployed(2)
        assert end(good)["verdict"] == "done", end(good)
        checks = {line["name"]: line for line in good if line["kind"] == "check"}
        assert list(checks) == ["error ratio", "p95 latency", "restarts", "alerts firing"]
        assert all(check["ok"] for check in checks.values())
        assert checks["error ratio"]["detail"].startswith(f"of {web} is 0.0"), checks

        bad_one = deployed(90)
        last = end(bad_one)
        assert (last["verdict"], last["exit"]) == ("rolled-back", 6), last
        assert f"every service is healthy, but error ratio of {web} is 0." in last["summary"]
        assert "(wanted <= 0.05 or <= before * 1.5; before: 0.0" in last["summary"]
        assert last["taken_back"]["verified"] is True
        assert stack.live("web")["Spec"]["TaskTemplate"]["ContainerSpec"]["Env"] == ["BAD=2"]
        assert [one["ok"] for one in bad_one if one["kind"] == "check" and one["name"] == "error ratio"] == [False]

        silences = asked(f"http://127.0.0.1:{watch['alertmanager']['port']}/api/v2/silences")
        assert len(silences) == 3
        assert {one["status"]["state"] for one in silences} == {"expired"}
        assert {one["matchers"][0]["value"] for one in silences} == {f"^({web})$"}
        notes = [line["text"] for line in [*first, *good, *bad_one] if line["kind"] == "note"]
        assert notes == []

    told = (stack.folder.with_name("metrics") / FILE).read_text()
    assert f'llmdeploy_release_number{{stack="{stack.name}",action="update",result="rolled-back"}} 3' in told
    assert f'llmdeploy_releases_total{{stack="{stack.name}",action="update",result="done"}} 2' in told
    assert f'llmdeploy_service_replicas_desired{{stack="{stack.name}",service="{web}"}} 1' in told
