"""HTTP client for peers with several addresses: asks DNS each time, tries them in a random order."""

import json
import random
import socket
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from email.message import Message
from http.client import HTTPConnection, HTTPException, HTTPResponse, HTTPSConnection
from typing import Any
from urllib.parse import urlsplit

from .errors import PeerError

CONNECT_SECONDS = 1.0


@dataclass(frozen=True)
class Reply:
    """A complete answer."""

    status: int
    headers: Message
    body: bytes


def addresses(url: str) -> list[str]:
    """Ask DNS for every address of the host in URL, in a random order; none when the name is unknown."""
    parts = urlsplit(url)
    try:
        found = socket.getaddrinfo(parts.hostname, parts.port or 80, type=socket.SOCK_STREAM)
    except OSError:
        return []
    hosts = sorted({str(entry[4][0]) for entry in found})
    random.shuffle(hosts)  # the C library sorts addresses, which would send all work to one replica
    return hosts


def open_stream(
    method: str,
    url: str,
    *,
    data: Any = None,
    headers: Mapping[str, str] | None = None,
    seconds: float = 5.0,
    again: bool = False,
    address: str | None = None,
) -> HTTPResponse:
    """Send a request and return the answer unread; the caller closes it.

    An address that refuses the connection is passed over. With AGAIN the request may also be
    repeated after it was sent (it must be harmless to repeat).
    """
    parts = urlsplit(url)
    where = f"{parts.hostname}:{parts.port or ''}".rstrip(":")
    body = data if isinstance(data, bytes) else json.dumps(data).encode() if data is not None else None
    send = {"Host": parts.netloc, "Connection": "close", "Content-Type": "application/json"} | dict(headers or {})
    trouble = "no such name"
    for host in [address] if address else addresses(url)[:4]:
        link = _connection(parts.scheme, str(parts.hostname), host, parts.port)
        sent = False
        try:
            link.connect()
            link.sock.settimeout(seconds)
            sent = True
            link.request(method, parts.path + (f"?{parts.query}" if parts.query else ""), body, send)
            return link.getresponse()
        except (OSError, HTTPException) as error:
            link.close()
            trouble = str(error) or type(error).__name__
            if sent and not again:
                break
    raise PeerError(f"{where}: {trouble}")


def _connection(scheme: str, name: str, host: str, port: int | None) -> HTTPConnection:
    if scheme == "https":  # the certificate is checked against the name
        return HTTPSConnection(name, port, timeout=CONNECT_SECONDS)
    return HTTPConnection(host, port, timeout=CONNECT_SECONDS)


def fetch(method: str, url: str, **options: Any) -> Reply:
    """Send a request and read the whole answer."""
    answer = open_stream(method, url, **options)
    with answer:
        try:
            return Reply(answer.status, answer.headers, answer.read())
        except (OSError, HTTPException) as error:
            raise PeerError(f"{urlsplit(url).netloc}: {error or type(error).__name__}") from None


def pieces(answer: HTTPResponse) -> Iterator[bytes]:
    """Read an answer as it arrives."""
    with answer:
        try:
            while piece := answer.read1(65536):
                yield piece
        except (OSError, HTTPException) as error:
            raise PeerError(f"the stream broke: {error or type(error).__name__}") from None


def lines(answer: HTTPResponse) -> Iterator[str]:
    """Read an answer line by line."""
    rest = b""
    for piece in pieces(answer):
        *whole, rest = (rest + piece).split(b"\n")
        yield from (line.decode(errors="replace").rstrip("\r") for line in whole)
    yield rest.decode(errors="replace")
