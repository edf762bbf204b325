"""gRPC without generated code: JSON messages, one generator per method, and the standard health service."""

import json
import threading
import time
import traceback
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from typing import Any

from .app import App
from .errors import ApiError, PeerError
from .wire import CODES, dumps, grpc

HEALTH = "grpc.health.v1.Health"
SERVING, NOT_SERVING = b"\x08\x01", b"\x08\x02"  # HealthCheckResponse.status, a varint in field 1
OPTIONS = [
    ("grpc.so_reuseport", 0),  # a taken port is an error, not a lottery
    ("grpc.max_connection_age_ms", 30_000),  # makes clients ask DNS again, so that new replicas get work
    ("grpc.max_connection_age_grace_ms", 600_000),
    ("grpc.http2.min_recv_ping_interval_without_data_ms", 4_000),
    ("grpc.http2.min_ping_interval_without_data_ms", 4_000),
    ("grpc.keepalive_permit_without_calls", 1),
]


@dataclass
class Call:
    """One call: the message, the id of the request, and which peers helped to answer it."""

    data: dict[str, Any]
    id: str
    via: list[str] = field(default_factory=list)


@dataclass(frozen=True)
class Method:
    """A method is a generator; a method that is not a stream yields once."""

    run: Callable[[Call], Iterator[dict[str, Any]]]
    stream: bool = False


Services = Mapping[str, Mapping[str, Method]]


class RpcServer:
    """Serves some services and the health service on one port."""

    def __init__(self, app: App, port: int, services: Services) -> None:
        self._app = app
        self._known = {"", app.service, *services}
        labels = ("grpc_service", "grpc_method")
        self._handled = app.metrics.counter("grpc_server_handled_total", "gRPC calls.", *labels, "grpc_code")
        self._seconds = app.metrics.histogram("grpc_server_handling_seconds", "Until the end.", *labels)
        self._server = grpc.server(ThreadPoolExecutor(256, f"rpc-{port}"), options=OPTIONS)
        health: Any = grpc.unary_unary_rpc_method_handler(self._health)
        handlers = [grpc.method_handlers_generic_handler(HEALTH, {"Check": health})]
        for service, methods in services.items():
            table = {name: self._handler(service, name, method) for name, method in methods.items()}
            handlers.append(grpc.method_handlers_generic_handler(service, table))
        self._server.add_generic_rpc_handlers(tuple(handlers))
        try:
            bound = self._server.add_insecure_port(f"{app.listen}:{port}")
        except RuntimeError:
            bound = 0
        if not bound:
            raise OSError(f"gRPC port {port} cannot be opened")

    def start(self) -> None:
        """Begin to serve."""
        self._server.start()

    def stop(self, seconds: float) -> threading.Event:
        """Send new calls elsewhere, let open ones run for SECONDS; give what is set when all have ended."""
        ended: threading.Event = self._server.stop(max(0.0, seconds))
        return ended

    def _handler(self, service: str, name: str, method: Method) -> Any:
        def stream(data: dict[str, Any], context: Any) -> Iterator[dict[str, Any]]:
            yield from self._run(service, name, method, data, context)

        def single(data: dict[str, Any], context: Any) -> dict[str, Any]:
            [answer] = self._run(service, name, method, data, context)
            return answer

        if method.stream:
            return grpc.unary_stream_rpc_method_handler(stream, json.loads, dumps)
        return grpc.unary_unary_rpc_method_handler(single, json.loads, dumps)

    def _run(
        self, service: str, name: str, method: Method, data: dict[str, Any], context: Any
    ) -> Iterator[dict[str, Any]]:
        app, started, failure, code = self._app, time.perf_counter(), None, "CANCELLED"
        call = Call(data, str(dict(context.invocation_metadata()).get("x-request-id", "")))
        with app.work():
            try:
                self._misbehave(context)
                answers = method.run(call)
                first = next(answers)  # a failure before the first answer leaves no half-open stream behind
                context.send_initial_metadata((("x-served-by", app.served_by), ("x-served-via", ", ".join(call.via))))
                yield first
                yield from answers
                code = "OK"
            except ApiError as error:
                failure, code = error.message, CODES.get(error.status, "INTERNAL")
            except Exception as error:  # noqa: BLE001 (one bad call, not a bad service)
                app.journal.error(f"unexpected: {error}", exc=traceback.format_exc(), request_id=call.id)
                failure, code = "Internal error.", "INTERNAL"
            finally:
                self._record(service, name, code, time.perf_counter() - started, call.id)
        if failure is not None:
            context.abort(grpc.StatusCode[code], failure)

    def _misbehave(self, context: Any) -> None:
        if self._app.faults.hang:
            self._app.faults.hold(lambda: not context.is_active())
            raise PeerError("DEMO_HANG: not answering as asked.")
        if self._app.faults.fail_next():
            raise ApiError(500, "DEMO_ERRORS: failing as asked.", "demo_error")

    def _record(self, service: str, name: str, code: str, spent: float, number: str) -> None:
        self._handled.inc(service, name, code)
        self._seconds.observe(service, name, seconds=spent)
        failed = code in {"INTERNAL", "UNKNOWN"}
        route = f"/{service}/{name}"
        self._app.journal.request(route, code, spent, failed=failed, method="gRPC", request_id=number)

    def _health(self, request: bytes, context: Any) -> bytes:
        if self._app.faults.hang:
            self._app.faults.hold(lambda: not context.is_active())
        asked = request[2:].decode(errors="replace") if request[:1] == b"\x0a" else ""  # field 1, a short string
        if asked not in self._known:
            context.abort(grpc.StatusCode.NOT_FOUND, "unknown service")
        return NOT_SERVING if self._app.faults.not_serving or self._app.ill() else SERVING
