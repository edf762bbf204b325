"""Metric checks against a stand-in for Prometheus: how often they are asked, what fails, what is said."""

from __future__ import annotations

import datetime
import ssl
import threading
import time
from collections.abc import Iterator, Mapping
from concurrent.futures.thread import ThreadPoolExecutor
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from llmdeploy.engine import release, spread, verify, watch
from llmdeploy.engine.compare import Comparison, RefusedError, Unit
from llmdeploy.engine.metrics import Metrics, Round
from llmdeploy.engine.peers import MOST_BYTES, Peer, PeerError, peer_of
from llmdeploy.engine.progress import Progress
from llmdeploy.engine.prometheus import ask, filled
from llmdeploy.engine.tasks import Verdict
from tests.unit.engine.standin import Request, StandIn, standing_in, vector

ERRORS: dict[str, Any] = {
    "name": "error ratio", "query": 'errors{service=~"$services"}[$window]', "success": "<= 0.05 or <= before * 1.5",
    "interval": 0.05, "count": 3, "failure_limit": 0, "initial_delay": 0.1, "on_no_data": "pass",
}  # fmt: skip


def unit(name: str, *, new: bool = True, part: bool = False, live: Any = None) -> Unit:
    made = Unit(
        name, 1, {"Labels": {"llmdeploy.part": "monitoring"} if part else {}}, stability=0.0, deadline=60.0, answers=[],
        state="done", live=live,
    )  # fmt: skip
    made.began = made.ended = made.steady = time.monotonic()
    made.spec_seen = {} if new else None
    made.verdict = Verdict("healthy", 1, 1)
    return made


@pytest.fixture
def pool() -> Iterator[ThreadPoolExecutor]:
    with ThreadPoolExecutor(4) as made:
        yield made


def job(port: int, *checks: Mapping[str, Any], **more: Any) -> dict[str, Any]:
    return {
        "stack": "llm", "action": "update", "edge_host": "127.0.0.1", "watch": {"prometheus": {"port": port}},
        "metrics": list(checks), **more,
    }  # fmt: skip


def finished(asked: Round | None, within: float = 10.0) -> Round:
    assert asked is not None
    until = time.monotonic() + within
    while not asked.over():
        assert time.monotonic() < until
        time.sleep(0.01)
    return asked


def asked_of(port: int, pool: ThreadPoolExecutor, *checks: Mapping[str, Any]) -> tuple[str, list[dict[str, Any]]]:
    """What is wrong after all `checks` of the services tail-go and head.go, and the progress lines."""
    progress = Progress()
    units = {name: unit(name) for name in ("tail-go", "head.go")}
    wrong = finished(Metrics(job(port, *checks), progress, pool).of_all(units)).wrong()
    return wrong, progress.lines


def before_and_now(before: tuple[int, Any], now: tuple[int, Any]) -> Any:
    return lambda request: before if "time" in request.form else now


def test_a_good_release_is_asked_as_often_as_said(pool: ThreadPoolExecutor) -> None:
    began = time.time()
    with standing_in(before_and_now(vector(), vector(({"service": "tail-go"}, 0.002)))) as server:
        wrong, lines = asked_of(server.port, pool, ERRORS)
    assert wrong == ""
    forms = [request.form for request in server.requests]
    now = [form for form in forms if "time" not in form]
    assert len(now) == 3
    assert {request.path for request in server.requests} == {"/api/v1/query"}
    assert {form["query"] for form in forms} == {'errors{service=~"head[.]go|tail-go"}[30s]'}
    moments = [float(form["time"]) for form in forms if "time" in form]
    assert len(moments) == 3
    assert all(abs(moment - began) < 1.0 for moment in moments), "the moment when the release began"
    assert [(line["kind"], line["name"], line["ok"]) for line in lines] == [("check", "error ratio", True)]
    assert lines[0]["detail"] == "of tail-go is 0.002 (wanted <= 0.05 or <= before * 1.5; before: no data)"
    assert lines[0]["ms"] > 0


