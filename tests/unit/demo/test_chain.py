"""The whole request path: ten processes, from the public door to the model and back."""

from __future__ import annotations

import base64
import hashlib
import json
import os
import re
import socket
import struct
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import pytest

from tests.unit.demo.conftest import JSON

if TYPE_CHECKING:
    from tests.unit.demo.conftest import Stack

grpc: Any = pytest.importorskip("grpc")


def events(body: bytes) -> list[str]:
    return [part.removeprefix("data: ") for part in body.decode().split("\n\n") if part]


def test_a_completion_passes_through_the_chain(whole: Stack) -> None:
    answer = whole.chat(text="What is a swarm?")
    assert answer.status == 200
    value = answer.json
    assert value["object"] == "chat.completion"
    assert value["model"] == "demo"
    assert "What is a swarm?" in value["choices"][0]["message"]["content"]
    assert value["choices"][0]["finish_reason"] == "stop"
    assert value["usage"]["prompt_tokens"] == 5
    assert value["usage"]["total_tokens"] == 5 + value["usage"]["completion_tokens"]
    assert answer.headers["X-Served-By"].startswith("tail-go/")
    names = [one.split("/")[0] for one in answer.headers["X-Served-Via"].split(", ")]
    assert names == ["gateway", "head-go", "model-proxy"]


def test_the_same_question_gets_the_same_answer(whole: Stack) -> None:
    first, second = whole.chat(text="again").json, whole.chat(text="again").json
    assert first["choices"] == second["choices"]
    assert first["id"] != second["id"]


def test_a_stream_says_the_same_as_the_whole(whole: Stack) -> None:
    answer = whole.chat(text="stream", stream=True, stream_options={"include_usage": True})
    assert answer.status == 200
    assert answer.headers["Content-Type"] == "text/event-stream"
    parts = events(answer.body)
    assert parts[-1] == "[DONE]"
    chunks = [json.loads(part) for part in parts[:-1]]
    text = "".join(one["choices"][0]["delta"].get("content", "") for one in chunks if one["choices"])
    assert text == whole.chat(text="stream").json["choices"][0]["message"]["content"]
    assert chunks[-1]["usage"]["completion_tokens"] == len(chunks) - 3  # role, finish and usage are no tokens


def test_max_tokens_cuts_the_answer(whole: Stack) -> None:
    value = whole.chat(max_tokens=3).json
    assert value["usage"]["completion_tokens"] == 3
    assert value["choices"][0]["finish_reason"] == "length"


@pytest.mark.parametrize(
    ("more", "status", "code"),
    [
        ({"key": "wrong"}, 401, "invalid_api_key"),
        ({"key": ""}, 401, "missing_api_key"),
        ({"messages": []}, 400, "invalid_messages"),
        ({"max_tokens": 0}, 400, "invalid_max_tokens"),
        ({"model": "none"}, 404, "not_found"),
    ],
)
def test_refusals_have_openais_shape(whole: Stack, more: dict[str, Any], status: int, code: str) -> None:
    answer = whole.chat(**more)
    assert answer.status == status
    assert set(answer.json["error"]) == {"message", "type", "param", "code"}
    assert answer.json["error"]["code"] == code


def test_the_models_are_listed(whole: Stack) -> None:
    for name in ("tail-go", "model-proxy"):
        answer = whole.ask("GET", name, "/v1/models", Authorization="Bearer demo-key")
        assert [one["id"] for one in answer.json["data"]] == ["demo", "demo-large"]


def test_every_chat_is_billed_once(whole: Stack, wait: Callable[..., None]) -> None:
    key = f"key-{hashlib.sha256(b'few-key').hexdigest()[:10]}"

    def bill() -> dict[str, int]:
        keys: dict[str, dict[str, int]] = whole.ask("GET", "billing", "/v1/usage").json["keys"]
        return keys.get(key, {})

    usage = [whole.chat(key="few-key", stream=True).status, whole.chat(key="few-key").json["usage"]][1]
    wait(lambda: bill().get("requests", 0) == 2)
    assert bill()["prompt_tokens"] == 2 * usage["prompt_tokens"]
    assert bill()["completion_tokens"] == 2 * usage["completion_tokens"]


