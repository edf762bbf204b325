"""An environment whose files are damaged still gives its hosts."""

from __future__ import annotations

import pytest

from llmdeploy.config import load_outline
from llmdeploy.errors import ConfigError, UsageError
from llmdeploy.project import find_project

from .conftest import CATALOGUE, Maker


def test_valid_files_give_the_whole_environment(maker: Maker) -> None:
    maker.environment("stack: shop\nconfirm: true\n")
    found = load_outline(maker.project, "dev")
    assert found.environment is not None
    assert (found.stack, found.confirm, found.error) == ("shop", True, None)
    assert [host.name for host in found.inventory.hosts] == ["host1"]


@pytest.mark.parametrize(
    ("catalogue", "environment", "stack", "confirm"),
    [
        (f"stack: shop\n{CATALOGUE}", None, "shop", False),
        (f"stack: shop\n{CATALOGUE}", "services: {alpha: {replicaz: 2}}\nconfirm: true\n", "shop", True),
        (f"stack: shop\n{CATALOGUE}", "a: [broken\n", "shop", False),
        (f"stack: shop\n{CATALOGUE}", "- a list\n", "shop", False),
        ("a: [broken\n", "stack: mall\n", "mall", False),
        (None, "stack: mall\nconfirm: yes please\n", "mall", False),
        (None, None, "", False),
        ("stack: [1]\n", "stack: {a: 1}\n", "", False),
    ],
)
def test_damaged_files_give_the_hosts_and_what_is_probable(
    maker: Maker, catalogue: str | None, environment: str | None, stack: str, confirm: bool
) -> None:
    for name, text in (("inventory/group_vars/all.yml", catalogue), ("environments/dev.yml", environment)):
        maker.write(name, text or "")
        if text is None:
            (maker.project.root / name).unlink()
    found = load_outline(maker.project, "dev")
    assert found.environment is None
    assert found.error is not None
    assert (found.stack, found.confirm) == (stack, confirm)
    assert [(host.name, host.local) for host in found.inventory.hosts] == [("host1", True)]


def test_production_asks_even_where_nothing_can_be_read(maker: Maker) -> None:
    maker.write("inventory/production.ini", "[one]\nfar ansible_host=192.0.2.1\n")
    assert load_outline(maker.project, "production").confirm


def test_without_hosts_there_is_nothing_to_go_on_with(maker: Maker) -> None:
    maker.environment("a: [broken\n")
    maker.inventory("[one\n")
    with pytest.raises(ConfigError) as caught:
        load_outline(maker.project, "dev")
    assert {problem.file for problem in caught.value.problems} == {"environments/dev.yml", "inventory/dev.ini"}


def test_a_wrong_name_or_option_is_still_one(maker: Maker) -> None:
    with pytest.raises(UsageError, match="no environment"):
        load_outline(maker.project, "prod")
    maker.environment("a: [broken\n")
    with pytest.raises(UsageError, match="no `=` in it"):
        load_outline(maker.project, "dev", ["stack"])


def test_a_folder_with_nothing_but_an_inventory_is_found(maker: Maker, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("LLMDEPLOY_PROJECT_DIR", raising=False)
    (maker.project.root / "inventory/group_vars/all.yml").unlink()
    (maker.project.root / "below").mkdir()
    assert find_project(maker.project.root / "below").root == maker.project.root
    assert find_project(explicit=maker.project.root).root == maker.project.root
    assert load_outline(maker.project, "dev").inventory.hosts
