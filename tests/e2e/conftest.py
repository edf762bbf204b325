"""Fixtures of the end-to-end tests: labs, projects, and the images of the demo stack."""

from __future__ import annotations

import itertools
import json
import os
import subprocess
import sys
from collections.abc import Callable, Collection
from pathlib import Path

import pytest

from llmdeploy import engine
from llmdeploy.config import load
from llmdeploy.project import Project as Files
from llmdeploy.project import resources
from llmdeploy.render.images import image_sources, write_contexts
from tests.e2e.stack import Project, alone
from tests.lab import paths, shell
from tests.lab.engine import ensure_engine
from tests.lab.fixtures import lab4, lab_factory

__all__ = ["lab4", "lab_factory"]

LONGEST = (
    "variants", "taking_back", "monitoring", "failures", "rollback", "four_hosts", "kills", "interrupts", "two_people",
    "dev",
)  # fmt: skip

MakeProject = Callable[..., Project]
MakeImages = Callable[..., list[str]]


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """The longest files first: what begins last is short then, and no worker idles long at the end."""
    ranks = {f"test_{name}": rank for rank, name in enumerate(LONGEST)}
    items.sort(key=lambda item: ranks.get(item.path.stem, len(ranks)))


@pytest.fixture(scope="session")
def make_project(tmp_path_factory: pytest.TempPathFactory) -> MakeProject:
    """Make new projects: `make_project()`."""
    folder, numbers = tmp_path_factory.mktemp("projects"), itertools.count(1)
    return lambda: Project.create(folder / f"p{next(numbers)}")


@pytest.fixture
def project(make_project: MakeProject) -> Project:
    """A new project for one test."""
    return make_project()


@pytest.fixture(scope="session")
def make_images(tmp_path_factory: pytest.TempPathFactory) -> MakeImages:
    """Make the images that a project builds, on this machine's engine and by the product's own module.

    `make_images(project, "staging")` returns their names: what a deploy of that environment would call them, so that
    a host that has been given them (`lab.load(*names)`) builds nothing. Folders in `without` are left out.
    """
    ensure_engine()

    def make(project: Project, env: str = "dev", *, without: Collection[str] = ()) -> list[str]:
        folder = tmp_path_factory.mktemp("contexts")
        environment = load(Files(project.root), env, ())
        wanted = [one for one in image_sources(environment) if one.context and one.context.build.context not in without]
        write_contexts(environment, wanted, folder)
        with alone(paths.cache() / "images.lock"):
            missing = [source.variables(folder) for source in wanted if not _exists(source.ref)]
            if missing:
                _make(missing, folder)
        return [source.ref for source in wanted]

    return make


@pytest.fixture(scope="session")
def demo_images(make_project: MakeProject, make_images: MakeImages) -> list[str]:
    """The images of the demo stack and of the edge, made once: `lab.load(*demo_images)`."""
    return make_images(make_project())


def _exists(ref: str) -> bool:
    return shell.docker("image", "inspect", "--format", "{{.Id}}", ref, check=False).returncode == 0


def _make(images: list[dict[str, object]], folder: Path) -> None:
    utils = folder / "module_utils"
    utils.mkdir()
    (utils / "engine").symlink_to(Path(engine.__file__).parent)
    done = subprocess.run(
        [
            str(Path(sys.executable).with_name("ansible")),
            *("localhost", "--inventory", "localhost,", "--connection", "local", "--module-name", "llmdeploy_image"),
            *("--module-path", str(resources() / "playbooks" / "library"), "--args", json.dumps({"images": images})),
            *("--extra-vars", f"ansible_python_interpreter={sys.executable}"),
        ],
        env={**os.environ, "ANSIBLE_MODULE_UTILS": str(utils), "ANSIBLE_LOCALHOST_WARNING": "false"},
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=900,
        check=False,
    )
    assert done.returncode == 0, f"the images could not be made:\n{done.stdout}\n{done.stderr}"
