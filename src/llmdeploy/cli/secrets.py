"""The verbs `llmdeploy ENV secrets …`: those that look, and those that change one secret."""  # noqa: A005 (nobody runs it as a top-level module)

from __future__ import annotations

from typing import Annotated

import typer

from llmdeploy.cli.action import LimitTime, Yes, action
from llmdeploy.cli.grammar import verbs
from llmdeploy.cli.options import Message, NoRollback, OnInterrupt, Wait
from llmdeploy.cli.session import Outcome, Session
from llmdeploy.cli.update import update
from llmdeploy.errors import UsageError

EXAMPLES = """\b
Examples:
  llmdeploy dev secrets init                make what can be made
  llmdeploy dev secrets list                what there is, and what is missing
  llmdeploy dev secrets set smtp_password   asks; nobody sees what is typed
  llmdeploy dev secrets set tls < key.pem   out of a file
  llmdeploy dev secrets get db_password     print the value
  llmdeploy dev secrets rotate db_password  a new value, to all that use it
  llmdeploy dev secrets edit                all of them, in your editor
"""

SECRETS = verbs(
    about="The secrets of an environment: values that services are given as files in memory.\n\n"
    "They are declared under `secrets` in the catalogue; their values are in environments/ENV.secrets.yml, encrypted "
    "as ansible-vault does it.",
    short_help="what services are given as secrets: init, list, get, set, …",
    epilog=EXAMPLES,
)

Name = Annotated[str, typer.Argument(metavar="NAME", help="A secret; NAME.pub or NAME.crt for its public half.")]
Rest = Annotated[list[str] | None, typer.Argument(hidden=True)]


@action(SECRETS, epilog="Example: llmdeploy staging secrets init")
def init(session: Session) -> Outcome:
    """Make a value for every secret that can have one made and has none; name those that people must set.

    Never overwrites a value. Makes the file where it is missing, and then asks for its new password twice.
    """
    from llmdeploy.cli.safe import open_safe
    from llmdeploy.secrets import keeping
    from llmdeploy.secrets.names import in_file

    safe = open_safe(session)
    declared = in_file(safe.declared)
    made = keeping.fill(safe.file, declared) if declared else []
    return safe.outcome({"made": made}, look=True)


@action(SECRETS, name="list", epilog="Example: llmdeploy staging secrets list --json")
def list_secrets(session: Session) -> Outcome:
    """List every secret: its kind, where its value is, who is given it, whether it has one. Never shows a value."""
    from llmdeploy.cli.safe import open_safe
    from llmdeploy.secrets.states import undeclared

    safe = open_safe(session)
    rows = safe.rows()
    strangers = undeclared(safe.declared, safe.file.read()) if safe.file.exists else []
    about = {"environment": session.environment, "file": safe.file.name, "undeclared": strangers}
    return Outcome("secrets", {**about, "secrets": rows})


@action(SECRETS, epilog="Example: llmdeploy staging secrets get db_password")
def get(session: Session, name: Name) -> Outcome:
    """Print the value of a secret, and nothing else."""
    from llmdeploy.cli.safe import open_safe

    safe = open_safe(session, name)
    part = safe.part(name)
    return Outcome("secret", {"environment": session.environment, "name": part, "value": safe.value(part)})


@action(
    SECRETS,
    name="set",
    epilog='Example: llmdeploy staging secrets set smtp_password; echo "$TOKEN" | llmdeploy staging secrets set token',
    context_settings={"ignore_unknown_options": True},  # a value may begin with a hyphen, and must not be repeated
)
def set_secret(session: Session, name: Name, rest: Rest = None) -> Outcome:
    """Set the value of a secret: typed twice, unseen; or from standard input (of one line, without its end).

    Never from the command line, which every user of this machine can read, and which the shell writes to its history.
    """
    if rest or "=" in name:
        raise UsageError(
            "secrets set takes the name alone: what stands on a command line can be seen by others. "
            "A value that stood there is no secret any more",
            hint=f"llmdeploy {session.command} NAME asks for the value, or reads it from standard input",
        )
    from llmdeploy.cli.safe import open_safe
    from llmdeploy.secrets import keeping
    from llmdeploy.secrets.terminal import value_of

    safe = open_safe(session, name)
    part = safe.part(name)
    safe.refuse_elsewhere(part)
    safe.file.unlock()
    value = value_of(part, safe.ask)
    safe.refuse_wrong({part: value})
    return safe.outcome(keeping.store(safe.file, {part: value}))


@action(SECRETS, epilog="Example: llmdeploy staging secrets generate db_password")
def generate(session: Session, name: Name) -> Outcome:
    """Print a new value as `init` and `rotate` make them. Stores nothing."""
    from llmdeploy.cli.safe import open_safe
    from llmdeploy.secrets.generate import generate as make

    safe = open_safe(session, name)
    name, secret = safe.generated(name)
    return Outcome("secret", {"environment": session.environment, "name": name, "values": make(name, secret)})


@action(SECRETS, epilog="Example: llmdeploy staging secrets rotate db_password --yes")
def rotate(
    session: Session,
    name: Name,
    store_only: Annotated[
        bool,
        typer.Option("--store-only", help="Store the new value, update nobody: services keep the old one."),
    ] = False,
    yes: Yes = False,
    no_rollback: NoRollback = False,
    message: Message = "",
    wait: Wait = None,
    limit_time: LimitTime = None,
    on_interrupt: OnInterrupt = "abort",
) -> Outcome:
    """Make a new value for a secret, store it, and update exactly the services that are given it.

    A rollback brings the old value back to them, for as long as a release that names it is kept.
    """
    from llmdeploy.cli.asking import refuse_unasked
    from llmdeploy.cli.safe import open_safe
    from llmdeploy.secrets import keeping
    from llmdeploy.secrets.names import users_of

    safe = open_safe(session, name)
    name, secret = safe.generated(name)
    using = users_of(name, secret, safe.users)
    if using and not store_only:
        refuse_unasked(session, confirm=safe.env.confirm, yes=yes)
    made = keeping.store_new(safe.file, name, secret)
    bringing = f"llmdeploy {session.environment} update {' '.join(using)}"
    if store_only or not using:
        return safe.outcome({"replaced": made}, following=[f"{bringing} brings it to the services"] if using else [])
    session.note(f"{name}: a new value is in {safe.file.name}; updating {', '.join(using)}")
    return update(
        session,
        services=using,
        yes=yes,
        no_rollback=no_rollback,
        message=message or f"another {name}",
        wait=wait,
        limit_time=limit_time,
        on_interrupt=on_interrupt,
    )
