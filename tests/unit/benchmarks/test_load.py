"""The load generator against real servers that misbehave: nothing that is lost may look answered."""

from __future__ import annotations

import asyncio
import json
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import replace
from typing import Any

import grpc  # type: ignore[import-untyped]
import grpc.aio  # type: ignore[import-untyped]
import pytest

from benchmarks.load import generator
from benchmarks.load.asks import ASKS, KINDS, Ask, of_kind
from benchmarks.load.generator import Generator, Plan
from benchmarks.load.lost import LostError
from benchmarks.load.rpc import Rpc
from benchmarks.load.tally import Loss, Tally, dump, reasons, report, share
from benchmarks.load.web import FRESH, Web
from llmdeploy.config import load
from llmdeploy.project import Project, resources
from llmdeploy.render.edge import routes

Talk = Callable[[asyncio.StreamReader, asyncio.StreamWriter], Awaitable[None]]
HOST = "127.0.0.1"
GOOD = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n{}"
CHUNKED = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"
EVENT, DONE = b"8\r\ndata: {}\r\n", b"e\r\ndata: [DONE]\n\n\r\n"
HTTP = Ask("http", "it", 0, "/", b"{}")
SSE = Ask("sse", "it", 0, "/", b"{}", ends=b"data: [DONE]\n\n")


@asynccontextmanager
async def server(talk: Talk) -> AsyncIterator[int]:
    """A server on a free port that talks so on every connection."""

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            await talk(reader, writer)
        except (OSError, asyncio.IncompleteReadError):
            pass
        finally:
            writer.close()

    listening = await asyncio.start_server(serve, HOST, 0)
    try:
        yield listening.sockets[0].getsockname()[1]
    finally:
        listening.close()