def test_a_failure_says_what_where_and_how_it_was(pool: ThreadPoolExecutor) -> None:
    now = vector(({"service": "tail-go"}, 0.31), ({"service": "head.go"}, 0.01))
    with standing_in(before_and_now(vector(({"service": "tail-go"}, 0.002)), now)) as server:
        wrong, lines = asked_of(server.port, pool, ERRORS)
    assert wrong == (
        "error ratio of tail-go is 0.31 (wanted <= 0.05 or <= before * 1.5; before: 0.002), 1 of 3 times"
    )  # fmt: skip
    assert [line["ok"] for line in lines if line["kind"] == "check"] == [False]
    assert len([one for one in server.requests if "time" not in one.form]) == 1, "one failure is enough"


def test_so_many_may_fail(pool: ThreadPoolExecutor) -> None:
    values = iter([9, 9, 0, 0])
    with standing_in(lambda _: vector(({}, next(values)))) as server:
        check = {**ERRORS, "success": "< 5", "count": 4, "failure_limit": 2}
        assert asked_of(server.port, pool, check)[0] == ""
        values = iter([9, 0, 9, 0])
        wrong, _ = asked_of(server.port, pool, {**check, "failure_limit": 1})
    assert wrong == "error ratio is 9 (wanted < 5), 2 of 4 times"
    assert len(server.requests) == 4 + 3


def test_every_series_must_do(pool: ThreadPoolExecutor) -> None:
    many = vector(*(({"service": "tail-go", "instance": str(number)}, number) for number in range(9)))
    with standing_in(lambda _: many) as server:
        wrong, _ = asked_of(server.port, pool, {**ERRORS, "success": "< 4"})
    assert wrong.startswith("error ratio of tail-go (instance=8) is 8 (wanted < 4) and of tail-go (instance=7) is 7 ")
    assert wrong.endswith(" and 2 more, 1 of 3 times")


@pytest.mark.parametrize(
    ("answer", "reason"),
    [
        (vector(), ""),
        (vector(({"service": "tail-go"}, "NaN")), ""),
        (vector(({"service": "a"}, 0), ({"service": "b"}, "NaN")), ""),
        ((503, "down"), " (prometheus: HTTP 503: down)"),
        ((200, "<html>"), " (prometheus: "),
        ((200, {"data": {"resultType": "matrix", "result": []}}), "the query gives a matrix, not one value"),
        ((200, {"status": "success"}), "its answer is not one of Prometheus"),
    ],
)
def test_no_data_is_what_the_check_says(pool: ThreadPoolExecutor, answer: tuple[int, Any], reason: str) -> None:
    with standing_in(lambda _: answer) as server:
        wrong, lines = asked_of(server.port, pool, ERRORS)
        assert (wrong, lines[0]["ok"]) == ("", True)
        assert reason in lines[0]["detail"]
        assert lines[0]["detail"].startswith("has no data")
        wrong, lines = asked_of(server.port, pool, {**ERRORS, "on_no_data": "fail"})
    assert wrong.startswith("error ratio has no data")
    assert wrong.endswith(", 1 of 3 times")
    assert reason in wrong


def test_a_value_that_fails_is_worse_than_one_that_is_missing(pool: ThreadPoolExecutor) -> None:
    with standing_in(lambda _: vector(({"service": "a"}, "NaN"), ({"service": "b"}, 7))) as server:
        wrong, _ = asked_of(server.port, pool, {**ERRORS, "success": "<= 0.05"})
    assert wrong.startswith("error ratio of b is 7 ")


