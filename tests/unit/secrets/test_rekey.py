"""Another password for all files, or for none."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from llmdeploy.errors import ConfigError, LlmdeployError, SecretsError
from llmdeploy.project import Project
from llmdeploy.secrets.password import Password
from llmdeploy.secrets.rekey import rekey
from tests.unit.secrets.conftest import PEM, RIGHT, WRONG, vault_of

NEW = Password(b"new horse", "a test")


@pytest.fixture
def two(project: Project) -> Project:
    for name in ("dev", "production"):
        vault_of(project, name).write_text(f"# of {name}\nkey: {name} key\n")
    return project


def contents(project: Project) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in (project.root / "environments").iterdir()}


def test_all_files_have_the_new_one(two: Project) -> None:
    assert rekey(two, RIGHT, NEW) == ["environments/dev.secrets.yml", "environments/production.secrets.yml"]
    for name in ("dev", "production"):
        assert vault_of(two, name, NEW).text() == f"# of {name}\nkey: {name} key\n"
        with pytest.raises(SecretsError):
            vault_of(two, name).read()
        assert two.secrets_file(name).stat().st_mode & 0o777 == 0o600
    assert len(contents(two)) == 2


def test_one_that_does_not_open_leaves_all(two: Project) -> None:
    vault_of(two, "staging", WRONG).change(lambda _: {"key": PEM})
    before = contents(two)
    with pytest.raises(SecretsError) as caught:
        rekey(two, RIGHT, NEW)
    assert "nothing was changed: environments/staging.secrets.yml does not open" in caught.value.message
    assert contents(two) == before


@pytest.mark.parametrize("damage", ["plain", "open"])
def test_one_that_is_not_safe_leaves_all(two: Project, damage: str) -> None:
    file = two.secrets_file("dev")
    if damage == "plain":
        file.write_text("key: hunter2\n")
    else:
        file.chmod(0o644)
    before = contents(two)
    with pytest.raises(ConfigError) as caught:
        rekey(two, RIGHT, NEW)
    assert "hunter2" not in str(vars(caught.value))
    assert contents(two) == before


@pytest.mark.parametrize("failing", [1, 2])
def test_a_disk_that_fails_leaves_all(two: Project, monkeypatch: pytest.MonkeyPatch, failing: int) -> None:
    before, real, moves = contents(two), os.replace, iter(range(1, 9))

    def failing_once(source: Path, target: Path) -> None:
        if next(moves) == failing:
            raise OSError(5, "Input/output error")
        real(source, target)

    monkeypatch.setattr(os, "replace", failing_once)
    with pytest.raises(LlmdeployError, match="nothing was changed"):
        rekey(two, RIGHT, NEW)
    assert contents(two) == before
    for name in ("dev", "production"):
        assert vault_of(two, name).read() == {"key": f"{name} key"}


def test_without_a_file_there_is_nothing_to_do(project: Project) -> None:
    assert rekey(project, RIGHT, NEW) == []
