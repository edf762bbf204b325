"""Commands that only read or write files: init, environments, schema, validate, config."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Literal

import typer

from llmdeploy.cli.session import Outcome, Session
from llmdeploy.errors import UsageError


def init(session: Session, folder: Annotated[Path, typer.Argument(help="Where to put it.")] = Path()) -> Outcome:
    """Make a project: catalogue, inventories, environments and the demo stack. Never overwrites a file."""
    from llmdeploy.config import init_project

    written = init_project(folder)
    return Outcome("init", {"folder": str(folder.resolve()), "written": [str(path) for path in written]})


def environments(session: Session) -> Outcome:
    """List the environments of the project."""
    project = session.project
    rows = [
        {"name": name, "inventory": str(project.inventory_file(name)), "settings": str(project.environment_file(name))}
        for name in project.environments()
    ]
    return Outcome("environments", {"project": str(project.root), "environments": rows})


def schema(
    session: Session,
    which: Annotated[Literal["catalogue", "environment"] | None, typer.Argument(help="Only this one.")] = None,
) -> Outcome:
    """Print the JSON Schema of the catalogue and of an environment's file, for editors."""
    from llmdeploy.config import schema as make

    schemas = make()
    return Outcome("schema", schemas[which] if which else schemas)


def validate(session: Session) -> Outcome:
    """Check the whole configuration without contacting a host."""
    from llmdeploy.release.order import waves
    from llmdeploy.render.edge import edge_config
    from llmdeploy.render.images import service_images

    env = session.load()
    service_images(env)
    edge_config(env.settings)
    return Outcome(
        "validate",
        {
            "environment": env.name,
            "hosts": len(env.inventory.hosts),
            "services": len(env.settings.services),
            "waves": waves({name: service.depends_on for name, service in env.settings.services.items()}),
        },
    )


def config(
    session: Session, key: Annotated[str, typer.Argument(help="Only keys that begin so: services.gateway")] = ""
) -> Outcome:
    """Show the effective configuration; each value with the file and line it comes from."""
    from llmdeploy.config import effective

    rows = [
        {"key": name, "value": value, "origin": origin}
        for name, value, origin in effective(session.load())
        if name.startswith(key)
    ]
    if key and not rows:
        raise UsageError(
            f"there is no key that begins with {key[:60]!r}", hint=f"llmdeploy {session.environment} config"
        )
    return Outcome("config", {"environment": session.environment, "values": rows})
