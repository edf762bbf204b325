"""gRPC calls over asyncio, one channel for each host and port, with gRPC's own defaults."""

from __future__ import annotations

from typing import Any

import grpc  # type: ignore[import-untyped]
import grpc.aio  # type: ignore[import-untyped]

from benchmarks.load.asks import Ask
from benchmarks.load.lost import LostError

OPTIONS = [("grpc.enable_http_proxy", 0), ("grpc.use_local_subchannel_pool", 1)]


class Rpc:
    """Asks over gRPC. No call waits for a connection that has failed, and none is repeated by a policy of ours."""

    def __init__(self) -> None:
        self._channels: dict[tuple[str, int], Any] = {}

    async def ask(self, host: str, ask: Ask, number: str) -> None:
        """Call the method and read all answers. Raises LostError unless the call ends well and with its last event."""
        channel = self._channel(host, ask.port)
        metadata = (("x-request-id", number),)
        try:
            if ask.kind == "grpc":
                await channel.unary_unary(ask.path)(ask.body, metadata=metadata)
                return
            last = b""
            async for message in channel.unary_stream(ask.path)(ask.body, metadata=metadata):
                last = message
        except grpc.aio.AioRpcError as error:
            raise LostError(f"{error.code().name}: {' '.join((error.details() or '').split())[:160]}") from None
        if ask.ends not in last:
            raise LostError("the stream ended without its last event")

    def _channel(self, host: str, port: int) -> Any:
        if (host, port) not in self._channels:
            self._channels[host, port] = grpc.aio.insecure_channel(f"{host}:{port}", options=OPTIONS)
        return self._channels[host, port]

    async def close(self) -> None:
        """Close all channels."""
        for channel in self._channels.values():
            await channel.close()
