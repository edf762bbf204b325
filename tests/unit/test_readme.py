"""Every command in README.md and docs/development.md is run by a test, and what they say is true.

What needs no host runs here, in the order of the README, in a project of its own. What needs hosts, or this very test
run, is listed with the test that runs it; the list is checked against that test's source.
"""

from __future__ import annotations

import ast
import os
import re
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from llmdeploy.cli.grammar import ACTIONS
from llmdeploy.cli.main import app
from llmdeploy.errors import EXIT_MEANING

ROOT = Path(__file__).parents[2]
README = (ROOT / "README.md").read_text()
DEVELOPMENT = (ROOT / "docs" / "development.md").read_text()
DEV, FOUR = "tests/e2e/test_dev.py", "tests/e2e/test_four_hosts.py"
ROLLBACK = "tests/e2e/test_rollback.py"
EDGE, PEOPLE, UPKEEP = "tests/e2e/test_edge.py", "tests/e2e/test_two_people.py", "tests/e2e/test_upkeep.py"
MONITORING = "tests/e2e/test_monitoring.py"
TLS = "tests/e2e/test_tls.py"
SECRETS, INIT = "tests/e2e/test_secrets.py", "test_what_is_generated_is_encrypted_and_what_people_set_is_kept"
HISTORY = "tests/docker/reads/test_history.py"
INTERRUPTS, VARIANTS = "tests/e2e/test_interrupts.py", "tests/e2e/test_variants.py"

# command → the file and the test that run it, and what must stand in that test (or in what it is given)
ELSEWHERE = {
    "./deploy.sh dev deploy": (DEV, "test_the_launcher_does_the_same", '"dev", "deploy"'),
    "llmdeploy dev deploy": (DEV, "deployed", "dev deploy"),
    "llmdeploy dev deploy --full": (DEV, "test_full_skips_nothing_and_still_changes_no_service", "dev deploy --full"),
    "llmdeploy staging deploy": (
        FOUR, "test_an_environment_that_asks_first_and_a_live_view_in_a_terminal", "staging deploy",
    ),
    "llmdeploy staging status": (INTERRUPTS, "test_afterwards_the_stack_is_as_the_files_say", "staging status"),
    "llmdeploy staging history": (HISTORY, "test_every_machine_sees_the_same_history", "dev history --json"),
    "llmdeploy staging history show 12": (HISTORY, "test_one_release_whole", "dev history show 2"),
    "llmdeploy staging history diff 11 12": (HISTORY, "test_two_releases_compared", "dev history diff 1 2"),
    "llmdeploy staging history --dora": (HISTORY, "test_every_machine_sees_the_same_history", "dev history --dora"),
    "llmdeploy staging update": (ROLLBACK, "test_an_update_of_one_service_leaves_the_others", "staging update"),
    "llmdeploy staging update billing": (
        ROLLBACK, "test_an_update_of_one_service_leaves_the_others", "staging update billing",
    ),
    "llmdeploy staging update --image billing=registry.example.com/billing:1.4": (
        ROLLBACK, "test_another_image_until_the_next_deploy", "staging update --image billing=",
    ),
    "llmdeploy staging scale billing=2": (ROLLBACK, "test_scale_and_back", "staging scale billing=2"),
    "llmdeploy staging rollback": (ROLLBACK, "test_a_rollback_goes_to_the_last_good_release", "staging rollback"),
    "llmdeploy staging rollback 12": (ROLLBACK, "test_a_rollback_to_a_number_and_to_where_it_is", "staging rollback 3"),
    "llmdeploy staging abort": (ROLLBACK, "test_abort_with_nothing_under_way", "staging abort"),
    "llmdeploy staging deploy --canary": (
        EDGE, "test_grpc_of_a_service_with_http_health_goes_on_while_it_is_replaced", "staging deploy --canary",
    ),
    "llmdeploy staging unlock --force": (PEOPLE, "test_a_lock_that_is_forced_open_is_recorded", '"unlock", "--force"'),
    "llmdeploy staging prune": (UPKEEP, "test_prune_takes_what_is_ours_and_not_needed", "staging prune"),
    "llmdeploy staging verify": (FOUR, "test_verify_asks_everything", "staging verify"),
    "llmdeploy staging plan --json": (FOUR, "test_plan_shows_a_change_and_makes_none", "staging plan --json"),
    "llmdeploy staging deploy --yes --plain": (
        FOUR, "test_a_second_deploy_changes_nothing", "staging deploy --yes --plain",
    ),
    "llmdeploy staging deploy --ask-become-pass --yes": (
        VARIANTS, "test_a_user_with_a_sudo_password_is_asked_for_it", "staging deploy --ask-become-pass --yes",
    ),
    "llmdeploy staging deploy --limit-time 5m": (INTERRUPTS, "test_a_time_limit_ends_the_release", '"--limit-time"'),
    "llmdeploy staging secrets init": (SECRETS, INIT, "staging secrets init"),
    "llmdeploy staging secrets set smtp_password": (SECRETS, INIT, "staging secrets set"),
    "llmdeploy staging secrets list": (SECRETS, "test_nothing_leaks", "staging secrets list"),
    "llmdeploy staging secrets rotate session_key": (
        SECRETS, "test_a_rotated_secret_rolls_who_uses_it_and_a_rollback_brings_the_old_one_back",
        "staging secrets rotate session",
    ),
    "llmdeploy staging secrets rekey": (SECRETS, "test_another_password", "staging secrets rekey"),
    "llmdeploy staging monitoring": (
        MONITORING, "test_it_comes_up_as_a_release_of_its_own", "staging monitoring",
    ),
    "llmdeploy staging monitoring open": (MONITORING, "test_open_says_where_to_look", "staging monitoring open"),
    "llmdeploy staging monitoring --remove": (
        MONITORING, "test_it_goes_and_its_data_stays_until_somebody_says_so", "staging monitoring --remove",
    ),
    "llmdeploy staging attach": (FOUR, "test_attach_shows_how_the_last_release_ended", "staging attach"),
    "llmdeploy staging tls ca": (TLS, "trusting", "staging tls ca"),
    "llmdeploy staging tls renew": (
        TLS, "test_a_renewal_loses_no_request_and_restarts_no_edge", "staging tls renew",
    ),
    "curl --cacert environments/staging.authority.crt https://EDGE:8000/v1/chat/completions": (
        DEV, "test_a_chat_goes_through_the_whole_chain_and_is_billed", "chat(",
    ),
    # in docs/development.md
    "llmdeploy staging deploy --json > docs/deploy.jsonl": (FOUR, "staging", "staging deploy --yes --json"),
    "python -m tests.lab up": ("tests/lab/test_by_hand.py", "test_up_inventory_ssh_and_down", '"up"'),
    "python -m tests.lab inventory": ("tests/lab/test_by_hand.py", "test_up_inventory_ssh_and_down", "inventory"),
    "python -m tests.lab ssh": ("tests/lab/test_by_hand.py", "test_up_inventory_ssh_and_down", '"ssh"'),
    "python -m tests.lab down": ("tests/lab/test_by_hand.py", "test_up_inventory_ssh_and_down", '"down"'),
}  # fmt: skip
EXPECTED = {"llmdeploy dev plan": (0, 1, 5, 10), "llmdeploy dev doctor": (0, 1)}  # they read this machine as it is


