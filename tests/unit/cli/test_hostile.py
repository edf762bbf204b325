"""Whatever is typed or written: nothing of it is run, no traceback, no escape sequence reaches the terminal."""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.unit.cli.conftest import Call
from tests.unit.cli.hostile import CASES, ENVIRONMENT, INI, RUN, VAULT, YML, Case

DECLARED = "secrets: {db_password: {}}\nservices: {web: {secrets: [db_password]}}\n"
CONTROL = re.compile(r"[\x00-\x08\x0b-\x1f\x7f-\x9f]")


def test_there_are_enough() -> None:
    assert len(CASES) >= 200
    assert len({case.name for case in CASES}) > 0.95 * len(CASES)


@pytest.mark.parametrize("case", CASES, ids=[case.name for case in CASES])
def test_nothing_happens(call: Call, project: Path, tmp_path: Path, no_ssh: Callable[[], bool], case: Case) -> None:
    witness = tmp_path / "it-ran"
    run = f"touch {witness}"
    if case.file:
        write(project, case, run)
    said = call(*(word.replace(RUN, run) for word in case.words))
    assert said.code in case.codes, said
    assert not witness.exists(), "it was run"
    assert no_ssh(), "a host was contacted"
    text = said.out + said.err
    assert "Traceback" not in text
    assert "llmdeploy-bug" not in text, "our own fault"
    assert not CONTROL.search(text), "the terminal would act on this"
    if said.code:
        assert len(said.err.splitlines()) < 60, "nobody reads that"
        assert len(said.err) < 6_000
    else:
        assert not said.err


def write(project: Path, case: Case, run: str) -> None:
    content = case.content if isinstance(case.content, bytes) else case.content.replace(RUN, run).encode()
    if case.file == YML:
        (project / INI).unlink()
    if case.file == VAULT:
        (project / ENVIRONMENT).write_text(DECLARED)
        (project / ".vault-password").write_text("horse")
        (project / ".vault-password").chmod(0o600)
    path = project / case.file
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(content)
    path.chmod(0o600)
