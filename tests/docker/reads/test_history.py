"""The verb history on releases that the engine made."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest

from tests.docker.engine.conftest import Stack, end

from .conftest import Reader, data, reader


@pytest.fixture(scope="module")
def releases(client: Any, image: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stack]:
    """Release 1, release 2 with another number of replicas, release 3 that fails and is taken back."""
    stack = Stack(client, image, tmp_path_factory.mktemp("jobs"))
    services = {"web": (stack.spec(), []), "late": (stack.spec(), ["web"])}
    assert end(stack.run(stack.job(services)))["verdict"] == "done"
    services["web"][0]["Mode"] = {"Replicated": {"Replicas": 2}}
    assert end(stack.run(stack.job(services)))["verdict"] == "done"
    services["late"] = (stack.spec("exit 3"), ["web"])
    assert end(stack.run(stack.job(services)))["verdict"] == "rolled-back"
    yield stack
    stack.clean()


@pytest.fixture
def call(releases: Stack, tmp_path_factory: pytest.TempPathFactory) -> Reader:
    """The command, in a project of that stack."""
    return reader(releases, tmp_path_factory.mktemp("project"))


def test_every_machine_sees_the_same_history(releases: Stack, call: Reader) -> None:
    found = data(call("dev history --json"))
    assert (found["on"], found["settled"], found["open"]) == (2, True, None)
    rows = [(row["number"], row["verdict"], row["user"], row["host"], row["reason"]) for row in found["releases"]]
    assert rows == [
        (3, "rolled back", "ana", "laptop", "a test"), (2, "good", "ana", "laptop", "a test"),
        (1, "good", "ana", "laptop", "a test"),
    ]  # fmt: skip
    assert found["releases"][0]["taken_back_to"] == 2
    assert found["releases"][1]["changed"] == [releases.service("web")]
    assert all(row["seconds"] > 0 and row["git"] == "1a2b3c4" for row in found["releases"])

    text = call("dev history -n 2").stdout
    assert "   3  " in text
    assert "◂ rolled back to 2" in text
    assert "and 1 older release (-n 3)" in text
    assert "◀ the stack is on release 2" in text

    figures = data(call("dev history --dora --json"))
    assert (figures["first"], figures["last"], figures["cut"]) == (1, 3, False)
    assert figures["change_failure_rate"] == {"releases": 3, "failed": 1, "rate": 0.3333, "too_few": True}
    assert (figures["lead_time"]["releases"], figures["lead_time"]["left_out"]["same_commit"]) == (1, 1)
    assert [(one["number"], one["why"], one["recovered_by"]) for one in figures["failures"]] == [(3, "rolled back", 3)]
    assert "3 releases: too few to mean anything" in call("dev history --dora").stdout

    (call.root / "environments" / "dev.yml").write_text("services: [nonsense")
    assert call("dev validate").returncode == 3
    assert data(call("dev history --json")) == found, "also when the files are damaged"


def test_one_release_whole(releases: Stack, call: Reader) -> None:
    found = data(call("dev history show 2 --json"))
    assert (found["against"], found["result"], found["on"]) == (1, "done", True)
    web = next(row for row in found["services"] if row["name"] == releases.service("web"))
    assert (web["action"], web["changes"], web["replicas"]) == ("change", ["replicas 1 → 2"], 2)
    assert web["pin"] == releases.image
    assert web["time"]["state"] == "done"
    assert [one["services"] for one in found["waves"]] == [[releases.service("web")]]

    failed = data(call("dev history show 3 --json"))
    late = next(row for row in failed["services"] if row["name"] == releases.service("late"))
    assert (late["time"]["state"], failed["verdict"]) == ("failed", "rolled back")
    text = call("dev history show 3").stdout
    assert text.startswith("release 3: ◂ rolled back to 2 in ")


def test_two_releases_compared(releases: Stack, call: Reader) -> None:
    found = data(call("dev history diff 1 2 --json"))
    changed = {row["name"]: row["changes"] for row in found["services"] if row["action"] != "unchanged"}
    assert changed == {releases.service("web"): ["replicas 1 → 2"]}
    assert call("dev history diff 2 1").stdout.splitlines()[1].endswith("replicas 2 → 1")


def test_a_number_that_is_not_there(releases: Stack, call: Reader) -> None:
    said = call("dev history show 9")
    assert (said.returncode, said.stderr) == (
        1, "Error: there is no release 9: there are 1 to 3\nHint: llmdeploy dev history lists them\n",
    )  # fmt: skip
