"""`llmdeploy ENV monitoring`: what is refused before any host is asked, and what is made of the settings."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from llmdeploy.cli.monitoring import parts_of
from llmdeploy.cli.opening import _tunnel
from llmdeploy.cluster.access import Access
from llmdeploy.config.watching import PARTS
from llmdeploy.secrets import password as passwords
from llmdeploy.secrets.password import FILE_VARIABLE
from llmdeploy.secrets.programs import PASSWORD_VARIABLE
from tests.unit.cli.conftest import Call
from tests.unit.cli.test_secrets import PASSWORD, values


@pytest.mark.parametrize(
    ("words", "code", "said"),
    [
        ("dev monitoring opn", 2, "monitoring has no 'opn'"),
        ("dev monitoring open --remove", 2, "open only looks"),
        ("dev monitoring --tunnel", 2, "--tunnel is about open"),
        ("dev monitoring --data", 2, "--data is about --remove"),
        ("dev monitoring", 3, "no group `ui`"),
        ("production monitoring --set monitoring.group=app", 2, "--yes"),
        ("staging monitoring --remove --data", 2, "--yes"),
    ],
)
def test_what_is_wrong_is_told_before_any_host_is_asked(
    call: Call, project: Path, no_ssh: Callable[[], bool], words: str, code: int, said: str
) -> None:
    done = call(*words.split())
    assert done.code == code, done
    assert said in done.err
    assert no_ssh()


@pytest.fixture
def password(monkeypatch: pytest.MonkeyPatch) -> None:
    """The one of the secrets."""
    monkeypatch.delenv(FILE_VARIABLE, raising=False)
    monkeypatch.setenv(PASSWORD_VARIABLE, PASSWORD)
    monkeypatch.setattr(passwords, "_typed", {})


@pytest.mark.usefixtures("password")
def test_grafanas_password_is_made_once_and_can_be_asked_for(
    call: Call, project: Path, no_ssh: Callable[[], bool]
) -> None:
    (project / "environments" / "staging.yml").write_text("monitoring: {group: app}\n")
    first = call("staging", "monitoring", "--yes")
    assert first.code == 5, "what it needs is there, its host is not"
    assert "made in environments/staging.secrets.yml: grafana_admin_password, grafana_secret_key" in first.err
    assert not no_ssh()
    made = values(project, "staging")
    assert set(made) == {"grafana_admin_password", "grafana_secret_key"}
    assert made["grafana_admin_password"] not in first.out + first.err
    again = call("staging", "monitoring", "--yes")
    assert "made in" not in again.err
    assert values(project, "staging") == made
    # Also where the files do not switch it on, as it may have been brought up by the verb.
    assert call("staging", "secrets", "get", "grafana_admin_password").out.strip() == made["grafana_admin_password"]
    listed = call("staging", "secrets", "list", "--json")
    assert listed.envelope["data"]["undeclared"] == []


@pytest.mark.usefixtures("password")
def test_without_grafana_there_is_nothing_to_make(call: Call, project: Path, no_ssh: Callable[[], bool]) -> None:
    text = "monitoring: {group: app, parts: {grafana: {enabled: false}}}\n"
    (project / "environments" / "staging.yml").write_text(text)
    assert call("staging", "monitoring", "--yes").code == 5
    assert not (project / "environments" / "staging.secrets.yml").exists()
    assert not no_ssh()


def test_a_tunnel_is_a_connection_of_its_own_from_this_machine_only() -> None:
    access = Access("tail", "10.0.0.4", ("ssh", "-o", "ControlMaster=auto", "-l", "ops", "10.0.0.4"), become=True)
    command = _tunnel(access, [3002, 9090])
    assert command[0] == "ssh"
    assert command[-1] == "10.0.0.4"
    assert command[command.index("-L") + 1] == "127.0.0.1:3002:127.0.0.1:3002"
    assert "127.0.0.1:9090:127.0.0.1:9090" in command
    assert "ExitOnForwardFailure=yes" in command
    # Of two values ssh takes the first: one that shares a connection would end at once.
    assert command.index("ControlPath=none") < command.index("ControlMaster=auto")


def test_somebodys_own_service_of_a_parts_name_is_no_part() -> None:
    part, own = {"spec": {"Labels": {"llmdeploy.part": "monitoring"}}}, {"spec": {"Labels": {"llmdeploy.stack": "s"}}}
    parts = parts_of({"job": {"services": {"prometheus": part, "loki": own, "web": own}}})
    assert "prometheus" in parts
    assert "loki" not in parts
    assert set(PARTS) - set(parts) == {"loki"}
