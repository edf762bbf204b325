"""Configuration: models, layers with provenance, inventory, and every problem with its place.

Names are loaded when they are first used: `config.units` must not cost the import of pydantic.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from llmdeploy.config.environment import Environment, effective, load
    from llmdeploy.config.hosts import Host, Inventory
    from llmdeploy.config.marks import Mark
    from llmdeploy.config.origins import Origins
    from llmdeploy.config.outline import Outline, load_outline, outline_of
    from llmdeploy.config.scaffold import init_project
    from llmdeploy.config.schemas import schema

_HOMES = {
    "Environment": "environment",
    "Host": "hosts",
    "Inventory": "hosts",
    "Mark": "marks",
    "Origins": "origins",
    "Outline": "outline",
    "effective": "environment",
    "init_project": "scaffold",
    "load": "environment",
    "load_outline": "outline",
    "outline_of": "outline",
    "schema": "schemas",
}

__all__ = [
    "Environment",
    "Host",
    "Inventory",
    "Mark",
    "Origins",
    "Outline",
    "effective",
    "init_project",
    "load",
    "load_outline",
    "outline_of",
    "schema",
]


def __getattr__(name: str) -> Any:
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    value = getattr(import_module(f"{__name__}.{_HOMES[name]}"), name)
    globals()[name] = value
    return value
