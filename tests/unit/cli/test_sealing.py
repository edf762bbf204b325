"""The secrets of a run: none where no service is given any; taken out of everything that is shown."""

from __future__ import annotations

import json
from pathlib import Path

from llmdeploy.cli.sealing import NOTHING, Sealed, seal
from llmdeploy.cli.session import Session
from llmdeploy.config import init_project
from llmdeploy.render.rundir import _sealed


def test_where_no_service_is_given_a_secret_no_password_is_asked_for(tmp_path: Path) -> None:
    init_project(tmp_path)
    (tmp_path / "environments" / "dev.yml").write_text("tls: {mode: off}\n")
    session = Session("dev", "deploy", project_dir=tmp_path)
    assert seal(session, session.load()) is NOTHING


def test_what_is_shown_has_no_secret_nor_a_line_of_one() -> None:
    pem = "-----BEGIN PRIVATE KEY-----\nMC4CAQAwBQYDK2VwBCIEIJ\n-----END PRIVATE KEY-----\n"
    sealed = Sealed({}, {"a": "hunter2hunter2", "b": "hunter2hunter2-longer", "c": pem, "d": "yes"})
    redact = sealed.redacting(lambda text: text.replace("sudo-password", "***"))
    assert redact("hunter2hunter2-longer and hunter2hunter2") == "*** and ***"
    assert redact("it said MC4CAQAwBQYDK2VwBCIEIJ") == "it said ***"
    assert redact("sudo-password") == "***"
    assert redact("yes, all is well") == "yes, all is well"


def test_secrets_do_not_stand_in_what_python_shows() -> None:
    assert "hunter2" not in repr(Sealed({"a": "llm.a.1"}, {"llm.a.1": "hunter2"}))


def test_the_file_for_the_one_task_is_private(tmp_path: Path) -> None:
    file = Path(_sealed(tmp_path / "secrets.json", {"llm.a.1": "x"}))
    assert file.stat().st_mode & 0o777 == 0o600
    assert json.loads(file.read_text()) == {"llm.a.1": "x"}
    assert _sealed(tmp_path / "none", {}) == ""
