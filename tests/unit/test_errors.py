"""The exit codes are a promise: scripts and CI jobs rely on them."""

import pytest

from llmdeploy import errors
from llmdeploy.errors import EXIT_MEANING, ConfigError, Exit, LlmdeployError, Problem


@pytest.mark.parametrize(
    ("name", "code"),
    [
        ("LlmdeployError", 1), ("UsageError", 2), ("SecretsError", 3), ("LockedError", 4), ("UnreachableError", 5),
        ("SwarmLockedError", 1),
        ("UnhealthyError", 7), ("InterruptedRunError", 130),
    ],
)  # fmt: skip
def test_every_error_has_its_exit_code(name: str, code: int) -> None:
    error: type[LlmdeployError] = getattr(errors, name)
    assert error("x").exit_code == code


def test_a_configuration_error_is_3_and_lists_every_problem() -> None:
    error = ConfigError([Problem("a.yml", 3, "services.x", "y", "bad"), Problem("b.yml", 0, "", "", "missing")])
    assert error.exit_code == 3
    assert [str(problem) for problem in error.problems] == ["a.yml:3: services.x = y: bad", "b.yml: missing"]
    assert len(error.details["problems"]) == 2


def test_the_table_is_the_designs() -> None:
    assert [int(code) for code in Exit] == [0, 1, 2, 3, 4, 5, 6, 7, 10, 130]
    assert set(EXIT_MEANING) == set(Exit)
