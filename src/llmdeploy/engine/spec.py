"""Service specifications, pure: the one a job wants, and in readable words how the live one differs from it.

The daemon adds defaults and turns network names into ids, so two specifications are compared as flat tables of
fields: empty values and defaults left out, lists that have no order keyed by what names their elements.
"""

from __future__ import annotations

import copy
import json
import re
from collections.abc import Callable, Iterator, Mapping
from typing import Any

STACK_LABEL = "llmdeploy.stack"
RELEASE_LABEL = "llmdeploy.release"
KIND_LABEL = "llmdeploy.kind"  # of config objects: lock, release, edge; of services: helper

Spec = dict[str, Any]
Names = Mapping[str, str]  # network id → name
Fields = dict[str, Any]


def wanted(name: str, entry: Mapping[str, Any], pin: str, stack: str, api: str = "1.44") -> Spec:
    """The complete specification of service `name`: the job's `entry` with its image pinned and our label.

    `api` is the daemon's API version: what an old daemon would drop silently must not be asked of it, or each
    later comparison would find a difference.
    """
    spec: Spec = copy.deepcopy(entry["spec"])
    container = spec.setdefault("TaskTemplate", {}).setdefault("ContainerSpec", {})
    container["Image"] = pin
    spec["Name"] = name
    spec["Labels"] = {**(spec.get("Labels") or {}), STACK_LABEL: stack}
    if version(api) < (1, 44):
        (container.get("Healthcheck") or {}).pop("StartInterval", None)
        container.pop("Privileges", None)
    return spec


def version(api: str) -> tuple[int, ...]:
    """`1.41` → (1, 41)."""
    return tuple(int(part) for part in api.split("."))


def for_writing(spec: Spec, live: Spec | None, release: int, ids: Mapping[str, Names]) -> Spec:
    """`spec` as the daemon takes it: ids of secrets and configs (`{"secrets": {name: id}, …}`) and release label.

    The live ForceUpdate counter is kept: going back to 0 would restart every task.
    """
    spec = copy.deepcopy(spec)
    spec["Labels"] = {**spec["Labels"], RELEASE_LABEL: str(release)}
    force = ((live or {}).get("TaskTemplate") or {}).get("ForceUpdate", 0)
    spec["TaskTemplate"]["ForceUpdate"] = force
    for kind in ("Secret", "Config"):
        for reference in spec["TaskTemplate"]["ContainerSpec"].get(f"{kind}s") or []:
            reference[f"{kind}ID"] = ids[f"{kind.lower()}s"][reference[f"{kind}Name"]]
    return spec


def missing(spec: Spec, ids: Mapping[str, Names]) -> list[str]:
    """What `spec` needs and the cluster does not have, e.g. `secret llm-key-ab12`."""
    container, found = spec["TaskTemplate"]["ContainerSpec"], []
    for kind in ("Secret", "Config"):
        names = [reference[f"{kind}Name"] for reference in container.get(f"{kind}s") or []]
        found += [f"{kind.lower()} {name}" for name in names if name not in ids[f"{kind.lower()}s"]]
    known = {*ids["networks"], *ids["networks"].values()}
    return found + [f"network {item['Target']}" for item in _networks(spec) if item["Target"] not in known]


def diff(live: Spec | None, wanted: Spec, names: Names | None = None) -> list[str]:
    """How `live` differs from `wanted`, one readable line per field (`image a → b`); empty when it does not.

    `names` maps network ids to names. Values of environment variables are never shown, nor commands and options.
    """
    if live is None:
        return ["created"]
    old, new = fields(live, names or {}), fields(wanted, names or {})
    return [_line(key, old.get(key), new.get(key)) for key in sorted({*old, *new}) if old.get(key) != new.get(key)]


def mode(spec: Spec) -> str:
    """`Replicated`, `Global`, …: which a service keeps for life."""
    return str(next(iter(spec.get("Mode") or {"Replicated": {}})))


def replicas(spec: Spec) -> int:
    """How many tasks a replicated service shall have (Docker's default is one)."""
    given = ((spec.get("Mode") or {}).get("Replicated") or {}).get("Replicas")
    return 1 if given is None else int(given)


def fields(spec: Spec, names: Names) -> Fields:
    """The flat table `{field: value}` of a specification that two are compared by."""
    rest = {key: value for key, value in spec.items() if key not in ("Name", "Mode", "Networks", "TaskTemplate")}
    rest["Labels"] = {key: value for key, value in (spec.get("Labels") or {}).items() if key != RELEASE_LABEL}
    task = {key: value for key, value in spec["TaskTemplate"].items() if key not in ("Networks", "ForceUpdate")}
    table = dict(_flat("", {**rest, **task}))
    table["mode"] = mode(spec).lower()
    if mode(spec) == "Replicated":
        table["replicas"] = replicas(spec)
    for network in _networks(spec):
        target = network["Target"]
        table[f"network {names.get(target, target)}"] = _text({**network, "Target": ""})
    return table