def test_a_repeated_usage_event_counts_once(whole: Stack) -> None:
    event = {"id": "e1", "key": "key-x", "prompt_tokens": 1, "completion_tokens": 2}
    assert [whole.ask("POST", "billing", "/v1/usage", event).status for _ in range(2)] == [201, 200]
    assert whole.ask("GET", "billing", "/v1/usage").json["keys"]["key-x"]["total_tokens"] == 3
    assert whole.ask("POST", "billing", "/v1/usage", event | {"prompt_tokens": -1}).status == 400


def test_every_role_tells_health_status_and_metrics(whole: Stack, wait: Callable[..., None]) -> None:
    for name in whole.http:
        health = whole.ask("GET", name, "/health")
        assert health.status == 200
        assert health.json | {"host": ""} == {"status": "ok", "service": name, "version": "7", "host": ""}
        assert health.headers["X-Served-By"] == f"{name}/{socket.gethostname()}"
        status = whole.ask("GET", name, "/v1/status").json
        assert status["version"] == "7"
        assert all(peer["ok"] for peer in status["peers"].values())
        count = f'http_requests_total{{service="{name}",method="GET",route="/v1/status",code="200"}}'
        # A request is counted after its last byte has been sent.
        wait(lambda: count in whole.ask("GET", name, "/metrics").body.decode())  # noqa: B023
        text = whole.ask("GET", name, "/metrics").body.decode()
        assert 'build_info{version="7",revision="unknown"} 1' in text
        assert count in text
        assert 'le="+Inf"' in text
        assert whole.ask("GET", name, "/nothing").status == 404
        assert whole.ask("POST", name, "/health").status == 405


def test_the_llm_metrics_are_there(whole: Stack) -> None:
    whole.chat()
    text = whole.ask("GET", "model-proxy", "/metrics").body.decode()
    assert re.search(r'llm_tokens_total\{direction="output",model="demo"\} [1-9]', text)
    assert re.search(r'llm_requests_total\{model="demo",outcome="ok"\} [1-9]', text)
    assert re.search(r'llm_time_to_first_token_seconds_count\{model="demo"\} [1-9]', text)
    limiter = whole.ask("GET", "rate-limiter", "/metrics").body.decode()
    assert 'grpc_service="llmdemo.RateLimiter",grpc_method="Check",grpc_code="OK"' in limiter
    assert 'ratelimit_rejections_total{reason="over_limit"} 0' in limiter


def test_grpc_ports_tell_their_health(whole: Stack) -> None:
    for name, ports in whole.rpc.items():
        for port in ports:
            with grpc.insecure_channel(f"127.0.0.1:{port}") as channel:
                check = channel.unary_unary("/grpc.health.v1.Health/Check")
                assert check(b"", timeout=5) == b"\x08\x01"
                assert check(b"\x0a%c%b" % (len(name), name.encode()), timeout=5) == b"\x08\x01"
                with pytest.raises(grpc.RpcError) as caught:
                    check(b"\x0a\x05other", timeout=5)
                assert caught.value.code() is grpc.StatusCode.NOT_FOUND


def test_head_go_streams_over_grpc(whole: Stack) -> None:
    with grpc.insecure_channel(f"127.0.0.1:{whole.rpc['head-go'][0]}") as channel:
        chat = channel.unary_stream("/llmdemo.Head/Chat", *JSON)
        call = chat({"messages": [{"role": "user", "content": "hi"}], "max_tokens": 2}, timeout=5)
        got = list(call)
        assert [sorted(one) for one in got] == [
            ["model", "prompt_tokens"],
            ["delta"],
            ["delta"],
            ["finish_reason", "usage"],
        ]
        assert dict(call.initial_metadata())["x-served-by"].startswith("head-go/")


def test_the_chat_page_streams_through_the_dashboard(whole: Stack) -> None:
    page = whole.ask("GET", "user-dashboard", "/")
    assert page.headers["Content-Type"].startswith("text/html")
    assert not re.search(rb"(src|href)=", page.body)
    data = {"messages": [{"role": "user", "content": "<b>hi</b>"}]}
    answer = whole.ask("POST", "user-dashboard", "/chat", data, Authorization="Bearer demo-key")
    assert events(answer.body)[-1] == "[DONE]"
    assert answer.headers["X-Served-Via"].startswith("tail-go/")
    assert whole.ask("POST", "user-dashboard", "/chat", data).status == 401


