"""A plan kept in a file: what was shown is what is done later, or nothing is."""

from __future__ import annotations

import hashlib
import json
import os
import time
from collections.abc import Mapping
from datetime import datetime
from pathlib import Path
from typing import Any, Protocol

from llmdeploy import __version__
from llmdeploy.errors import LockedError, UsageError
from llmdeploy.release import differences

FORMAT = 1
MARK = "llmdeploy plan"
NOT_PLANNED = ("id", "by", "catalogue", "seen")  # of a job: who carries it out, and what is compared by itself
OPTIONS = {"on_failure": "--no-rollback", "canary": "--canary", "remove": "--remove-orphans"}
Saved = dict[str, Any]


class Planned(Protocol):
    """What of a plan is kept (`cli.planning.Plan`): `data["steps"]` are those of hosts."""

    @property
    def data(self) -> dict[str, Any]:
        """As for the view."""

    @property
    def pins(self) -> dict[str, str]:
        """What each image is pinned to, as far as that is known before it is made."""


def save(path: Path, environment: str, job: Mapping[str, Any], plan: Planned) -> None:
    """Writes what was planned, readable by its owner only. Raises UsageError where that cannot be."""
    content = _content(environment, job, plan)
    text = json.dumps({**content, "sum": _sum(content)}, indent=1)
    made = path.with_name(f".{path.name}.{os.getpid()}")
    try:
        made.touch(mode=0o600, exist_ok=False)
        made.write_text(text, encoding="utf-8")
        made.replace(path)
    except OSError as error:
        made.unlink(missing_ok=True)
        raise UsageError(f"the plan cannot be written to {path}: {error.strerror}") from None


def check(path: Path, environment: str, job: Mapping[str, Any], plan: Planned) -> None:
    """Raises LockedError when cluster, hosts, configuration or options are not those of the plan in the file, naming
    each difference; UsageError when the file is none that can be used."""
    old = _read(path, environment)
    new: Saved = json.loads(json.dumps(_content(environment, job, plan)))
    found = {
        "the cluster has changed": _cluster(old["job"].get("seen") or {}, new["job"].get("seen") or {}),
        "what there is to do on hosts has changed": sorted({*old["steps"]} ^ {*new["steps"]}),
        "the configuration has changed": _configuration(old, new),
        "the options are others": [
            option for key, option in OPTIONS.items() if old["job"].get(key) != new["job"].get(key)
        ],
    }
    lines = [f"{what}: {', '.join(names)}" for what, names in found.items() if names]
    if not lines:
        return
    raise LockedError(
        f"not as in the plan of {_when(old['saved'])}; nothing was changed:\n"
        + "\n".join(f"  {line}" for line in lines),
        hint=f"make a new one: remove {path}, then the same command writes it again",
        details={"differences": lines},
    )


def _content(environment: str, job: Mapping[str, Any], plan: Planned) -> Saved:
    return {
        "what": MARK,
        "format": FORMAT,
        "tool": __version__,
        "environment": environment,
        "saved": time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime()),
        "job": {key: value for key, value in job.items() if key not in ("id", "by")},
        "pins": dict(plan.pins),
        "steps": list(plan.data["steps"]),
    }


def _read(path: Path, environment: str) -> Saved:
    again = f"remove it, then llmdeploy {environment} deploy --plan-file {path} makes a new one"
    try:
        found = json.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise UsageError(f"the plan {path} cannot be read: {error.strerror}") from None
    except ValueError:
        raise UsageError(f"{path} is no plan: it is damaged, or something else", hint=again) from None
    if not isinstance(found, dict) or found.get("what") != MARK:
        raise UsageError(f"{path} is no plan: it is damaged, or something else", hint=again)
    if (found.get("tool"), found.get("format")) != (__version__, FORMAT):
        raise UsageError(f"{path} was made by llmdeploy {found.get('tool')}, this is {__version__}", hint=again)
    if found.get("environment") != environment:
        raise UsageError(
            f"{path} is a plan for {found.get('environment')}, not for {environment}",
            hint=f"llmdeploy {found.get('environment')} deploy --plan-file {path}",
        )
    if found.pop("sum", "") != _sum(found):
        raise UsageError(f"{path} is damaged, or was edited", hint=again)
    return found


def _sum(content: Saved) -> str:
    return hashlib.sha256(json.dumps(content, sort_keys=True).encode()).hexdigest()


def _cluster(old: Mapping[str, str], new: Mapping[str, str]) -> list[str]:
    """The services that are not what they were, or were not there, or are no more. An empty fingerprint: not there."""
    names = [name for name in sorted({*old, *new}) if old.get(name, "") != new.get(name, "")]
    return [f"{name} ({_how(old.get(name, ''), new.get(name, ''))})" for name in names]


def _how(old: str, new: str) -> str:
    if not old:
        return "was not there"
    return "changed" if new else "is gone"


def _configuration(old: Saved, new: Saved) -> list[str]:
    """What the files say otherwise, and images that a name did not mean then."""
    known = {ref for ref in old["pins"] if _known(old["pins"][ref]) and _known(new["pins"].get(ref, ""))}
    before, after = ({"job": one["job"], "pins": {ref: one["pins"][ref] for ref in known}} for one in (old, new))
    rows = [row for row in differences.between(before, after) if row["action"] != "unchanged"]
    lines = [f"{row['name']} ({', '.join(row['changes']) or row['action']})" for row in rows]
    named, jobs = {row["name"] for row in rows}, (old["job"], new["job"])
    return [*lines, *(name for name in _others(*jobs) if name not in named)]


def _others(old: Mapping[str, Any], new: Mapping[str, Any]) -> list[str]:
    """What differs and is no field of a service's specification: services and keys of the job by their name."""
    services = [name for name, entry in new["services"].items() if old["services"].get(name) != entry]
    keys = [key for key in new if key not in (*NOT_PLANNED, *OPTIONS, "services") and old.get(key) != new[key]]
    return [*services, *keys]


def _known(pin: str) -> bool:
    """Whether it is a pin, and not the words for an image that is made later."""
    return "sha256:" in pin


def _when(text: str) -> str:
    """The hour, on the same day; else the day as well."""
    try:
        then = datetime.fromisoformat(text).astimezone()
    except ValueError:
        return text
    return f"{then:%H:%M}" if then.date() == datetime.now().astimezone().date() else f"{then:%Y-%m-%d %H:%M}"
