"""Values out of files from elsewhere."""

from __future__ import annotations

import pytest

from llmdeploy.errors import ConfigError
from llmdeploy.secrets.importing import imported
from tests.unit.secrets.conftest import PEM

KNOWN = ["db_password", "key", "tls.crt"]


@pytest.mark.parametrize(
    ("text", "values"),
    [
        ("db_password: x\n", {"db_password": "x"}),
        ("db_password: a=b\nkey: c\n", {"db_password": "a=b", "key": "c"}),
        ("key: |\n" + "".join(f"  {line}\n" for line in PEM.splitlines()), {"key": PEM}),
        ("DB_PASSWORD=x\n", {"db_password": "x"}),
        ("# mine\n\nexport DB_PASSWORD='x y'\nKEY=\"a'b\"\n", {"db_password": "x y", "key": "a'b"}),
        ("db_password = a: b # c\n", {"db_password": "a: b # c"}),
        ("key='a\n", {"key": "'a"}),
        ("tls.crt=x=y=\r\n", {"tls.crt": "x=y="}),
        ("", {}),
        ("# nothing\n", {}),
    ],
)
def test_yaml_and_lines(text: str, values: dict[str, str]) -> None:
    assert imported(text, "f", KNOWN) == values


@pytest.mark.parametrize(
    ("text", "key", "why", "hint"),
    [
        ("db_pasword: hunter2", "db_pasword", "nobody declares", "did you mean `db_password`?"),
        ("DB_PASWORD=hunter2", "db_pasword", "nobody declares", "did you mean `db_password`?"),
        ("zzz: hunter2", "zzz", "nobody declares", "known: db_password, key, tls.crt"),
        ("key: changeme", "key", "placeholder", ""),
        ("KEY=", "key", "the value is empty", ""),
        ('key: "hunter2\\0"', "key", "NUL", ""),
        ("hunter2", "", "not `NAME: value`", ""),
        ("A=b\nhunter2\n", "", "not `NAME: value`", ""),
    ],
)
def test_what_is_refused(text: str, key: str, why: str, hint: str) -> None:
    with pytest.raises(ConfigError) as caught:
        imported(text, "old.env", KNOWN)
    (problem,) = caught.value.problems
    assert (problem.file, problem.path, problem.hint) == ("old.env", key, hint)
    assert why in problem.why
    assert "hunter2" not in str(problem)


def test_everything_at_once() -> None:
    with pytest.raises(ConfigError) as caught:
        imported("a: x\nkey: todo\nb: y\n", "f", KNOWN)
    assert [problem.path for problem in caught.value.problems] == ["a", "key", "b"]
