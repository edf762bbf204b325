"""Values out of their stores, or everything that is in the way."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from llmdeploy.config.models import Secret
from llmdeploy.errors import ConfigError, Problem, SecretsError
from llmdeploy.project import Project
from llmdeploy.secrets import gather, programs, terminal
from llmdeploy.secrets.programs import PASSWORD_VARIABLE
from llmdeploy.secrets.states import rows, undeclared
from llmdeploy.secrets.stores import stores_of
from llmdeploy.secrets.vaultfile import VaultFile
from tests.unit.secrets.conftest import RIGHT, vault_of


def declare(**secrets: dict[str, Any]) -> dict[str, Secret]:
    return {name: Secret(**fields) for name, fields in secrets.items()}


def problems(call: Callable[[], object]) -> list[Problem]:
    with pytest.raises(ConfigError) as caught:
        call()
    assert "hunter2" not in str(vars(caught.value)) + "".join(map(str, caught.value.problems))
    return caught.value.problems


@pytest.fixture(autouse=True)
def password(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(PASSWORD_VARIABLE, RIGHT.value.decode())


def test_every_store(project: Project, vault: VaultFile, monkeypatch: pytest.MonkeyPatch) -> None:
    vault.change(lambda _: {"a": "of the file", "tls": "key", "tls.crt": "certificate", "unwanted": "x"})
    monkeypatch.setenv("OF_CI", "of the variable")
    declared = declare(
        a={}, tls={"kind": "certificate"}, b={"command": ["printf", "of the program\n\n"]}, c={"variable": "OF_CI"}
    )
    assert gather(project, "dev", declared, ["c", "tls.crt", "b", "a", "a"]) == {
        "c": "of the variable", "tls.crt": "certificate", "b": "of the program\n", "a": "of the file",
    }  # fmt: skip


def test_the_file_is_opened_only_for_what_is_in_it(project: Project, monkeypatch: pytest.MonkeyPatch) -> None:
    (project.root / "environments" / "dev.secrets.yml").write_text("not encrypted")
    monkeypatch.delenv(PASSWORD_VARIABLE)
    monkeypatch.setenv("X", "of the variable")
    declared = declare(a={}, b={"variable": "X"}, c={"command": ["false"]})
    assert gather(project, "dev", declared, ["b"]) == {"b": "of the variable"}
    assert gather(project, "dev", declared, []) == {}
    problem = problems(lambda: gather(project, "dev", declared, ["a"]))[0]
    assert problem.why == "is not encrypted"


def test_no_password_and_nobody_to_ask(project: Project, vault: VaultFile, monkeypatch: pytest.MonkeyPatch) -> None:
    vault.change(lambda _: {"a": "1"})
    monkeypatch.delenv(PASSWORD_VARIABLE)
    monkeypatch.setattr("sys.stdin", None)
    assert terminal.terminal() is None
    with pytest.raises(SecretsError, match="there is no password"):
        gather(project, "dev", declare(a={}), ["a"])


def test_everything_that_is_missing_at_once(
    project: Project, vault: VaultFile, monkeypatch: pytest.MonkeyPatch
) -> None:
    vault.change(lambda _: {"holder": "changeme", "tls": "hunter2 is fine", "nul": "hunter2\0", "empty": " "})
    monkeypatch.setenv("BAD", "todo")
    declared = declare(
        gone={}, people={"kind": "given"}, holder={}, tls={"kind": "certificate"}, nul={}, empty={"kind": "given"},
        failing={"command": ["sh", "-c", "echo hunter2; echo locked >&2; exit 4"]}, nothing={"command": ["true"]},
        unset={"variable": "UNSET"}, bad={"variable": "BAD"}, pair={"kind": "key-pair", "variable": "BAD"},
    )  # fmt: skip
    wanted = [*declared, "tls.crt", "pair.pub", "strange", "gone.pub"]
    users = {"gone": ["web", "api"]}
    found = {
        problem.path: problem
        for problem in problems(
            lambda: gather(project, "dev", declared, wanted, users=users, places={"unset": ("environments/dev.yml", 7)})
        )
    }
    assert {path: (problem.file, problem.why, problem.hint) for path, problem in found.items()} == {
        "gone": (
            vault.name,
            "has no value; it is given to web, api",
            "llmdeploy dev secrets init makes one; llmdeploy dev secrets set gone takes yours",
        ),
        "people": (vault.name, "has no value", "llmdeploy dev secrets set people"),
        "holder": (
            vault.name,
            "the value is a placeholder or a well-known default",
            "llmdeploy dev secrets rotate holder makes one; llmdeploy dev secrets set holder takes yours",
        ),
        "nul": (
            vault.name,
            "the value has a NUL byte in it",
            "llmdeploy dev secrets rotate nul makes one; llmdeploy dev secrets set nul takes yours",
        ),
        "empty": (vault.name, "the value is empty", "llmdeploy dev secrets set empty"),
        "secrets.failing.command": (CATALOGUE, "secret failing: `sh` ended with exit code 4: locked", ""),
        "secrets.nothing.command": (
            CATALOGUE, "the value is empty", "run the command by hand to see what it prints",
        ),
        "secrets.unset.variable": ("environments/dev.yml", "the variable UNSET is not set", "export UNSET=…"),
        "secrets.bad.variable": (
            CATALOGUE, "the value is a placeholder or a well-known default", "export BAD=…",
        ),
        "secrets.pair.variable": (
            CATALOGUE, "the value is a placeholder or a well-known default", "export BAD=…",
        ),
        "tls.crt": (
            vault.name,
            "has no value",
            "llmdeploy dev secrets rotate tls makes one; llmdeploy dev secrets set tls.crt takes yours",
        ),
        "secrets.pair.pub.variable": (
            CATALOGUE,
            "a variable gives one value, that of pair",
            "declare a secret of its own for it, of kind `given`, with its variable",
        ),
        "secrets.strange": (CATALOGUE, "nobody declares a secret strange", ""),
        "secrets.gone.pub": (CATALOGUE, "nobody declares a secret gone.pub", ""),
    }  # fmt: skip
    assert found["secrets.unset.variable"].line == 7


CATALOGUE = "inventory/group_vars/all.yml"


def run(project: Project, *command: str, **others: dict[str, Any]) -> str:
    return gather(project, "dev", declare(a={"command": [*command]}, **others), ["a"])["a"]


def test_a_program_runs_in_the_project_without_a_shell_and_without_our_secrets(
    project: Project, program: Callable[..., Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("OF_CI", "hunter2")
    monkeypatch.setenv("TOKEN_OF_THE_MANAGER", "needed")
    assert run(project, "echo", "$HOME; `id`") == "$HOME; `id`"
    assert run(project, "pwd") == str(project.root)
    program("env", "show")
    said = run(project, "./show", b={"variable": "OF_CI"})
    assert "TOKEN_OF_THE_MANAGER=needed" in said
    assert "hunter2" not in said
    assert RIGHT.value.decode() not in said


def test_a_program_does_not_read_what_is_meant_for_us(project: Project) -> None:
    reading, writing = os.pipe()
    os.write(writing, b"meant for us\n")
    os.close(writing)
    saved = os.dup(0)
    try:
        os.dup2(reading, 0)
        assert run(project, "sh", "-c", "cat; echo end") == "end"
    finally:
        os.dup2(saved, 0)
        os.close(saved)
        os.close(reading)


@pytest.mark.parametrize(
    ("command", "why"),
    [
        (["/none/such"], "secret a: `/none/such` cannot be run: No such file or directory"),
        (["sh", "-c", "printf '\\377hunter2'"], "secret a: what `sh` prints is not UTF-8 text"),
        (["sleep", "20"], "secret a: `sleep` has not ended within 0 s"),
        (["sh", "-c", "sleep 20 & wait"], "secret a: `sh` has not ended within 0 s"),
        (["a\0b"], "cannot be run: not a program"),
    ],
)
@pytest.mark.timeout(10)
def test_a_program_that_gives_nothing(
    project: Project, monkeypatch: pytest.MonkeyPatch, command: list[str], why: str
) -> None:
    monkeypatch.setattr(programs, "DEADLINE", 0.3)
    (problem,) = problems(lambda: run(project, *command))
    assert why in problem.why


def test_only_the_end_of_what_a_program_complains_about(project: Project) -> None:
    (problem,) = problems(lambda: run(project, "sh", "-c", "seq 1 100 >&2; exit 1"))
    assert problem.why.splitlines() == ["secret a: `sh` ended with exit code 1: 96", "97", "98", "99", "100"]


def test_states_without_a_value(project: Project, vault: VaultFile, monkeypatch: pytest.MonkeyPatch) -> None:
    vault.change(lambda _: {"a": "hunter2", "b": "changeme", "tls": "hunter2", "old": "x", "nul": "\0"})
    monkeypatch.setenv("HERE", "hunter2")
    declared = declare(
        a={}, b={}, c={"kind": "given"}, tls={"kind": "certificate"}, nul={},
        d={"variable": "HERE"}, e={"variable": "NOT_HERE"}, f={"command": ["touch", str(project.root / "ran")]},
    )  # fmt: skip
    users = {"tls": ["web"], "tls.crt": ["edge", "web"], "a": ["web"]}
    found = rows(declared, users, stores_of(vault_of(project), declared, os.environ, project.root))
    assert [(row["name"], row["store"], row["state"]) for row in found] == [
        ("a", "file", "set"), ("b", "file", "placeholder"), ("c", "file", "missing"), ("tls", "file", "missing"),
        ("nul", "file", "unusable"), ("d", "variable", "set"), ("e", "variable", "missing"),
        ("f", "command", "not asked"),
    ]  # fmt: skip
    assert found[3]["parts"] == {"tls": "set", "tls.crt": "missing"}
    assert (found[3]["used_by"], found[1]["used_by"]) == (["web", "edge"], [])
    assert "hunter2" not in str(found)
    assert not (project.root / "ran").exists()
    assert undeclared(declared, vault.read()) == ["old"]
