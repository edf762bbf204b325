"""Where values come from: the encrypted file, a program, a variable of the environment."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Protocol

from llmdeploy.errors import SecretsError
from llmdeploy.secrets.programs import output_of
from llmdeploy.secrets.vaultfile import VaultFile

if TYPE_CHECKING:
    from llmdeploy.config.models import Secret


class Store(Protocol):
    """One place where values are. Another one needs no more than this, and a word in `names.store_of`."""

    @property
    def name(self) -> str:
        """What `Secret` calls it: file, command, variable."""

    def get(self, part: str) -> str | None:
        """The value of `part`, None where there is none. Raises LlmdeployError when it cannot be had."""


class FileStore:
    """The encrypted file. It is opened at the first question."""

    name = "file"

    def __init__(self, file: VaultFile) -> None:
        self._file = file

    def get(self, part: str) -> str | None:
        """The value in the file."""
        return self._file.read().get(part)


class CommandStore:
    """A program prints the value. It is not handed what other secrets are in, so it is told their variables."""

    name = "command"

    def __init__(self, declared: Mapping[str, Secret], root: Path) -> None:
        self._declared = declared
        self._root = root

    def get(self, part: str) -> str | None:
        """What the program prints, without one line break at the end; of a pair of files only the first."""
        secret = self._declared.get(part)
        if secret is None or not secret.command:
            return None
        hidden = [other.variable for other in self._declared.values() if other.variable]
        out = output_of(secret.command, f"secret {part}", cwd=self._root, hidden=hidden)
        try:
            return out.decode().removesuffix("\n")
        except UnicodeDecodeError:
            raise SecretsError(f"secret {part}: what `{secret.command[0]}` prints is not UTF-8 text") from None


class VariableStore:
    """A variable of the environment has the value."""

    name = "variable"

    def __init__(self, declared: Mapping[str, Secret], environ: Mapping[str, str]) -> None:
        self._declared = declared
        self._environ = environ

    def get(self, part: str) -> str | None:
        """The variable's value; of a pair of files only the first."""
        secret = self._declared.get(part)
        return self._environ.get(secret.variable) if secret and secret.variable else None


def stores_of(
    file: VaultFile, declared: Mapping[str, Secret], environ: Mapping[str, str], root: Path
) -> dict[str, Store]:
    """Every store by its name."""
    found: list[Store] = [FileStore(file), CommandStore(declared, root), VariableStore(declared, environ)]
    return {store.name: store for store in found}
