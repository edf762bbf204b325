"""head-go: takes chats over gRPC and streams the answers of model-proxy."""

from collections.abc import Iterator
from typing import Any

from .catalogue import rpc_target
from .core.app import App, Parts
from .core.rpc_client import RpcClient
from .core.rpc_server import Call, Method


def build(app: App) -> Parts:
    """Play the role."""
    model = RpcClient(rpc_target(app.env, "model-proxy"))
    info = RpcClient(rpc_target(app.env, "model-proxy", 1))
    seconds = app.env.number("CHAT_TIMEOUT", 120)

    def chat(call: Call) -> Iterator[dict[str, Any]]:
        return model.stream("/llmdemo.Model/Generate", call.data, call.id, seconds, call.via)

    def models(call: Call) -> Iterator[dict[str, Any]]:
        yield info.call("/llmdemo.ModelInfo/List", {}, call.id, 5)

    return Parts({}, ({"llmdemo.Head": {"Chat": Method(chat, stream=True), "Models": Method(models)}},))
