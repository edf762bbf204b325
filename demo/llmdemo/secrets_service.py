"""secrets-service: hands the valid API keys to services that know the service token."""

import hmac

from .core.app import App, Parts
from .core.errors import ApiError
from .core.web import Request, Response, reply

DEMO_TOKEN = "demo-service-token"  # noqa: S105 (a demo's default; set SERVICE_TOKEN or SERVICE_TOKEN_FILE)
DEMO_KEY = "demo-key"


def build(app: App) -> Parts:
    """Play the role."""
    token = app.env.secret("SERVICE_TOKEN", DEMO_TOKEN)
    keys = [key.strip() for key in app.env.secret("API_KEYS", DEMO_KEY).split(",") if key.strip()]

    def api_keys(request: Request) -> Response:
        given = request.headers.get("X-Service-Token", "")
        if not hmac.compare_digest(given.encode(), token.encode()):
            raise ApiError(401, "The service token is missing or wrong.", "invalid_service_token")
        return reply({"keys": keys}, headers={"Cache-Control": "no-store"})

    return Parts({("GET", "/v1/secrets/api-keys"): api_keys})
