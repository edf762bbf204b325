"""Roles on their own: limits, keys, misbehaviour, a peer that is away, a stop under load."""

from __future__ import annotations

import importlib
import json
import socket
import threading
import time
from collections.abc import Callable
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from tests.unit.demo.conftest import DEMO, JSON, free_port

if TYPE_CHECKING:
    from tests.unit.demo.conftest import Answer, Stack

grpc: Any = pytest.importorskip("grpc")

CHAIN = ("secrets-service", "auth-service", "rate-limiter", "model-proxy", "head-go", "gateway")


def rpc_health(port: int, seconds: float = 5) -> bytes:
    with grpc.insecure_channel(f"127.0.0.1:{port}") as channel:
        answer: bytes = channel.unary_unary("/grpc.health.v1.Health/Check")(b"", timeout=seconds)
        return answer


def chain(stack: Stack, **env: str) -> None:
    for process in [stack.start(name, **env) for name in CHAIN]:
        process.listening()


def test_the_limit_holds_per_key(stack: Stack) -> None:
    chain(stack, RATE_LIMIT="3", API_KEYS="a,b")
    assert [stack.chat("gateway", key="a").status for _ in range(5)] == [200, 200, 200, 429, 429]
    refused = stack.chat("gateway", key="a")
    assert refused.json["error"]["type"] == "rate_limit_error"
    assert 1 <= int(refused.headers["Retry-After"]) <= 20
    assert stack.chat("gateway", key="b").status == 200
    text = stack.ask("GET", "rate-limiter", "/metrics").body.decode()
    assert 'ratelimit_rejections_total{reason="over_limit"} 3' in text


def test_a_peer_that_is_away_is_a_502_and_health_stays_good(stack: Stack) -> None:
    stack.run("gateway")
    answer = stack.chat("gateway")
    assert (answer.status, answer.json["error"]["code"]) == (502, "bad_gateway")
    assert stack.ask("GET", "gateway", "/health").status == 200
    assert not stack.ask("GET", "gateway", "/v1/status").json["peers"]["head-go"]["ok"]
    stack.run("secrets-service")
    stack.run("auth-service")
    stack.run("rate-limiter")
    assert stack.chat("gateway").status == 502


def test_billing_may_be_away_for_a_while(stack: Stack, wait: Callable[..., None]) -> None:
    chain(stack)
    assert stack.chat("gateway").status == 200
    stack.run("billing")
    wait(lambda: len(stack.ask("GET", "billing", "/v1/usage").json["keys"]) == 1)


def test_auth_survives_the_loss_of_secrets_service(stack: Stack, wait: Callable[..., None]) -> None:
    def check(key: str) -> int:
        return stack.ask("POST", "auth-service", "/v1/check", {}, Authorization=f"Bearer {key}").status

    stack.run("auth-service")
    assert check("demo-key") == 503
    secrets = stack.run("secrets-service")
    assert [check("demo-key"), check("other")] == [200, 401]
    assert secrets.stop() == 0
    time.sleep(0.4)  # longer than the cache
    assert [check("demo-key"), check("other")] == [200, 401]
    stack.run("secrets-service", API_KEYS="other")
    wait(lambda: [check("demo-key"), check("other")] == [401, 200])


def test_secrets_need_the_token_and_may_come_from_files(stack: Stack, tmp_path: Path) -> None:
    (tmp_path / "keys").write_text("from-file\n", encoding="utf-8")
    stack.run("secrets-service", SERVICE_TOKEN="t", API_KEYS_FILE=str(tmp_path / "keys"))
    path = "/v1/secrets/api-keys"
    assert stack.ask("GET", "secrets-service", path).status == 401
    assert stack.ask("GET", "secrets-service", path, X_Service_Token="t").json == {"keys": ["from-file"]}


def test_slow_start(stack: Stack) -> None:
    started = time.monotonic()
    process = stack.start("billing", DEMO_SLOW_START="1.5")
    time.sleep(0.7)
    with pytest.raises(ConnectionRefusedError):
        stack.ask("GET", "billing", "/health")
    process.listening()
    assert time.monotonic() - started >= 1.5
    assert stack.ask("GET", "billing", "/health").status == 200


def test_a_slow_start_can_be_stopped(stack: Stack) -> None:
    process = stack.start("billing", DEMO_SLOW_START="60")
    time.sleep(0.7)
    assert process.stop() == 0


def test_crash_at_start(stack: Stack) -> None:
    process = stack.start("gateway", DEMO_CRASH="1")
    assert process.ended() == 3
    assert process.lines[-1]["level"] == "error"


def test_death_later(stack: Stack) -> None:
    process = stack.run("gateway", DEMO_DIE_AFTER="0.5")
    assert process.ended() == 1
    assert "Traceback" in process.lines[-1]["exc"]


