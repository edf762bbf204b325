"""`llmdeploy ENV secrets …`: every verb, and that values are shown where they are asked for and nowhere else."""

from __future__ import annotations

import getpass
import io
import os
import pty
import re
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from llmdeploy.project import Project
from llmdeploy.secrets import password as passwords
from llmdeploy.secrets.password import FILE_VARIABLE, KEPT, Password
from llmdeploy.secrets.programs import PASSWORD_VARIABLE
from llmdeploy.secrets.vaultfile import VaultFile
from tests.unit.cli.conftest import COMMAND, Call, Said, spawn

PASSWORD = "right horse"
SECRETS = """\
secrets:
  db_password: {}
  jwt: {kind: key-pair}
  smtp_password: {kind: given}
  from_ci: {variable: OF_CI}
  from_manager: {command: [touch, ran]}
"""
VERBS = ["init", "list", "get", "set", "generate", "rotate", "edit", "import", "rekey"]
FILE = "environments/dev.secrets.yml"


@pytest.fixture
def shop(project: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A project with secrets, two of which `web` is given, and a password."""
    catalogue = project / "inventory" / "group_vars" / "all.yml"
    text = catalogue.read_text().replace("  web:\n", "  web:\n    secrets: [db_password, jwt.pub, smtp_password]\n")
    catalogue.write_text(SECRETS + text)
    monkeypatch.delenv(FILE_VARIABLE, raising=False)
    monkeypatch.delenv("OF_CI", raising=False)
    monkeypatch.setenv(PASSWORD_VARIABLE, PASSWORD)
    monkeypatch.setattr(passwords, "_typed", {})
    return project


def values(project: Path, environment: str = "dev", password: str = PASSWORD) -> dict[str, str]:
    """What is in the file."""
    return vault(project, environment, password).read()


def vault(project: Path, environment: str = "dev", password: str = PASSWORD) -> VaultFile:
    return VaultFile(Project(project), environment, lambda _: Password(password.encode(), "a test"))


@pytest.fixture
def piped(monkeypatch: pytest.MonkeyPatch) -> Callable[[bytes], None]:
    """Puts something into standard input."""
    return lambda data: monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(data)))


@pytest.fixture
def types(monkeypatch: pytest.MonkeyPatch) -> Callable[..., list[str]]:
    """Somebody at a terminal; gives the questions that were asked."""

    class Terminal(io.StringIO):
        def isatty(self) -> bool:
            return True

    def at_the_terminal(*answers: str) -> list[str]:
        rest, asked = list(answers), []

        def answer(question: str) -> str:
            asked.append(question)
            if not rest:
                raise EOFError
            return rest.pop(0)

        monkeypatch.setattr(getpass, "getpass", answer)
        monkeypatch.setattr(sys, "stdin", Terminal())
        return asked

    return at_the_terminal


def shown(said: Said) -> str:
    return said.out + said.err


# --- what there is to type


def test_help_has_the_verbs_and_examples(call: Call, shop: Path) -> None:
    said = call("dev", "secrets", "--help")
    assert said.code == 0
    assert "Usage: llmdeploy dev secrets" in said.out
    for verb in VERBS:
        assert re.search(rf"^  {verb} ", said.out, re.MULTILINE)
    assert "llmdeploy dev secrets set smtp_password " in said.out
    assert max(map(len, said.out.splitlines())) <= 80
    assert re.search(r"^  secrets ", call("--help").out, re.MULTILINE)
    assert "init" in call("dev", "secrets").err


@pytest.mark.parametrize("verb", VERBS)
def test_every_verb_explains_itself_with_an_example(call: Call, shop: Path, verb: str) -> None:
    said = call("dev", "secrets", verb, "--help")
    assert said.code == 0
    assert f"Usage: llmdeploy dev secrets {verb} " in said.out
    assert re.search(rf"Example: .*llmdeploy staging\s+secrets\s+{verb}", said.out)
    assert "REST" not in said.out
    for option in ("--json", "--project", "--quiet"):
        assert option in said.out


def test_completion_offers_the_verbs(shop: Path) -> None:
    def complete(typed: str, words: int) -> list[str]:
        variables = {"_LLMDEPLOY_COMPLETE": "complete_bash", "COMP_WORDS": typed, "COMP_CWORD": str(words)}
        said = spawn(cwd=shop, **variables)
        assert (said.code, said.err) == (0, "")
        return said.out.split()

    assert "secrets" in complete("llmdeploy dev ", 2)
    assert complete("llmdeploy dev secrets ", 3) == VERBS
    assert complete("llmdeploy dev secrets r", 3) == ["rotate", "rekey"]
    assert complete("llmdeploy dev secrets rekey --new", 4) == ["--new-password-file"]


@pytest.mark.parametrize(
    ("words", "message", "hint"),
    [
        (["sett", "x"], "no action 'sett'", "did you mean set or get"),
        (["--yes", "list"], "the action comes before its options: llmdeploy dev secrets ACTION --yes", "init, list"),
        (["set"], "Missing argument 'NAME'", ""),
        (["get", "db_pasword"], "nobody declares a secret `db_pasword`", "did you mean `db_password`?"),
        (["set", "db_pasword"], "nobody declares a secret `db_pasword`", "did you mean `db_password`?"),
        (["rotate", "zzz"], "nobody declares a secret `zzz`", "known: db_password, from_ci"),
        (["rotate", "smtp_password"], "its value is not made but set", "llmdeploy dev secrets set smtp_password"),
        (["generate", "smtp_password"], "its value is not made but set", "llmdeploy dev secrets set smtp_password"),
        (["rotate", "from_ci"], "the value of from_ci is the variable OF_CI, not in", "change it there"),
        (["set", "from_manager"], "the value of from_manager is what its command prints", "change it there"),
        (["import", "none"], "there is no file none", ""),
    ],
)
def test_what_is_mistyped(call: Call, shop: Path, words: list[str], message: str, hint: str) -> None:
    said = call("dev", "secrets", *words)
    assert said.code == 2
    assert message in said.err
    assert hint in said.err
    assert not (shop / FILE).exists()


def test_common_options_before_the_verb(
    call: Call, shop: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    for words in (
        ["--json", "dev", "secrets", "--project", shop, "list"],
        ["dev", "--project", shop, "secrets", "--json", "list"],
        ["dev", "secrets", "list", "--json", f"--project={shop}"],
    ):
        assert call(*words).envelope["command"] == "dev secrets list"


# --- init and list


def test_init_makes_what_can_be_made_and_never_twice(call: Call, shop: Path) -> None:
    first = call("dev", "secrets", "init", "--json").envelope["data"]
    assert (first["made"], first["file"]) == (["db_password", "jwt", "jwt.pub"], FILE)
    assert [(row["name"], row["state"]) for row in first["open"]] == [
        ("smtp_password", "missing"), ("from_ci", "missing"),
    ]  # fmt: skip
    made = values(shop)
    said = call("dev", "secrets", "init")
    assert said.out.splitlines() == [
        "dev: no value was changed",
        "  ✗ smtp_password: missing; llmdeploy dev secrets set smtp_password",
        "  ✗ from_ci: missing; its variable must be set",
    ]
    assert values(shop) == made
    assert (shop / FILE).stat().st_mode & 0o777 == 0o600
    assert sorted(path.name for path in (shop / "environments").iterdir()) == [
        "dev.secrets.yml", "dev.yml", "production.yml", "staging.yml",
    ]  # fmt: skip
    assert not [value for value in made.values() if value in said.out + str(first)]


def test_init_leaves_what_is_there_whatever_it_is(call: Call, shop: Path) -> None:
    vault(shop).change(lambda _: {"db_password": "changeme", "jwt": "mine"})
    said = call("dev", "secrets", "init")
    assert said.code == 0
    assert "  ! db_password: placeholder; llmdeploy dev secrets set db_password" in said.out
    assert "  ✗ jwt: missing (jwt.pub); llmdeploy dev secrets set jwt.pub" in said.out
    assert values(shop) == {"db_password": "changeme", "jwt": "mine"}


def test_init_without_a_secret_makes_no_file(call: Call, project: Path) -> None:
    assert call("dev", "secrets", "init").out == "dev: no value was changed\n"
    assert call("dev", "secrets", "list").out == "no secret is declared\n"
    assert not (project / FILE).exists()


def test_without_any_password_the_four_ways_are_named(call: Call, shop: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv(PASSWORD_VARIABLE)
    said = call("dev", "secrets", "init", "--json")
    assert said.code == 3
    message = said.envelope["errors"][0]["message"]
    for way in (FILE_VARIABLE, PASSWORD_VARIABLE, KEPT, "terminal"):
        assert way in message
    assert not (shop / FILE).exists()
    assert call("dev", "secrets", "list").code == 0  # there is nothing yet to open


def test_a_new_file_asks_for_its_password_twice_and_an_old_one_once(
    call: Call, shop: Path, monkeypatch: pytest.MonkeyPatch, types: Callable[..., list[str]]
) -> None:
    monkeypatch.delenv(PASSWORD_VARIABLE)
    types("one", "other")
    said = call("dev", "secrets", "init")
    assert said.code == 2
    assert "the two are not the same" in said.err
    assert not (shop / FILE).exists()
    asked = types("one", "one")
    assert call("dev", "secrets", "init").code == 0
    assert len(asked) == 2
    monkeypatch.setattr(passwords, "_typed", {})
    asked = types("one")
    assert call("dev", "secrets", "get", "db_password").code == 0
    assert len(asked) == 1
    monkeypatch.setattr(passwords, "_typed", {})
    types()
    assert "nothing was typed" in call("dev", "secrets", "list").err


def test_list_shows_everything_but_values(call: Call, shop: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OF_CI", "hunter2")
    vault(shop).change(lambda _: {"db_password": "hunter2", "jwt": "hunter2", "jwt.pub": "changeme", "old": "hunter2"})
    said = call("dev", "secrets", "list")
    assert [line.split() for line in said.out.splitlines()[:6]] == [
        ["secret", "kind", "from", "state", "given", "to"],
        ["db_password", "password", "file", "✓", "set", "web"],
        ["jwt", "key-pair", "file", "!", "placeholder", "(jwt.pub)", "web"],
        ["smtp_password", "given", "file", "✗", "missing", "web"],
        ["from_ci", "password", "variable", "✓", "set"],
        ["from_manager", "password", "command", "·", "not", "asked"],
    ]
    assert said.out.splitlines()[6] == f"! in {FILE}, and nobody declares it: old"
    data = call("dev", "secrets", "list", "--json")
    assert data.envelope["data"]["undeclared"] == ["old"]
    assert "hunter2" not in shown(said) + shown(data)
    assert not (shop / "ran").exists()


# --- get, generate, rotate


def test_get_prints_the_value_to_the_letter(call: Call, shop: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    pem = "  -----BEGIN X-----  \n" + "[bold]long " * 40 + "\t\n"
    vault(shop).change(lambda _: {"jwt": pem, "db_password": "changeme"})
    said = call("dev", "secrets", "get", "jwt")
    assert (said.code, said.out, said.err) == (0, pem, "")
    data = call("dev", "secrets", "get", "jwt", "--json").envelope["data"]
    assert data == {"environment": "dev", "name": "jwt", "value": pem}
    assert call("dev", "secrets", "get", "db_password").out == "changeme"
    monkeypatch.setenv("OF_CI", "of the variable")
    assert call("dev", "secrets", "get", "from_ci").out == "of the variable"
    monkeypatch.setenv("OF_CI", "\udcff")
    assert call("dev", "secrets", "get", "from_ci").code == 3


@pytest.mark.parametrize("name", ["smtp_password", "jwt.pub", "from_ci"])
def test_get_of_nothing_says_what_to_do(call: Call, shop: Path, name: str) -> None:
    vault(shop).change(lambda _: {"db_password": "x"})
    made = call("dev", "secrets", "get", name, "--json")
    assert made.code == 3
    (problem,) = made.envelope["errors"][0]["problems"]
    assert name in problem["path"]
    assert "secrets" in problem["hint"] or "export OF_CI" in problem["hint"]


def test_generate_stores_nothing(call: Call, shop: Path) -> None:
    one, other = call("dev", "secrets", "generate", "db_password"), call("dev", "secrets", "generate", "db_password")
    assert re.fullmatch("[A-Za-z0-9]{32}", one.out)
    assert one.out != other.out
    pair = call("dev", "secrets", "generate", "jwt.pub", "--json").envelope["data"]["values"]
    assert [*pair] == ["jwt", "jwt.pub"]
    assert call("dev", "secrets", "generate", "jwt").out.count("-----BEGIN") == 2
    assert not (shop / FILE).exists()


def test_rotate_makes_another_value_and_says_how_it_gets_there(call: Call, shop: Path) -> None:
    call("dev", "secrets", "init")
    before = values(shop)
    said = call("dev", "secrets", "rotate", "jwt", "--store-only")
    after = values(shop)
    assert said.out.splitlines() == [
        "dev: replaced: jwt, jwt.pub", "next: llmdeploy dev update web brings it to the services",
    ]  # fmt: skip
    assert {name for name in after if after[name] != before[name]} == {"jwt", "jwt.pub"}
    assert not [value for value in after.values() if value in shown(said)]


def test_rotate_where_a_question_could_not_be_asked_stores_nothing(call: Call, shop: Path) -> None:
    call("dev", "secrets", "init")
    before = values(shop)
    (shop / "environments" / "dev.yml").write_text("confirm: true\n")
    said = call("dev", "secrets", "rotate", "jwt")
    assert said.code == 2
    assert "llmdeploy dev secrets rotate --yes" in said.err
    assert values(shop) == before


# --- set


@pytest.mark.parametrize(
    ("data", "value"),
    [
        (b"hunter2", "hunter2"),
        (b"hunter2\n", "hunter2"),
        (b"hunter2\r\n", "hunter2"),
        (b" hunter2 \n", " hunter2 "),
        (b"-----BEGIN X-----\nabc\n", "-----BEGIN X-----\nabc\n"),
        (b"one\ntwo", "one\ntwo"),
        ("ü\n".encode(), "ü"),
    ],
)
def test_set_from_standard_input(
    call: Call, shop: Path, piped: Callable[[bytes], None], data: bytes, value: str
) -> None:
    piped(data)
    said = call("dev", "secrets", "set", "smtp_password")
    assert (said.code, said.out) == (0, "dev: made: smtp_password\n")
    assert values(shop) == {"smtp_password": value}


@pytest.mark.parametrize(
    ("data", "code", "why"),
    [
        (b"", 2, "standard input is empty"),
        (b"\xffhunter2", 2, "not UTF-8"),
        (b"\n", 3, "the value is empty"),
        (b"changeme\n", 3, "a placeholder"),
        (b"SMTP-Password\n", 3, "a placeholder"),
        (b"hunter2\0", 3, "a NUL byte"),
        pytest.param(b"x" * 512_000, 3, "500 KB", id="large"),
    ],
)
@pytest.mark.parametrize("json", [True, False])
def test_set_refuses_what_is_no_value_and_does_not_repeat_it(
    call: Call, shop: Path, piped: Callable[[bytes], None], data: bytes, code: int, why: str, json: bool
) -> None:
    piped(data)
    said = call("dev", "secrets", "set", "smtp_password", *(["--json"] if json else []))
    assert said.code == code
    assert why in shown(said)
    for word in ("hunter2", "changeme", "xxxx", "SMTP-Password"):
        assert word not in shown(said)
    assert not (shop / FILE).exists()


def test_set_is_typed_twice(call: Call, shop: Path, types: Callable[..., list[str]]) -> None:
    vault(shop).change(lambda _: {"smtp_password": "old"})
    types("hunter2", "hunter3")
    said = call("dev", "secrets", "set", "smtp_password")
    assert said.code == 2
    assert "the two are not the same; nothing was changed" in said.err
    assert values(shop) == {"smtp_password": "old"}
    asked = types("hunter2", "hunter2")
    said = call("dev", "secrets", "set", "smtp_password")
    assert (said.code, said.out) == (0, "dev: replaced: smtp_password\n")
    assert asked == ["value of smtp_password: ", "once more: "]
    assert values(shop) == {"smtp_password": "hunter2"}
    types("hunter2", "hunter2")
    assert call("dev", "secrets", "set", "smtp_password").out == "dev: kept as it was: smtp_password\n"
    said = call("dev", "secrets", "set", "smtp_password", "--json")
    assert said.code == 2
    assert "nobody to ask" in said.envelope["errors"][0]["message"]


@pytest.mark.parametrize(
    "words",
    [
        ["smtp_password", "hunter2"],
        ["smtp_password=hunter2"],
        ["smtp_password", "--hunter2"],
        ["smtp_password", "--value", "hunter2"],
        ["smtp_password", "--value=hunter2"],
        ["smtp_password", "--json", "hunter2"],
        ["smtp_password", "-xunter2"],
        ["smtp_password", "--", "--hunter2"],
        ["smtp_password", "a", "hunter2"],
    ],
)
def test_a_value_on_the_command_line_is_refused_and_not_repeated(
    call: Call, shop: Path, piped: Callable[[bytes], None], words: list[str]
) -> None:
    piped(b"another\n")
    said = call("dev", "secrets", "set", *words)
    assert said.code == 2
    assert "secrets set takes the name alone" in shown(said)
    assert "hunter2" not in shown(said)
    assert not (shop / FILE).exists()


def test_a_value_in_the_place_of_the_name_is_not_repeated(call: Call, shop: Path) -> None:
    said = call("dev", "secrets", "set", "hunter2!")
    assert said.code == 2
    assert "nobody declares a secret of this name" in said.err
    assert "hunter2" not in shown(said)


def test_the_file_is_opened_before_a_value_is_typed(
    call: Call, shop: Path, monkeypatch: pytest.MonkeyPatch, types: Callable[..., list[str]]
) -> None:
    vault(shop).change(lambda _: {"smtp_password": "old"})
    monkeypatch.setenv(PASSWORD_VARIABLE, "wrong horse")
    asked = types("hunter2", "hunter2")
    said = call("dev", "secrets", "set", "smtp_password")
    assert said.code == 3
    assert f"{FILE} does not open with the password from {PASSWORD_VARIABLE}" in said.err
    assert "horse" not in said.err
    assert asked == []


def test_at_a_real_terminal_nothing_is_shown(shop: Path) -> None:
    master, slave = pty.openpty()
    program = (
        "import fcntl, os, sys, termios; fcntl.ioctl(0, termios.TIOCSCTTY, 0); os.execv(sys.argv[1], sys.argv[1:])"
    )
    process = subprocess.Popen(
        [sys.executable, "-c", program, str(COMMAND), "dev", "secrets", "set", "smtp_password"],
        stdin=slave, stdout=slave, stderr=slave, start_new_session=True, env={**os.environ, "TERM": "dumb"},
    )  # fmt: skip
    os.close(slave)
    said = b""
    try:
        for question in (b"value of smtp_password: ", b"once more: "):
            until = time.monotonic() + 30
            while question not in said and time.monotonic() < until:
                said += os.read(master, 1000)
            os.write(master, b"hunter2\n")
        while True:
            said += os.read(master, 1000)
    except OSError:  # the other end is closed
        pass
    finally:
        os.close(master)
    assert process.wait(30) == 0, said
    assert b"made: smtp_password" in said
    assert b"hunter2" not in said
    assert values(shop) == {"smtp_password": "hunter2"}


# --- edit


@pytest.fixture
def editor(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[[str], None]:
    """An editor that is a shell script with the file as `$1`; it works in a folder that counts as memory."""
    memory, mounts, path = tmp_path / "memory", tmp_path / "mounts", tmp_path / "editor"
    memory.mkdir()
    mounts.write_text(f"tmpfs {memory} tmpfs rw 0 0\n")
    monkeypatch.setattr("llmdeploy.secrets.editing.MEMORY", memory)
    monkeypatch.setattr("llmdeploy.secrets.editing.MOUNTS", mounts)
    monkeypatch.delenv("VISUAL", raising=False)
    monkeypatch.setenv("EDITOR", str(path))

    def make(script: str) -> None:
        path.write_text(f"#!/bin/sh\n{script}\n")
        path.chmod(0o700)

    return make


def test_edit_changes_adds_removes_and_tells(call: Call, shop: Path, editor: Callable[[str], None]) -> None:
    vault(shop).change(lambda _: {"db_password": "old", "jwt": "a", "jwt.pub": "b"})
    editor('printf "# mine\\ndb_password: hunter2\\njwt.pub: b\\nstranger: x\\nsmtp_password: todo\\n" > "$1"')
    said = call("dev", "secrets", "edit")
    assert said.code == 0
    assert said.out.splitlines()[:2] == [
        "dev: made: stranger, smtp_password; replaced: db_password; removed: jwt",
        "  stranger: nobody declares it, so nobody is given it",
    ]
    assert "smtp_password: placeholder" in said.out
    assert "hunter2" not in shown(said)
    assert vault(shop).text().startswith("# mine\n")


def test_edit_of_a_new_file_begins_with_the_names(call: Call, shop: Path, editor: Callable[[str], None]) -> None:
    editor('grep -q "^# smtp_password:" "$1" && ! grep -q from_ci "$1"')
    said = call("dev", "secrets", "edit")
    assert said.code == 0
    assert "nothing was changed" in said.out
    assert not (shop / FILE).exists()
    editor('echo "smtp_password: hunter2" >> "$1"')
    assert call("dev", "secrets", "edit").code == 0
    assert values(shop) == {"smtp_password": "hunter2"}


@pytest.mark.parametrize(
    ("script", "code", "why"),
    [
        ("exit 1", 3, "ended with exit code 1; nothing was changed"),
        ("true", 0, "nothing was changed"),
        ('printf "db_password: 5\\n" > "$1"', 3, "put it in quotes"),
        ('printf "hunter2" > "$1"', 3, "not `NAME: value`"),
        ('printf %s \'a: "hunter2\\0"\' > "$1"', 3, "NUL"),
    ],
)
def test_edit_that_changes_nothing(
    call: Call, shop: Path, editor: Callable[[str], None], script: str, code: int, why: str
) -> None:
    vault(shop).change(lambda _: {"db_password": "old"})
    before = (shop / FILE).read_bytes()
    editor(script)
    said = call("dev", "secrets", "edit")
    assert said.code == code
    assert why in shown(said)
    assert "hunter2" not in shown(said)
    assert (shop / FILE).read_bytes() == before


def test_edit_can_be_corrected(
    call: Call,
    shop: Path,
    editor: Callable[[str], None],
    types: Callable[..., list[str]],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    types()
    answers = iter([True, False])
    monkeypatch.setattr("typer.confirm", lambda *_, **__: next(answers))
    editor('grep -q "db_password: 5" "$1" && echo "db_password: five" > "$1" || echo "db_password: 5" > "$1"')
    said = call("dev", "secrets", "edit")
    assert said.code == 0
    assert "put it in quotes" in said.err
    assert values(shop) == {"db_password": "five"}
    said = call("dev", "secrets", "edit")
    assert said.code == 2
    assert "Error: nothing was changed" in said.err
    assert values(shop) == {"db_password": "five"}


def test_edit_where_somebody_else_was_quicker(call: Call, shop: Path, editor: Callable[[str], None]) -> None:
    vault(shop).change(lambda _: {"db_password": "old"})
    vault(shop, "staging").change(lambda _: {"db_password": "theirs"})
    editor(f'echo "db_password: mine" > "$1"; cp -p {shop}/environments/staging.secrets.yml {shop}/{FILE}')
    said = call("dev", "secrets", "edit")
    assert said.code == 3
    assert "changed by somebody else meanwhile; nothing was written" in said.err
    assert values(shop) == {"db_password": "theirs"}


def test_edit_without_memory_is_refused_before_anything_is_asked(
    call: Call, shop: Path, tmp_path: Path, editor: Callable[[str], None], monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "mounts").write_text("")
    monkeypatch.delenv(PASSWORD_VARIABLE)
    said = call("dev", "secrets", "edit")
    assert said.code == 3
    assert "there is no file system in memory" in said.err


# --- import


def test_import_takes_what_is_declared_and_keeps_what_is_there(call: Call, shop: Path, tmp_path: Path) -> None:
    old = tmp_path / "old.env"
    old.write_text("DB_PASSWORD=hunter2\nexport SMTP_PASSWORD='hunter3'\n")
    vault(shop).change(lambda _: {"db_password": "mine"})
    said = call("dev", "secrets", "import", old)
    assert said.code == 0
    assert said.out.splitlines()[0] == "dev: made: smtp_password; kept as it was: db_password"
    assert f"next: delete {old}: the values in it are not encrypted" in said.out
    assert "--replace" in said.out
    assert values(shop) == {"db_password": "mine", "smtp_password": "hunter3"}
    assert call("dev", "secrets", "import", old, "--replace", "--json").envelope["data"]["replaced"] == ["db_password"]
    assert values(shop)["db_password"] == "hunter2"
    assert "hunter" not in shown(said)


def test_import_of_an_encrypted_file(call: Call, shop: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    vault(shop, "staging").change(lambda _: {"db_password": "hunter2"})
    source = shop / "environments" / "staging.secrets.yml"
    said = call("dev", "secrets", "import", source)
    assert (said.code, "delete" in said.out) == (0, False)
    assert values(shop) == {"db_password": "hunter2"}
    monkeypatch.setenv(PASSWORD_VARIABLE, "wrong horse")
    assert (
        f"{source} does not open with the password from {PASSWORD_VARIABLE}"
        in call("production", "secrets", "import", source).err
    )


@pytest.mark.parametrize(
    ("content", "code", "why"),
    [
        (b"db_pasword: hunter2\n", 3, "did you mean `db_password`?"),
        (b"from_ci: hunter2\n", 3, "nobody declares"),
        (b"smtp_password: todo\n", 3, "placeholder"),
        (b"\xff", 3, "is not UTF-8 text"),
        (b"- hunter2", 3, "not `NAME: value`"),
    ],
)
def test_import_refuses_without_repeating(
    call: Call, shop: Path, tmp_path: Path, content: bytes, code: int, why: str
) -> None:
    (tmp_path / "old.yml").write_bytes(content)
    said = call("dev", "secrets", "import", tmp_path / "old.yml")
    assert said.code == code
    assert why in said.err
    assert "hunter2" not in shown(said)
    assert not (shop / FILE).exists()


# --- rekey


def test_rekey_changes_every_environment(
    call: Call, shop: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, types: Callable[..., list[str]]
) -> None:
    for name in ("dev", "production"):
        vault(shop, name).write_text(f"db_password: of {name}\n")
    new = tmp_path / "new"
    new.write_text("new horse\n")
    new.chmod(0o600)
    said = call("dev", "secrets", "rekey", "--new-password-file", new)
    assert said.code == 0
    assert said.out.splitlines() == [
        "2 files with a new password: environments/dev.secrets.yml, environments/production.secrets.yml",
        f"next: put the new password where the old one is: {PASSWORD_VARIABLE}",
    ]
    for name in ("dev", "production"):
        assert values(shop, name, "new horse") == {"db_password": f"of {name}"}
    monkeypatch.setenv(PASSWORD_VARIABLE, "new horse")
    types("typed", "typo")
    assert call("dev", "secrets", "rekey").code == 2
    types("new horse", "new horse")
    assert "is the one that the files have" in call("dev", "secrets", "rekey").err
    types("typed", "typed")
    assert call("dev", "secrets", "rekey", "--quiet").code == 0
    assert values(shop, "dev", "typed") == {"db_password": "of dev"}
    assert "horse" not in shown(said)


def test_rekey_leaves_all_when_one_does_not_open(call: Call, shop: Path, tmp_path: Path) -> None:
    vault(shop).change(lambda _: {"db_password": "x"})
    vault(shop, "production", "other horse").change(lambda _: {"db_password": "y"})
    before = {path: path.read_bytes() for path in (shop / "environments").iterdir()}
    new = tmp_path / "new"
    new.write_text("new horse")
    new.chmod(0o600)
    said = call("dev", "secrets", "rekey", "--new-password-file", new)
    assert said.code == 3
    assert "nothing was changed: environments/production.secrets.yml does not open" in said.err
    assert {path: path.read_bytes() for path in (shop / "environments").iterdir()} == before


def test_rekey_needs_somebody_or_a_file(call: Call, shop: Path, tmp_path: Path) -> None:
    vault(shop).change(lambda _: {"db_password": "x"})
    said = call("dev", "secrets", "rekey")
    assert said.code == 2
    assert "--new-password-file FILE" in said.err
    (tmp_path / "new").write_text("x")
    (tmp_path / "new").chmod(0o644)
    said = call("dev", "secrets", "rekey", "--new-password-file", tmp_path / "new")
    assert said.code == 3
    assert "others may read" in said.err
    assert call("nowhere", "secrets", "rekey").code == 2


# --- a file that is not safe


@pytest.mark.parametrize("verb", [["list"], ["init"], ["get", "db_password"], ["rotate", "db_password"], ["rekey"]])
def test_a_plain_file_is_refused_by_every_verb(call: Call, shop: Path, verb: list[str]) -> None:
    (shop / FILE).write_text("db_password: hunter2\n")
    (shop / FILE).chmod(0o600)
    words = [*verb, "--new-password-file", KEPT] if verb == ["rekey"] else verb
    (shop / KEPT).write_text("new horse")
    (shop / KEPT).chmod(0o600)
    said = call("dev", "secrets", *words, "--json")
    assert said.code == 3
    (problem,) = said.envelope["errors"][0]["problems"]
    assert (problem["file"], problem["why"]) == (FILE, "is not encrypted")
    assert "hunter2" not in shown(said)
    assert (shop / FILE).read_text() == "db_password: hunter2\n"


def test_a_mistake_in_the_catalogue_comes_first(call: Call, shop: Path) -> None:
    (shop / "environments" / "dev.yml").write_text("secrets: {db_password: {knid: token}}\n")
    assert call("dev", "secrets", "init").code == 3
    assert not (shop / FILE).exists()


def test_init_of_a_project_ignores_the_password_and_nothing_encrypted(call: Call, tmp_path: Path) -> None:
    folder = tmp_path / "new"
    written = call("init", folder, "--json").envelope["data"]["written"]
    assert str(folder / ".gitignore") in written
    subprocess.run(["git", "init", "-q", folder], check=True, timeout=30)

    def ignored(name: str) -> bool:
        done = subprocess.run(["git", "-C", folder, "check-ignore", "-q", name], check=False, timeout=30)
        return done.returncode == 0

    assert ignored(KEPT)
    assert ignored("environments/dev.local.yml")
    assert not ignored("environments/dev.secrets.yml")
    (folder / ".gitignore").write_text("mine\n")
    assert call("init", folder, "--json").envelope["data"]["written"] == []
    assert (folder / ".gitignore").read_text() == "mine\n"
