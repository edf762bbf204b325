"""gateway: no chat without a valid key and within the limit; every chat is billed."""

import json
from collections.abc import Iterator

from . import chat
from .biller import Biller
from .catalogue import http_url, rpc_target
from .core.app import App, Parts
from .core.errors import ApiError, PeerError
from .core.http_client import fetch
from .core.rpc_client import RpcClient
from .core.web import Request, Response, reply


class Gateway:
    """Asks auth-service, rate-limiter, head-go and billing, in this order."""

    def __init__(self, app: App) -> None:
        self._auth = f"{http_url(app.env, 'auth-service')}/v1/check"
        self._head = RpcClient(rpc_target(app.env, "head-go"))
        self._limiter = RpcClient(rpc_target(app.env, "rate-limiter"))
        self._seconds = app.env.number("CHAT_TIMEOUT", 120)
        self.biller = Biller(app)

    def completions(self, request: Request) -> Response:
        """POST /v1/chat/completions."""
        key = self._who(request)
        data = request.json()
        asked = chat.read(data)
        self._within_limit(key, request.id)
        via: list[str] = []
        events = self._head.stream("/llmdemo.Head/Chat", asked, request.id, self._seconds, via)
        return chat.answer(data, self._billed(events, key, request.id), via)

    def models(self, request: Request) -> Response:
        """GET /v1/models."""
        self._who(request)
        return reply(self._head.call("/llmdemo.Head/Models", {}, request.id, 10))

    def _who(self, request: Request) -> str:
        ask = {"Authorization": request.headers.get("Authorization", ""), "X-Request-Id": request.id}
        answer = fetch("POST", self._auth, data={}, headers=ask, again=True)
        if answer.status == 401:
            error = json.loads(answer.body)["error"]
            raise ApiError(401, error["message"], error["code"], {"WWW-Authenticate": "Bearer"})
        if answer.status != 200:
            raise PeerError(f"auth-service answered {answer.status}")
        return str(json.loads(answer.body)["key_id"])

    def _within_limit(self, key: str, number: str) -> None:
        answer = self._limiter.call("/llmdemo.RateLimiter/Check", {"key": key}, number, 3)
        if not answer["allowed"]:
            wait = {"Retry-After": str(answer["retry_after"])}
            message = f"More than {answer['limit']:g} requests per minute."
            raise ApiError(429, message, "rate_limit_exceeded", wait)

    def _billed(self, events: Iterator[chat.Event], key: str, number: str) -> Iterator[chat.Event]:
        prompt = spoken = 0
        try:
            for event in events:
                prompt = event.get("prompt_tokens", prompt)
                spoken += "delta" in event
                if "usage" in event:
                    prompt, spoken = event["usage"]["prompt_tokens"], event["usage"]["completion_tokens"]
                yield event
        finally:  # a client that leaves early pays for what it got
            if prompt:
                self.biller.send(number, key, prompt, spoken)


def build(app: App) -> Parts:
    """Play the role."""
    gateway = Gateway(app)
    routes = {("POST", "/v1/chat/completions"): gateway.completions, ("GET", "/v1/models"): gateway.models}
    return Parts(routes, close=gateway.biller.close)