def _networks(spec: Spec) -> list[dict[str, Any]]:
    return spec["TaskTemplate"].get("Networks") or spec.get("Networks") or []


# Lists whose order means nothing: how each element is called.
_KEYED: dict[str, Callable[[Any], str]] = {
    "Env": lambda item: f"env {item.partition('=')[0]}",
    "Mounts": lambda item: f"mount {item['Target']}",
    "Ports": lambda item: f"port {item.get('PublishedPort') or item['TargetPort']}/{item.get('Protocol') or 'tcp'}",
    "Secrets": lambda item: f"secret {(item.get('File') or {}).get('Name') or item['SecretName']}",
    "Configs": lambda item: f"config {(item.get('File') or {}).get('Name') or item['ConfigName']}",
    "Constraints": lambda item: f"constraint {item.replace(' ', '')}",
    "Hosts": lambda item: f"host entry {item}",
    "CapabilityAdd": lambda item: f"capability {item}",
    "CapabilityDrop": lambda item: f"dropped capability {item}",
    "Groups": lambda item: f"group {item}",
    "Ulimits": lambda item: f"ulimit {item['Name']}",
}
_DEFAULTS = {
    "Isolation": "default", "Runtime": "container", "Protocol": "tcp", "PublishMode": "ingress", "Condition": "any",
    "FailureAction": "pause", "Order": "stop-first", "EndpointSpec.Mode": "vip",
}  # fmt: skip
_IDS = ("SecretID", "ConfigID")  # names are compared: they carry a hash of the content


def _flat(path: str, value: Any) -> Iterator[tuple[str, Any]]:
    last = path.rpartition(".")[2]
    if isinstance(value, list) and last in _KEYED:
        for item in value:
            yield _KEYED[last](item), item if isinstance(item, str) else _text(item)
    elif isinstance(value, dict):
        for key, inner in value.items():
            yield from _flat(f"{path}.{key}" if path else key, inner)
    elif value and value != _DEFAULTS.get(path if last == "Mode" else last):
        yield path, value


def _text(item: Mapping[str, Any]) -> str:
    """One comparable text for an element of a list, without what is empty or a default."""
    kept = {key: value for key, value in _flat("", dict(item)) if key not in _IDS}
    return json.dumps(kept, sort_keys=True)


_READABLE = {
    "ContainerSpec.Image": "image",
    "Labels.llmdeploy.edge": "configuration",
    "ContainerSpec.Args": "arguments",
    "Resources.Limits.MemoryBytes": "memory",
    "Resources.Limits.NanoCPUs": "cpus",
    "Resources.Reservations.MemoryBytes": "reserved memory",
    "Resources.Reservations.NanoCPUs": "reserved cpus",
}
_NANOSECONDS = ("Delay", "Monitor", "Window", "Interval", "Timeout", "StartPeriod", "StartInterval", "StopGracePeriod")
_SECRET = re.compile(r"^(env |label |Labels|host entry |.*(Options|Sysctls|Privileges|Labels)\.)")


def _line(key: str, old: Any, new: Any) -> str:
    name = _readable(key)
    shown = (key in _READABLE or not _SECRET.match(key)) and all(_showable(key, value) for value in (old, new))
    if shown:
        return f"{name} {_show(key, old)} → {_show(key, new)}"
    return f"{name} {'added' if old is None else 'removed' if new is None else 'changed'}"


def _readable(key: str) -> str:
    if " " in key:
        return key
    words = re.sub(r"(?<=[a-z])(?=[A-Z])", " ", key.removeprefix("ContainerSpec.")).replace(".", " ")
    return _READABLE.get(key, re.sub(r"^Labels ", "label ", words) if key.startswith("Labels") else words.lower())


def _showable(key: str, value: Any) -> bool:
    if " " in key or (isinstance(value, str) and "\n" in value):
        return False
    return value is None or isinstance(value, (bool, int, float, str))


def _show(key: str, value: Any) -> str:
    last = key.rpartition(".")[2]
    if value is None:
        return "default" if last != "Image" else "none"
    if last == "NanoCPUs":
        return f"{value / 1e9:g}"
    if last.endswith("Bytes"):
        return _size(value)
    if last in _NANOSECONDS:
        return f"{value / 1e9:g} s"
    return re.sub(r"(sha256:[0-9a-f]{12})[0-9a-f]+", r"\1", str(value))


def _size(value: float) -> str:
    for unit in ("B", "KiB", "MiB"):
        if value < 1024:
            return f"{value:g} {unit}"
        value /= 1024
    return f"{value:g} GiB"
