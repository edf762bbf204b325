"""Secrets that services are given: declared, each in a file of its own."""

from __future__ import annotations

from collections.abc import Iterator

from llmdeploy.config.draft import Draft
from llmdeploy.config.marks import KeyPath
from llmdeploy.config.models import Container
from llmdeploy.config.nearest import did_you_mean
from llmdeploy.errors import Problem

OURS = {"swarm_unlock_key"}  # llmdeploy.secrets.names.UNLOCK_KEY


def check(draft: Draft) -> Iterator[Problem]:
    """Secrets that nobody declares, and two in one file."""
    known = {part for name, one in draft.settings.secrets.items() for part in one.parts(name)}
    for name in {*draft.settings.secrets} & OURS:
        yield draft.problem("secrets", name, why="the name is llmdeploy's own", hint="give the secret another name")
    for name, service in draft.services():
        yield from _uses(draft, ("services", name), service, known)
    yield from _uses(draft, ("edge",), draft.settings.edge, known)


def _uses(draft: Draft, path: KeyPath, container: Container, known: set[str]) -> Iterator[Problem]:
    files: dict[str, int] = {}
    for index, use in enumerate(container.secrets):
        here, file = (*path, "secrets", index), use.file or use.name
        if use.name not in known and draft.whole("secrets"):
            hint = did_you_mean(use.name, known) or f"declare it: `secrets: {{{use.name.split('.')[0]}: {{}}}}`"
            yield draft.problem(*here, why=f"no secret `{use.name}`", hint=hint, value=use.name)
        if file in files:
            yield draft.problem(*here, why=f"`{file}` is the file of secrets[{files[file]}] already", value=use.name)
        files.setdefault(file, index)
