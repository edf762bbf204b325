"""A real OpenAI-compatible server behind model-proxy, for those who want real answers."""

import json
from collections.abc import Iterator
from typing import Any

from .chat import Event
from .core.errors import ApiError, PeerError
from .core.http_client import fetch, lines, open_stream
from .core.settings import Env
from .toy import prompt_size, usage


class Upstream:
    """Forwards chats; speaks to the server in streams, whatever our client asked for."""

    def __init__(self, env: Env) -> None:
        self._url = env.text("UPSTREAM_URL").rstrip("/").removesuffix("/v1")
        key = env.secret("UPSTREAM_API_KEY")
        self._headers = {"Authorization": f"Bearer {key}"} if key else {}
        self._seconds = env.number("CHAT_TIMEOUT", 120)

    def models(self) -> list[str]:
        """Name the models of the server."""
        answer = fetch("GET", f"{self._url}/v1/models", headers=self._headers, again=True)
        try:
            return [str(model["id"]) for model in json.loads(answer.body)["data"]]
        except (ValueError, KeyError, TypeError):
            raise PeerError(f"the upstream server gave no list of models ({answer.status})") from None

    def stream(self, chat: dict[str, Any]) -> Iterator[Event]:
        """Ask the server for a stream and translate it."""
        data = chat | {"model": chat.get("model") or self.models()[0], "stream": True}
        data["stream_options"] = {"include_usage": True}
        url = f"{self._url}/v1/chat/completions"
        answer = open_stream("POST", url, data=data, headers=self._headers, seconds=self._seconds)
        if answer.status != 200:
            with answer:
                self._refuse(answer.status, answer.read(2000))
        prompt, reason, spoken, total = prompt_size(chat), "stop", 0, None
        yield {"model": data["model"], "prompt_tokens": prompt}
        for line in lines(answer):
            part = _event(line)
            total = part.get("usage") or total
            for choice in part.get("choices") or []:
                reason = choice.get("finish_reason") or reason
                if delta := (choice.get("delta") or {}).get("content"):
                    spoken += 1
                    yield {"delta": delta}
        yield {"finish_reason": reason, "usage": total or usage(prompt, spoken)}

    @staticmethod
    def _refuse(status: int, body: bytes) -> None:
        if status not in {400, 404, 429}:
            raise PeerError(f"the upstream server answered {status}")
        try:
            message = str(json.loads(body)["error"]["message"])
        except (ValueError, KeyError, TypeError):
            message = f"the upstream server answered {status}"
        raise ApiError(status, message, "upstream_refused")


def _event(line: str) -> dict[str, Any]:
    text = line.removeprefix("data:").strip()
    if not line.startswith("data:") or text == "[DONE]":
        return {}
    try:
        value = json.loads(text)
    except ValueError:
        raise PeerError("the upstream server sent a broken stream") from None
    return value if isinstance(value, dict) else {}
