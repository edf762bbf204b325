"""What differs between two releases, and what one release holds, in words. Pure: manifests in, rows out."""

from __future__ import annotations

import difflib
from collections.abc import Mapping
from typing import Any

from llmdeploy.engine import edgefile, spec
from llmdeploy.release.spec import EDGE

Manifest = Mapping[str, Any]  # {"format", "job", "pins"}, as in the ledger
_SETTINGS = {
    "depends_on": "depends on", "stability": "stability", "deadline": "deadline", "canary": "canary",
}  # fmt: skip
_DIGEST = 12


def specs(manifest: Manifest, api: str = "1.44") -> dict[str, spec.Spec]:
    """The complete specification of every service; `api` is the daemon's API version, where it is compared with one."""
    job, pins = manifest["job"], manifest["pins"]
    return {
        name: spec.wanted(name, entry, pins.get(entry["image"], ""), job["stack"], api)
        for name, entry in job["services"].items()
    }


def services(manifest: Manifest) -> list[dict[str, Any]]:
    """Every service of a release in its order: `{"name", "wave", "image", "pin", "group", "mode", "replicas",
    "secrets", "configs", "depends_on"}`; `replicas` is None for a global one."""
    job, pins = manifest["job"], manifest["pins"]
    rows = []
    for name, entry in sorted(job["services"].items(), key=lambda item: (item[1].get("wave", 1), item[0])):
        container = entry["spec"]["TaskTemplate"].get("ContainerSpec") or {}
        mode = spec.mode(entry["spec"])
        rows.append(
            {
                "name": name,
                "wave": entry.get("wave", 1),
                "image": entry["image"],
                "pin": pins.get(entry["image"], ""),
                "group": entry.get("group", ""),
                "mode": mode.lower(),
                "replicas": spec.replicas(entry["spec"]) if mode == "Replicated" else None,
                "secrets": [one["SecretName"] for one in container.get("Secrets") or []],
                "configs": [one["ConfigName"] for one in container.get("Configs") or []],
                "depends_on": list(entry.get("depends_on") or []),
            }
        )
    return rows


def between(old: Manifest | None, new: Manifest) -> list[dict[str, Any]]:
    """`{"name", "action": "create|change|remove|unchanged", "changes": [fields]}` for every service of either."""
    before, after = specs(old) if old else {}, specs(new)
    rows = []
    for name in [*(row["name"] for row in services(new)), *sorted(set(before) - set(after))]:
        if name not in after:
            rows.append({"name": name, "action": "remove", "changes": []})
        elif old is None or name not in before:
            rows.append({"name": name, "action": "create", "changes": []})
        else:
            changes = _changes(old, new, name, before[name], after[name])
            rows.append({"name": name, "action": "change" if changes else "unchanged", "changes": changes})
    return rows


def _changes(old: Manifest, new: Manifest, name: str, before: spec.Spec, after: spec.Spec) -> list[str]:
    """The image by its name and its content, the rest as the plan tells it, then what no specification holds."""
    rest = [line for line in spec.diff(before, after) if not line.startswith("image ")]
    first = [f"image {image(old, name)} → {image(new, name)}"] if _image(before) != _image(after) else []
    entries = [manifest["job"]["services"][name] for manifest in (old, new)]
    told = [
        f"{word} {_value(entries[0].get(key))} → {_value(entries[1].get(key))}"
        for key, word in _SETTINGS.items()
        if _value(entries[0].get(key)) != _value(entries[1].get(key))
    ]
    return [*first, *rest, *told]


def _image(of: spec.Spec) -> str:
    return str(of["TaskTemplate"]["ContainerSpec"]["Image"])


def image(manifest: Manifest, name: str) -> str:
    """`registry/gateway:1.4@0123456789ab`: an image by its name and the beginning of its content's hash."""
    ref = str(manifest["job"]["services"][name]["image"])
    _, _, digest = str(manifest["pins"].get(ref, "")).rpartition("sha256:")
    plain = ref.partition("@sha256:")[0]
    if plain.startswith("sha256:"):  # a pin that stands for itself
        return digest[:_DIGEST] or plain.removeprefix("sha256:")[:_DIGEST]
    return f"{plain}@{digest[:_DIGEST]}" if digest else plain


def _value(value: Any) -> str:
    if isinstance(value, list):
        return ", ".join(sorted(map(str, value))) or "nothing"
    if isinstance(value, float | int):
        return f"{value:g} s"
    return str(value) if value else "default"


def stack_changes(old: Manifest, new: Manifest) -> list[str]:
    """What differs beside the services: network, requests of the verification, deadline of the whole."""
    jobs = old["job"], new["job"]
    lines = []
    for key, word in (("network", "network"), ("deadline", "deadline of the release")):
        values = [_value(job.get(key)) for job in jobs]
        lines += [f"{word} {values[0]} → {values[1]}"] if values[0] != values[1] else []
    checks = [{one["name"]: {**one, "host": ""} for one in job.get("verify") or []} for job in jobs]
    for name in sorted({*checks[0], *checks[1]}):
        if checks[0].get(name) != checks[1].get(name):
            word = "added" if name not in checks[0] else "removed" if name not in checks[1] else "changed"
            lines.append(f"request {name} {word}")
    return lines


def edge_sha(manifest: Manifest) -> str:
    """The name of the edge's configuration (`STACK.edge.SHA`), empty where the release has none."""
    entry = manifest["job"]["services"].get(EDGE) or {}
    label = str(((entry.get("spec") or {}).get("Labels") or {}).get(edgefile.LABEL, ""))
    return edgefile.config_name(manifest["job"]["stack"], label) if label else ""


def edge_lines(old: str, new: str) -> list[str]:
    """How two texts of haproxy.cfg differ: `+ line`, `- line`, and in front of each place where it is."""
    found = difflib.unified_diff(old.splitlines(), new.splitlines(), n=1, lineterm="")
    return [line for line in found if not line.startswith(("---", "+++"))]


def edge_config(manifest: Manifest) -> str:
    """The text of the edge's configuration."""
    return str((manifest["job"].get("edge") or {}).get("config", ""))
