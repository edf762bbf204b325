"""The project folder: where the user's configuration lives, and where our own files are."""

from __future__ import annotations

import os
import re
from dataclasses import dataclass
from pathlib import Path

from llmdeploy.errors import LlmdeployError, UsageError

ENVIRONMENT_NAME = re.compile(r"[a-z0-9][a-z0-9-]*")
_CATALOGUE = Path("inventory", "group_vars", "all.yml")
_SECRETS = ".secrets.yml"
_INVENTORY_SUFFIXES = (".ini", ".yml", ".yaml")


@dataclass(frozen=True)
class Project:
    """A folder with `inventory/` and `environments/`."""

    root: Path

    @property
    def catalogue(self) -> Path:
        """The file that says what runs."""
        return self.root / _CATALOGUE

    def environments(self) -> list[str]:
        """Names of all environments: those with an environment file or an inventory."""
        files = [*_files(self.root / "environments", (".yml",)), *_files(self.root / "inventory", _INVENTORY_SUFFIXES)]
        return sorted({file.stem for file in files if ENVIRONMENT_NAME.fullmatch(file.stem)})

    def environment_file(self, name: str) -> Path:
        """Where the overrides of environment `name` are (the file need not exist)."""
        return self.root / "environments" / f"{name}.yml"

    def secrets_file(self, name: str) -> Path:
        """Where the encrypted secrets of environment `name` are (the file need not exist)."""
        return self.root / "environments" / f"{name}{_SECRETS}"

    def secrets_files(self) -> list[Path]:
        """The encrypted secrets of all environments, also of those that have no other file any more."""
        files = _files(self.root / "environments", (".yml",))
        return sorted(file for file in files if file.name.endswith(_SECRETS))

    def known_hosts(self, name: str) -> Path:
        """Where the SSH keys of the hosts of environment `name` are (the file need not exist)."""
        return self.root / "environments" / f"{name}.known_hosts"

    def authority_file(self, name: str) -> Path:
        """The certificate, without key, of the authority of environment `name`'s edge (the file need not exist)."""
        return self.root / "environments" / f"{name}.authority.crt"

    def inventory_file(self, name: str) -> Path:
        """The inventory of environment `name`: the first of .ini, .yml, .yaml that exists, else .ini."""
        files = self.inventory_files(name)
        return files[0] if files else self.root / "inventory" / f"{name}.ini"

    def inventory_files(self, name: str) -> list[Path]:
        """All inventories of environment `name`; more than one is a mistake."""
        files = [self.root / "inventory" / f"{name}{suffix}" for suffix in _INVENTORY_SUFFIXES]
        return [file for file in files if os.path.lexists(file)]


def _files(folder: Path, suffixes: tuple[str, ...]) -> list[Path]:
    try:
        return [path for path in folder.iterdir() if path.suffix in suffixes]
    except OSError:
        return []


def find_project(start: Path | None = None, explicit: Path | None = None) -> Project:
    """The project to work on: `explicit`, else LLMDEPLOY_PROJECT_DIR, else the nearest one at or above `start`.

    A folder of which only the inventory is left will do where there is no whole project: a rollback needs no more.
    `start` defaults to the current folder. Raises UsageError when there is none.
    """
    variable = os.environ.get("LLMDEPLOY_PROJECT_DIR")
    named = explicit or (Path(variable) if variable else None)
    if named is not None:
        if _is_project(named) or _has_hosts(named):
            return Project(named.resolve())
        whose = "--project" if explicit else "LLMDEPLOY_PROJECT_DIR"
        raise UsageError(
            f"{whose}: no project in {named}: it has no {_CATALOGUE}", hint=f"make one: llmdeploy init {named}"
        )
    begin = (start or Path.cwd()).resolve()
    for will_do in (_is_project, _has_hosts):
        for folder in (begin, *begin.parents):
            if will_do(folder):
                return Project(folder)
    raise UsageError(
        f"no project here: neither {begin} nor a folder above it has {_CATALOGUE}",
        hint="make one: llmdeploy init; or name one: --project DIR",
    )


def _is_project(folder: Path) -> bool:
    return os.path.lexists(folder / _CATALOGUE)


def _has_hosts(folder: Path) -> bool:
    return bool(_files(folder / "inventory", (".ini",)))


def resources() -> Path:
    """The folder of our own playbooks, images and examples: in the installed package, else in the checkout.

    Raises LlmdeployError when neither is there.
    """
    package = Path(__file__).resolve().parent
    data, checkout = package / "_data", package.parent.parent
    if (data / "playbooks").is_dir():
        return data
    if (checkout / "playbooks").is_dir() and (checkout / "pyproject.toml").is_file():
        return checkout
    raise LlmdeployError(
        f"the installation is incomplete: no playbooks in {data}",
        hint="reinstall llmdeploy (zip archives are not supported)",
    )
