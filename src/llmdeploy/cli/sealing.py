"""The secrets of an environment for one run: gathered and checked before a host is contacted."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from llmdeploy.cli.session import Session
    from llmdeploy.config import Environment

SHORTEST = 6  # characters; what is shorter stands in too many places that are no secret


@dataclass(frozen=True)
class Sealed:
    """`names`: what each secret that a service is given is called in the cluster; `values`: those names' values."""

    names: Mapping[str, str] = field(default_factory=dict)
    values: Mapping[str, str] = field(default_factory=dict, repr=False)

    def redacting(self, redact: Callable[[str], str]) -> Callable[[str], str]:
        """`redact`, which also takes out these secrets, whole or any longer line of them."""
        lines = {line for value in self.values.values() for line in (value, *value.splitlines())}
        hidden = sorted((line for line in lines if len(line) >= SHORTEST), key=len, reverse=True)

        def all_of_them(text: str) -> str:
            text = redact(text)
            for line in hidden:
                text = text.replace(line, "***")
            return text

        return all_of_them if hidden else redact


NOTHING = Sealed()


def seal(session: Session, env: Environment) -> Sealed:
    """The secrets that the services of `env` are given.

    Raises ConfigError with every one that has no value, or one that nobody may use; asks for the vault's password
    where one of them is in the vault.
    """
    settings = env.settings
    containers = (settings.edge, *settings.services.values())
    wanted = sorted({use.name for container in containers for use in container.secrets})
    if not wanted:
        return NOTHING
    from llmdeploy.secrets import gather, swarm_name
    from llmdeploy.secrets.names import users

    values = gather(session.project, env.name, settings.secrets, wanted, users=users(settings), places=places(env))
    names = {part: swarm_name(settings.stack, env.name, part, value) for part, value in values.items()}
    return Sealed(names, {names[part]: value for part, value in values.items()})


def places(env: Environment) -> dict[str, tuple[str, int]]:
    """Secret → the file and the line it is declared in."""
    marks = {name: env.origins.near(("secrets", name)) for name in env.settings.secrets}
    return {name: (mark.file, mark.line) for name, mark in marks.items()}
