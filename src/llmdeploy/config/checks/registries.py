"""Images of registries that `images.allow` does not name."""

from __future__ import annotations

from collections.abc import Iterator

from llmdeploy.config.draft import Draft
from llmdeploy.config.marks import KeyPath
from llmdeploy.config.watching import PARTS
from llmdeploy.errors import Problem

_HUB = "docker.io"


def check(draft: Draft) -> Iterator[Problem]:
    """Of every image that has a name, in an archive or not; nothing is restricted where the list is empty."""
    allowed = [entry.rstrip("/") for entry in draft.settings.images.allow]
    if not allowed:
        return
    services = [(("services", name), service) for name, service in draft.services()]
    for path, container in [(("edge",), draft.settings.edge), *services]:
        if not container.build and container.image:
            yield from _refused(draft, (*path, "image"), container.image, allowed)
    monitoring = draft.settings.monitoring
    for part in PARTS if monitoring.enabled else ():
        image = monitoring.image(part)
        if image and monitoring.has(part):
            yield from _refused(draft, ("monitoring", "parts", part, "image"), image, allowed)


def _refused(draft: Draft, path: KeyPath, image: str, allowed: list[str]) -> Iterator[Problem]:
    name = repository(image)
    if not any(name == entry or name.startswith(f"{entry}/") for entry in allowed):
        yield draft.problem(*path, why=f"{name} is not in images.allow", hint=f"there: {', '.join(allowed)}")


def repository(ref: str) -> str:
    """In: `redis:7`, `reg.example:5000/team/app@sha256:…`. Out: `docker.io/library/redis`, `reg.example:5000/team/app`.

    A first part is a registry when it has a dot or a colon, or is `localhost` (github.com/distribution/reference).
    """
    name = ref.partition("@")[0]
    first, slash, rest = name.partition("/")
    if not slash or not (set(first) & set(".:") or first == "localhost"):
        name = f"{_HUB}/{name}" if slash else f"{_HUB}/library/{name}"
        first, _, rest = name.partition("/")
    folder, slash, last = rest.rpartition("/")
    return f"{first}/{folder}{slash}{last.partition(':')[0]}"
