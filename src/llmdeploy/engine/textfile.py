"""What llmdeploy tells of its releases to the node exporter's textfile collector, on the manager that made them.

Every name has the prefix `llmdeploy_`. All of it comes from the ledger and the live services, so that the file of any
manager is right when it is written; the newest `llmdeploy_release_timestamp_seconds` tells which one still is.
"""

from __future__ import annotations

import calendar
import json
import os
import time
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

from . import spec
from .api import Json
from .compare import owner
from .ledger import Releases, labels_of, manifest, position
from .watch import release_of

FILE = "llmdeploy.prom"
TOTALS = "totals"  # the label of a release that counts all releases until and with it: JSON, {"action result": n}
_HELP = {
    "release_timestamp_seconds": ("gauge", "When the newest release ended"),
    "release_number": ("gauge", "The number of the newest release"),
    "release_duration_seconds": ("gauge", "How long the newest release took"),
    "releases_total": ("counter", "Releases that have ended"),
    "release_info": ("gauge", "What each service runs"),
    "service_replicas_desired": ("gauge", "Replicas that each service shall have"),
}
Sample = tuple[Mapping[str, str], float]


def text(stack: str, releases: Mapping[int, Json], services: Iterable[Json]) -> str:
    """The file's text; empty while no release has ended. `releases` as `Ledger.read` gives them, `services` live."""
    labels = labels_of(releases)
    number = max((item for item in labels if _ended(labels[item])), default=0)
    if not number:
        return ""
    newest = labels[number]
    kind = {"stack": stack, "action": newest.get("action", ""), "result": _result(newest)}
    counts = {name.partition(" ")[::2]: count for name, count in totals(labels).items()}
    known = [manifest(releases[item]) for item in (number, position(labels).number) if item in releases]
    ours = sorted((item for item in services if _is_ours(item, stack)), key=lambda item: item["Spec"]["Name"])
    samples: dict[str, Sequence[Sample]] = {
        "release_timestamp_seconds": [({"stack": stack}, _ended(newest))],
        "release_number": [(kind, number)],
        "release_duration_seconds": [(kind, float(newest.get("seconds") or 0))],
        "releases_total": [
            ({"stack": stack, "action": action, "result": result}, count)
            for (action, result), count in sorted(counts.items())
        ],
        "release_info": [({"stack": stack, **_running(item, known)}, 1) for item in ours],
        "service_replicas_desired": [
            ({"stack": stack, "service": item["Spec"]["Name"]}, _desired(item)) for item in ours
        ],
    }
    return "".join(_family(name, found) for name, found in samples.items())


def totals(releases: Releases) -> dict[str, int]:
    """How many releases there were of each "action result": what the newest that counts says, and those after it.

    The ledger forgets old releases; what counts them must not go down.
    """
    counting = max((item for item, labels in releases.items() if labels.get(TOTALS)), default=0)
    counts: dict[str, int] = json.loads(releases[counting][TOTALS]) if counting else {}
    for item, labels in releases.items():
        if item > counting and labels.get("verdict") != "running":
            name = f"{labels.get('action', '')} {_result(labels)}"
            counts[name] = counts.get(name, 0) + 1
    return counts


def counted(releases: Releases) -> str:
    """The label of a release that ends, from all there are, itself included; what runs besides has been left open."""
    ended = {
        item: {**labels, "verdict": "interrupted"} if labels.get("verdict") == "running" else labels
        for item, labels in releases.items()
    }
    return json.dumps(totals(ended), separators=(",", ":"), sort_keys=True)


def write(folder: Path, content: str) -> None:
    """Replace the file at once, readable by everybody whatever the umask says. Raises OSError."""
    folder.mkdir(parents=True, exist_ok=True)
    folder.chmod(0o755)
    fresh = folder / f".{FILE}.new"  # no .prom at its end: the collector does not read it
    fresh.write_text(content, encoding="utf-8")
    fresh.chmod(0o644)
    os.replace(fresh, folder / FILE)  # noqa: PTH105 (says what it does)


def _family(name: str, samples: Sequence[Sample]) -> str:
    kind, about = _HELP[name]
    lines = [f"llmdeploy_{name}{{{_pairs(labels)}}} {value:.15g}" for labels, value in samples]
    head = [f"# HELP llmdeploy_{name} {about}.", f"# TYPE llmdeploy_{name} {kind}"]
    return "".join(f"{line}\n" for line in [*head, *lines]) if lines else ""


def _pairs(labels: Mapping[str, str]) -> str:
    return ",".join(f'{name}="{_escaped(value)}"' for name, value in labels.items())


def _escaped(value: str) -> str:
    return value.replace("\\", r"\\").replace("\n", r"\n").replace('"', r"\"")


def _ended(labels: Mapping[str, str]) -> float:
    """When a release ended, Unix time; 0 for one that has not, or whose engine died."""
    try:
        return float(calendar.timegm(time.strptime(labels.get("finished", ""), "%Y-%m-%dT%H:%M:%SZ")))
    except ValueError:
        return 0.0


def _result(labels: Mapping[str, str]) -> str:
    return labels.get("result") or labels.get("verdict", "")


def _is_ours(service: Json, stack: str) -> bool:
    return owner(service) == stack and (service["Spec"].get("Labels") or {}).get(spec.KIND_LABEL) != "helper"


def _running(service: Json, known: Iterable[Mapping[str, Any]]) -> dict[str, str]:
    """Service, image, version and release of a live service; the image is called what the files call it."""
    name, live = service["Spec"]["Name"], str(service["Spec"]["TaskTemplate"]["ContainerSpec"]["Image"])
    image = next((ref for ref in (_reference(name, live, one) for one in known) if ref), live)
    return {"service": name, "image": image, "version": _version(image), "release": release_of(service)}


def _reference(name: str, live: str, known: Mapping[str, Any]) -> str:
    reference = str((known["job"]["services"].get(name) or {}).get("image", ""))
    return reference if known["pins"].get(reference) == live else ""


def _version(image: str) -> str:
    """The tag of an image, else the beginning of its digest."""
    name, _, digest = image.partition("@")
    if digest or name.startswith("sha256:"):
        tag = name.rpartition("/")[2].partition(":")[2] if digest else ""
        return tag or (digest or name).partition(":")[2][:12]
    return name.rpartition("/")[2].partition(":")[2] or "latest"


def _desired(service: Json) -> int:
    if spec.mode(service["Spec"]) == "Replicated":
        return spec.replicas(service["Spec"])
    return int((service.get("ServiceStatus") or {}).get("DesiredTasks") or 0)