def test_nobody_there_is_no_data_and_takes_no_time(pool: ThreadPoolExecutor) -> None:
    wrong, lines = asked_of(1, pool, ERRORS)
    assert (wrong, lines[0]["detail"]) == ("", "has no data (prometheus: connection to port 1 refused)")
    progress = Progress()
    slow = {**ERRORS, "initial_delay": 60.0}
    asked = Metrics({**job(0, slow), "watch": {}}, progress, pool).of_all({"a": unit("a")})
    assert asked is not None
    assert asked.over()
    assert progress.lines[0]["detail"] == "has no data (there is no Prometheus here)"


def test_a_query_that_is_wrong_is_told(pool: ThreadPoolExecutor) -> None:
    refusal = 400, {"status": "error", "errorType": "bad_data", "error": "1:5: parse error: unexpected end"}
    with standing_in(lambda _: refusal) as server:
        wrong, lines = asked_of(server.port, pool, ERRORS)
    assert wrong == ""
    assert [(line["kind"], line.get("level")) for line in lines] == [("check", None), ("note", "warning")]
    assert "error ratio cannot be asked: it has no data (prometheus: HTTP 400: 1:5: parse error" in lines[1]["text"]


def test_all_are_asked_side_by_side_and_one_failure_ends_them(pool: ThreadPoolExecutor) -> None:
    def answer(request: Request) -> tuple[int, Any]:
        return vector(({}, 9 if request.form["query"] == "bad" else 0))

    with standing_in(answer) as server:
        checks = [{**ERRORS, "name": str(number), "query": "good", "initial_delay": 0.3} for number in range(4)]
        began = time.monotonic()
        assert asked_of(server.port, pool, *checks)[0] == ""
        assert time.monotonic() - began < 1.0
        late = {**ERRORS, "name": "late", "query": "good", "initial_delay": 60.0}
        wrong, lines = asked_of(server.port, pool, {**ERRORS, "query": "bad", "success": "<= 1"}, late)
    assert wrong.startswith("error ratio is 9")
    assert [line["name"] for line in lines] == ["error ratio"]


def test_the_window_grows_with_the_time_since_they_came_up() -> None:
    assert filled("x[$window]", ["a"], 3.0) == "x[30s]"
    assert filled("x[$window] $services", ["b", "a"], 45.9) == "x[45s] a|b"


@pytest.mark.parametrize(
    ("units", "asked"),
    [
        ({"a": unit("a")}, True),
        ({"a": unit("a", new=False)}, False),
        ({"a": unit("a", new=False), "edge": unit("edge"), "edge-tls": unit("edge-tls")}, False),
        ({"loki": unit("loki", part=True)}, False),
        ({"a": unit("a"), "prometheus": unit("prometheus", part=True, live={})}, True),
        ({"a": unit("a"), "prometheus": unit("prometheus", part=True)}, False),
    ],
    ids=["new", "unchanged", "the edge alone", "a part alone", "an older Prometheus", "Prometheus is new itself"],
)
def test_who_is_asked_about(pool: ThreadPoolExecutor, units: dict[str, Unit], asked: bool) -> None:
    assert (Metrics(job(1, ERRORS), Progress(), pool).of_all(units) is not None) is asked


def test_what_a_release_that_was_left_open_has_changed_is_asked_about(pool: ThreadPoolExecutor) -> None:
    assert Metrics(job(1, ERRORS), Progress(), pool, left=["a"]).of_all({"a": unit("a", new=False)})


@pytest.mark.parametrize("action", ["rollback", "abort"])
def test_a_way_back_is_not_held_up(pool: ThreadPoolExecutor, action: str) -> None:
    metrics = Metrics(job(1, ERRORS, action=action), Progress(), pool)
    assert metrics.of_all({"a": unit("a")}) is None
    assert metrics.of_canary(unit("a")) is None
    assert metrics.longest == 0.0


def test_what_is_no_condition_is_refused_before_anything_happens(pool: ThreadPoolExecutor) -> None:
    with pytest.raises(RefusedError, match="a number is missing"):
        Metrics(job(1, {**ERRORS, "success": "<= twelve"}), Progress(), pool)