class Socket:
    """The client side of a WebSocket."""

    def __init__(self, port: int, **headers: str) -> None:
        self.link = socket.create_connection(("127.0.0.1", port), timeout=10)
        self.file = self.link.makefile("rb")
        key = base64.b64encode(os.urandom(16)).decode()
        lines = {"Host": f"127.0.0.1:{port}", "Upgrade": "websocket", "Connection": "Upgrade"}
        lines |= {"Sec-WebSocket-Key": key, "Sec-WebSocket-Version": "13", **headers}
        ask = "GET /live HTTP/1.1\r\n" + "".join(f"{name}: {value}\r\n" for name, value in lines.items())
        self.link.sendall(ask.encode() + b"\r\n")
        self.status = int(self.file.readline().split()[1])
        head = iter(lambda: self.file.readline().decode().strip(), "")
        self.headers = {name.lower(): value for name, _, value in (line.partition(": ") for line in head)}
        digest = hashlib.sha1(f"{key}258EAFA5-E914-47DA-95CA-C5AB0DC85B11".encode()).digest()
        self.accept = base64.b64encode(digest).decode()

    def send(self, kind: int, payload: bytes) -> None:
        mask = os.urandom(4)
        body = bytes(byte ^ mask[at % 4] for at, byte in enumerate(payload))
        self.link.sendall(struct.pack("!BB", 0x80 | kind, 0x80 | len(payload)) + mask + body)

    def read(self) -> tuple[int, bytes]:
        first, size = self.file.read(2)
        if size == 126:
            (size,) = struct.unpack("!H", self.file.read(2))
        elif size == 127:
            (size,) = struct.unpack("!Q", self.file.read(8))
        return first & 0xF, self.file.read(size)

    def until(self, kind: int) -> bytes:
        while True:
            got, payload = self.read()
            if got == kind:
                return payload


def test_the_admin_page_is_pushed_over_a_websocket(whole: Stack) -> None:
    whole.chat()
    assert b"/live" in whole.ask("GET", "admin-dashboard", "/").body
    line = Socket(whole.http["admin-dashboard"])
    assert line.status == 101
    assert line.headers["sec-websocket-accept"] == line.accept
    first, second = (json.loads(line.until(1)) for _ in range(2))
    assert second["time"] > first["time"]
    assert {one["name"] for one in first["services"]} == set(whole.http)
    assert all(one["ok"] and one["replicas"][0]["version"] == "7" for one in first["services"])
    assert any(total["requests"] for total in first["billing"].values())
    line.send(9, b"are you there")
    assert line.until(10) == b"are you there"
    line.send(8, struct.pack("!H", 1000))
    assert line.until(8) == struct.pack("!H", 1000)
    line.link.close()


def test_other_sites_and_other_protocols_get_no_websocket(whole: Stack) -> None:
    port = whole.http["admin-dashboard"]
    assert Socket(port, Origin="http://evil.example").status == 403
    assert Socket(port, Origin=f"http://127.0.0.1:{port}").status == 101
    assert whole.ask("GET", "admin-dashboard", "/live").status == 426


def test_the_key_is_never_logged(whole: Stack, wait: Callable[..., None]) -> None:
    number = whole.chat().headers["X-Request-Id"]
    for name in ("tail-go", "gateway"):  # a line is written after the last byte has been sent
        process = next(one for one in whole.processes if one.name == name)
        wait(lambda: number in {one.get("request_id") for one in process.lines})  # noqa: B023
    for process in whole.processes:
        assert "demo-key" not in "".join(process.output)
        assert all({"ts", "level", "service", "msg"} <= set(line) for line in process.lines)
    tail = next(one for one in whole.processes if one.name == "tail-go")
    line = [one for one in tail.lines if one["msg"] == "request"][-1]
    assert (line["route"], line["code"], line["level"]) == ("/v1/chat/completions", 200, "info")
    assert line["ms"] > 0
    gateway = next(one for one in whole.processes if one.name == "gateway")
    assert line["request_id"] in {one.get("request_id") for one in gateway.lines}
