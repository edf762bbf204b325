"""`llmdeploy ENV swarm …`: where the key that unlocks managers is from, and that it is shown to whoever asks only."""

from __future__ import annotations

import io
import sys
from collections.abc import Sequence
from pathlib import Path

import pytest

from llmdeploy.cli import unlockkey
from llmdeploy.cluster import locked
from llmdeploy.cluster.access import Access
from llmdeploy.errors import LlmdeployError
from llmdeploy.secrets import password as passwords
from llmdeploy.secrets.names import UNLOCK_KEY
from llmdeploy.secrets.password import FILE_VARIABLE
from llmdeploy.secrets.programs import PASSWORD_VARIABLE
from tests.unit.cli.conftest import Call, Said
from tests.unit.cli.test_secrets import PASSWORD, values

KEY, OLD = "SWMKEY-1-of-now", "SWMKEY-1-of-then"


class Managers:
    """Hosts with states of their Swarms; those that are locked take KEY and no other."""

    def __init__(self, **states: str) -> None:
        self.states = states
        self.key = KEY
        self.tried: list[str] = []
        self.broken: tuple[str, ...] = ()

    def unlock(self, accesses: Sequence[Access], key: str) -> dict[str, LlmdeployError | None]:
        self.tried.append(key)
        found: dict[str, LlmdeployError | None] = {}
        for host in (access.host for access in accesses):
            fits = key == KEY and host not in self.broken
            found[host] = None if fits else LlmdeployError(f"{host}: Docker says: invalid key")
            self.states[host] = "manager" if fits else "locked"
        return found


@pytest.fixture
def cluster(project: Path, monkeypatch: pytest.MonkeyPatch) -> Managers:
    """Three managers, all unlocked, and a password for the secrets."""
    (project / "inventory" / "dev.ini").write_text(
        "".join(f"{name} ansible_host=192.0.2.{n}\n" for n, name in enumerate("abc", 1)) + "[app]\na\nb\nc\n"
    )
    made = Managers(a="manager", b="manager", c="manager")
    for module in (locked, unlockkey):
        monkeypatch.setattr(module, "states", lambda _: dict(made.states))
    monkeypatch.setattr(unlockkey, "key_of", lambda _: made.key)
    monkeypatch.setattr(unlockkey, "unlock", made.unlock)
    monkeypatch.delenv(FILE_VARIABLE, raising=False)
    monkeypatch.setenv(PASSWORD_VARIABLE, PASSWORD)
    monkeypatch.setattr(passwords, "_typed", {})
    monkeypatch.setattr(sys, "stdin", io.StringIO())
    return made


def shown(said: Said) -> str:
    return said.out + said.err


def test_the_key_is_printed_and_nothing_else(call: Call, cluster: Managers) -> None:
    said = call("dev", "swarm", "unlock-key")
    assert (said.code, said.out.strip(), said.err) == (0, KEY, "")


def test_a_stored_key_is_in_the_encrypted_file_and_not_shown(call: Call, cluster: Managers, project: Path) -> None:
    said = call("dev", "swarm", "unlock-key", "--store")
    assert said.code == 0
    assert KEY not in shown(said)
    assert values(project) == {UNLOCK_KEY: KEY}
    listed = call("dev", "secrets", "list")
    assert listed.code == 0
    assert "nobody declares" not in shown(listed)


def test_where_managers_are_never_locked_there_is_no_key(call: Call, cluster: Managers) -> None:
    cluster.key = ""
    said = call("dev", "swarm", "unlock-key")
    assert said.code == 1
    assert "swarm.autolock: true" in said.err


def test_locked_managers_cannot_tell_the_key(call: Call, cluster: Managers) -> None:
    cluster.states = {"a": "locked", "b": "active", "c": "active"}
    said = call("dev", "swarm", "unlock-key")
    assert said.code == 1
    assert "a: its Swarm is locked" in said.err
    assert "llmdeploy ENV swarm unlock" in said.err


def test_a_manager_that_is_unlocked_gives_the_key_to_the_others(call: Call, cluster: Managers) -> None:
    cluster.states |= {"a": "locked", "c": "locked"}
    said = call("dev", "swarm", "unlock")
    assert said.code == 0
    assert "unlocked a, c with the key from b" in said.out
    assert KEY not in shown(said)
    assert cluster.tried == [KEY]


def test_one_that_stays_locked_is_told_and_no_other_key_tried(call: Call, cluster: Managers) -> None:
    cluster.states |= {"a": "locked", "c": "locked"}
    cluster.broken = ("c",)
    said = call("dev", "swarm", "unlock")
    assert said.code == 1
    assert "c: Docker says" in said.err
    assert cluster.tried == [KEY]


def test_a_manager_alone_is_unlocked_with_the_stored_key(call: Call, cluster: Managers) -> None:
    assert call("dev", "swarm", "unlock-key", "--store").code == 0
    cluster.states = {"a": "locked"}
    said = call("dev", "swarm", "unlock", "--json")
    assert said.code == 0
    assert said.envelope["data"]["source"] == "environments/dev.secrets.yml"
    assert KEY not in shown(said)


def test_a_stored_key_that_is_old_is_told_and_standard_input_asked(
    call: Call, cluster: Managers, monkeypatch: pytest.MonkeyPatch
) -> None:
    cluster.key = OLD
    assert call("dev", "swarm", "unlock-key", "--store").code == 0
    cluster.states = {"a": "locked"}
    monkeypatch.setattr(sys, "stdin", io.StringIO(f"{KEY}\n"))
    said = call("dev", "swarm", "unlock")
    assert said.code == 0
    assert "the key from environments/dev.secrets.yml does not do: a: Docker says: invalid key" in said.err
    assert "with the key from standard input" in said.out
    assert not [key for key in (KEY, OLD) if key in shown(said)]


def test_nobody_has_the_key(call: Call, cluster: Managers) -> None:
    cluster.states = {"a": "locked"}
    said = call("dev", "swarm", "unlock")
    assert said.code == 2
    assert "nobody has the unlock key" in said.err
    assert "standard input" in said.err


def test_no_key_that_fits(call: Call, cluster: Managers, monkeypatch: pytest.MonkeyPatch) -> None:
    cluster.states = {"a": "locked"}
    monkeypatch.setattr(sys, "stdin", io.StringIO(f"{OLD}\n"))
    said = call("dev", "swarm", "unlock")
    assert said.code == 1
    assert "invalid key" in said.err


def test_nothing_is_locked(call: Call, cluster: Managers) -> None:
    said = call("dev", "swarm", "unlock")
    assert said.code == 0
    assert "no manager is locked" in said.out


def test_a_secret_cannot_have_the_keys_name(call: Call, cluster: Managers, project: Path) -> None:
    catalogue = project / "inventory" / "group_vars" / "all.yml"
    catalogue.write_text("secrets: {swarm_unlock_key: {}}\n" + catalogue.read_text())
    said = call("dev", "validate")
    assert said.code == 3
    assert "the name is llmdeploy's own" in said.err
