"""A host's Docker socket as a local one: each connection is carried by `docker system dial-stdio` over ssh.

Docker's SDK can do ssh itself, but with neither the inventory's ssh options nor sudo.
"""

from __future__ import annotations

import socket
import subprocess
import tempfile
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from llmdeploy.cluster.access import Access

DIAL = ["docker", "system", "dial-stdio"]


@contextmanager
def docker_socket(access: Access) -> Iterator[str]:
    """The path of a Unix socket that speaks to Docker on the host; gone, with its processes, at the end."""
    if access.local and not access.become:
        yield "/var/run/docker.sock"
        return
    with tempfile.TemporaryDirectory(prefix="llmd-") as folder:
        path = str(Path(folder) / "docker.sock")
        relay = _Relay(access, path)
        try:
            yield path
        finally:
            relay.close()


class _Relay:
    """Accepts local connections and gives each a remote Docker connection of its own."""

    def __init__(self, access: Access, path: str) -> None:
        self._access = access
        self._processes: list[subprocess.Popen[bytes]] = []
        self._server = socket.socket(socket.AF_UNIX)
        self._server.bind(path)
        self._server.listen(16)
        threading.Thread(target=self._accept, daemon=True).start()

    def _accept(self) -> None:
        with suppress(OSError):  # the server socket is closed at the end
            while True:
                connection, _ = self._server.accept()
                threading.Thread(target=self._serve, args=(connection,), daemon=True).start()

    def _serve(self, connection: socket.socket) -> None:
        """Requests go this way, answers in a thread of their own.

        The process is not given the connection itself: ssh makes its output non-blocking, and with it would ours be.
        """
        process = subprocess.Popen(
            self._access.command(DIAL), stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL
        )
        self._processes.append(process)
        threading.Thread(target=_answer, args=(process, connection), daemon=True).start()
        assert process.stdin is not None  # noqa: S101 (asked for above)
        with process.stdin, suppress(OSError):
            process.stdin.write(self._access.prefix())
            while chunk := connection.recv(65536):
                process.stdin.write(chunk)
                process.stdin.flush()

    def close(self) -> None:
        self._server.close()
        for process in self._processes:
            process.terminate()
            process.wait(timeout=5)


def _answer(process: subprocess.Popen[bytes], connection: socket.socket) -> None:
    """Carries what the host says; its end is the connection's end."""
    assert process.stdout is not None  # noqa: S101 (asked for above)
    with connection, process.stdout, suppress(OSError):
        while chunk := process.stdout.read1(65536):  # type: ignore[attr-defined]
            connection.sendall(chunk)
        connection.shutdown(socket.SHUT_RDWR)
