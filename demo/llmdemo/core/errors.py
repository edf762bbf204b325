"""The two ways in which a request, or the whole program, can fail on purpose."""

from collections.abc import Mapping
from typing import Any

KINDS = {401: "authentication_error", 429: "rate_limit_error"}


class SettingsError(Exception):
    """The environment asks for something that does not exist; the program does not start."""


class ApiError(Exception):
    """A request fails with this HTTP status; shown to the client in OpenAI's error shape."""

    def __init__(self, status: int, message: str, code: str, headers: Mapping[str, str] | None = None) -> None:
        super().__init__(message)
        self.status, self.message, self.code = status, message, code
        self.headers = dict(headers or {})

    def body(self) -> dict[str, Any]:
        """Give the error as OpenAI's API writes it."""
        kind = KINDS.get(self.status, "invalid_request_error" if self.status < 500 else "server_error")
        return {"error": {"message": self.message, "type": kind, "param": None, "code": self.code}}


class PeerError(ApiError):
    """Another service could not be reached or broke off: 502 for our own client."""

    def __init__(self, message: str) -> None:
        super().__init__(502, message, "bad_gateway")
