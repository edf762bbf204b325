"""Small catalogues for tests: settings without files."""

from typing import Any

from llmdeploy.config.models import Settings


def settings(services: dict[str, dict[str, Any]], **rest: Any) -> Settings:
    """Settings with `services`; each gets an image and the group `all` unless it says otherwise; no TLS by default."""
    filled = {name: {"image": "demo", "group": "all", **values} for name, values in services.items()}
    return Settings.model_validate({"services": filled, "tls": {"mode": "off"}, **rest})
