"""Values that nobody has to think up. Pure, apart from chance and the clock."""

from __future__ import annotations

import secrets
import string
from typing import TYPE_CHECKING

from llmdeploy.errors import SecretsError
from llmdeploy.secrets.placeholders import is_placeholder

if TYPE_CHECKING:
    from llmdeploy.config.models import Secret

_LETTERS_DIGITS = string.ascii_letters + string.digits
_ALPHABETS = {
    "letters-digits": _LETTERS_DIGITS,
    "hex": "0123456789abcdef",
    "printable": _LETTERS_DIGITS + string.punctuation,
}


def generates(secret: Secret) -> bool:
    """Whether a value can be made for it: people give the others, or another store has them."""
    return secret.kind != "given" and not secret.command and not secret.variable


def generate(name: str, secret: Secret) -> dict[str, str]:
    """A new value for every part of the secret `name`.

    Raises SecretsError where a certificate cannot be for one of its `names`, ValueError for a kind that people give.
    """
    if secret.kind == "password":
        return {name: _password(name, secret)}
    if secret.kind == "token":
        return {name: _token(secret.length)}
    if secret.kind == "given":
        raise ValueError(f"{name}: given by people")
    try:
        made = _keys(name, secret)
    except ValueError as error:
        raise SecretsError(f"secrets.{name}.names: {error}") from None
    return dict(zip(secret.parts(name), made, strict=True))


def _keys(name: str, secret: Secret) -> tuple[str, ...]:
    from llmdeploy.secrets import keys  # noqa: PLC0415 (cryptography takes a while, and most secrets need none)

    if secret.kind == "authority":
        return (keys.authority(),)
    return keys.key_pair() if secret.kind == "key-pair" else keys.certificate(name, secret.names, secret.days)


def _password(name: str, secret: Secret) -> str:
    alphabet = _ALPHABETS[secret.alphabet]
    while True:  # one in ten thousand of the printable ones is in angle brackets, and would be refused
        made = "".join(secrets.choice(alphabet) for _ in range(secret.length))
        if not is_placeholder(name, made):
            return made


def _token(length: int) -> str:
    # Not a hyphen at the beginning: a program would take it for an option.
    rest = "".join(secrets.choice(_LETTERS_DIGITS + "-_") for _ in range(length - 1))
    return secrets.choice(_LETTERS_DIGITS) + rest
