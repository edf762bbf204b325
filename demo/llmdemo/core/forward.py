"""Pass a request on to another HTTP service and its answer back, piece by piece."""

from .http_client import open_stream, pieces
from .web import Request, Response

KEPT = ("Retry-After", "WWW-Authenticate", "Cache-Control")


def forward(request: Request, method: str, url: str, seconds: float) -> Response:
    """Ask URL the same; the answer names in X-Served-Via everyone who took part."""
    headers = {"X-Request-Id": request.id}
    if given := request.headers.get("Authorization"):
        headers["Authorization"] = given
    body = request.body if method == "POST" else None
    answer = open_stream(method, url, data=body, headers=headers, seconds=seconds)
    via = [answer.headers[name] for name in ("X-Served-By", "X-Served-Via") if answer.headers[name]]
    back = {name: answer.headers[name] for name in KEPT if answer.headers[name]} | {"X-Served-Via": ", ".join(via)}
    kind = answer.headers.get("Content-Type", "application/json")
    stream = kind.startswith("text/event-stream")
    return Response(pieces(answer) if stream else b"".join(pieces(answer)), answer.status, kind, back)
