"""Finding the project, our own files, and starting a new project."""

from __future__ import annotations

from pathlib import Path

import pytest

from llmdeploy import project as module
from llmdeploy.config import init_project, load
from llmdeploy.errors import LlmdeployError, UsageError
from llmdeploy.project import Project, find_project, resources

from .conftest import Maker

CHECKOUT = Path(__file__).parents[3]


def test_the_nearest_folder_at_or_above(maker: Maker, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("LLMDEPLOY_PROJECT_DIR", raising=False)
    below = maker.project.root / "a" / "b"
    below.mkdir(parents=True)
    assert find_project(below).root == maker.project.root
    monkeypatch.chdir(below)
    assert find_project().root == maker.project.root


def test_a_dot_is_this_folder_and_none_above(maker: Maker, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(maker.project.root / "environments")
    with pytest.raises(UsageError, match="--project: no project in"):
        find_project(explicit=Path())


def test_named_projects_win(
    maker: Maker, tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch
) -> None:
    elsewhere = tmp_path_factory.mktemp("elsewhere")
    monkeypatch.setenv("LLMDEPLOY_PROJECT_DIR", str(maker.project.root))
    assert find_project(elsewhere).root == maker.project.root
    other = Maker(tmp_path_factory.mktemp("other"))
    assert find_project(elsewhere, other.project.root).root == other.project.root


@pytest.mark.parametrize("variable", [True, False])
def test_a_named_folder_that_is_no_project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, variable: bool) -> None:
    monkeypatch.setenv("LLMDEPLOY_PROJECT_DIR", str(tmp_path) if variable else "")
    with pytest.raises(UsageError) as caught:
        find_project(None, None if variable else tmp_path)
    assert caught.value.message.startswith("LLMDEPLOY_PROJECT_DIR" if variable else "--project")
    assert "llmdeploy init" in caught.value.hint


def test_no_project_anywhere(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("LLMDEPLOY_PROJECT_DIR", raising=False)
    with pytest.raises(UsageError, match="no project here") as caught:
        find_project(tmp_path)
    assert "llmdeploy init" in caught.value.hint


def test_environments_come_from_both_folders(maker: Maker) -> None:
    maker.write("inventory/lab-1.yaml", "")
    maker.write("inventory/two.yml", "")
    maker.write("environments/three.yml", "")
    maker.write("environments/three.secrets.yml", "")
    maker.write("environments/Odd.yml", "")
    assert maker.project.environments() == ["dev", "lab-1", "three", "two"]
    assert maker.project.inventory_file("lab-1").name == "lab-1.yaml"
    assert maker.project.inventory_file("new").name == "new.ini"
    assert maker.project.environment_file("dev").is_file()
    assert Project(maker.project.root / "nowhere").environments() == []


def test_resources_are_those_of_the_checkout() -> None:
    assert resources() == CHECKOUT


def test_resources_of_an_installed_package(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    package = tmp_path / "site-packages" / "llmdeploy"
    (package / "_data" / "playbooks").mkdir(parents=True)
    monkeypatch.setattr(module, "__file__", str(package / "project.py"))
    assert resources() == package / "_data"
    (package / "_data" / "playbooks").rmdir()
    with pytest.raises(LlmdeployError, match="the installation is incomplete"):
        resources()


def test_a_new_project_loads(tmp_path: Path) -> None:
    target = tmp_path / "new"
    written = init_project(target)
    assert target / "inventory" / "group_vars" / "all.yml" in written
    assert all(path.is_file() for path in written)
    assert not [path for path in written if "__pycache__" in path.parts or path.suffix == ".pyc"]
    project = find_project(target)
    for name in project.environments():
        assert load(project, name).settings.services
    assert init_project(target) == []


def test_nothing_is_ever_overwritten(tmp_path: Path) -> None:
    kept = tmp_path / "environments" / "dev.yml"
    kept.parent.mkdir()
    kept.write_text("# mine\n")
    broken = tmp_path / "inventory" / "dev.ini"
    broken.parent.mkdir()
    broken.symlink_to(tmp_path / "gone")
    written = init_project(tmp_path)
    assert kept not in written
    assert broken not in written
    assert kept.read_text() == "# mine\n"
    assert not (tmp_path / "gone").exists()


def test_a_target_that_cannot_be_written(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(LlmdeployError, match="cannot write the project"):
        init_project(tmp_path / "file")


@pytest.mark.parametrize("name", ["dev", "staging", "production"])
def test_the_environments_that_come_with_us(name: str) -> None:
    environment = load(Project(CHECKOUT), name)
    assert len(environment.settings.services) >= 10
    assert environment.confirm == (name == "production")
