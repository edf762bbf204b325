"""The dashboards' pages: one file each, nothing loaded from elsewhere."""

import html
from pathlib import Path

from .core.app import App
from .core.web import Response

HEADERS = {
    "Content-Security-Policy": "default-src 'none'; style-src 'unsafe-inline'; script-src 'unsafe-inline'; "
    "connect-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'",
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "no-referrer",
    "Cache-Control": "no-cache",
}


def page(app: App, name: str) -> Response:
    """Fill in and serve a page."""
    text = (Path(__file__).parent / "pages" / name).read_text(encoding="utf-8")
    for word, value in {"{{version}}": app.version, "{{served_by}}": app.served_by}.items():
        text = text.replace(word, html.escape(value))
    return Response(text.encode(), kind="text/html; charset=utf-8", headers=HEADERS)
