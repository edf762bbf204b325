"""Which images of a host nobody needs any more, and which of them are ours to remove. Pure.

Ours is what llmdeploy has brought to the host (the file `BROUGHT` remembers its names), what it builds, and what Docker
pulled by digest for one of our services. An image that somebody else has given a name of his own is his.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from typing import Any

from .host import full_name, repository
from .host_images import is_id

BROUGHT = "/var/lib/llmdeploy/images"  # one name or id a line; only ever appended to by who brings images
BUILT = "docker.io/llmdeploy/"
NONE = "<none>"
Json = Mapping[str, Any]


def needed(manifests: Iterable[Json], services: Iterable[Json]) -> dict[str, list[str]]:
    """What kept releases (of whichever stack) and live services (whosever) need.

    Out: `images` (ids and `repo@digest`), `repositories` of our images, `configs` and `secrets` (their names).
    """
    images: set[str] = set()
    repositories: set[str] = set()
    configs: set[str] = set()
    secrets: set[str] = set()
    for manifest in manifests:
        images |= {_pin(pin) for pin in manifest["pins"].values()}
        repositories |= {repository(name) for pair in manifest["pins"].items() for name in pair if not is_id(name)}
        stack = manifest["job"]["stack"]
        for entry in manifest["job"]["services"].values():
            configs |= _configs(stack, entry["spec"])
            secrets |= _secrets(entry["spec"])
    for service in services:
        image = service["Spec"]["TaskTemplate"].get("ContainerSpec", {}).get("Image", "")
        images |= {_pin(image)} if image else set()
        configs |= _configs((service["Spec"].get("Labels") or {}).get("llmdeploy.stack", ""), service["Spec"])
        secrets |= _secrets(service["Spec"])
    found = {"images": images, "repositories": repositories, "configs": configs, "secrets": secrets}
    return {kind: sorted(names) for kind, names in found.items()}


def superfluous(
    images: Iterable[Json], containers: Iterable[Json], wanted: Json, brought: Collection[str]
) -> list[dict[str, Any]]:
    """What may go: `{"id", "names", "size"}`, of Docker's lists of images and of all containers, ended ones too.

    `wanted` is that of `needed`, `brought` the lines of the file.
    """
    keep, used = set(wanted["images"]), {container.get("ImageID", "") for container in containers}
    known = {name if is_id(name) else full_name(name) for name in brought}
    repositories = {*wanted["repositories"], *(repository(name) for name in known if not is_id(name))}
    return [
        {"id": image["Id"], "names": names(image), "size": int(image.get("Size") or 0)}
        for image in images
        if image["Id"] not in used and not keep & set(_all(image)) and _ours(image, known, repositories)
    ]


def names(image: Json) -> list[str]:
    """What an image is called on its host: tags, then digests; empty for one without a name."""
    return [*_real(image.get("RepoTags")), *_real(image.get("RepoDigests"))]


def still_here(brought: Iterable[str], images: Iterable[Json]) -> list[str]:
    """The lines of the file that are still about something."""
    there = {name for image in images for name in _all(image)}
    return sorted({line for line in brought if (line if is_id(line) else full_name(line)) in there})


def _ours(image: Json, known: Collection[str], repositories: Collection[str]) -> bool:
    tags = [full_name(tag) for tag in _real(image.get("RepoTags"))]
    if any(tag not in known and not tag.startswith(BUILT) for tag in tags):
        return False
    digests = [repository(digest) for digest in _real(image.get("RepoDigests"))]
    by_digest = bool(digests) and all(one in repositories or f"{one}/".startswith(BUILT) for one in digests)
    return bool(tags) or image["Id"] in known or by_digest


def _all(image: Json) -> list[str]:
    return [image["Id"], *(full_name(name) for name in names(image))]


def _real(given: Iterable[str] | None) -> list[str]:
    return [name for name in given or () if NONE not in name]


def _pin(image: str) -> str:
    return image if is_id(image) else full_name(image)


def _configs(stack: str, spec: Json) -> set[str]:
    """The config objects that a service's specification names, that of the edge by its label."""
    mounted = spec["TaskTemplate"].get("ContainerSpec", {}).get("Configs") or []
    edge = (spec.get("Labels") or {}).get("llmdeploy.edge")
    return {*(one["ConfigName"] for one in mounted), *([f"{stack}.edge.{edge}"] if edge else [])}


def _secrets(spec: Json) -> set[str]:
    """The secrets that a service's specification names."""
    return {one["SecretName"] for one in spec["TaskTemplate"].get("ContainerSpec", {}).get("Secrets") or []}
