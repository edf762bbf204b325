"""Which registry an image is of, and which ones are allowed."""

from __future__ import annotations

import pytest

from llmdeploy.config.checks.registries import repository
from llmdeploy.engine.host import repository as full_repository

from .conftest import Maker

DIGEST = "sha256:" + "0" * 64


@pytest.mark.parametrize(
    ("ref", "name"),
    [
        ("redis", "docker.io/library/redis"),
        ("redis:7", "docker.io/library/redis"),
        ("team/app:1", "docker.io/team/app"),
        ("docker.io/team/app", "docker.io/team/app"),
        (f"registry.example/app@{DIGEST}", "registry.example/app"),
        (f"registry.example:5000/team/app:1@{DIGEST}", "registry.example:5000/team/app"),
        ("localhost/app:1", "localhost/app"),
    ],
)
def test_the_repository_of_an_image(ref: str, name: str) -> None:
    assert repository(ref) == name
    assert full_repository(ref) == name, "hosts and the configuration must mean the same"


@pytest.mark.parametrize(
    ("allow", "image", "why"),
    [
        ("[]", "redis", ""),
        ("[registry.example]", "registry.example/team/app:1", ""),
        ("[registry.example/team/]", "registry.example/team/app:1", ""),
        ("[registry.example/te]", "registry.example/team/app:1", "registry.example/team/app"),
        ("[registry.example]", "registry.example.evil.test/app", "registry.example.evil.test/app"),
        ("[registry.example]", "registry.example:5000/app", "registry.example:5000/app"),
        ("[registry.example]", "redis", "docker.io/library/redis"),
    ],
)
def test_only_images_of_these_registries(maker: Maker, allow: str, image: str, why: str) -> None:
    folder = "edge:\n  image: registry.example/team/edge:1\n"
    maker.environment(f"{folder}images: {{allow: {allow}}}\ndefaults: {{image: {image!r}}}\n")
    if not why:
        maker.load()
        return
    (problem,) = (one for one in maker.problems() if one.path != "edge.image")
    assert (problem.line, problem.path, problem.why) == (4, "defaults.image", f"{why} is not in images.allow")
    assert problem.hint.startswith("there: registry.example")
