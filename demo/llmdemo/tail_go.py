"""tail-go: the public, OpenAI-compatible door; everything behind it belongs to the gateway."""

from .catalogue import http_url
from .core.app import App, Parts
from .core.forward import forward
from .core.web import Request, Response


def build(app: App) -> Parts:
    """Play the role."""
    gateway = http_url(app.env, "gateway")
    seconds = app.env.number("CHAT_TIMEOUT", 120)

    def completions(request: Request) -> Response:
        return forward(request, "POST", f"{gateway}/v1/chat/completions", seconds)

    def models(request: Request) -> Response:
        return forward(request, "GET", f"{gateway}/v1/models", 10)

    return Parts({("POST", "/v1/chat/completions"): completions, ("GET", "/v1/models"): models})
