"""From the catalogue to Docker's raw specification."""

from typing import Any

import pytest

from llmdeploy.engine.edgejob import sha
from llmdeploy.release.health import NANO, docker_healthcheck, health_kind, health_port, port_checks
from llmdeploy.release.job import By, build_job
from llmdeploy.release.spec import edge_spec, published_ports, service_spec
from llmdeploy.release.tls import NOT_YET
from tests.unit.catalogue import settings

GRPC = {"number": 50055, "protocol": "grpc", "published": True}
HTTP = {"number": 9001, "protocol": "http"}


@pytest.mark.parametrize(
    ("service", "kind", "port"),
    [
        ({"ports": [GRPC, HTTP]}, "grpc", 50055),
        ({"ports": [HTTP, GRPC]}, "http", 9001),
        ({"ports": [HTTP, GRPC], "health": {"type": "grpc"}}, "grpc", 50055),
        ({"ports": [{"number": 6379, "protocol": "tcp"}]}, "tcp", 6379),
        ({"ports": [{"number": 3000, "protocol": "web"}]}, "http", 3000),
        ({"ports": [HTTP], "health": {"port": 9999}}, "http", 9999),
        ({}, "image", None),
        ({"health": {"type": "command", "command": ["true"]}}, "command", None),
        ({"ports": [HTTP], "health": {"type": "none"}}, "none", None),
    ],
)
def test_health_follows_the_first_port_unless_told_otherwise(
    service: dict[str, Any], kind: str, port: int | None
) -> None:
    one = settings({"a": service}).services["a"]
    assert (health_kind(one), health_port(one)) == (kind, port)


@pytest.mark.parametrize(
    ("service", "test"),
    [
        ({"ports": [HTTP]}, ["CMD", "/llmdeploy/probe", "http", "9001", "/health", "--timeout", "2"]),
        ({"ports": [GRPC], "health": {"service": "chat"}},
         ["CMD", "/llmdeploy/probe", "grpc", "50055", "chat", "--timeout", "2"]),
        ({"health": {"type": "command", "command": ["pg_isready", "-q"]}}, ["CMD", "pg_isready", "-q"]),
        ({"health": {"type": "none"}}, ["NONE"]),
    ],
)  # fmt: skip
def test_docker_runs_the_mounted_probe(service: dict[str, Any], test: list[str]) -> None:
    check = docker_healthcheck(settings({"a": service}).services["a"])
    assert check is not None
    assert check["Test"] == test


def test_an_image_keeps_its_own_health_check() -> None:
    assert docker_healthcheck(settings({"a": {}}).services["a"]) is None


def test_a_specification_holds_everything_the_catalogue_says() -> None:
    given = settings(
        {
            "db": {
                "group": "tail",
                "replicas": 3,
                "cpus": 1.5,
                "memory": "2GB",
                "environment": {"B": True, "A": 1},
                "volumes": ["data:/var/lib/db", "/etc/ssl:/ssl:ro"],
                "command": ["serve"],
                "stop_grace": "30s",
                "update": {"order": "stop-first", "parallelism": 2},
            }
        }
    )
    spec = service_spec(given, "db", given.services["db"], {}, {})
    container = spec["TaskTemplate"]["ContainerSpec"]
    assert container["Env"] == ["A=1", "B=true", "LLMDEPLOY_SERVICE=db"]
    assert container["Args"] == ["serve"]
    assert container["StopGracePeriod"] == 30 * NANO
    assert [(m["Type"], m["Source"], m["Target"], m["ReadOnly"]) for m in container["Mounts"]] == [
        ("volume", "data", "/var/lib/db", False),
        ("bind", "/etc/ssl", "/ssl", True),
        ("bind", "/opt/llmdeploy/bin", "/llmdeploy", True),
    ]
    assert spec["TaskTemplate"]["Resources"]["Limits"] == {
        "NanoCPUs": 1_500_000_000, "MemoryBytes": 2 * 1024**3, "Pids": 1024,
    }  # fmt: skip
    assert spec["TaskTemplate"]["Placement"] == {"Constraints": ["node.labels.group.tail==yes"]}
    assert spec["Mode"] == {"Replicated": {"Replicas": 3}}
    assert (spec["UpdateConfig"]["Order"], spec["UpdateConfig"]["Parallelism"]) == ("stop-first", 2)


def test_a_container_has_no_more_rights_than_it_says() -> None:
    given = settings(
        {"a": {}, "b": {"capabilities": ["CHOWN", "SETUID"], "read_only": True, "tmpfs": ["/tmp"], "pids": 64}}
    )
    plain, own = (
        service_spec(given, name, given.services[name], {}, {})["TaskTemplate"]["ContainerSpec"] for name in "ab"
    )
    for container in (plain, own):
        assert container["CapabilityDrop"] == ["ALL"]
        assert container["Privileges"] == {"NoNewPrivileges": True}
    assert "CapabilityAdd" not in plain
    assert "ReadOnly" not in plain
    assert own["CapabilityAdd"] == ["CAP_CHOWN", "CAP_SETUID"]
    assert own["ReadOnly"] is True
    assert {"Type": "tmpfs", "Target": "/tmp"} in own["Mounts"]