def says(*answers: bytes, pause: float = 0.0) -> Talk:
    """One of these answers for each request of a connection; after the last it closes."""

    async def talk(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        for answer in answers:
            await reader.readuntil(b"\r\n\r\n{}")
            await asyncio.sleep(pause)
            writer.write(answer)
            await writer.drain()

    return talk


def reason(ask: Ask, *answers: bytes) -> str:
    """How a request fails against a server that answers so; empty when it does not."""

    async def run() -> str:
        async with server(says(*answers)) as port:
            web = Web()
            try:
                await web.ask(HOST, replace(ask, port=port), "n")
            except LostError as error:
                return str(error)
            finally:
                await web.close()
        return ""

    return asyncio.run(run())


# --- HTTP


@pytest.mark.parametrize(
    ("ask", "answer", "expected"),
    [
        (HTTP, GOOD, ""),
        (SSE, CHUNKED + EVENT + DONE + b"0\r\n\r\n", ""),
        (HTTP, b"HTTP/1.1 503 No\r\nContent-Length: 9\r\n\r\nno server", "503 no server"),
        (HTTP, b"HTTP/1.1 200 OK\r\nContent-Length: 20\r\n\r\n{}", "the answer was cut short"),
        (HTTP, b"HTTP/1.1 200", "closed before an answer"),
        (HTTP, b"", "closed before a byte"),
        (HTTP, b"nonsense\r\n\r\n", "not HTTP: nonsense"),
        (SSE, CHUNKED + EVENT, "the answer was cut short"),
        (SSE, CHUNKED + EVENT + b"0\r\n\r\n", "the stream ended without its last event"),
        (SSE, CHUNKED + EVENT + DONE, "the answer was cut short"),
    ],
)
def test_an_answer_counts_only_when_it_is_right_and_whole(ask: Ask, answer: bytes, expected: str) -> None:
    found = reason(ask, answer)
    assert expected in found
    assert bool(expected) == bool(found)


def test_a_refused_connection_is_a_loss() -> None:
    async def run() -> None:
        async with server(says()) as port:
            pass
        with pytest.raises(LostError, match="cannot connect"):
            await Web().ask(HOST, replace(HTTP, port=port), "n")

    asyncio.run(run())


def test_connections_are_kept_and_some_requests_have_their_own() -> None:
    opened = 0

    async def run() -> None:
        async def talk(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            nonlocal opened
            opened += 1
            await says(*[GOOD] * 100)(reader, writer)

        async with server(talk) as port:
            web = Web()
            for _ in range(4 * FRESH):
                await web.ask(HOST, replace(HTTP, port=port), "n")
            await web.close()

    asyncio.run(run())
    assert opened == 1 + 4


def test_a_connection_that_the_server_has_closed_is_not_used_again() -> None:
    async def run() -> None:
        async with server(says(GOOD)) as port:
            web = Web()
            for _ in range(3):
                await web.ask(HOST, replace(HTTP, port=port), "n")
                await asyncio.sleep(0.05)

    asyncio.run(run())


# --- gRPC


class Handler(grpc.GenericRpcHandler):  # type: ignore[misc]
    """A unary method, a stream that ends well, one that ends short, one that breaks."""

    def service(self, details: Any) -> Any:
        async def one(data: bytes, context: Any) -> bytes:
            return data

        async def whole(data: bytes, context: Any) -> AsyncIterator[bytes]:
            yield b"{}"
            yield b'{"finish_reason": "stop"}'

        async def short(data: bytes, context: Any) -> AsyncIterator[bytes]:
            yield b"{}"

        async def broken(data: bytes, context: Any) -> AsyncIterator[bytes]:
            yield b"{}"
            await context.abort(grpc.StatusCode.UNAVAILABLE, "going away")

        methods = {"whole": whole, "short": short, "broken": broken}
        name = details.method.rpartition("/")[2]
        if name == "one":
            return grpc.unary_unary_rpc_method_handler(one)
        return grpc.unary_stream_rpc_method_handler(methods[name]) if name in methods else None


@pytest.mark.parametrize(
    ("kind", "method", "expected"),
    [
        ("grpc", "one", ""),
        ("grpc-stream", "whole", ""),
        ("grpc-stream", "short", "the stream ended without its last event"),
        ("grpc-stream", "broken", "UNAVAILABLE: going away"),
        ("grpc", "unknown", "UNIMPLEMENTED"),
    ],
)
def test_a_call_counts_only_when_it_ends_well_and_whole(kind: str, method: str, expected: str) -> None:
    async def run() -> str:
        listening = grpc.aio.server()
        listening.add_generic_rpc_handlers((Handler(),))
        port = listening.add_insecure_port(f"{HOST}:0")
        await listening.start()
        rpc = Rpc()
        try:
            await rpc.ask(HOST, Ask(kind, "it", port, f"/it/{method}", b"{}", ends=b'"finish_reason"'), "n")
        except LostError as error:
            return str(error)
        finally:
            await rpc.close()
            await listening.stop(0)
        return ""

    found = asyncio.run(run())
    assert found.startswith(expected)
    assert bool(expected) == bool(found)


# --- the pace


def load_on(monkeypatch: pytest.MonkeyPatch, talk: Talk, rate: float, seconds: float) -> Tally:
    """What a load of HTTP requests on a server of ours sees."""

    async def run() -> Tally:
        async with server(talk) as port:
            monkeypatch.setattr("benchmarks.load.asks.ASKS", (replace(HTTP, port=port),))
            return await Generator(Plan([HOST], {"http": rate})).run(seconds)

    return asyncio.run(run())


def test_requests_are_sent_on_schedule_and_a_stall_is_not_hidden(monkeypatch: pytest.MonkeyPatch) -> None:
    began = time.monotonic()

    async def talk(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while True:
            await reader.readuntil(b"\r\n\r\n{}")
            stalled = began + 0.5 - time.monotonic()
            await asyncio.sleep(max(0.0, stalled))
            writer.write(GOOD)

    began = time.monotonic()
    tally = load_on(monkeypatch, talk, 100, 1.0)
    seen = tally.window()
    assert (seen.sent, seen.lost) == (100, 0)
    assert seen.most > 300
    assert seen.p99 > 300, "a hundred were due, about forty of them during the stall: not one slow request"
    assert sum(took > 100 for took in tally.took) > 20


def test_an_answer_that_never_comes_is_lost(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(generator, "LIMIT", 0.2)
    tally = load_on(monkeypatch, says(GOOD, pause=60), 10, 0.2)
    assert (tally.window().sent, tally.window().lost) == (2, 2)
    assert tally.losses[0].reason == "no end within 0.2 s"
    assert tally.losses[0].after >= 0.2


def test_told_to_stop_it_waits_for_what_is_under_way(monkeypatch: pytest.MonkeyPatch) -> None:
    async def run() -> Tally:
        async with server(says(GOOD, pause=0.3)) as port:
            monkeypatch.setattr("benchmarks.load.asks.ASKS", (replace(HTTP, port=port),))
            one = Generator(Plan([HOST], {"http": 20, "sse": 5}))
            asyncio.get_running_loop().call_later(0.3, one.stop)
            return await asyncio.wait_for(one.run(), 10)

    seen = asyncio.run(run()).window()
    assert 3 <= seen.sent <= 8
    assert seen.lost == 0


# --- the tally


def tally_of(*requests: tuple[str, float, float | None]) -> Tally:
    """(kind, due, seconds or None for a loss)."""
    tally = Tally()
    for number, (kind, due, seconds) in enumerate(requests):
        if seconds is None:
            tally.lost(Loss(due, 0.5, kind, "it", "host:1", "502", str(number)), 0.001)
        else:
            tally.answered(kind, due, seconds, 0.001)
    return tally


def test_a_window_takes_what_was_due_in_it() -> None:
    tally = tally_of(("http", 1.0, 0.01), ("http", 2.0, 0.03), ("grpc", 2.5, None), ("http", 3.0, 0.05))
    assert (tally.window([(2.0, 3.0)]).sent, tally.window([(2.0, 3.0)]).lost) == (2, 1)
    assert tally.window([(0.5, 0.9), (2.0, 3.0)]).most == pytest.approx(30)
    assert (tally.window(kind="grpc").sent, tally.window(kind="grpc").lost) == (1, 1)
    assert tally.window(kind="sse").sent == 0
    assert tally.window([(0, 1)]).to_json() == {"sent": 0, "lost": 0, "p50": 0.0, "p99": 0.0, "most": 0.0}
    assert tally.losses[0].at == 3.0


@pytest.mark.parametrize(
    ("values", "part", "expected"),
    [
        ([], 0.5, 0.0),
        ([7], 0.5, 7),
        ([7], 0.99, 7),
        ([1, 2, 3, 4], 0.5, 2),
        (range(1, 101), 0.99, 99),
        ([1, 2], 1.0, 2),
    ],
)
def test_the_share_of_a_list(values: list[float], part: float, expected: float) -> None:
    assert share(list(values), part) == expected


def test_a_tally_survives_the_way_through_a_file() -> None:
    tally = tally_of(("http", 1.0, 0.01), ("grpc", 2.5, None))
    again = Tally.from_json(json.loads(dump(tally)))
    assert again.window() == tally.window()
    assert again.losses == tally.losses
    assert report(again) == report(tally)
    assert reasons(again.losses) == {"grpc it: 502": 1}


# --- what is asked


def test_every_published_port_of_the_catalogue_is_asked() -> None:
    published = {route.edge: route.service for route in routes(load(Project(resources()), "dev", ()).settings)}
    assert {ask.port: ask.name for ask in ASKS} == published


def test_every_kind_is_asked_and_streams_have_an_end() -> None:
    assert all(of_kind(kind) for kind in KINDS)
    assert all(ask.ends for ask in ASKS if ask.kind in ("grpc-stream", "sse"))
    assert [ask.name for ask in of_kind("grpc", ["head-go"])] == ["head-go"]