def test_unhealthy(stack: Stack) -> None:
    stack.run("head-go", DEMO_UNHEALTHY="1")
    answer = stack.ask("GET", "head-go", "/health")
    assert (answer.status, answer.json["reason"]) == (503, "DEMO_UNHEALTHY=1")
    assert rpc_health(stack.rpc["head-go"][0]) == b"\x08\x02"


def test_unhealthy_later(stack: Stack, wait: Callable[..., None]) -> None:
    stack.run("billing", DEMO_UNHEALTHY_AFTER="0.5")
    assert stack.ask("GET", "billing", "/health").status == 200
    wait(lambda: stack.ask("GET", "billing", "/health").status == 503, 2)


def test_not_serving_is_about_grpc_only(stack: Stack) -> None:
    stack.run("model-proxy", DEMO_NOT_SERVING="1")
    assert [rpc_health(port) for port in stack.rpc["model-proxy"]] == [b"\x08\x02", b"\x08\x02"]
    assert stack.ask("GET", "model-proxy", "/health").status == 200


def test_a_share_of_errors(stack: Stack) -> None:
    stack.run("model-proxy", DEMO_ERRORS="0.25")
    assert [stack.ask("GET", "model-proxy", "/v1/models").status for _ in range(8)] == [200, 200, 200, 500] * 2
    assert stack.ask("GET", "model-proxy", "/health").status == 200


def test_hang(stack: Stack) -> None:
    stack.run("rate-limiter", DEMO_HANG="1")
    with socket.create_connection(("127.0.0.1", stack.http["rate-limiter"]), timeout=1) as link:
        link.sendall(b"GET /health HTTP/1.1\r\nHost: x\r\n\r\n")
        with pytest.raises(TimeoutError):
            link.recv(1)
    with pytest.raises(grpc.RpcError) as caught:
        rpc_health(stack.rpc["rate-limiter"][0], 1)
    assert caught.value.code() is grpc.StatusCode.DEADLINE_EXCEEDED


@pytest.mark.parametrize(
    ("name", "env", "word"),
    [
        ("nobody", {}, "tail-go"),
        ("billing", {"DEMO_ERRORS": "2"}, "DEMO_ERRORS=2"),
        ("billing", {"HTTP_PORT": "none"}, "HTTP_PORT=none"),
        ("rate-limiter", {"RATE_LIMIT": "many"}, "RATE_LIMIT=many"),
        ("secrets-service", {"API_KEYS_FILE": "/nowhere"}, "API_KEYS_FILE=/nowhere"),
    ],
)
def test_a_wrong_setting_is_one_clear_line(stack: Stack, name: str, env: dict[str, str], word: str) -> None:
    process = stack.start("billing", LLMDEPLOY_SERVICE=name, **env)
    assert process.ended() == 2
    assert len(process.output) == 1
    assert word in process.lines[0]["msg"]


def test_a_taken_port_is_an_error(stack: Stack) -> None:
    stack.run("head-go")
    other = stack.start("head-go", HTTP_PORT=str(stack.http["billing"]))
    assert other.ended() == 1
    assert str(stack.rpc["head-go"][0]) in other.lines[-1]["msg"]


def test_sigterm_lets_an_open_stream_end(stack: Stack, wait: Callable[..., None]) -> None:
    process = stack.run("model-proxy", TOKEN_DELAY_MS="40")
    answers: list[Answer] = []
    client = threading.Thread(target=lambda: answers.append(stack.chat("model-proxy", stream=True)))
    client.start()
    wait(lambda: stack.ask("GET", "model-proxy", "/v1/status").json["open_requests"] > 1)
    process.child.terminate()
    time.sleep(0.2)
    assert stack.ask("GET", "model-proxy", "/health").json["reason"] == "stopping"
    assert rpc_health(stack.rpc["model-proxy"][0]) == b"\x08\x02"
    client.join(10)
    assert answers[0].body.endswith(b"data: [DONE]\n\n")
    assert process.ended() == 0
    assert process.lines[-1]["drained"] is True


def test_sigterm_breaks_no_stream_of_a_steady_flow(stack: Stack) -> None:
    """There is never a moment without an open one, and the clients stay connected: the end must not cut any."""
    process = stack.run("model-proxy", TOKEN_DELAY_MS="40")
    done, broken, ended = [], [], threading.Event()
    with grpc.insecure_channel(f"127.0.0.1:{stack.rpc['model-proxy'][0]}") as channel:
        generate = channel.unary_stream("/llmdemo.Model/Generate", *JSON)

        def one() -> None:
            begun = False
            try:
                for _answer in generate({"messages": [{"role": "user", "content": "hi"}]}, timeout=20):
                    begun = True
                done.append(begun)
            except grpc.RpcError as error:  # who was refused before the first answer goes to another replica
                if begun:
                    broken.append(str(error.details()))

        def flow() -> None:
            while not ended.wait(0.1):
                threading.Thread(target=one, daemon=True).start()

        threading.Thread(target=flow, daemon=True).start()
        time.sleep(1.5)
        process.child.terminate()
        assert process.ended(15) == 0
        ended.set()
        time.sleep(0.5)
    assert done
    assert not broken


