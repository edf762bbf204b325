"""All values that are wanted, or everything that is in the way of having them."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from llmdeploy.errors import ConfigError, Problem, SecretsError
from llmdeploy.secrets.checks import wrong_with
from llmdeploy.secrets.generate import generates
from llmdeploy.secrets.names import owner, store_of
from llmdeploy.secrets.stores import Store

if TYPE_CHECKING:
    from llmdeploy.config.models import Secret


@dataclass(frozen=True)
class Shelf:
    """Where the secrets of one environment are, and what messages about them say.

    file      the encrypted file's name
    stores    every store by its name
    users     part → the services that are given it
    places    secret → the file and the line it is declared in
    """

    environment: str
    file: str
    stores: Mapping[str, Store]
    users: Mapping[str, Collection[str]] = field(default_factory=dict)
    places: Mapping[str, tuple[str, int]] = field(default_factory=dict)


def resolve(declared: Mapping[str, Secret], wanted: Collection[str], shelf: Shelf) -> dict[str, str]:
    """The value of every part in `wanted`; the stores of the others are not opened.

    Raises ConfigError with every value that is missing, cannot be had or will not do; SecretsError or ConfigError when
    the encrypted file cannot be opened.
    """
    values: dict[str, str] = {}
    problems: list[Problem] = []
    for part in dict.fromkeys(wanted):
        secret = declared.get(owner(part))
        if secret is None or part not in secret.parts(owner(part)):
            problems.append(Problem(*_place(part, shelf), "", f"nobody declares a secret {part}"))
            continue
        value, problem = _value(part, secret, shelf)
        if problem:
            problems.append(problem)
        elif value is not None:
            values[part] = value
    if problems:
        raise ConfigError(problems)
    return values


def _value(part: str, secret: Secret, shelf: Shelf) -> tuple[str | None, Problem | None]:
    store = store_of(secret)
    try:
        value = shelf.stores[store].get(part)
    except SecretsError as error:
        if store == "file":
            raise  # the same for every value in it
        return None, Problem(*_place(part, shelf, store), "", error.message, error.hint)
    why = wrong_with(part, value) if value is not None else _missing(part, secret)
    if not why:
        return value, None
    given = ", ".join(shelf.users.get(part, ()))
    return None, Problem(
        *_place(part, shelf, store),
        "",
        f"{why}{f'; it is given to {given}' if given else ''}",
        _hint(part, secret, shelf, fresh=value is None and part == owner(part)),
    )


def _missing(part: str, secret: Secret) -> str:
    if store_of(secret) == "file":
        return "has no value"
    if part != owner(part):
        return f"a {store_of(secret)} gives one value, that of {owner(part)}"
    return f"the variable {secret.variable} is not set"


def _hint(part: str, secret: Secret, shelf: Shelf, *, fresh: bool) -> str:
    if part != owner(part) and store_of(secret) != "file":
        return f"declare a secret of its own for it, of kind `given`, with its {store_of(secret)}"
    if secret.variable:
        return f"export {secret.variable}=…"
    if secret.command:
        return "run the command by hand to see what it prints"
    verbs = f"llmdeploy {shelf.environment} secrets"
    if not generates(secret):
        return f"{verbs} set {part}"
    return f"{verbs} {'init' if fresh else f'rotate {owner(part)}'} makes one; {verbs} set {part} takes yours"


def _place(part: str, shelf: Shelf, store: str = "") -> tuple[str, int, str]:
    """File, line and key: in the encrypted file, or where the secret is declared."""
    if store == "file":
        return shelf.file, 0, part
    file, line = shelf.places.get(owner(part), ("inventory/group_vars/all.yml", 0))
    return file, line, f"secrets.{part}" + (f".{store}" if store else "")
