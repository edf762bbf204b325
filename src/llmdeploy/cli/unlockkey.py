"""The key that unlocks a cluster's managers: where it comes from, and where it is kept."""

from __future__ import annotations

import sys
from collections.abc import Iterator, Mapping, Sequence

from llmdeploy.cli.connection import Connection
from llmdeploy.cli.safe import FATES, asking
from llmdeploy.cli.session import Outcome, Session
from llmdeploy.cluster.access import Access
from llmdeploy.cluster.locked import key_of, locked, states, unlock
from llmdeploy.cluster.remote import together
from llmdeploy.errors import ConfigError, LlmdeployError, SecretsError, UsageError
from llmdeploy.secrets.keeping import store
from llmdeploy.secrets.names import UNLOCK_KEY
from llmdeploy.secrets.shelf import file_of

LONGEST = 200  # characters of a key that is given on standard input
States = Mapping[str, str | LlmdeployError]


def present_key(connection: Connection) -> str:
    """The key, as the first manager that is not locked tells it. Raises LlmdeployError."""
    found = states(list(connection.accesses.values()))
    for host, state in found.items():
        if state != "manager":
            continue
        key = key_of(connection.accesses[host])
        if not key:
            raise LlmdeployError(
                f"there is no key: the managers of {connection.name} are not locked after a restart",
                hint=f"swarm.autolock: true, then llmdeploy {connection.name} deploy",
            )
        return key
    raise _nobody(connection.name, found)


def _nobody(environment: str, found: States) -> LlmdeployError:
    errors = [locked(host) for host, state in found.items() if state == "locked"]
    if errors:
        return type(errors[0])(together("no manager can tell the key", errors), hint=errors[0].hint)
    away = [state for state in found.values() if isinstance(state, LlmdeployError)]
    if away:
        return type(away[0])(together("no manager can be asked", away), hint=away[0].hint)
    return LlmdeployError(f"{environment} has no cluster yet", hint=f"llmdeploy {environment} deploy")


def keep(session: Session, key: str) -> Outcome:
    """Puts the key into the encrypted secrets file of the environment."""
    file = file_of(session.project, session.environment, asking(session))
    fates = store(file, {UNLOCK_KEY: key})
    data = {"environment": session.environment, "file": file.name, **{fate: fates.get(fate, []) for fate in FATES}}
    return Outcome("secrets-changed", {**data, "open": [], "notes": [], "next": []})


def keys(session: Session, connection: Connection, found: States) -> Iterator[tuple[str, str]]:
    """Every key that may fit, with where it is from: another manager, the secrets file, whoever gives it now."""
    for host, state in found.items():
        if state == "manager":
            try:
                key = key_of(connection.accesses[host])
            except LlmdeployError as error:  # without a majority it does not tell
                session.note(error.message)
                continue
            if key:
                yield key, host
    yield from _kept(session)
    yield from _given(session)


def _kept(session: Session) -> Iterator[tuple[str, str]]:
    file = file_of(session.project, session.environment, asking(session))
    try:
        key = file.read().get(UNLOCK_KEY, "") if file.exists else ""
    except (SecretsError, ConfigError) as error:  # a person may know the key
        session.note(f"{error.message}; {error.hint}" if error.hint else error.message)
        return
    if key:
        yield key, file.name


def _given(session: Session) -> Iterator[tuple[str, str]]:
    ask = asking(session)
    if ask is not None:
        yield ask("the unlock key (SWMKEY-…): ").strip(), "what was typed"
    elif sys.stdin is not None and not sys.stdin.isatty():
        given = sys.stdin.readline(LONGEST).strip()
        if given:
            yield given, "standard input"


def open_all(session: Session, closed: Sequence[Access], offers: Iterator[tuple[str, str]]) -> str:
    """Unlocks `closed` with the first key that fits. Out: where it is from.

    All at once: where no manager is left, each waits until most of them are back.
    Raises UsageError where nobody has a key, LlmdeployError where none fits or a manager does not come back.
    """
    refused: list[LlmdeployError] = []
    for key, source in offers:
        refused = [error for error in unlock(closed, key).values() if error]
        if not refused:
            return source
        if len(refused) < len(closed):
            break  # it fits
        session.note(f"the key from {source} does not do: {refused[0].message}")
    if refused:
        raise LlmdeployError(together("not every manager was unlocked", refused))
    raise UsageError(
        "nobody has the unlock key: no other manager is unlocked, and it is not stored",
        hint=f"llmdeploy {session.command} asks for it on a terminal, or reads it from standard input",
    )
