"""A host's Docker socket as a local one: what ssh does to its files must not reach our connections."""

from __future__ import annotations

import socket
import sys
import time

from llmdeploy.cluster.access import Access
from llmdeploy.cluster.relay import docker_socket

# As ssh does with a shared master: its standard output, whatever that is, does not block any more.
SSH = """
import fcntl, os, sys
fcntl.fcntl(1, fcntl.F_SETFL, fcntl.fcntl(1, fcntl.F_GETFL) | os.O_NONBLOCK)
while chunk := os.read(0, 65536):
    if chunk == b"end":
        break
    os.write(1, chunk)
"""
ACCESS = Access("a", "10.0.0.1", (sys.executable, "-c", SSH), become=False)


def echoed(client: socket.socket, data: bytes) -> bytes:
    client.sendall(data)
    found = b""
    while len(found) < len(data) and (piece := client.recv(65536)):
        found += piece
    return found


def test_a_connection_stays_open_between_requests() -> None:
    with docker_socket(ACCESS) as path, socket.socket(socket.AF_UNIX) as client:
        client.settimeout(20)
        client.connect(path)
        for data in (b"head", b"body", b"x" * 50_000):
            assert echoed(client, data) == data
            time.sleep(0.3)


def test_the_end_of_the_other_side_is_the_end_of_the_connection() -> None:
    with docker_socket(ACCESS) as path, socket.socket(socket.AF_UNIX) as client:
        client.settimeout(20)
        client.connect(path)
        assert echoed(client, b"head") == b"head"
        client.sendall(b"end")
        assert client.recv(10) == b""


def test_several_connections_do_not_mix() -> None:
    with docker_socket(ACCESS) as path:
        clients = [socket.socket(socket.AF_UNIX) for _ in range(3)]
        for number, client in enumerate(clients):
            client.settimeout(20)
            client.connect(path)
            assert echoed(client, b"%d" % number) == b"%d" % number
        for number, client in enumerate(clients):
            assert echoed(client, b"again %d" % number) == b"again %d" % number
            client.close()
