"""Configuration files that services are given: each content is a config object of the cluster, named by its hash."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator

from llmdeploy.config import Environment
from llmdeploy.config.models import FileUse
from llmdeploy.errors import ConfigError, Problem
from llmdeploy.release.spec import EDGE


def file_names(env: Environment) -> dict[str, dict[str, str]]:
    """Service (and `edge`) → target → what its file is called in the cluster. Raises ConfigError as `file_texts`."""
    found: dict[str, dict[str, str]] = {}
    for service, use, text in _files(env):
        found.setdefault(service, {})[use.target] = _name(env.settings.stack, text)
    return found


def file_texts(env: Environment) -> dict[str, str]:
    """What each file is called in the cluster → its content. Raises ConfigError for one that cannot be read."""
    return {_name(env.settings.stack, text): text for _, _, text in _files(env)}


def _files(env: Environment) -> Iterator[tuple[str, FileUse, str]]:
    for name, container in ((EDGE, env.settings.edge), *env.settings.services.items()):
        for use in container.files:
            yield name, use, _text(env, use)


def _text(env: Environment, use: FileUse) -> str:
    if use.source is None:
        return use.text or ""
    try:
        return (env.project.root / use.source).read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise ConfigError([Problem(use.source, 0, "", "", f"cannot be read as text: {error}")]) from None


def _name(stack: str, text: str) -> str:
    return f"{stack}.file.{hashlib.sha256(text.encode()).hexdigest()[:12]}"
