"""Values that go into the encrypted file."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

from llmdeploy.secrets.generate import generate, generates
from llmdeploy.secrets.vaultfile import VaultFile

if TYPE_CHECKING:
    from llmdeploy.config.models import Secret


def fill(file: VaultFile, declared: Mapping[str, Secret]) -> list[str]:
    """Makes a value for every secret that can have one made and has none at all; makes the file where it is missing.

    Out: the parts that were made. What is there stays, whatever it is. Raises as `VaultFile.change` and `generate`.
    """
    made: dict[str, str] = {}

    def filled(values: dict[str, str]) -> dict[str, str]:
        for name, secret in declared.items():
            if generates(secret) and not any(part in values for part in secret.parts(name)):
                made.update(generate(name, secret))
        return {**values, **made}

    file.change(filled)
    return list(made)


def store_new(file: VaultFile, name: str, secret: Secret) -> list[str]:
    """Puts a new value for every part of the secret `name` into the file, in the place of the old one.

    Out: the parts. Raises as `VaultFile.change` and `generate`.
    """
    made = generate(name, secret)
    file.change(lambda values: {**values, **made})
    return list(made)


def store(file: VaultFile, given: Mapping[str, str], *, replace: bool = True) -> dict[str, list[str]]:
    """Puts the values `given` into the file; those that have one already are only replaced with `replace`.

    Out: `made`, `replaced` and `kept`: the parts by what became of them. Raises as `VaultFile.change`.
    """
    fates: dict[str, list[str]] = {"made": [], "replaced": [], "kept": []}

    def stored(values: dict[str, str]) -> dict[str, str]:
        for part, value in given.items():
            same = part in values and (not replace or values[part] == value)
            fates["kept" if same else "replaced" if part in values else "made"].append(part)
        return {**values, **{part: given[part] for part in given if part not in fates["kept"]}}

    file.change(stored)
    return fates
