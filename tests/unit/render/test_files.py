"""Configuration files: read from the project or out of the catalogue, known by their content."""

from __future__ import annotations

from pathlib import Path

import pytest

from llmdeploy.config import load
from llmdeploy.errors import ConfigError
from llmdeploy.project import Project
from llmdeploy.render.files import file_names, file_texts

CATALOGUE = """
stack: shop
tls: {mode: off}
defaults: {image: app, group: one}
edge: {image: proxy}
services:
  web:
    files: ["app.conf:/etc/app.conf", {target: /etc/other.conf, text: "same\\n"}]
  store:
    files: [{target: /etc/store.conf, text: "same\\n"}]
"""


@pytest.fixture
def project(tmp_path: Path) -> Project:
    for name, text in (
        ("inventory/group_vars/all.yml", CATALOGUE),
        ("inventory/dev.ini", "[one]\nhost1 ansible_connection=local\n"),
        ("environments/dev.yml", ""),
        ("app.conf", "mine\n"),
    ):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text(text)
    return Project(tmp_path)


def test_a_content_has_one_name_wherever_it_is_used(project: Project) -> None:
    env = load(project, "dev")
    names = file_names(env)
    assert names["web"]["/etc/other.conf"] == names["store"]["/etc/store.conf"] != names["web"]["/etc/app.conf"]
    assert file_texts(env) == {names["web"]["/etc/app.conf"]: "mine\n", names["store"]["/etc/store.conf"]: "same\n"}
    assert all(name.startswith("shop.file.") for name in file_texts(env))
    (project.root / "app.conf").write_text("another\n")
    assert file_names(env)["web"]["/etc/app.conf"] != names["web"]["/etc/app.conf"]


@pytest.mark.parametrize(
    ("files", "said"),
    [
        ('["no.conf:/etc/a"]', "services.web.files[0] = no.conf:/etc/a: no file `no.conf` in the project"),
        ('["../out:/etc/a"]', "`../out` is outside of the project"),
        ('["app.conf:/etc/a", {target: /etc/a, text: x}]', "`/etc/a` is files[0] already"),
        ("[{target: /etc/a}]", "give it either `source`, a file of the project, or `text`"),
        ("[{target: /etc/a, source: app.conf, text: x}]", "give it either `source`"),
        ('["app.conf"]', "not a file; write FILE:/path/in/the/container"),
        ('["large:/etc/a"]', "has 600 KB; Docker takes less than 500 KB"),
    ],
)
def test_mistakes_are_told_before_a_host_is_contacted(project: Project, files: str, said: str) -> None:
    (project.root / "large").write_text("x" * 600 * 1024)
    (project.root / "environments" / "dev.yml").write_text(f"services: {{web: {{files: {files}}}}}")
    with pytest.raises(ConfigError) as caught:
        load(project, "dev")
    assert said in "\n".join(map(str, caught.value.problems))


def test_a_file_that_is_no_text_is_told(project: Project) -> None:
    env = load(project, "dev")
    (project.root / "app.conf").write_bytes(b"\xff\xfe")
    with pytest.raises(ConfigError, match="1 problem") as caught:
        file_texts(env)
    assert "app.conf: cannot be read as text" in str(caught.value.problems[0])
