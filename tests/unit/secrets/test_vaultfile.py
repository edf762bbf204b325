"""The encrypted file of an environment: made, read, changed; and when it is not safe."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from llmdeploy.errors import ConfigError, Exit, SecretsError
from llmdeploy.project import Project
from llmdeploy.secrets import vaultfile
from llmdeploy.secrets.password import Password
from llmdeploy.secrets.vault import encrypt
from llmdeploy.secrets.vaultfile import VaultFile
from tests.unit.secrets.conftest import PEM, RIGHT, WRONG, vault_of


def test_made_read_and_changed(vault: VaultFile, project: Project) -> None:
    assert (vault.name, vault.exists, vault.read()) == ("environments/dev.secrets.yml", False, {})
    vault.change(lambda _: {"a": "1", "key": PEM})
    assert vault.path.stat().st_mode & 0o777 == 0o600
    assert vault.path.read_bytes().startswith(b"$ANSIBLE_VAULT;1.1;AES256\n")
    assert vault_of(project).read() == {"a": "1", "key": PEM}
    vault.change(lambda values: {**values, "a": "2"})
    assert vault_of(project).read() == vault.read() == {"a": "2", "key": PEM}
    assert [path.name for path in (project.root / "environments").iterdir()] == ["dev.secrets.yml"]


def test_an_empty_file_is_made_and_nothing_is_written_twice(vault: VaultFile, project: Project) -> None:
    vault.change(lambda _: {})
    before = vault.path.read_bytes()
    vault.change(lambda values: values)
    vault_of(project).change(lambda values: values)
    assert vault.path.read_bytes() == before


@settings(max_examples=15, suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None)
@given(st.text(st.characters(exclude_categories=["Cs"])))
def test_any_value_comes_back(project: Project, value: str) -> None:
    vault_of(project).change(lambda _: {"a": value})
    assert vault_of(project).read() == {"a": value}


def test_no_plain_text_is_ever_in_the_folder(vault: VaultFile, monkeypatch: pytest.MonkeyPatch) -> None:
    """Not before the file is there, not beside it, not after a failure."""
    folder, real, failing = vault.path.parent, os.replace, False

    def looked_at() -> None:
        for path in folder.iterdir():
            assert path.read_bytes().startswith(b"$ANSIBLE_VAULT")
            assert path.stat().st_mode & 0o077 == 0

    def watched(source: Path, target: Path) -> None:
        looked_at()
        if failing:
            raise OSError(5, "Input/output error")
        real(source, target)

    monkeypatch.setattr(os, "replace", watched)
    vault.change(lambda _: {"a": "plain text"})
    failing = True
    with pytest.raises(SecretsError, match=r"cannot write dev\.secrets\.yml"):
        vault.change(lambda _: {"a": "plain text", "b": "more plain text"})
    looked_at()
    assert [path.name for path in folder.iterdir()] == ["dev.secrets.yml"]


def test_the_password_is_asked_when_it_is_needed_and_once(project: Project) -> None:
    asked: list[bool] = []

    def give(new: bool) -> Password:
        asked.append(new)
        return RIGHT

    first = VaultFile(project, "dev", give)
    assert first.read() == {}
    assert asked == []
    first.unlock()
    first.change(lambda _: {"a": "1"})
    first.write_text("a: '2'\n")
    assert asked == [True]
    second = VaultFile(project, "dev", give)
    assert second.read() == second.read() == {"a": "2"}
    second.change(lambda _: {"a": "3"})
    assert asked == [True, False]


def test_a_wrong_password_changes_nothing(vault: VaultFile, project: Project) -> None:
    vault.change(lambda _: {"a": "1"})
    before = vault.path.read_bytes()
    for use in (VaultFile.read, lambda file: file.change(lambda _: {}), VaultFile.unlock):
        with pytest.raises(SecretsError, match="does not open with the password from another test"):
            use(vault_of(project, password=WRONG))
    assert vault.path.read_bytes() == before


def test_somebody_else_meanwhile(vault: VaultFile, project: Project) -> None:
    vault.change(lambda _: {"a": "1"})
    text = vault.text()
    other = vault_of(project)
    other.change(lambda values: {**values, "b": "2"})
    with pytest.raises(SecretsError, match="changed by somebody else meanwhile; nothing was written"):
        vault.write_text(text + "c: '3'\n")
    vault.change(lambda values: {**values, "c": "3"})  # this one reads anew
    assert vault_of(project).read() == {"a": "1", "b": "2", "c": "3"}


def test_comments_stay_until_a_value_is_changed(vault: VaultFile, project: Project) -> None:
    vault.write_text("# why\na: x\n")
    assert vault_of(project).text() == "# why\na: x\n"


def test_what_would_not_open_again_is_not_written(vault: VaultFile, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(vaultfile, "encrypt", lambda text, password: encrypt(text[:-1], password))
    with pytest.raises(SecretsError, match="nothing was written"):
        vault.change(lambda _: {"a": "1"})
    assert not vault.exists


@pytest.mark.parametrize("mode", [0o640, 0o604, 0o620, 0o601, 0o666])
def test_others_may_not_read_it(vault: VaultFile, project: Project, mode: int) -> None:
    vault.change(lambda _: {"a": "1"})
    vault.path.chmod(mode)
    with pytest.raises(ConfigError) as caught:
        vault_of(project).read()
    (problem,) = caught.value.problems
    assert caught.value.exit_code == Exit.CONFIG
    assert (problem.file, problem.hint) == (vault.name, f"chmod 600 {vault.name}")
    assert f"{mode:04o}" in problem.why


def test_a_plain_file_is_refused_with_all_that_is_wrong(vault: VaultFile) -> None:
    vault.path.write_text("a: hunter2\n")
    vault.path.chmod(0o644)
    with pytest.raises(ConfigError) as caught:
        vault.read()
    assert [problem.why for problem in caught.value.problems] == ["is not encrypted", "others may read it (mode 0644)"]
    assert "hunter2" not in str(vars(caught.value))
    assert f"ansible-vault encrypt {vault.name}" in caught.value.problems[0].hint


def git(folder: Path, *words: str) -> None:
    settings = ["-c", "user.name=a", "-c", "user.email=a@b", "-c", "init.defaultBranch=main"]
    subprocess.run(["git", *settings, *words], cwd=folder, check=True, capture_output=True, timeout=30)


def test_a_plain_version_in_git_is_refused(vault: VaultFile, project: Project, monkeypatch: pytest.MonkeyPatch) -> None:
    def why() -> list[str]:
        with pytest.raises(ConfigError) as caught:
            vault_of(project).read()
        assert "hunter2" not in str(vars(caught.value))
        return [problem.why for problem in caught.value.problems]

    git(project.root, "init")
    encrypted = encrypt("a: b\n", RIGHT)
    vault.path.write_text("a: hunter2\n")
    git(project.root, "add", ".")
    vault.path.write_bytes(encrypted)
    vault.path.chmod(0o600)
    assert why() == ["is in git's index unencrypted"]
    git(project.root, "commit", "-m", "oh")
    assert why() == ["is in git's index unencrypted", "is in the last commit unencrypted"]
    monkeypatch.setenv("GIT_DIR", "/nowhere")  # as a hook of another repository would have it
    assert len(why()) == 2
    monkeypatch.delenv("GIT_DIR")
    git(project.root, "add", ".")
    assert why() == ["is in the last commit unencrypted"]
    git(project.root, "commit", "-m", "encrypted")
    assert vault_of(project).read() == {"a": "b"}


def test_without_git_nothing_is_known_and_nothing_refused(
    vault: VaultFile, project: Project, monkeypatch: pytest.MonkeyPatch
) -> None:
    vault.change(lambda _: {"a": "1"})
    monkeypatch.setenv("PATH", str(project.root))
    assert vault_of(project).read() == {"a": "1"}