def blocks(text: str, *kinds: str) -> Iterator[tuple[str, str, str]]:
    """Fenced blocks: what stands before, the kind, and the content."""
    position = 0
    for match in re.finditer(r"^```(\w+)\n(.*?)^```$", text, re.MULTILINE | re.DOTALL):
        if match[1] in kinds:
            yield text[position : match.start()], match[1], match[2]
        position = match.end()


def commands(block: str) -> list[str]:
    """The commands of a block, without comments."""
    lines = (re.sub(r"\s+#\s.*$", "", line).strip() for line in block.splitlines())
    return [line for line in lines if line and not line.startswith("#")]


def elsewhere(command: str) -> tuple[str, str, str] | None:
    """The test that runs `command`, if it is in the list: whole, or all of the lab's and curl's by their beginning."""
    for known, where in ELSEWHERE.items():
        prefix = known.startswith(("curl", "python -m tests.lab"))
        if command == known or (prefix and command.startswith(known)):
            return where
    return None


@pytest.fixture(scope="module")
def environ(tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    """Where `llmdeploy` and `python` are those of the tests, and no project is set."""
    clean = {key: value for key, value in os.environ.items() if not key.startswith(("LLMDEPLOY", "GITHUB"))}
    folder = Path(sys.executable).parent
    clean["LLMDEPLOY_VAULT_PASSWORD"] = "of-these-tests-only-4b1d"
    return {**clean, "PATH": f"{folder}:{clean['PATH']}", "XDG_STATE_HOME": str(tmp_path_factory.mktemp("state"))}


def shell(command: str, cwd: Path, environ: dict[str, str]) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        ["bash", "-c", command], cwd=cwd, env=environ, stdin=subprocess.DEVNULL, capture_output=True, text=True,
        timeout=100, check=False,
    )  # fmt: skip


FILE = re.compile(r"`((?:inventory|environments)/[\w./-]+)`")


@pytest.mark.timeout(300)
def test_the_readme_from_top_to_bottom(tmp_path: Path, environ: dict[str, str]) -> None:
    """Commands without hosts, and the files it tells to write, in their order."""
    folder, ran = tmp_path, []
    for before, kind, content in blocks(README, "sh", "yaml", "ini", "console"):
        if "## Four hosts" in before:  # from here on it is about the stack that comes with the package
            shutil.rmtree(folder)
            assert shell(f"llmdeploy init {folder}", tmp_path, environ).returncode == 0
        if kind in ("yaml", "ini"):
            (folder / FILE.findall(before)[-1]).write_text(content)
            continue
        if kind == "console":
            prompt, _, said = content.partition("\n")
            done = shell(prompt.removeprefix("$ "), folder, environ)
            assert (done.stdout + done.stderr).strip() == said.strip()
            continue
        for command in commands(content):
            if command.startswith("cd "):
                folder = folder / command.removeprefix("cd ")
            elif elsewhere(command) is None and command != "./test.sh":
                done = shell(command, folder, environ)
                assert done.returncode in EXPECTED.get(command, (0,)), f"{command}\n{done.stdout}{done.stderr}"
                assert "Traceback" not in done.stderr
                ran.append(command)
            if command == "llmdeploy staging deploy":  # its files are written by now
                assert shell("llmdeploy staging validate", folder, environ).returncode == 0
    assert len(ran) >= 10, ran


