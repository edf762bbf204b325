"""What the cross checks look at."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from llmdeploy.config.hosts import Inventory
from llmdeploy.config.marks import KeyPath, Mark
from llmdeploy.config.models import Service, Settings
from llmdeploy.config.origins import Origins
from llmdeploy.config.shape import NO_GROUP, Shaped
from llmdeploy.errors import Problem


@dataclass(frozen=True)
class Draft:
    """Settings that may be incomplete: what failed its shape has been reported and left out.

    `names` are all services, also those left out. `inventory` is None when it could not be read.
    """

    settings: Settings
    shaped: Shaped
    origins: Origins
    names: frozenset[str]
    inventory: Inventory | None
    inventory_text: str
    root: Path
    environment: str

    def services(self) -> list[tuple[str, Service]]:
        """Every service that could be typed, at least in part."""
        return list(self.settings.services.items())

    def whole(self, *path: str | int) -> bool:
        """Whether nothing was left out at `path`, so that it can be checked against other things."""
        return self.shaped.whole(*path)

    def group(self, name: str) -> str | None:
        """The group of service `name`, None when it is missing or misspelt beyond use."""
        group = self.settings.services[name].group
        return None if group == NO_GROUP else group

    def problem(self, *path: str | int, why: str, hint: str = "", value: str | None = None) -> Problem:
        """A problem with the value at `path`."""
        return self.origins.problem(path, why, hint, value=value)

    def mark(self, path: KeyPath) -> Mark:
        """The nearest written place."""
        return self.origins.near(path)
