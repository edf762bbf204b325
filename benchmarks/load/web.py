"""A small HTTP/1.1 client over asyncio: kept connections, Content-Length and chunked answers."""

from __future__ import annotations

import asyncio
import time
from collections import defaultdict
from dataclasses import dataclass

from benchmarks.load.asks import KEY, Ask
from benchmarks.load.lost import LostError

REST = 20.0  # seconds; a connection idle for longer is not used again: the edge closes its own after 60
FRESH = 5  # every so many requests use a connection of their own, as clients do that keep none


@dataclass
class _Link:
    reader: asyncio.StreamReader
    writer: asyncio.StreamWriter
    used: int = 0
    since: float = 0.0

    @property
    def usable(self) -> bool:
        """Whether the other side has not closed it and it was used not long ago."""
        closed = self.reader.at_eof() or self.writer.is_closing() or self.reader.exception() is not None
        return not closed and time.monotonic() - self.since < REST


class Web:
    """Asks over HTTP; connections that are kept are kept by host and port."""

    def __init__(self) -> None:
        self._idle: dict[tuple[str, int], list[_Link]] = defaultdict(list)
        self._count = 0

    async def ask(self, host: str, ask: Ask, number: str) -> None:
        """Send the request and read all of the answer. Raises LostError unless it is 200 and whole."""
        self._count += 1
        fresh = self._count % FRESH == 0
        link = await self._link(host, ask.port, fresh=fresh)
        again = " on a kept connection" if link.used else ""
        keep = False
        try:
            link.writer.write(_request(host, ask, number))
            status, headers = await _head(link.reader)
            tail = await _body(link.reader, headers)
            _judge(ask, status, tail)
            keep = headers.get("connection", "").lower() != "close" and not fresh
        except asyncio.IncompleteReadError as error:
            part = "an answer" if error.partial else "a byte"
            raise LostError(f"closed before {part}{again}") from None
        except (OSError, ValueError) as error:
            raise LostError(f"{type(error).__name__}{again}") from None
        finally:
            link.used, link.since = link.used + 1, time.monotonic()
            if keep:
                self._idle[host, ask.port].append(link)
            else:
                link.writer.close()

    async def _link(self, host: str, port: int, *, fresh: bool) -> _Link:
        idle = self._idle[host, port]
        while idle and not fresh:
            link = idle.pop()
            if link.usable:
                return link
            link.writer.close()
        try:
            reader, writer = await asyncio.open_connection(host, port)
        except OSError as error:
            raise LostError(f"cannot connect: {type(error).__name__}") from None
        return _Link(reader, writer)

    async def close(self) -> None:
        """Close what is idle."""
        for links in self._idle.values():
            for link in links:
                link.writer.close()


def _request(host: str, ask: Ask, number: str) -> bytes:
    head = (
        f"{ask.method} {ask.path} HTTP/1.1\r\nHost: {host}:{ask.port}\r\nX-Request-Id: {number}\r\n"
        f"Authorization: Bearer {KEY}\r\nContent-Type: application/json\r\nContent-Length: {len(ask.body)}\r\n\r\n"
    )
    return head.encode() + ask.body


async def _head(reader: asyncio.StreamReader) -> tuple[int, dict[str, str]]:
    first, *lines = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1").split("\r\n")
    if not first.startswith("HTTP/1.1 "):
        raise LostError(f"not HTTP: {first[:60]}")
    pairs = (line.partition(":") for line in lines if line)
    return int(first.split()[1]), {name.lower(): value.strip() for name, _, value in pairs}


async def _body(reader: asyncio.StreamReader, headers: dict[str, str]) -> bytes:
    """Read the whole body. Out: its last bytes."""
    try:
        if headers.get("transfer-encoding", "").lower() == "chunked":
            return await _chunks(reader)
        return await reader.readexactly(int(headers.get("content-length", "0")))
    except (asyncio.IncompleteReadError, OSError) as error:
        raise LostError(f"the answer was cut short: {type(error).__name__}") from None


async def _chunks(reader: asyncio.StreamReader) -> bytes:
    tail = b""
    while size := int(await reader.readuntil(b"\r\n"), 16):
        tail = (tail + (await reader.readexactly(size + 2))[:-2])[-500:]
    await reader.readexactly(2)
    return tail


def _judge(ask: Ask, status: int, tail: bytes) -> None:
    if status != 200:
        raise LostError(f"{status} {_said(tail)}".strip())
    if not tail.endswith(ask.ends):
        raise LostError(f"the stream ended without its last event: {_said(tail[-200:])}")


def _said(body: bytes) -> str:
    """The beginning of what an error says, on one line."""
    return " ".join(body.decode(errors="replace").split())[:160]