@pytest.mark.parametrize("text", [README, DEVELOPMENT], ids=["README.md", "development.md"])
def test_every_other_command_is_run_by_a_test_that_exists(text: str) -> None:
    for _, _, content in blocks(text, "sh"):
        for command in commands(content):
            where = elsewhere(command)
            if where is not None:
                assert_runs(command, *where)
            elif text is DEVELOPMENT:  # of the README's others, each is run above
                assert command.startswith(("./test.sh", "python docs/capture.py ")), command


def assert_runs(command: str, file: str, test: str, text: str) -> None:
    source = (ROOT / file).read_text()
    if test:
        found = [
            node for node in ast.walk(ast.parse(source)) if isinstance(node, ast.FunctionDef) and node.name == test
        ]
        assert found, f"{command}: there is no {test} in {file}"
        source = ast.get_source_segment(source, found[0]) or ""
    assert text in source, f"{command}: {file}::{test} does not run {text!r}"


@pytest.mark.parametrize("name", ["security.md", "RISK_ASSESSMENT.md"])
def test_the_tests_that_a_document_names_exist(name: str) -> None:
    text = (ROOT / "docs" / name).read_text()
    tests = "\n".join(path.read_text() for path in (ROOT / "tests").rglob("test_*.py"))
    named = re.findall(r"`(test_\w+)`", text)
    files = re.findall(r"`(tests/[\w./]+)`", text)
    assert named
    assert files
    assert [one for one in named if f"def {one}(" not in tests] == []
    assert [one for one in files if not (ROOT / one).exists()] == []


def test_nothing_in_the_list_is_forgotten() -> None:
    typed = [
        command for text in (README, DEVELOPMENT) for _, _, block in blocks(text, "sh") for command in commands(block)
    ]
    for known in ELSEWHERE:
        assert any(command.startswith(known) for command in typed), f"{known} is in no document any more"


def test_the_parts_of_the_test_script_exist() -> None:
    script = (ROOT / "test.sh").read_text()
    assert os.access(ROOT / "test.sh", os.X_OK)
    assert os.access(ROOT / "deploy.sh", os.X_OK)
    for part in re.findall(r"\./test\.sh (\w+)", README + DEVELOPMENT):
        assert f"    {part}) " in script, part


def test_commands_of_the_development_guide_that_need_no_host(tmp_path: Path, environ: dict[str, str]) -> None:
    picture = tmp_path / "deploy.svg"
    done = shell(
        f"python docs/capture.py docs/deploy.jsonl {picture} --command './deploy.sh staging deploy'", ROOT, environ
    )
    assert done.returncode == 0, done.stderr
    for word in ("staging:", "deployed", "admin-dashboard", "Release", "11"):
        assert word in picture.read_text()
    assert (ROOT / "docs" / "deploy.svg").stat().st_size > 10_000


def test_the_configuration_reference_is_up_to_date(environ: dict[str, str]) -> None:
    done = shell("python docs/generate.py --check", ROOT, environ)
    assert done.returncode == 0, done.stderr


def test_the_exit_codes_are_the_codes(environ: dict[str, str]) -> None:
    table = README.partition("<!-- exit codes")[2]
    rows = re.findall(r"^\| (\d+) \| (.+) \|$", table, re.MULTILINE)
    assert rows == [(str(int(code)), text) for code, text in EXIT_MEANING.items()]


def test_every_action_and_command_is_in_the_tables() -> None:
    def names(group: Any) -> set[str]:
        commands = {command.name or command.callback.__name__ for command in group.registered_commands}
        return commands | {part.name for part in group.registered_groups}

    said = set(
        re.findall(r"^\| `([a-z]+)[ `]", README.partition("## Commands")[2].partition("| option")[0], re.MULTILINE)
    )
    assert said == names(ACTIONS) | names(app)


@pytest.mark.parametrize(
    "file", ["README.md", "CHANGELOG.md", *(f"docs/{path.name}" for path in (ROOT / "docs").glob("*.md"))]
)
def test_links_lead_somewhere(file: str) -> None:
    text = (ROOT / file).read_text()
    for target in re.findall(r"\]\(([^)]+)\)", text):
        path, _, anchor = target.partition("#")
        if path.startswith("http"):
            continue
        page = (ROOT / file).parent / path if path else ROOT / file
        assert page.exists(), target
        if anchor:
            titles = re.findall(r"^#+ (.+)$", page.read_text(), re.MULTILINE)
            assert anchor in {re.sub(r"[^\w -]", "", title.lower()).replace(" ", "-") for title in titles}, target
