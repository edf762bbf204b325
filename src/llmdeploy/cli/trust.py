"""The verb trust: the SSH keys of an environment's hosts, shown and recorded."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any

import typer

from llmdeploy.cli.session import Outcome, Session
from llmdeploy.errors import Exit, LlmdeployError, UsageError

if TYPE_CHECKING:
    from pathlib import Path

    from llmdeploy.cluster.access import Access
    from llmdeploy.cluster.hostkeys import HostKey

Offers = dict[str, "HostKey | LlmdeployError"]


def trust(
    session: Session,
    yes: Annotated[bool, typer.Option("--yes", "-y", help="Record new keys without asking.")] = False,
    replace: Annotated[
        bool, typer.Option("--replace", help="Take the new key of a host whose key has changed, too.")
    ] = False,
) -> Outcome:
    """Show the fingerprint of every host's SSH key, and record those that are new in environments/ENV.known_hosts.

    Compare them with what the hosts themselves say: ssh-keygen -lf /etc/ssh/ssh_host_ed25519_key.pub. The file belongs
    to the project: commit it, and nobody has to connect by hand first. A key that changes later stops every command.
    """
    from llmdeploy.cli.asking import agreed
    from llmdeploy.cli.connection import connect
    from llmdeploy.cluster import hostkeys
    from llmdeploy.view import show_outcome

    outline = session.outline()
    file = session.project.known_hosts(outline.name)
    with connect(session, outline) as connection:
        offers = _offers([one for one in connection.accesses.values() if not one.local], connection.path)
    known = hostkeys.recorded(file)
    rows = [_row(name, offer, known) for name, offer in offers.items()]
    _refuse_changed(session, rows, replace=replace)
    fresh = [offer for offer in offers.values() if isinstance(offer, hostkeys.HostKey) and offer not in known]
    data: dict[str, Any] = {"environment": outline.name, "file": str(file.relative_to(session.project.root))}
    data |= {"hosts": rows, "recorded": 0}
    if fresh and not yes:
        if not session.can_ask:
            hint = f"compare the fingerprints, then: llmdeploy {session.command} --yes"
            raise UsageError(f"{_count(fresh)} not recorded yet, and there is nobody to ask", hint=hint, details=data)
        show_outcome(session.command, "trust", data, json=False)
        if not agreed(f"Are these the hosts' own? Record {_count(fresh)} in {data['file']}?"):
            raise UsageError("not confirmed; nothing was recorded")
    if fresh:
        hostkeys.record(file, fresh)
    away = [row for row in rows if row["state"] == "unreachable"]
    errors = [{"message": row["detail"], "hint": ""} for row in away]
    code = Exit.UNREACHABLE if away else Exit.DONE
    return Outcome("trust", {**data, "recorded": len(fresh)}, exit_code=code, errors=errors)


def _offers(accesses: list[Access], folder: Path) -> Offers:
    from llmdeploy.cluster.hostkeys import offer
    from llmdeploy.cluster.remote import on_all

    return dict(on_all(accesses, lambda access: offer(access, folder)))


def _row(host: str, offer: HostKey | LlmdeployError, known: list[HostKey]) -> dict[str, Any]:
    from llmdeploy.cluster.hostkeys import state

    row = {"name": host, "address": "", "kind": "", "fingerprint": "", "state": "unreachable", "detail": ""}
    if isinstance(offer, LlmdeployError):
        return {**row, "detail": offer.message}
    row |= {"address": offer.name, "kind": offer.kind.removeprefix("ssh-"), "fingerprint": offer.fingerprint}
    before = [one.fingerprint for one in known if one.name == offer.name]
    found = state(offer, known)
    return {**row, "state": found, "detail": f"was {', '.join(before)}" if found == "changed" else ""}


def _refuse_changed(session: Session, rows: list[dict[str, Any]], *, replace: bool) -> None:
    """Raises LlmdeployError with every host that shows another key than the one recorded."""
    changed = [row for row in rows if row["state"] == "changed"]
    if not changed or replace:
        return
    said = "{name} ({address}): the host key has changed: {fingerprint}, {detail}"
    hint = f"find out who answers there; if the host was set up anew: llmdeploy {session.command} --replace"
    raise LlmdeployError("\n".join(said.format(**row) for row in changed), hint=hint, details={"hosts": rows})


def _count(keys: list[HostKey]) -> str:
    return "1 key" if len(keys) == 1 else f"{len(keys)} keys"
