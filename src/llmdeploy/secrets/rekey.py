"""Another password for all secrets files of a project at once."""

from __future__ import annotations

from pathlib import Path

from llmdeploy.errors import ConfigError, Problem, SecretsError
from llmdeploy.project import Project
from llmdeploy.secrets import files
from llmdeploy.secrets.password import Password
from llmdeploy.secrets.vault import decrypt
from llmdeploy.secrets.vaultfile import encrypted, refuse_unsafe


def rekey(project: Project, old: Password, new: Password) -> list[str]:
    """Encrypts every secrets file with `new`; the files' names. When one does not open, nothing is written.

    Raises ConfigError for files that are not safe, SecretsError when one does not open or cannot be written.
    """
    if not project.secrets_files():
        return []
    with files.alone(project.root / "environments"):
        texts = _opened(project, old)
        names = {path: _name(project, path) for path in texts}
        files.replace_all({path: encrypted(text, new, names[path]) for path, text in texts.items()})
        for path, text in texts.items():
            if decrypt(files.read(path) or b"", new, names[path]) != text:
                raise SecretsError(f"{names[path]} is not as it was written; look at the disk")
    return list(names.values())


def _opened(project: Project, password: Password) -> dict[Path, str]:
    """Every file's text; or everything that is in the way."""
    texts: dict[Path, str] = {}
    problems: list[Problem] = []
    locked: list[str] = []
    for path in project.secrets_files():
        name = _name(project, path)
        try:
            data = files.read(path) or b""
            refuse_unsafe(path, name, data)
            texts[path] = decrypt(data, password, name)
        except ConfigError as error:
            problems += error.problems
        except SecretsError as error:
            locked.append(error.message)
    if problems:
        raise ConfigError(problems)
    if locked:
        raise SecretsError(
            "nothing was changed: " + "; ".join(locked),
            hint="all files must have one password; a file that nobody needs any more can be moved away",
        )
    return texts


def _name(project: Project, path: Path) -> str:
    return str(path.relative_to(project.root))