def test_a_secret_is_a_file_and_is_called_by_its_version() -> None:
    wanted = ["jwt_key", {"name": "tls.crt", "file": "server.pem", "mode": "0440", "uid": "10001", "gid": "5"}]
    given = settings({"a": {"secrets": wanted}})
    spec = service_spec(given, "a", given.services["a"], {"jwt_key": "llm.jwt_key.0a1b"}, {})
    assert spec["TaskTemplate"]["ContainerSpec"]["Secrets"] == [
        {"SecretName": "llm.jwt_key.0a1b", "File": {"Name": "jwt_key", "UID": "0", "GID": "0", "Mode": 0o444}},
        {"SecretName": "tls.crt", "File": {"Name": "server.pem", "UID": "10001", "GID": "5", "Mode": 0o440}},
    ]
    plain = service_spec(given, "a", settings({"a": {}}).services["a"], {}, {})
    assert "Secrets" not in plain["TaskTemplate"]["ContainerSpec"]


def test_a_configuration_file_is_mounted_by_the_name_of_its_content() -> None:
    files = ["a.conf:/etc/a.conf", {"target": "/etc/b.conf", "text": "x", "mode": "0440", "uid": "65534"}]
    volume = {"source": "/", "target": "/host", "read_only": True, "follow_mounts": True}
    given = settings({"a": {"files": files, "hostname": "{{.Node.Hostname}}", "volumes": [volume]}})
    spec = service_spec(given, "a", given.services["a"], {}, {"/etc/b.conf": "llm.file.01"})
    container = spec["TaskTemplate"]["ContainerSpec"]
    assert container["Configs"] == [
        {"ConfigName": "/etc/a.conf", "File": {"Name": "/etc/a.conf", "UID": "0", "GID": "0", "Mode": 0o444}},
        {"ConfigName": "llm.file.01", "File": {"Name": "/etc/b.conf", "UID": "65534", "GID": "0", "Mode": 0o440}},
    ]
    assert container["Hostname"] == "{{.Node.Hostname}}"
    assert container["Mounts"][0]["BindOptions"] == {"Propagation": "rslave"}


def test_the_edge_publishes_exactly_the_published_ports_in_host_mode() -> None:
    given = settings(
        {"a": {"ports": [GRPC, HTTP]}, "b": {"ports": [{"number": 3000, "protocol": "web", "published": 3002}]}}
    )
    assert published_ports(given) == [3002, 50055]
    spec = edge_spec(given, "global\n", {}, {})
    ports = spec["EndpointSpec"]["Ports"]
    assert {(port["PublishedPort"], port["PublishMode"]) for port in ports} == {(3002, "host"), (50055, "host")}
    assert spec["UpdateConfig"]["Order"] == "stop-first"


def test_a_label_of_the_service_names_the_configuration_of_the_edge() -> None:
    """Of the service, not of its containers: they are not replaced for it."""
    one, two = (edge_spec(settings({"a": {}}), text, {}, {}) for text in ("global\n", "global\n\n"))
    assert one["Labels"].pop("llmdeploy.edge") == "bde69edbbd1e"
    assert two["Labels"].pop("llmdeploy.edge") not in ("bde69edbbd1e", "")
    assert one == two


def test_published_ports_are_asked_through_the_edge_and_internal_ones_inside_the_network() -> None:
    given = settings({"a": {"ports": [GRPC, HTTP]}})
    checks = port_checks(given, "a", "10.0.0.9", NOT_YET)
    assert [(c["via"], c["kind"], c["host"], c["port"]) for c in checks] == [
        ("edge", "grpc", "10.0.0.9", 50055),
        ("network", "http", None, 9001),
    ]


def test_a_job_is_complete() -> None:
    given = settings(
        {"a": {"ports": [GRPC]}, "b": {"depends_on": ["a"]}},
        verify={"requests": [{"name": "hello", "service": "a", "port": 50055, "expect_text": "hi"}]},
    )
    images = {"edge": "edge:1", "a": "x:1", "b": "x:1"}
    job = build_job(
        given,
        environment="dev",
        action="deploy",
        job_id="j",
        by=By("ana", "laptop"),
        images=images,
        edge_host="127.0.0.1",
        edge_config="global\n",
    )
    assert job["edge"] == {"config": "global\n"}
    assert job["services"]["edge"]["spec"]["Labels"]["llmdeploy.edge"] == sha("global\n")
    assert {name: entry["wave"] for name, entry in job["services"].items()} == {"edge": 1, "a": 1, "b": 2}
    assert job["services"]["b"]["depends_on"] == ["a"]
    assert [check["port"] for check in job["services"]["a"]["answers"]] == [50055]
    assert job["verify"][0]["expect_text"] == "hi"


def test_how_a_service_is_replaced_reaches_docker_and_the_engine() -> None:
    update = {
        "parallelism": 2,
        "order": "stop-first",
        "delay": "3s",
        "stability": "5s",
        "deadline": "1m",
        "canary": "7s",
    }
    given = settings({"a": {"update": update}}, releases={"keep": 5})
    by = By("ana", "laptop")
    images = {"edge": "edge:1", "a": "x:1"}
    job = build_job(
        given, environment="dev", action="deploy", job_id="j", by=by, images=images, edge_host="127.0.0.1",
        edge_config="", canary=True,
    )  # fmt: skip
    entry = job["services"]["a"]
    assert (entry["stability"], entry["deadline"], entry["canary"]) == (5.0, 60.0, 7.0)
    wanted = {"Parallelism": 2, "Order": "stop-first", "Delay": 3 * NANO, "Monitor": 5 * NANO}
    assert entry["spec"]["UpdateConfig"].items() >= wanted.items()
    assert (job["canary"], job["keep"]) == (True, 5)
