"""gRPC client for the JSON methods of rpc_server: every replica gets its turn, a lost one is tried once more."""

import json
import threading
import time
from collections.abc import Iterator
from typing import Any

from .errors import ApiError, PeerError
from .wire import CODES, dumps, grpc

POLICY = {
    "loadBalancingConfig": [{"round_robin": {}}],
    "methodConfig": [
        {
            "name": [{}],
            "retryPolicy": {
                "maxAttempts": 3,
                "initialBackoff": "0.05s",
                "maxBackoff": "0.5s",
                "backoffMultiplier": 2,
                # CANCELLED, when it was not us: the call met a server that had just begun to stop, and was not begun.
                "retryableStatusCodes": ["UNAVAILABLE", "CANCELLED"],
            },
        }
    ],
}
OPTIONS = [
    ("grpc.service_config", json.dumps(POLICY)),
    ("grpc.service_config_disable_resolution", 1),
    ("grpc.dns_min_time_between_resolutions_ms", 1_000),
    ("grpc.max_reconnect_backoff_ms", 1_000),
    ("grpc.keepalive_time_ms", 5_000),  # notices a dead host, which sends no reset
    ("grpc.keepalive_timeout_ms", 2_000),
    ("grpc.http2.max_pings_without_data", 0),
    ("grpc.use_local_subchannel_pool", 1),
]
STATUSES = {code: status for status, code in CODES.items() if status != 502}


class RpcClient:
    """Talks to one service; opens its connections at the first call."""

    def __init__(self, target: str) -> None:
        self._target = target
        self._lock = threading.Lock()
        self._channel: Any = None
        self._since = 0.0

    def call(self, method: str, data: dict[str, Any], number: str, seconds: float) -> dict[str, Any]:
        """Ask and wait for the one answer."""
        ask = self._open().unary_unary(method, dumps, json.loads)
        try:
            answer: dict[str, Any] = ask(data, timeout=seconds, metadata=(("x-request-id", number),))
        except grpc.RpcError as error:
            raise self._failure(error) from None
        return answer

    def stream(
        self, method: str, data: dict[str, Any], number: str, seconds: float, via: list[str]
    ) -> Iterator[dict[str, Any]]:
        """Ask and give the answers as they come; who answered is added to VIA before the first one."""
        ask = self._open().unary_stream(method, dumps, json.loads)
        call = ask(data, timeout=seconds, metadata=(("x-request-id", number),))
        try:
            first = True
            for answer in call:
                if first:
                    names = dict(call.initial_metadata())
                    via += [str(names[key]) for key in ("x-served-by", "x-served-via") if names.get(key)]
                    first = False
                yield answer
        except grpc.RpcError as error:
            raise self._failure(error) from None
        finally:
            call.cancel()  # does nothing after the last answer; frees the peer when our own client left

    def _open(self) -> Any:
        with self._lock:
            if self._channel is None:
                self._channel = grpc.insecure_channel(self._target, options=OPTIONS)
                self._since = time.monotonic()
            return self._channel

    def _failure(self, error: Any) -> ApiError:
        code, details = error.code().name, error.details() or ""
        if code in STATUSES:
            return ApiError(STATUSES[code], details, code.lower())
        if "DNS resolution failed" in details:
            self._forget()
        return PeerError(f"{self._target.rpartition('/')[2]}: {code}: {details}")

    def _forget(self) -> None:
        """Begin anew: a channel that found no name waits up to two minutes before it asks DNS again."""
        with self._lock:
            if self._channel is not None and time.monotonic() - self._since > 1:
                timer = threading.Timer(5, self._channel.close)  # calls that just began on it fail by themselves
                timer.daemon = True
                timer.start()
                self._channel = None
