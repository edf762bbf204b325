"""The verbs `llmdeploy ENV swarm …`: the key that unlocks managers after a restart, and unlocking them."""

from __future__ import annotations

from typing import Annotated

import typer

from llmdeploy.cli.action import action
from llmdeploy.cli.grammar import verbs
from llmdeploy.cli.session import Outcome, Session
from llmdeploy.errors import LlmdeployError

EXAMPLES = """\b
Examples:
  llmdeploy staging swarm unlock-key --store   keep the key in the encrypted secrets file
  llmdeploy staging swarm unlock-key           print it
  llmdeploy staging swarm unlock               unlock the managers that are locked
"""

SWARM = verbs(
    about="The lock of the cluster's managers: with `swarm.autolock: true` a manager whose Docker restarts, or whose "
    "host does, waits for a key before it takes part again.",
    short_help="managers that are locked after a restart: unlock, unlock-key",
    epilog=EXAMPLES,
)


@action(SWARM, name="unlock-key", epilog="Example: llmdeploy staging swarm unlock-key --store")
def unlock_key(
    session: Session,
    store: Annotated[
        bool,
        typer.Option("--store", help="Put it into the encrypted secrets file, where `swarm unlock` finds it."),
    ] = False,
) -> Outcome:
    """Print the key that unlocks managers after a restart, and nothing else; or store it. A manager tells it.

    Whoever has it and the disk of a manager can read the cluster's secrets.
    """
    from llmdeploy.cli.connection import connect
    from llmdeploy.cli.unlockkey import keep, present_key

    outline = session.outline()
    with connect(session, outline) as connection:
        key = present_key(connection)
    if store:
        return keep(session, key)
    return Outcome("secret", {"environment": outline.name, "name": "swarm_unlock_key", "value": key})


@action(SWARM, epilog="Example: llmdeploy staging swarm unlock; or < KEY-FILE where nothing else has the key")
def unlock(session: Session) -> Outcome:
    """Unlock every manager that is locked after a restart. Services that run there start again by themselves.

    The key is that of a manager that is not locked, else what `swarm unlock-key --store` has stored, else what is
    typed or given on standard input.
    """
    from llmdeploy.cli.connection import connect
    from llmdeploy.cli.unlockkey import keys, open_all
    from llmdeploy.cluster.locked import states
    from llmdeploy.cluster.remote import together

    outline = session.outline()
    with connect(session, outline) as connection:
        found = states(list(connection.accesses.values()))
        closed = [connection.accesses[name] for name, state in found.items() if state == "locked"]
        away = [state for state in found.values() if isinstance(state, LlmdeployError)]
        if away and not closed:
            raise type(away[0])(together("it cannot be told which managers are locked", away), hint=away[0].hint)
        source = open_all(session, closed, keys(session, connection, found)) if closed else ""
    data = {"environment": outline.name, "unlocked": [one.host for one in closed], "source": source}
    return Outcome("swarm-unlocked", {**data, "away": [error.message for error in away]})
