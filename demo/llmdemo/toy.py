"""The built-in model: a toy that always says the same to the same question."""

import hashlib
import re
import time
from collections.abc import Iterator
from typing import Any

from .chat import Event, text_of
from .core.errors import ApiError
from .core.settings import Env

REMARKS = (
    "No weights were loaded and no thought was had.",
    "The same question always gets the same answer.",
    "Every token came to you through the gateway, the head and the proxy.",
    "Point UPSTREAM_URL at a real server and it will do the thinking.",
    "Ask again, and another replica may say this.",
    "Somewhere a counter has grown by one.",
)


def tokens(text: str) -> list[str]:
    """Cut a text into the toy's tokens: words and marks, with the space before them."""
    return re.findall(r"\s*\w+|\s*[^\w\s]", text)


def prompt_size(chat: dict[str, Any]) -> int:
    """Count the tokens of all messages."""
    return sum(len(tokens(text_of(message))) for message in chat["messages"])


def usage(prompt: int, completion: int) -> dict[str, int]:
    """Write a usage as OpenAI does."""
    return {"prompt_tokens": prompt, "completion_tokens": completion, "total_tokens": prompt + completion}


class Toy:
    """Answers by looking at the question's hash."""

    def __init__(self, env: Env) -> None:
        self._models = env.words("MODELS", "demo,demo-large")
        self._pause = env.number("TOKEN_DELAY_MS", 10) / 1e3

    def models(self) -> list[str]:
        """Name the models."""
        return self._models

    def stream(self, chat: dict[str, Any]) -> Iterator[Event]:
        """Answer a chat, token by token."""
        model = chat.get("model") or self._models[0]
        if model not in self._models:
            raise ApiError(404, f"There is no model '{model[:80]}'.", "model_not_found")
        prompt, words = prompt_size(chat), tokens(self._say(model, text_of(chat["messages"][-1])))
        limit = chat.get("max_tokens") or len(words)
        yield {"model": model, "prompt_tokens": prompt}
        for word in words[:limit]:
            time.sleep(self._pause)
            yield {"delta": word}
        reason = "length" if limit < len(words) else "stop"
        yield {"finish_reason": reason, "usage": usage(prompt, min(limit, len(words)))}

    @staticmethod
    def _say(model: str, question: str) -> str:
        seed = hashlib.sha256(f"{model}\n{question}".encode()).digest()
        first, second = seed[0] % len(REMARKS), seed[1] % (len(REMARKS) - 1)
        others = [remark for remark in REMARKS if remark != REMARKS[first]]
        asked = " ".join(question.split())[:200]
        return f'This is {model}, a demo. You said: "{asked}". {REMARKS[first]} {others[second]}'
