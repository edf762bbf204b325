"""Write docs/configuration.md from the models: `python docs/generate.py`, or `--check` whether it is up to date."""

from __future__ import annotations

import sys
import types
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Literal, Union, get_args, get_origin

from pydantic import BaseModel
from pydantic.fields import FieldInfo
from pydantic_core import PydanticUndefined

from llmdeploy.config import models, verifying, watching
from llmdeploy.config.fields import Scalar
from llmdeploy.config.units import show_memory

TARGET = Path(__file__).with_name("configuration.md")
SECTIONS: dict[type[BaseModel], str] = {
    models.Settings: "Top level",
    models.Service: "services.NAME",
    models.Port: "services.NAME.ports",
    models.Health: "services.NAME.health",
    models.Update: "services.NAME.update",
    models.Build: "build",
    models.Volume: "volumes",
    models.FileUse: "services.NAME.files",
    models.SecretUse: "services.NAME.secrets",
    models.Secret: "secrets.NAME",
    models.Edge: "edge",
    models.Tls: "tls",
    models.Network: "network",
    models.Swarm: "swarm",
    models.Docker: "docker",
    models.Images: "images",
    models.Releases: "releases",
    models.Verify: "verify",
    verifying.Request: "verify.requests",
    verifying.MetricCheck: "verify.metrics",
    watching.Monitoring: "monitoring",
    watching.Part: "monitoring.parts.NAME",
    watching.Retention: "monitoring.retention",
    watching.Alerts: "monitoring.alerts",
    watching.Receiver: "monitoring.alerts.receivers.NAME",
    watching.Slack: "slack",
    watching.Email: "email",
    watching.Metrics: "services.NAME.metrics",
}
WORDS = {bool: "true or false", int: "whole number", float: "number", str: "text", type(None): "null", Any: "any"}
INTRODUCTION = """\
# Configuration

<!-- Written by docs/generate.py from the models in src/llmdeploy/config. Do not edit. -->

| file | what it holds |
|---|---|
| `inventory/group_vars/all.yml` | the catalogue: every service, for all environments |
| `environments/ENV.yml` | what differs in one environment; same keys, all optional; may be empty |
| `inventory/ENV.ini` (`.yml`, `.yaml`) | the hosts of one environment, as Ansible reads them |

**Layers**, from low to high: the defaults below; `defaults:` (for services); the catalogue; the environment's file;
`--set KEY=VALUE` on the command line. Mappings merge key by key, lists and single values replace, `null` takes away
what lower layers gave (`services.NAME: null` removes a service). `image` of a higher layer replaces `build` of a lower
one, and the other way round. A value that the catalogue gives a service stays above the environment's `defaults:`.

**Every problem** of all files is told at once, with file, line, key, value and reason, before a host is contacted
(exit code 3). Unknown keys are problems. `llmdeploy ENV config` shows every effective value and where it comes from;
`llmdeploy schema catalogue` and `llmdeploy schema environment` print JSON Schemas for editors.

**Units.** A size is a number of bytes or a text such as `512MB` or `4GB` (1 GB = 1024³ bytes, as Docker counts).
A duration is a number of seconds or a text such as `10s`, `2m`, `1h30m`. A period is a duration or a number
of days: `14d`.

**Hosts.** Any inventory that Ansible reads from a file: INI or YAML, groups of groups, several hosts in a group, a host
in several groups, ranges, `ansible_host`, `ansible_port`, `ansible_user`, key files, jump hosts in
`ansible_ssh_common_args`, `ansible_connection=local`, `group_vars/` and `host_vars/`. Not: inventory plugins and
scripts, SSH passwords, vaulted values. Besides Ansible's variables there are two of our own:

| host variable | meaning |
|---|---|
| `llmdeploy_manager` | true: it manages the cluster; default: the first 1 (of up to 2 hosts), 3 (of up to 6) or 5 |
| `llmdeploy_advertise_addr` | address at which the other hosts reach this one; default: the one on its default route |

`ansible_*` and `llmdeploy_*` variables for all hosts may stand in the catalogue.
"""


