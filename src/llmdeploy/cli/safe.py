"""An environment's secrets as its verbs need them."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

from llmdeploy.cli.sealing import places
from llmdeploy.cli.session import Outcome, Session
from llmdeploy.cli.watched import ON, load, switched
from llmdeploy.config import Environment
from llmdeploy.config.models import Secret
from llmdeploy.config.nearest import did_you_mean
from llmdeploy.config.watching import GRAFANA_KEY, GRAFANA_PASSWORD
from llmdeploy.errors import ConfigError, Problem, SecretsError, UsageError
from llmdeploy.secrets import states
from llmdeploy.secrets.checks import HEADER, unusable, wrong_with
from llmdeploy.secrets.generate import generates
from llmdeploy.secrets.names import all_parts, in_file, owner, store_of, users
from llmdeploy.secrets.password import Password, find_password
from llmdeploy.secrets.plaintext import looks_like_a_name
from llmdeploy.secrets.resolve import Shelf, resolve
from llmdeploy.secrets.shelf import file_of
from llmdeploy.secrets.stores import stores_of
from llmdeploy.secrets.terminal import Ask, ask_hidden
from llmdeploy.secrets.vault import decrypt
from llmdeploy.secrets.vaultfile import VaultFile

FATES = ("made", "replaced", "removed", "kept")


def open_safe(session: Session, name: str = "") -> Safe:
    """The secrets of the session's environment; nothing is opened or asked yet. Raises as `Session.load`.

    `name`: what is wanted. What belongs to the monitoring is there also where the files do not switch that on.
    """
    ask = asking(session)
    meant = switched(session, ON) if name in (GRAFANA_PASSWORD, GRAFANA_KEY) else session
    return Safe(load(meant), file_of(session.project, session.environment, ask), ask)


def asking(session: Session) -> Ask | None:
    """How to ask somebody for what nobody sees; None where nobody is there."""
    return ask_hidden if session.can_ask else None


def password_for(session: Session) -> Password:
    """The present password of the project. Raises as `find_password`."""
    return find_password(session.project.root, os.environ, asking(session))


@dataclass(frozen=True)
class Safe:
    """What is declared, and where its values are."""

    env: Environment
    file: VaultFile
    ask: Ask | None

    @property
    def declared(self) -> Mapping[str, Secret]:
        """Every secret by its name."""
        return self.env.settings.secrets

    @cached_property
    def users(self) -> dict[str, list[str]]:
        """Every part that is given to somebody, and to whom."""
        return users(self.env.settings)

    @property
    def variables(self) -> list[str]:
        """Variables of our environment that have secrets in them."""
        return [secret.variable for secret in self.declared.values() if secret.variable]

    @cached_property
    def shelf(self) -> Shelf:
        """Every store."""
        return Shelf(
            self.env.name,
            self.file.name,
            stores_of(self.file, self.declared, os.environ, self.env.project.root),
            self.users,
            places(self.env),
        )

    def part(self, name: str) -> str:
        """`name`, when something of this name is kept. Raises UsageError with the nearest name."""
        known = all_parts(self.declared)
        if name in known:
            return name
        # What does not look like a name may be a value that somebody typed in its place.
        shown = f" `{name}`" if looks_like_a_name(name) else " of this name"
        hint = did_you_mean(name, known) or "declare it in inventory/group_vars/all.yml: `secrets: {NAME: {}}`"
        raise UsageError(f"nobody declares a secret{shown}", hint=hint)

    def generated(self, name: str) -> tuple[str, Secret]:
        """The secret `name`, whose values can be made. Raises UsageError when people or another store have them."""
        name = owner(self.part(name))
        self.refuse_elsewhere(name)
        if not generates(self.declared[name]):
            raise UsageError(
                f"{name} is of the kind `given`: its value is not made but set",
                hint=f"llmdeploy {self.env.name} secrets set {name}",
            )
        return name, self.declared[name]

    def refuse_elsewhere(self, part: str) -> None:
        """Raises UsageError when the value of `part` is not in the encrypted file."""
        secret = self.declared[owner(part)]
        if store_of(secret) != "file":
            where = f"the variable {secret.variable}" if secret.variable else "what its command prints"
            raise UsageError(f"the value of {part} is {where}, not in {self.file.name}", hint="change it there")

    def kept_parts(self) -> list[str]:
        """Everything that is kept in the encrypted file."""
        return all_parts(in_file(self.declared))

    def value(self, part: str) -> str:
        """The value of `part`, whatever it is. Raises ConfigError when there is none."""
        value = self.shelf.stores[store_of(self.declared[owner(part)])].get(part)
        if value is None:
            return resolve(self.declared, [part], self.shelf)[part]  # which says what is to be done
        self.refuse_unusable({part: value})
        return value

    def refuse_wrong(self, values: Mapping[str, str]) -> None:
        """Raises ConfigError, without the value, for one that will not do."""
        self._refuse({part: wrong_with(part, value) for part, value in values.items()})

    def refuse_unusable(self, values: Mapping[str, str]) -> None:
        """The same, but placeholders may stay for now."""
        self._refuse({part: unusable(value) for part, value in values.items()})

    def _refuse(self, reasons: Mapping[str, str]) -> None:
        hint = f"llmdeploy {self.env.name} secrets generate NAME shows one that will do"
        problems = [Problem(self.file.name, 0, part, "", why, hint) for part, why in reasons.items() if why]
        if problems:
            raise ConfigError(problems)

    def decrypted(self, data: bytes, name: str) -> str:
        """The text of another file, which may be encrypted with the same password. Raises SecretsError."""
        if data.startswith(HEADER):
            return decrypt(data, find_password(self.env.project.root, os.environ, self.ask), name)
        try:
            return data.decode("utf-8-sig")
        except UnicodeDecodeError:
            raise SecretsError(f"{name} is not UTF-8 text") from None

    def template(self) -> str:
        """What an editor begins with where there is no file yet."""
        names = "".join(f"# {part}:\n" for part in self.kept_parts())
        return f"# NAME: value, in quotes where it is not plain text\n{names}"

    def rows(self) -> list[dict[str, Any]]:
        """Every secret with the state of its value."""
        return states.rows(self.declared, self.users, self.shelf.stores)

    def outcome(
        self,
        fates: Mapping[str, list[str]],
        *,
        notes: Sequence[str] = (),
        following: Sequence[str] = (),
        look: bool = False,
    ) -> Outcome:
        """What became of which parts, and what to do next; `look`: also which secrets have no good value yet."""
        rows = self.rows() if look else []
        data: dict[str, Any] = {"environment": self.env.name, "file": self.file.name}
        data |= {fate: fates.get(fate, []) for fate in FATES}
        data |= {"open": [row for row in rows if row["state"] not in ("set", "not asked")]}
        return Outcome("secrets-changed", {**data, "notes": [*notes], "next": [*following]})