def test_another_canary_is_asked_about_anew(pool: ThreadPoolExecutor) -> None:
    metrics, one = Metrics(job(1, ERRORS), Progress(), pool), unit("a")
    first = metrics.of_canary(one)
    assert first is not None
    assert metrics.of_canary(one) is first
    one.steady += 1.0
    assert metrics.of_canary(one) not in (first, None)


# --- in the loop of a release


class Loop(release.Release):
    """A release whose one service is up: what it does then."""

    turns = 0

    def _turn(self) -> bool:
        self.turns += 1
        return False


@pytest.fixture
def quiet(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(release, "OLD_ANSWERS_WITHIN", 0.0)
    monkeypatch.setattr(release, "TURN", 0.01)
    monkeypatch.setattr(verify, "BETWEEN", 0.01)
    monkeypatch.setattr(spread, "even_out", lambda *_, **__: None)


def loop(server: StandIn, pool: ThreadPoolExecutor, progress: Progress, **more: Any) -> Loop:
    found = Comparison({"tail-go": unit("tail-go")}, {"tail-go": []}, [], {"networks": {}})
    given = job(server.port, {**ERRORS, "success": "<= 0.05"}, on_failure="take-back")
    docker: Any = None
    return Loop(docker, given, found, progress, pool, metrics=Metrics(given, progress, pool), **more)


@pytest.mark.usefixtures("quiet")
def test_metrics_decide_whether_a_healthy_release_is_good(pool: ThreadPoolExecutor) -> None:
    with standing_in(lambda _: vector(({"service": "tail-go"}, 0.31))) as server:
        verdict, summary = loop(server, pool, Progress()).run()
        assert (verdict, summary) == (
            "unhealthy",
            "every service is healthy, but error ratio of tail-go is 0.31 (wanted <= 0.05), 1 of 3 times",
        )
        server.answer = lambda _: vector(({"service": "tail-go"}, 0.01))
        beats: list[float] = []
        made = loop(server, pool, Progress(), beat=lambda: beats.append(time.monotonic()))
        assert made.run()[0] == "done"
        assert len(beats) > 5, "the lock is kept all the time"
        assert made.turns == 2, "and at the end everything is looked at again"


@pytest.mark.usefixtures("quiet")
def test_told_to_stop_it_waits_no_longer(pool: ThreadPoolExecutor) -> None:
    asked = threading.Event()

    def answer(_: Request) -> tuple[int, Any]:
        asked.set()
        return vector(({"service": "tail-go"}, 0.01))

    with standing_in(answer) as server:
        made = loop(server, pool, Progress(), stop=asked.is_set)
        verdict, summary = made.run()
    assert verdict == "stopped"
    assert summary.startswith("stopped while its metrics were watched; ")
    assert len(server.requests) == 1


@pytest.mark.usefixtures("quiet")
@pytest.mark.parametrize(("value", "failed"), [(0.31, True), (0.01, False)])
def test_a_canary_is_held_to_its_metrics(
    pool: ThreadPoolExecutor, monkeypatch: pytest.MonkeyPatch, value: float, failed: bool
) -> None:
    written: list[str] = []
    monkeypatch.setattr(watch, "write", lambda _docker, one, *_: written.append(one.name))
    monkeypatch.setattr(release, "describe", lambda _docker, one, _others: {"reason": one.detail})
    progress = Progress()
    with standing_in(lambda _: vector(({"service": "tail-go"}, value))) as server:
        made = loop(server, pool, progress)
        one = made.units["tail-go"]
        one.stage, one.state, one.canary, one.steady = "canary", "starting", 0.05, time.monotonic()
        until = time.monotonic() + 10
        while one.stage == "canary" and one.state != "failed" and time.monotonic() < until:
            began = time.monotonic()
            made._settle_canary(one, began, None)
            assert time.monotonic() - began < 0.05 or one.state == "failed" or written, "nobody waits for Prometheus"
            time.sleep(0.01)
    if failed:
        reason = next(line["reason"] for line in progress.lines if line["kind"] == "failure")
        assert reason == "with one new replica, error ratio of tail-go is 0.31 (wanted <= 0.05), 1 of 3 times"
        assert not written
    else:
        assert written == ["tail-go"]
        assert len(server.requests) == 3


# --- how it is asked


def test_an_answer_is_bounded() -> None:
    with standing_in(lambda _: (200, '"' + "x" * MOST_BYTES + '"')) as server, pytest.raises(PeerError, match="4 MB"):
        ask(Peer("prometheus", "127.0.0.1", server.port), "up")


def test_an_answer_that_never_ends_is_not_waited_for(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("llmdeploy.engine.peers.PATIENCE", 0.3)
    gone = threading.Event()

    class Dripping(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            self.send_response(200)
            self.end_headers()
            while not gone.wait(0.05):
                self.wfile.write(b" ")

        def log_message(self, *_: Any) -> None:
            return

    server = ThreadingHTTPServer(("127.0.0.1", 0), Dripping)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    began = time.monotonic()
    try:
        with pytest.raises(PeerError, match=r"no answer within 0\.3 s"):
            ask(Peer("prometheus", "127.0.0.1", server.server_address[1]), "up")
    finally:
        gone.set()
        server.shutdown()
        server.server_close()
    assert time.monotonic() - began < 2.0


def test_a_scalar_is_one_series_without_labels() -> None:
    with standing_in(lambda _: (200, {"data": {"resultType": "scalar", "result": [1.0, "+Inf"]}})) as server:
        assert ask(Peer("prometheus", "127.0.0.1", server.port), "1/0") == {(): float("inf")}


def certificate(folder: Path, name: str) -> tuple[Path, str]:
    """A file with a key and a certificate for `name` that is its own authority, and the certificate's text."""
    key, today = ec.generate_private_key(ec.SECP256R1()), datetime.datetime.now(datetime.timezone.utc)
    who = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])
    made = (
        x509.CertificateBuilder().subject_name(who).issuer_name(who).public_key(key.public_key()).serial_number(1)
        .not_valid_before(today - datetime.timedelta(days=1)).not_valid_after(today + datetime.timedelta(days=1))
        .add_extension(x509.SubjectAlternativeName([x509.DNSName(name)]), critical=False)
        .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
        .sign(key, hashes.SHA256())
    )  # fmt: skip
    text = made.public_bytes(serialization.Encoding.PEM).decode()
    private = key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )
    file = folder / "both.pem"
    file.write_text(private.decode() + text)
    return file, text


def test_tls_is_checked_against_the_jobs_authority(tmp_path: Path) -> None:
    (tmp_path / "stranger").mkdir()
    _, stranger = certificate(tmp_path / "stranger", "gateway.example.com")
    file, authority = certificate(tmp_path, "gateway.example.com")
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(file)

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = b'{"data":{"resultType":"scalar","result":[1,"4"]}}'
            self.send_response(200)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_: Any) -> None:
            return

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.socket = context.wrap_socket(server.socket, server_side=True)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    given = {"edge_host": "127.0.0.1", "watch": {"prometheus": {"port": server.server_address[1], "tls": True}}}
    try:
        good = peer_of({**given, "tls": {"authority": authority, "name": "gateway.example.com"}}, "prometheus")
        assert good is not None
        assert ask(good, "4") == {(): 4.0}
        for tls, said in (
            ({"authority": stranger, "name": "gateway.example.com"}, "certificate: "),
            ({"authority": authority, "name": "other.example.com"}, "certificate: .*other.example.com"),
        ):
            peer = peer_of({**given, "tls": tls}, "prometheus")
            assert peer is not None
            with pytest.raises(PeerError, match=said):
                ask(peer, "4")
    finally:
        server.shutdown()
        server.server_close()
