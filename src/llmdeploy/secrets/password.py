"""The password of the secrets files, and the four ways to give it."""

from __future__ import annotations

import os
import stat
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from llmdeploy.errors import SecretsError, UsageError
from llmdeploy.secrets import git
from llmdeploy.secrets.programs import PASSWORD_VARIABLE, output_of
from llmdeploy.secrets.terminal import Ask, ask_twice

FILE_VARIABLE = "LLMDEPLOY_VAULT_PASSWORD_FILE"
KEPT = ".vault-password"
QUESTION = "password of the secrets: "
WAYS = f"""\
there is no password for the secrets of this project. It is taken from the first of these:
  {FILE_VARIABLE}: a file with it, or a program that prints it (a keychain, a password manager)
  {PASSWORD_VARIABLE}: the password itself, in CI
  {KEPT} in the project's folder: a file that only you may read, and that git ignores
  a question, on a terminal"""
_LIMIT = 64 * 1024


@dataclass(frozen=True)
class Password:
    """The password, and where it came from, for messages."""

    value: bytes = field(repr=False)
    source: str


_typed: dict[Path, Password] = {}  # a person is asked once in the life of the command


def find_password(root: Path, environ: Mapping[str, str], ask: Ask | None, *, new: bool = False) -> Password:
    """The password of the project in `root`: from a file or program that a variable names, the variable itself, the
    file in the project, else a person (`ask`, None where there is nobody; twice for a `new` file).

    Raises SecretsError when there is none or its file must not be used, UsageError when what is typed will not do.
    """
    if environ.get(FILE_VARIABLE):
        return _of_file(Path(environ[FILE_VARIABLE]).expanduser().absolute(), FILE_VARIABLE)
    if environ.get(PASSWORD_VARIABLE):
        return _something(os.fsencode(environ[PASSWORD_VARIABLE]).strip(b"\r\n"), PASSWORD_VARIABLE)
    kept = root / KEPT
    if os.path.lexists(kept):
        return _kept(kept)
    if ask is None:
        raise SecretsError(WAYS, hint=f"export {FILE_VARIABLE}=FILE")
    if root not in _typed:
        _typed[root] = new_password("a password for the secrets: ", ask) if new else _of_person(ask(QUESTION))
    return _typed[root]


def new_password(question: str, ask: Ask) -> Password:
    """A password that a person types twice. Raises UsageError when it is empty, or not the same the second time."""
    return _of_person(ask_twice(question, ask))


def _of_person(text: str) -> Password:
    if not text:
        raise UsageError("the password is empty")
    return Password(text.encode("utf-8", "surrogateescape"), "the terminal")


def password_of_file(path: Path, option: str) -> Password:
    """The password in a file that an option names, or that the program in it prints. Raises SecretsError."""
    return _of_file(path.expanduser().absolute(), option)


def _of_file(path: Path, named: str) -> Password:
    source = f"{named} ({path})"
    mode = _mode(path, source)
    if stat.S_ISREG(mode) and os.access(path, os.X_OK):
        value = output_of([str(path)], source, cwd=path.parent).strip(b"\r\n")
    else:
        _refuse_open(path, mode)
        value = _content(path, source)
    return _something(value, source)


def _kept(path: Path) -> Password:
    mode = _mode(path, KEPT)
    _refuse_open(path, mode)
    if mode & 0o111:
        # Else the text of a program would be taken for the password.
        why = f"{KEPT} is a program; it must be the password itself"
        raise SecretsError(why, hint=f"{FILE_VARIABLE} takes programs")
    if not git.is_left_out(path):
        raise SecretsError(
            f"{KEPT} is not ignored by git: one `git add` would publish it",
            hint=f"echo {KEPT} >> .gitignore; and where git has it already: git rm --cached {KEPT}",
        )
    return _something(_content(path, KEPT), KEPT)


def _something(value: bytes, source: str) -> Password:
    if not value:
        raise SecretsError(f"{source} gives no password: it is empty")
    return Password(value, source)


def _mode(path: Path, source: str) -> int:
    try:
        return path.stat().st_mode
    except OSError as error:
        raise SecretsError(f"{source} cannot be read: {error.strerror}") from None


def _refuse_open(path: Path, mode: int) -> None:
    """A pipe of the shell, `<(…)`, is nobody else's whatever its mode is."""
    if stat.S_ISREG(mode) and mode & 0o077:
        raise SecretsError(
            f"others may read the password file {path} (mode {stat.S_IMODE(mode):04o})", hint=f"chmod 600 {path}"
        )


def _content(path: Path, source: str) -> bytes:
    try:
        with path.open("rb") as stream:
            data = stream.read(_LIMIT + 1)
    except OSError as error:
        raise SecretsError(f"{source} cannot be read: {error.strerror}") from None
    if len(data) > _LIMIT:
        raise SecretsError(f"{source} is larger than {_LIMIT // 1024} KB; this is no password")
    return data.strip()  # as ansible-vault takes it
