"""What every container must have, and what no two of its settings may say at once."""

from __future__ import annotations

import posixpath
import re
from collections.abc import Iterator

from llmdeploy.config.draft import Draft
from llmdeploy.config.marks import KeyPath
from llmdeploy.config.models import Container
from llmdeploy.config.units import show_memory
from llmdeploy.errors import Problem

_VARIABLE = re.compile(r"[A-Za-z_][A-Za-z0-9_.-]*")  # dots and hyphens: real images want them (`discovery.type`)
_VOLUME = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.-]+")
_OURS = {"/llmdeploy": "the health probe", "/edge": "the edge's configuration", "/edge-tls": "the edge's certificate"}


def check(draft: Draft) -> Iterator[Problem]:
    """Images, resources, environment and volumes of all services and of the edge; reserved names."""
    for name, service in draft.services():
        path: KeyPath = ("services", name)
        if name in ("edge", "edge-config", "edge-tls"):
            yield draft.problem(*path, why=f"the name `{name}` belongs to the edge proxy", value="")
        yield from _container(draft, path, service)
    yield from _container(draft, ("edge",), draft.settings.edge)


def _container(draft: Draft, path: KeyPath, container: Container) -> Iterator[Problem]:
    yield from _image(draft, path, container)
    yield from _resources(draft, path, container)
    yield from _environment(draft, path, container)
    yield from _volumes(draft, path, container)


def _image(draft: Draft, path: KeyPath, container: Container) -> Iterator[Problem]:
    if not all(draft.whole(*place) for place in ((*path, "image"), (*path, "build"), ("defaults",))):
        return
    if container.image and container.build:
        yield draft.problem(*path, "image", why="image and build are both given", hint="keep one of them")
    elif not container.image and not container.build:
        hint = "give it `image: NAME:TAG`, or `build: FOLDER` with a Dockerfile"
        yield draft.problem(*path, why="image missing", hint=hint, value="")


def _resources(draft: Draft, path: KeyPath, container: Container) -> Iterator[Problem]:
    if draft.whole(*path, "memory") and container.reserve_memory > container.memory:
        why = f"reserves more than the limit of {show_memory(container.memory)}"
        yield draft.problem(*path, "reserve_memory", why=why)
    if draft.whole(*path, "cpus") and container.reserve_cpus > container.cpus:
        yield draft.problem(*path, "reserve_cpus", why=f"reserves more than the limit of {container.cpus:g} cores")


def _environment(draft: Draft, path: KeyPath, container: Container) -> Iterator[Problem]:
    for name in container.environment:
        if not _VARIABLE.fullmatch(name):
            why = "is not a variable's name: letters, digits, `_`, `.` and `-`, no digit first"
            yield draft.problem(*path, "environment", name, why=why)


def _volumes(draft: Draft, path: KeyPath, container: Container) -> Iterator[Problem]:
    targets: dict[str, int] = {}
    for index, volume in enumerate(container.volumes):
        here = (*path, "volumes", index)
        if not volume.source.startswith("/") and not _VOLUME.fullmatch(volume.source):
            why = f"`{volume.source}` is neither an absolute path on the host nor a volume's name"
            yield draft.problem(*here, why=why, hint="paths begin with /; names are letters, digits, `-`, `_` and `.`")
        target = posixpath.normpath(volume.target)
        owner = next((what for root, what in _OURS.items() if (target + "/").startswith(root + "/")), None)
        if target in ("/", "//"):
            yield draft.problem(*here, why="nothing can be mounted over /")
        elif owner:
            yield draft.problem(*here, why=f"`{target}` belongs to {owner}")
        elif target in targets:
            yield draft.problem(*here, why=f"`{target}` has a volume already, volumes[{targets[target]}]")
        targets.setdefault(target, index)