def test_a_replica_that_stops_costs_its_clients_no_call(stack: Stack, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.syspath_prepend(DEMO)
    client_class = importlib.import_module("llmdemo.core.rpc_client").RpcClient
    replicas = [stack.run("rate-limiter")]
    first = stack.rpc["rate-limiter"][0]
    stack.http["rate-limiter"], stack.rpc["rate-limiter"] = free_port(), [free_port()]
    replicas.append(stack.run("rate-limiter"))
    client = client_class(f"ipv4:127.0.0.1:{first},127.0.0.1:{stack.rpc['rate-limiter'][0]}")
    failed: list[str] = []
    over = threading.Event()

    def flow(number: int) -> None:
        try:
            while not over.is_set():
                client.call("/llmdemo.RateLimiter/Check", {"key": f"k{number}"}, "", 5)
        except Exception as error:  # noqa: BLE001
            failed.append(str(error))

    threads = [threading.Thread(target=flow, args=(number,)) for number in range(8)]
    for thread in threads:
        thread.start()
    time.sleep(1)
    assert replicas[0].stop() == 0
    over.set()
    for thread in threads:
        thread.join()
    assert not failed


def test_sigterm_does_not_wait_for_ever(stack: Stack) -> None:
    process = stack.run("model-proxy", DEMO_HANG="1")
    with socket.create_connection(("127.0.0.1", process.port)) as link:
        link.sendall(b"GET / HTTP/1.1\r\nHost: x\r\n\r\n")
        time.sleep(0.2)
        started = time.monotonic()
        process.child.terminate()
        assert process.ended(15) == 0
        assert 7 < time.monotonic() - started < 10
    assert process.lines[-1]["drained"] is False


def test_a_client_that_leaves_frees_the_model(stack: Stack, wait: Callable[..., None]) -> None:
    chain(stack, TOKEN_DELAY_MS="100")
    stack.run("billing")
    data = json.dumps({"messages": [{"role": "user", "content": "hi"}], "stream": True})
    with socket.create_connection(("127.0.0.1", stack.http["gateway"])) as link:
        link.sendall(
            b"POST /v1/chat/completions HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer demo-key\r\n"
            b"Content-Length: %d\r\n\r\n%b" % (len(data), data.encode())
        )
        while b'"content": "This"' not in link.recv(4096):
            pass
    cancelled = 'llm_requests_total{model="demo",outcome="cancelled"} 1'
    wait(lambda: cancelled in stack.ask("GET", "model-proxy", "/metrics").body.decode(), 3)
    wait(lambda: bool(stack.ask("GET", "billing", "/v1/usage").json["keys"]))


class _Upstream(BaseHTTPRequestHandler):
    def log_message(self, format: str, *args: Any) -> None:  # noqa: A002
        pass

    def do_GET(self) -> None:
        self._say(200, json.dumps({"data": [{"id": "real"}]}).encode())

    def do_POST(self) -> None:
        asked = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        if self.headers["Authorization"] != "Bearer up" or asked["messages"][0]["content"] == "fail":
            self._say(500, b"{}")
            return
        deltas = [{"choices": [{"delta": {"content": word}, "finish_reason": None}]} for word in ("real ", "words")]
        usage = {"prompt_tokens": 11, "completion_tokens": 22, "total_tokens": 33}
        parts = [*deltas, {"choices": [{"delta": {}, "finish_reason": "stop"}]}, {"choices": [], "usage": usage}]
        text = "".join(f"data: {json.dumps(part)}\n\n" for part in parts) + "data: [DONE]\n\n"
        self._say(200, text.encode())

    def _say(self, status: int, body: bytes) -> None:
        self.send_response(status)
        self.end_headers()
        self.wfile.write(body)


def test_a_real_server_can_do_the_thinking(stack: Stack) -> None:
    server = ThreadingHTTPServer(("127.0.0.1", 0), _Upstream)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    try:
        chain(stack, UPSTREAM_URL=f"http://127.0.0.1:{server.server_port}/v1", UPSTREAM_API_KEY="up")
        value = stack.chat("gateway").json
        assert value["model"] == "real"
        assert value["choices"][0]["message"]["content"] == "real words"
        assert value["usage"]["total_tokens"] == 33
        assert b'"content": "words"' in stack.chat("gateway", stream=True).body
        failed = stack.chat("gateway", text="fail")
        assert failed.status == 502
        assert "500" in failed.json["error"]["message"]
    finally:
        server.shutdown()
        server.server_close()
