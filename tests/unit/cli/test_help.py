"""Help: what there is, with an example each, quickly."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

from llmdeploy import __version__
from llmdeploy.errors import EXIT_MEANING
from tests.unit.cli.conftest import Call, spawn

ACTIONS = [
    "deploy", "plan", "update", "rollback", "scale", "abort", "verify", "status", "history", "validate", "config",
    "doctor", "attach", "unlock", "prune", "trust",
]  # fmt: skip
COMMANDS = ["init", "environments", "schema"]
HEAVY = [
    "ansible", "ansible_runner", "docker", "jinja2", "rich", "yaml", "requests", "cryptography",
    "llmdeploy.config.models",
]  # fmt: skip
PROGRAM = """
import atexit, os, sys
atexit.register(lambda: os.write(2, ("LOADED " + " ".join(sys.modules)).encode()))
from llmdeploy.cli.main import main
sys.exit(main())
"""


def test_help_shows_examples_actions_commands_environments_and_exit_codes(call: Call, project: Path) -> None:
    said = call("--help")
    assert said.code == 0
    for line in ("llmdeploy dev deploy  ", "llmdeploy production deploy --yes", *ACTIONS, *COMMANDS):
        assert line in said.out
    assert "dev, production, staging" in said.out
    for code, text in EXIT_MEANING.items():
        assert re.search(rf"^ +{int(code)}  {text}$", said.out, re.MULTILINE), text
    assert max(map(len, said.out.splitlines())) <= 80


def test_help_outside_a_project_says_so(call: Call, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("LLMDEPLOY_PROJECT_DIR", raising=False)
    said = call("-h")
    assert said.code == 0
    assert "llmdeploy init" in said.out.split("Environments of this project:")[1]


@pytest.mark.parametrize("words", [*([name] for name in COMMANDS), *(["dev", name] for name in ACTIONS)])
def test_every_command_explains_itself_with_an_example(call: Call, project: Path, words: list[str]) -> None:
    said = call(*words, "--help")
    assert said.code == 0
    assert f"Usage: llmdeploy {' '.join(words)}" in said.out
    example = re.search(r"Example: (llmdeploy [^;]+)", said.out)
    assert example
    assert words[-1] in example[1].split()
    for option in ("--json", "--project", "--set", "--quiet"):
        assert option in said.out


def test_no_command_at_all_shows_the_help(call: Call, project: Path) -> None:
    said = call()
    assert said.code == 2
    assert "Usage: llmdeploy" in said.err


def test_the_version(call: Call) -> None:
    said = call("--version")
    assert (said.code, said.out) == (0, f"llmdeploy {__version__}\n")


COMPLETION = {"_LLMDEPLOY_COMPLETE": "complete_bash", "COMP_WORDS": "llmdeploy dev ", "COMP_CWORD": "2"}


@pytest.mark.parametrize(
    ("words", "variables", "heavy"),
    [
        (["--help"], {}, [*HEAVY, "pydantic"]),
        (["--version"], {}, [*HEAVY, "pydantic"]),
        (["dev", "deploy", "--help"], {}, HEAVY),  # Typer converts options with pydantic itself
        ([], COMPLETION, HEAVY),
        (["dev", "secrets", "set", "--help"], {}, HEAVY),
        (["dev", "swarm", "unlock", "--help"], {}, HEAVY),
        (["dev", "plan", "--jsn"], {}, HEAVY),
        (["stagin", "plan", "--json"], {}, HEAVY),
    ],
)
def test_nothing_heavy_is_loaded_for_it(
    project: Path, words: list[str], variables: dict[str, str], heavy: list[str]
) -> None:
    """In a fresh interpreter, because this one has loaded everything."""
    done = subprocess.run(
        [sys.executable, "-c", PROGRAM, *words],
        cwd=project,
        env={**os.environ, **variables},
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert done.returncode in (0, 2), done.stderr
    loaded = set(done.stderr.rsplit("LOADED", 1)[1].split())
    assert "llmdeploy.cli.main" in loaded
    assert not loaded & set(heavy)


def test_the_installed_command_is_the_entry_point(project: Path) -> None:
    assert spawn("--version").out == f"llmdeploy {__version__}\n"
    assert spawn("staging", "deplyo", cwd=project).code == 2
