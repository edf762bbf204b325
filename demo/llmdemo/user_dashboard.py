"""user-dashboard: a chat box in a browser; the browser brings the key, this service only passes it on."""

import json

from .catalogue import http_url
from .core.app import App, Parts
from .core.forward import forward
from .core.web import Request, Response
from .page import page


def build(app: App) -> Parts:
    """Play the role."""
    url = f"{http_url(app.env, 'tail-go')}/v1/chat/completions"
    seconds = app.env.number("CHAT_TIMEOUT", 120)

    def index(_request: Request) -> Response:
        return page(app, "user.html")

    def chat(request: Request) -> Response:
        body = json.dumps(request.json() | {"stream": True}).encode()
        return forward(Request(request.path, request.headers, body, request.id), "POST", url, seconds)

    return Parts({("GET", "/"): index, ("POST", "/chat"): chat})
