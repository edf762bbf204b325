"""The verbs `llmdeploy ENV secrets …` that change whole files: edit, import, rekey."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from llmdeploy.cli.action import action
from llmdeploy.cli.secrets import SECRETS
from llmdeploy.cli.session import Outcome, Session
from llmdeploy.errors import ConfigError, UsageError

if TYPE_CHECKING:
    from llmdeploy.cli.safe import Safe

__all__ = ["SECRETS"]  # with the verbs of this module, too

Replace = Annotated[bool, typer.Option("--replace", help="Also where there is a value already.")]
NewPassword = Annotated[
    Path | None,
    typer.Option("--new-password-file", metavar="FILE", help="A file with it, or a program that prints it."),
]


@action(SECRETS, epilog="Example: EDITOR=nano llmdeploy staging secrets edit")
def edit(session: Session) -> Outcome:
    """Open all values in your editor: $VISUAL, $EDITOR or vi. The text is in memory only, never on a disk."""
    from llmdeploy.cli.safe import open_safe
    from llmdeploy.secrets.editing import memory_folder
    from llmdeploy.secrets.states import undeclared

    safe = open_safe(session)
    memory_folder()  # refused before anything is asked
    safe.file.unlock()
    before, old = safe.file.text(), _readable(safe)
    text, values = _edited(session, safe, before or safe.template())
    if text in (before, safe.template()):
        return safe.outcome({}, notes=["nothing was changed"])
    safe.file.write_text(text)
    made = [name for name in values if name not in old]
    replaced = [name for name, value in values.items() if name in old and old[name] != value]
    removed = [name for name in old if name not in values]
    notes = [f"{name}: nobody declares it, so nobody is given it" for name in undeclared(safe.declared, values)]
    return safe.outcome({"made": made, "replaced": replaced, "removed": removed}, notes=notes, look=True)


def _readable(safe: Safe) -> dict[str, str]:
    """The values there are; none where what is in the file is wrong, for an editor is the way to correct it."""
    try:
        return safe.file.read()
    except ConfigError:
        return {}


def _edited(session: Session, safe: Safe, text: str) -> tuple[str, dict[str, str]]:
    """The text as a person wants it, and the values in it; they may correct what is wrong with it."""
    from llmdeploy.cli.asking import agreed
    from llmdeploy.secrets.editing import edited
    from llmdeploy.secrets.plaintext import parse
    from llmdeploy.view import show_error

    while True:
        text = edited(text, safe.file.path.name, hidden=safe.variables)
        try:
            values = parse(text, safe.file.name)
            safe.refuse_unusable(values)
        except ConfigError as error:
            if not session.can_ask:
                raise
            show_error(session.command, error)
            if not agreed("edit it again? (else what was typed is lost)"):
                raise UsageError("nothing was changed") from None
        else:
            return text, values


@action(SECRETS, name="import", epilog="Example: llmdeploy staging secrets import old.env; rm old.env")
def import_file(
    session: Session,
    file: Annotated[Path, typer.Argument(help="YAML (NAME: value) or KEY=VALUE lines; plain or ansible-vault.")],
    replace: Replace = False,
) -> Outcome:
    """Take values out of another file. Only declared secrets; what has a value keeps it without --replace."""
    from llmdeploy.cli.safe import open_safe
    from llmdeploy.secrets import files, keeping
    from llmdeploy.secrets.checks import HEADER
    from llmdeploy.secrets.importing import imported

    data = files.read(file)
    if data is None:
        raise UsageError(f"there is no file {file}")
    safe = open_safe(session)
    encrypted = data.startswith(HEADER)
    given = imported(safe.decrypted(data, str(file)), str(file), safe.kept_parts())
    fates = keeping.store(safe.file, given, replace=replace)
    following = [] if encrypted else [f"delete {file}: the values in it are not encrypted"]
    notes = ["what has a value was kept; --replace takes the other one"] if fates["kept"] and not replace else []
    return safe.outcome(fates, notes=notes, following=following, look=True)


@action(SECRETS, epilog="Example: llmdeploy staging secrets rekey --new-password-file ~/.new-password")
def rekey(session: Session, new_password_file: NewPassword = None) -> Outcome:
    """Change the password of the secrets files of all environments at once. All of them, or none."""
    from llmdeploy.cli.safe import asking, password_for
    from llmdeploy.config.environment import check_name
    from llmdeploy.secrets.password import new_password, password_of_file
    from llmdeploy.secrets.rekey import rekey as change

    project = session.project
    check_name(project, session.environment)
    if not project.secrets_files():
        return Outcome("secrets-rekeyed", {"files": [], "next": []})
    old, ask = password_for(session), asking(session)
    if new_password_file:
        new = password_of_file(new_password_file, "--new-password-file")
    elif ask is None:
        raise UsageError(
            "there is no terminal to ask for the new password on",
            hint=f"llmdeploy {session.command} --new-password-file FILE",
        )
    else:
        new = new_password("the new password: ", ask)
    if new.value == old.value:
        raise UsageError("the new password is the one that the files have; nothing was changed")
    following = [f"put the new password where the old one is: {old.source}"]
    return Outcome("secrets-rekeyed", {"files": change(project, old, new), "next": following})
