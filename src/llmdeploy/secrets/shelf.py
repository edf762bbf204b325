"""From an environment to the values of its secrets: what a deploy calls."""

from __future__ import annotations

import os
from collections.abc import Collection, Mapping
from typing import TYPE_CHECKING

from llmdeploy.secrets.password import find_password
from llmdeploy.secrets.resolve import Shelf, resolve
from llmdeploy.secrets.stores import stores_of
from llmdeploy.secrets.terminal import Ask, terminal
from llmdeploy.secrets.vaultfile import VaultFile

if TYPE_CHECKING:
    from llmdeploy.config.models import Secret
    from llmdeploy.project import Project


def gather(
    project: Project,
    environment: str,
    declared: Mapping[str, Secret],
    wanted: Collection[str],
    *,
    users: Mapping[str, Collection[str]] | None = None,
    places: Mapping[str, tuple[str, int]] | None = None,
) -> dict[str, str]:
    """The value of every part in `wanted`. The encrypted file is opened, and its password asked for, only where one of
    them is in it.

    `users` (part → the services that are given it) and `places` (secret → file and line of its declaration) are for
    messages. Raises ConfigError with every value that is missing or will not do, or when the file is not safe;
    SecretsError when it does not open.
    """
    file = file_of(project, environment, terminal())
    stores = stores_of(file, declared, os.environ, project.root)
    return resolve(declared, wanted, Shelf(environment, file.name, stores, users or {}, places or {}))


def file_of(project: Project, environment: str, ask: Ask | None) -> VaultFile:
    """The encrypted file of an environment; `ask` asks for its password, None where there is nobody to ask."""
    return VaultFile(project, environment, lambda new: find_password(project.root, os.environ, ask, new=new))
