"""model-proxy: the one service that talks to a model, over HTTP as OpenAI does and over gRPC for head-go."""

import time
from collections.abc import Iterator
from typing import Any

from . import chat
from .core.app import App, Parts
from .core.errors import ApiError
from .core.rpc_server import Call, Method
from .core.web import Request, Response, reply
from .toy import Toy
from .upstream import Upstream


class Meter:
    """Counts what a model does. Only this role counts it, so that sums over services are true."""

    def __init__(self, app: App) -> None:
        metrics = app.metrics
        self._requests = metrics.counter("llm_requests_total", "Chats.", "model", "outcome")
        self._tokens = metrics.counter("llm_tokens_total", "Tokens.", "direction", "model")
        self._first = metrics.histogram("llm_time_to_first_token_seconds", "Until the first token.", "model")
        self._total = metrics.histogram("llm_request_duration_seconds", "Until the last token.", "model")

    def watch(self, events: Iterator[chat.Event]) -> Iterator[chat.Event]:
        """Pass the events of one chat on and count them."""
        started, model, outcome = time.perf_counter(), "unknown", "cancelled"
        spoken = prompt = 0
        try:
            for event in events:
                if "model" in event:
                    model, prompt = event["model"], event["prompt_tokens"]
                if "delta" in event:
                    if not spoken:
                        self._first.observe(model, seconds=time.perf_counter() - started)
                    spoken += 1
                if "usage" in event:
                    prompt, spoken = event["usage"]["prompt_tokens"], event["usage"]["completion_tokens"]
                yield event
            outcome = "ok"
        except ApiError as error:
            outcome = "refused" if error.status < 500 else "error"
            raise
        finally:
            self._requests.inc(model, outcome)
            self._tokens.inc("input", model, by=prompt)
            self._tokens.inc("output", model, by=spoken)
            self._total.observe(model, seconds=time.perf_counter() - started)


def build(app: App) -> Parts:
    """Play the role."""
    source = Upstream(app.env) if app.env.text("UPSTREAM_URL") else Toy(app.env)
    meter = Meter(app)

    def completions(request: Request) -> Response:
        data = request.json()
        return chat.answer(data, meter.watch(source.stream(chat.read(data))), [])

    def models(_request: Request) -> Response:
        return reply(listing())

    def listing() -> dict[str, Any]:
        entries = [{"id": name, "object": "model", "created": 0, "owned_by": "llmdemo"} for name in source.models()]
        return {"object": "list", "data": entries}

    def generate(call: Call) -> Iterator[dict[str, Any]]:
        return meter.watch(source.stream(chat.read(call.data)))

    def list_models(_call: Call) -> Iterator[dict[str, Any]]:
        yield listing()

    def get_model(call: Call) -> Iterator[dict[str, Any]]:
        found = [entry for entry in listing()["data"] if entry["id"] == call.data.get("model")]
        if not found:
            raise ApiError(404, "There is no such model.", "model_not_found")
        yield found[0]

    routes = {("POST", "/v1/chat/completions"): completions, ("GET", "/v1/models"): models}
    info = {"List": Method(list_models), "Get": Method(get_model)}
    return Parts(routes, ({"llmdemo.Model": {"Generate": Method(generate, stream=True)}}, {"llmdemo.ModelInfo": info}))
