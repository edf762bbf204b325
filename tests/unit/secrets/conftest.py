"""A project with a secrets file, without any password of whoever runs the tests."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from llmdeploy.project import Project
from llmdeploy.secrets import password as passwords
from llmdeploy.secrets.password import FILE_VARIABLE, Password
from llmdeploy.secrets.programs import PASSWORD_VARIABLE
from llmdeploy.secrets.vaultfile import VaultFile

RIGHT = Password(b"right horse", "a test")
WRONG = Password(b"wrong horse", "another test")
PEM = "-----BEGIN X-----\nabc=\ndef\n-----END X-----\n"


@pytest.fixture(autouse=True)
def no_password(monkeypatch: pytest.MonkeyPatch) -> None:
    """Neither of the environment, nor of a test before."""
    for name in (FILE_VARIABLE, PASSWORD_VARIABLE):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setattr(passwords, "_typed", {})


@pytest.fixture
def project(tmp_path: Path) -> Project:
    (tmp_path / "environments").mkdir()
    return Project(tmp_path)


@pytest.fixture
def vault(project: Project) -> VaultFile:
    """The file of `dev`, which is not there yet."""
    return vault_of(project)


def vault_of(project: Project, environment: str = "dev", password: Password = RIGHT) -> VaultFile:
    return VaultFile(project, environment, lambda _: password)


@pytest.fixture
def program(tmp_path: Path) -> Callable[..., Path]:
    """Makes an executable of a shell script."""

    def make(script: str, name: str = "program") -> Path:
        path = tmp_path / name
        path.write_text(f"#!/bin/sh\n{script}\n")
        path.chmod(0o700)
        return path

    return make
