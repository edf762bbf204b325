"""Reading a host: the text that is sent, the answer, and names of images."""

from __future__ import annotations

import ast
import subprocess
import sys
from pathlib import Path

import pytest

from llmdeploy.engine import host
from llmdeploy.engine.host_images import digest_pin


def test_the_text_runs_alone_in_any_python() -> None:
    text = host.script({"ports": [1], "images": ["it's:1"], "network": 'a"b'})
    done = subprocess.run(
        [sys.executable, "-I", "-"], input=text, capture_output=True, text=True, timeout=60, check=True
    )
    facts = host.parse("Welcome!\n" + done.stdout + "bye\n")
    assert facts["format"] == 1
    assert facts["ports"] == {}
    assert set(facts["kernel"]["features"]) == set(host.FEATURES)


def test_the_text_is_valid_for_python_3_8() -> None:
    ast.parse(Path(host.__file__).read_text(), feature_version=(3, 8))


def test_an_answer_without_facts() -> None:
    with pytest.raises(ValueError, match="no facts"):
        host.parse("Welcome!\n")


@pytest.mark.parametrize(
    ("ref", "full"),
    [
        ("redis", "docker.io/library/redis:latest"),
        ("redis:7", "docker.io/library/redis:7"),
        ("bitnami/redis:7", "docker.io/bitnami/redis:7"),
        ("docker.io/library/redis:7", "docker.io/library/redis:7"),
        ("localhost:5000/a/b", "localhost:5000/a/b:latest"),
        ("ghcr.io/a/b:1@sha256:ff", "ghcr.io/a/b@sha256:ff"),
    ],
)
def test_full_names(ref: str, full: str) -> None:
    assert host.full_name(ref) == full


def test_digest_pins() -> None:
    assert digest_pin("localhost:5000/a/b:1@sha256:ff") == "localhost:5000/a/b@sha256:ff"
    assert digest_pin("redis@sha256:ff") == "redis@sha256:ff"


def test_docker_that_does_not_answer(tmp_path: Path) -> None:
    with pytest.raises(host.EngineError, match="GET /info"):
        host.Engine(str(tmp_path / "no.sock")).call("GET", "/info")


def test_network_facts() -> None:
    raw = {
        "Driver": "overlay",
        "Options": {"com.docker.network.driver.mtu": "1400", "encrypted": ""},
        "IPAM": {"Config": [{"Subnet": "10.0.1.0/24"}]},
    }
    facts = host.network_facts(raw)
    assert facts is not None
    assert (facts["mtu"], facts["encrypted"], facts["subnets"]) == (1400, True, ["10.0.1.0/24"])
    assert host.network_facts(None) is None
