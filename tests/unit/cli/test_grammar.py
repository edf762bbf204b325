"""Environment first, then the action; what is mistyped gets the nearest names, exit code 2."""

from __future__ import annotations

from pathlib import Path

import pytest

from llmdeploy.cli.grammar import action_first
from tests.unit.cli.conftest import Call, spawn


@pytest.mark.parametrize(
    ("words", "message", "hint"),
    [
        (["stagin", "plan"], "no environment or command 'stagin'", "did you mean staging?"),
        (["prod", "deploy"], "no environment or command 'prod'", "did you mean production?"),
        (["valdate"], "no environment or command 'valdate'", "dev, production, staging, init"),
        (["intt"], "no environment or command 'intt'", "did you mean init?"),
        (["dev", "deplyo"], "no action 'deplyo'", "did you mean deploy?"),
        (["dev", "xyz"], "no action 'xyz'", "deploy, plan, update, rollback, scale, abort, verify, status, history"),
        (["dev", "--limit-time", "3s", "deploy"], "the action comes before its options", "actions: deploy"),
        (["dev", "plan", "--jsn"], "No such option: --jsn", "--json"),
        (["dev", "deploy", "extra"], "unexpected extra argument", "llmdeploy dev deploy -h"),
        (["dev", "deploy", "--on-interrupt", "perhaps"], "'perhaps' is not one of 'abort', 'detach'", ""),
        (["dev", "validate", "--set"], "--set", "requires an argument"),
        (["schema", "catalog"], "'catalog' is not one of 'catalogue', 'environment'", ""),
        (["dev"], "Usage: llmdeploy dev", "deploy"),
    ],
)
def test_what_is_mistyped_is_named(call: Call, project: Path, words: list[str], message: str, hint: str) -> None:
    said = call(*words)
    assert said.code == 2
    assert message in said.err
    assert hint in said.err
    assert not said.out


def test_the_environment_comes_first(call: Call, project: Path) -> None:
    assert call("dev", "validate").code == 0
    said = call("validate", "dev")
    assert said.code == 2
    assert "no environment or command 'validate'" in said.err


def test_every_place_for_common_options(
    call: Call, project: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    for words in (
        ["dev", "validate", "--json", "--project", project],
        ["--project", project, "dev", "validate", "--json"],
        ["dev", "--json", f"--project={project}", "validate"],
        ["--json", f"--project={project}", "dev", "validate"],
    ):
        said = call(*words)
        assert said.code == 0, said
        assert said.envelope["command"] == "dev validate"


def test_options_before_the_action_are_moved_behind_it_in_order() -> None:
    moved = action_first(["-q", "--set", "a=1", "dev", "--project=x", "deploy", "--set", "b=2", "--yes"])
    assert moved == ["dev", "deploy", "-q", "--set", "a=1", "--project=x", "--set", "b=2", "--yes"]
    assert action_first(["--version"]) == ["--version"]
    assert action_first(["init", "here", "--json"]) == ["init", "here", "--json"]
    assert action_first(["dev", "deploy", "--message", "--json"]) == ["dev", "deploy", "--message", "--json"]


def test_the_project_is_found_above_by_variable_and_by_option(
    call: Call, project: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    below = project / "a" / "b"
    below.mkdir(parents=True)
    monkeypatch.chdir(below)
    assert call("environments", "--json").envelope["data"]["project"] == str(project)
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("LLMDEPLOY_PROJECT_DIR", str(project))
    assert call("dev", "validate").code == 0
    said = call("dev", "validate", "--project", tmp_path)  # the option beats the variable
    assert said.code == 2
    assert "--project: no project in" in said.err


@pytest.mark.parametrize("words", [["dev", "deploy"], ["whatever", "plan"], ["environments"]])
def test_without_a_project_the_way_to_one_is_told(
    call: Call, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, words: list[str]
) -> None:
    monkeypatch.delenv("LLMDEPLOY_PROJECT_DIR", raising=False)
    monkeypatch.chdir(tmp_path)
    said = call(*words)
    assert said.code == 2
    assert "no project here" in said.err
    assert "Hint: make one: llmdeploy init" in said.err


def test_a_variable_that_names_no_project_is_told(call: Call, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LLMDEPLOY_PROJECT_DIR", str(tmp_path / "none"))
    said = call("dev", "plan")
    assert said.code == 2
    assert "LLMDEPLOY_PROJECT_DIR: no project in" in said.err


def test_an_environment_without_its_file_is_one_all_the_same(call: Call, project: Path) -> None:
    (project / "inventory" / "lab.yml").write_text("app: {hosts: {a: {ansible_connection: local}}}\n")
    said = call("lab", "validate")
    assert said.code == 3
    assert "environments/lab.yml" in said.err


def complete(project: Path, typed: str, words: int) -> list[str]:
    said = spawn(
        cwd=project, _LLMDEPLOY_COMPLETE="complete_bash", COMP_WORDS=f"llmdeploy {typed}", COMP_CWORD=str(words)
    )
    assert said.code == 0, said
    assert not said.err
    return said.out.split()


def test_completion_knows_environments_actions_and_options(project: Path) -> None:
    assert complete(project, "", 1) == ["init", "environments", "schema", "dev", "production", "staging"]
    assert complete(project, "st", 1) == ["staging"]
    assert complete(project, "staging ", 2)[:4] == ["deploy", "plan", "update", "rollback"]
    assert complete(project, "staging ver", 2) == ["verify"]
    assert complete(project, "staging deploy --on", 3) == ["--on-interrupt"]
    assert complete(project, "staging deploy --on-interrupt ", 4) == ["abort", "detach"]


def test_completion_of_an_unknown_environment_stays_calm(project: Path) -> None:
    assert "deploy" in complete(project, "unknown ", 2)


def test_completion_follows_the_project_option(project: Path, tmp_path: Path) -> None:
    said = spawn(
        cwd=tmp_path, _LLMDEPLOY_COMPLETE="complete_bash", COMP_WORDS=f"llmdeploy --project {project} ", COMP_CWORD="3"
    )
    assert said.code == 0
    assert "production" in said.out.split()
