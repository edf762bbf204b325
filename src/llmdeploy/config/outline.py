"""An environment as far as its files can be read: what has to work in an incident must not need valid settings."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from llmdeploy.config.environment import Environment, load, readable
from llmdeploy.config.hosts import Inventory
from llmdeploy.config.inventory import read_inventory
from llmdeploy.config.layers import lay, prune
from llmdeploy.errors import ConfigError
from llmdeploy.project import Project


@dataclass(frozen=True)
class Outline:
    """The hosts of an environment, always; everything else where the files say it and are valid.

    environment  the whole, None where the files do not give it: `error` says why then
    stack        the stack's name; without `environment` only what is probable, empty where nothing says it
    confirm      whether somebody asked for a question before every change
    """

    name: str
    project: Project
    inventory: Inventory
    environment: Environment | None
    error: ConfigError | None
    stack: str
    confirm: bool


def load_outline(project: Project, name: str, overrides: Sequence[str] = ()) -> Outline:
    """What can be had of the environment `name`; see `load`.

    Raises UsageError for an unknown environment or a malformed override, ConfigError when no hosts can be read.
    """
    try:
        return outline_of(load(project, name, overrides))
    except ConfigError as error:
        try:
            inventory, _ = read_inventory(project, name)
        except ConfigError:
            raise error from None  # all problems at once
        tree, _ = prune(lay(readable(project, name, overrides)))
        stack, confirm = tree.child("stack"), tree.child("confirm")
        return Outline(
            name,
            project,
            inventory,
            environment=None,
            error=error,
            stack=stack.value if stack and isinstance(stack.value, str) else "",
            confirm=name == "production" or bool(confirm and confirm.value is True),
        )


def outline_of(environment: Environment) -> Outline:
    """The outline of an environment that is known as a whole."""
    return Outline(
        environment.name,
        environment.project,
        environment.inventory,
        environment,
        None,
        environment.settings.stack,
        environment.confirm,
    )