def page() -> str:
    """The whole document."""
    parts = [INTRODUCTION]
    for model, title in SECTIONS.items():
        about = (model.__doc__ or "").strip().splitlines()[0]
        rows = "\n".join(_rows(model))
        parts.append(f"## {title}\n\n{about}\n\n| key | value | default | meaning |\n|---|---|---|---|\n{rows}\n")
    return "\n".join(parts)


def _rows(model: type[BaseModel]) -> Iterator[str]:
    for name, field in model.model_fields.items():
        if not field.description:
            raise SystemExit(f"{model.__name__}.{name} has no description")
        cells = (f"`{name}`", _kind(field.annotation, field.metadata), _default(field), field.description)
        yield "| " + " | ".join(cell.replace("|", "\\|") for cell in cells) + " |"


def _default(field: FieldInfo) -> str:
    value = field.default
    if value is PydanticUndefined:
        return "**required**"
    if value is None or (isinstance(value, BaseModel) and not isinstance(value, models.Edge)):
        return ""
    if isinstance(value, models.Edge):
        return "`build: edge`"
    for _, show in _units(field.metadata):
        return f"`{show(value)}`" if value else "`0`"
    if isinstance(value, bool):
        return f"`{str(value).lower()}`"
    return f"`{value}`" if value not in ("", [], {}) else ""


def _duration(seconds: float) -> str:
    for size, unit in ((3600, "h"), (60, "m")):
        if seconds >= size and seconds % size == 0:
            return f"{seconds / size:g}{unit}"
    return f"{seconds:g}s"


def _period(seconds: float) -> str:
    return f"{seconds / 86400:g}d"


UNITS = {
    "parse_memory": ("size", show_memory),
    "parse_duration": ("duration", _duration),
    "parse_period": ("period", _period),
}


def _units(metadata: list[Any]) -> list[tuple[str, Any]]:
    names = [getattr(getattr(item, "func", None), "__name__", "") for item in metadata]
    return [UNITS[name] for name in names if name in UNITS]


def _kind(annotation: Any, metadata: list[Any]) -> str:  # noqa: PLR0911 (one line for each kind)
    """What a value may be, for people."""
    for word, _ in _units(metadata):
        return word
    origin, inner = get_origin(annotation), get_args(annotation)
    if hasattr(annotation, "__metadata__"):  # Annotated
        return _kind(annotation.__origin__, [*annotation.__metadata__, *metadata])
    if origin is Literal:
        return ", ".join(f"`{str(one).lower() if isinstance(one, bool) else one}`" for one in inner)
    if annotation == Scalar:
        return "text, number, true or false"
    if origin in (Union, types.UnionType):
        kinds = [_kind(one, metadata) for one in inner if one is not type(None)]
        return " or ".join(dict.fromkeys(kinds))
    if origin is list:
        return f"list of {_kind(inner[0], [])}"
    if origin is dict:
        return f"{_kind(inner[1], [])} by name"
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        return _link(annotation, metadata)
    return WORDS[annotation] + _limits(metadata)


def _link(model: type[BaseModel], metadata: list[Any]) -> str:
    title = SECTIONS[model]
    anchor = title.lower().replace(".", "").replace(" ", "-")
    also = " or text" if any(getattr(item, "func", None) for item in metadata) else ""
    return f"[{title}](#{anchor}){also}"


def _limits(metadata: list[Any]) -> str:
    found: dict[str, Any] = {}
    for item in metadata:
        found |= {key: getattr(item, key) for key in ("ge", "gt", "le") if getattr(item, key, None) is not None}
        for inner in getattr(item, "metadata", []):
            found |= {key: getattr(inner, key) for key in ("ge", "gt", "le") if getattr(inner, key, None) is not None}
    low, high = found.get("ge", found.get("gt")), found.get("le")
    if low is not None and high is not None:
        return f", {'above ' if 'gt' in found else ''}{low} to {high}"
    if low is not None:
        return f", at least {low}"
    return ""


def main() -> int:
    """Write the page, or say whether it is stale."""
    made = page()
    if "--check" in sys.argv:
        if not TARGET.exists() or TARGET.read_text() != made:
            print(f"{TARGET.name} is stale: python docs/generate.py", file=sys.stderr)
            return 1
        return 0
    TARGET.write_text(made)
    return 0


if __name__ == "__main__":
    sys.exit(main())
