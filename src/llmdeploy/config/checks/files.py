"""Files of the project that the configuration names: build folders and image archives."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from llmdeploy.config.draft import Draft
from llmdeploy.config.marks import KeyPath
from llmdeploy.config.models import Container
from llmdeploy.errors import Problem

LARGEST = 500 * 1024  # of a config object (Docker before 26)


def check(draft: Draft) -> Iterator[Problem]:
    """Build folders, Dockerfiles, configuration files and archives that are not there."""
    services = [(("services", name), service) for name, service in draft.services()]
    for path, container in [*services, (("edge",), draft.settings.edge)]:
        yield from _build(draft, path, container)
        yield from _given(draft, path, container)
    for index, archive in enumerate(draft.settings.images.archives):
        if not _inside(draft.root, archive):
            yield draft.problem("images", "archives", index, why=f"`{archive}` is outside of the project")
        elif not is_there(draft.root / archive, "file"):
            yield draft.problem("images", "archives", index, why=f"no file `{archive}` in the project")


def _build(draft: Draft, path: KeyPath, container: Container) -> Iterator[Problem]:
    if container.build is None:
        return
    context = draft.root / container.build.context
    if not _inside(draft.root, container.build.context):
        yield draft.problem(*path, "build", "context", why=f"`{container.build.context}` is outside of the project")
    elif not is_there(context, "folder"):
        why = f"no folder `{container.build.context}` in the project"
        yield draft.problem(*path, "build", "context", why=why)
    elif not _inside(context, container.build.dockerfile):
        why = f"`{container.build.dockerfile}` is outside of the folder"
        yield draft.problem(*path, "build", "dockerfile", why=why)
    elif not is_there(context / container.build.dockerfile, "file"):
        file = f"{container.build.context.rstrip('/')}/{container.build.dockerfile}"
        key = "dockerfile" if "dockerfile" in container.build.model_fields_set else "context"
        yield draft.problem(*path, "build", key, why=f"no file `{file}` in the project")


def _given(draft: Draft, path: KeyPath, container: Container) -> Iterator[Problem]:
    """Configuration files of a service: there, in the project, not too large, each at a place of its own."""
    targets: dict[str, int] = {}
    for index, use in enumerate(container.files):
        here = (*path, "files", index)
        if use.target in targets:
            yield draft.problem(*here, why=f"`{use.target}` is files[{targets[use.target]}] already")
        targets.setdefault(use.target, index)
        if use.source is None:
            size = len((use.text or "").encode())
        elif not _inside(draft.root, use.source):
            yield draft.problem(*here, why=f"`{use.source}` is outside of the project")
            continue
        elif not is_there(draft.root / use.source, "file"):
            yield draft.problem(*here, why=f"no file `{use.source}` in the project")
            continue
        else:
            size = (draft.root / use.source).stat().st_size
        if size >= LARGEST:
            yield draft.problem(*here, why=f"has {size // 1024} KB; Docker takes less than {LARGEST // 1024} KB")


def _inside(folder: Path, name: str) -> bool:
    """Whether the file is in the folder, wherever links lead to; true for what no file can be called."""
    try:
        return (folder / name).resolve().is_relative_to(folder.resolve())
    except (OSError, ValueError, RuntimeError):
        return True


def is_there(path: Path, kind: str) -> bool:
    """Whether there is a `file` or a `folder`; false for what none can be called."""
    try:
        return path.is_dir() if kind == "folder" else path.is_file()
    except (OSError, ValueError):  # a name too long, or of a kind no file has
        return False
