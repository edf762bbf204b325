"""Where each image of a release comes from: a build folder, an archive, or a registry."""

from __future__ import annotations

import json
import tarfile
from collections.abc import Collection, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from llmdeploy.config import Environment, Host
from llmdeploy.config.models import Container
from llmdeploy.errors import ConfigError, Problem
from llmdeploy.release.spec import EDGE
from llmdeploy.render.context import Context, build_context, write_tar


@dataclass(frozen=True)
class Source:
    """One image: `ref` is the key of its pin, `hosts` the names of the hosts that may run it."""

    ref: str
    hosts: tuple[str, ...]
    context: Context | None = None
    archive: Path | None = None
    ident: str = ""  # of an archive's image, by which a changed archive of the same name is noticed

    @property
    def kind(self) -> str:
        """`build`, `archive` or `registry`."""
        if self.context:
            return "build"
        return "archive" if self.archive else "registry"

    def variables(self, run_dir: Path) -> dict[str, Any]:
        """What the images role is given; writes the build folder's tar into `run_dir`."""
        values: dict[str, Any] = {"ref": self.ref, "kind": self.kind, "hosts": list(self.hosts)}
        if self.archive:
            values |= {"archive": str(self.archive), "id": self.ident}
        if self.context:
            build = self.context.build
            tar = run_dir / f"{self.context.sha256[:12]}.tar"
            values |= {
                "context": str(tar),
                "context_sha": self.context.sha256,
                "dockerfile": build.dockerfile,
                "args": build.args,
            }
        return values


def service_images(env: Environment) -> dict[str, str]:
    """Service name (and `edge`) → image reference, the key of its pin. Hashes build folders."""
    return {name: source.ref for name, source in _by_service(env).items()}


def image_sources(env: Environment, services: Collection[str] | None = None) -> list[Source]:
    """Each different image once, with all hosts that may run it; of `services` (and `edge`) only, where given."""
    merged: dict[str, Source] = {}
    for name, source in _by_service(env).items():
        if services is not None and name not in services:
            continue
        known = merged.get(source.ref)
        hosts = sorted({*source.hosts, *(known.hosts if known else ())})
        merged[source.ref] = replace(source, hosts=tuple(hosts))
    return list(merged.values())


def write_contexts(env: Environment, sources: Sequence[Source], run_dir: Path) -> None:
    """Writes the tar of every build folder into `run_dir`, under the name that `Source.variables` gives."""
    for source in sources:
        if source.context:
            write_tar(env.project.root, source.context.build, run_dir / f"{source.context.sha256[:12]}.tar")


def edge_hosts(env: Environment) -> tuple[Host, ...]:
    """The hosts that run the edge: those of `edge.groups`, else of a group named `edge`, else all."""
    inventory = env.inventory
    groups = env.settings.edge.groups or ([EDGE] if inventory.groups.get(EDGE) else None)
    if groups is None:
        return inventory.hosts
    names = {name for group in groups for name in inventory.groups.get(group, ())}
    return tuple(host for host in inventory.hosts if host.name in names)


def _by_service(env: Environment) -> dict[str, Source]:
    archives = {tag: (path, ident) for path in _archive_paths(env) for tag, ident in archive_images(path).items()}
    contexts: dict[str, Context] = {}

    def source(container: Container, hosts: Sequence[Host]) -> Source:
        names = tuple(host.name for host in hosts)
        if container.build:
            key = container.build.model_dump_json()
            contexts.setdefault(key, build_context(env.project.root, container.build))
            return Source(contexts[key].ref, names, contexts[key])
        image = container.image or ""
        path, ident = archives.get(image, (None, ""))
        return Source(image, names, archive=path, ident=ident)

    services = {name: source(one, env.inventory.in_group(one.group)) for name, one in env.settings.services.items()}
    return {EDGE: source(env.settings.edge, edge_hosts(env)), **services}


def _archive_paths(env: Environment) -> list[Path]:
    return [env.project.root / archive for archive in env.settings.images.archives]


def archive_images(path: Path) -> dict[str, str]:
    """The images inside an archive made by `docker save`: name → id (of the classic image store).

    Raises ConfigError when the file is no such archive.
    """
    try:
        with tarfile.open(path) as archive:
            manifest = archive.extractfile("manifest.json")
            entries = json.load(manifest) if manifest else []
        return {
            tag: f"sha256:{Path(entry['Config']).name.removesuffix('.json')}"
            for entry in entries
            for tag in entry.get("RepoTags") or []
        }
    except (tarfile.TarError, OSError, ValueError, KeyError) as error:
        why = f"not an archive of images: {error}"
        raise ConfigError([Problem(path.name, 0, "", "", why, "docker save --output FILE IMAGE makes one")]) from error
