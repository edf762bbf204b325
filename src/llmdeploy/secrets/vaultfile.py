"""The encrypted file with the secrets of one environment."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path

from llmdeploy.errors import ConfigError, SecretsError
from llmdeploy.project import Project
from llmdeploy.secrets import files, git
from llmdeploy.secrets.checks import Facts, of_file
from llmdeploy.secrets.password import Password
from llmdeploy.secrets.plaintext import dump, parse
from llmdeploy.secrets.vault import decrypt, encrypt

# In: whether a file is about to be made (a person is then asked twice). Out: the password.
GivePassword = Callable[[bool], Password]
Values = Mapping[str, str]


class VaultFile:
    """`environments/ENV.secrets.yml`. The password is asked for when it is first opened, not before.

    name    the file as messages call it
    """

    def __init__(self, project: Project, environment: str, give_password: GivePassword) -> None:
        self.path = project.secrets_file(environment)
        self.name = str(self.path.relative_to(project.root))
        self._give_password = give_password
        self._password: Password | None = None
        self._seen: bytes | None = None  # what the file held when it was last read
        self._text = ""
        self._parsed: tuple[str, dict[str, str]] | None = None  # a text, and the values in it

    @property
    def exists(self) -> bool:
        """Whether there is a file."""
        return self.path.exists()

    def read(self) -> dict[str, str]:
        """All values; none where there is no file.

        Raises ConfigError for a file that is not safe or holds something else, SecretsError when it does not open.
        """
        text = self.text()
        if self._parsed is None or self._parsed[0] != text:
            self._parsed = text, parse(text, self.name)
        return self._parsed[1]

    def text(self) -> str:
        """The decrypted text, comments and all. Raises as `read` does, but for what is in it."""
        data = files.read(self.path)
        if data != self._seen:
            self._text = "" if data is None else self._opened(data)
            self._seen = data
        return self._text

    def unlock(self) -> None:
        """Finds the password now, so that nobody types a value first. Raises as `text` does."""
        self.text()
        self._password = self._password or self._give_password(self._seen is None)

    def change(self, change: Callable[[dict[str, str]], Values]) -> None:
        """Puts what `change` makes of the values in their place; nothing is written where that is the same.

        `change` is called while nobody else of us writes. Raises as `read` does, and SecretsError.
        """
        self.unlock()
        with files.alone(self.path.parent):
            before = self.read()
            after = change(dict(before))
            if after != before or self._seen is None:
                self._write(dump(after))

    def write_text(self, text: str) -> None:
        """Puts `text`, which was made from what `text()` gave when it was last called, in its place.

        Raises SecretsError when the file is another one meanwhile.
        """
        self._password = self._password or self._give_password(self._seen is None)
        with files.alone(self.path.parent):
            if files.read(self.path) != self._seen:
                raise SecretsError(f"{self.name} was changed by somebody else meanwhile; nothing was written")
            self._write(text)

    def _opened(self, data: bytes) -> str:
        refuse_unsafe(self.path, self.name, data)
        self._password = self._password or self._give_password(False)
        return decrypt(data, self._password, self.name)

    def _write(self, text: str) -> None:
        assert self._password is not None  # noqa: S101 (for the type checker: unlock() is first)
        data = encrypted(text, self._password, self.name)
        files.replace_all({self.path: data})
        self._text, self._seen = text, data


def encrypted(text: str, password: Password, name: str) -> bytes:
    """The content of a file, after a look whether it opens again. Raises SecretsError."""
    data = encrypt(text, password)
    if decrypt(data, password, name) != text:
        raise SecretsError(f"{name} would not be what it should; nothing was written")
    return data


def refuse_unsafe(path: Path, name: str, data: bytes) -> None:
    """Raises ConfigError when the file is not encrypted, others may read it, or git has it in clear."""
    facts = Facts(data[:64], path.stat().st_mode, {where: text[:64] for where, text in git.versions(path).items()})
    problems = of_file(name, facts)
    if problems:
        raise ConfigError(problems)
