"""The edge's configuration: what is published, how it is balanced and checked."""

import pytest

from llmdeploy.release.grpc import grpc_health_frames
from llmdeploy.render.edge import edge_config, routes
from tests.unit.catalogue import settings

# Worked out and tried against a real gRPC server when the edge was chosen.
WHOLE_SERVER = (
    "505249202a20485454502f322e300d0a0d0a534d0d0a0d0a0000000400000000000000000401000000000000430104000000018386441c2f677270632e"
    "6865616c74682e76312e4865616c74682f436865636b410268635f106170706c69636174696f6e2f677270634002746508747261696c65727300000500"
    "01000000010000000000"
)


def test_the_bytes_of_a_health_request() -> None:
    assert grpc_health_frames("") == WHOLE_SERVER
    assert grpc_health_frames("chat").endswith("00000b000100000001" + "0000000006" + "0a04" + b"chat".hex())


def test_each_published_port_gets_a_route_checked_by_the_services_own_health() -> None:
    given = settings(
        {
            "model": {
                "ports": [
                    {"number": 8100, "protocol": "http", "published": True},
                    {"number": 50061, "protocol": "grpc", "published": True},
                ]
            },
            "cache": {"ports": [{"number": 6379, "protocol": "tcp", "published": 16379}]},
            "inner": {"ports": [{"number": 9, "protocol": "http"}]},
        }
    )
    found = {(r.service, r.edge, r.port, r.mode, r.h2, r.check, r.check_port) for r in routes(given)}
    assert found == {
        ("model", 8100, 8100, "http", False, "http", 8100),
        ("model", 50061, 50061, "http", True, "http", 8100),
        ("cache", 16379, 6379, "tcp", False, "tcp", 6379),
    }


@pytest.mark.parametrize(
    "line",
    [
        "bind :50061 proto h2",
        "server-template r 8 tasks.model:50061 proto h2 port 8100",
        "server-template r 8 tasks.model:8100",
        "load-server-state-from-file global",
        "timeout tunnel 600s",
    ],
)
def test_the_file_says(line: str) -> None:
    ports = [
        {"number": 8100, "protocol": "http", "published": True},
        {"number": 50061, "protocol": "grpc", "published": True},
    ]
    text = edge_config(
        settings({"model": {"ports": ports}}, edge={"image": "haproxy:3.2", "slots": 8, "stream_timeout": "10m"})
    )
    assert line in [one.strip() for one in text.splitlines()]
