"""Which image is pinned to what, and which host lacks it. Pure.

A pin is `sha256:<id>` for an image that is built, loaded or otherwise of no registry, and `repo@sha256:<digest>` for
one that every host can pull.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping
from typing import Any

from .host import full_name

Image = Mapping[str, Any]


def is_id(pin: str) -> bool:
    """Whether the pin is an image id: such an image is copied between hosts and never pulled."""
    return pin.startswith("sha256:")


def digest_pin(ref: str) -> str:
    """`repo:tag@sha256:…` → `repo@sha256:…`."""
    name, _, digest = ref.partition("@")
    folder, slash, last = name.rpartition("/")
    return f"{folder}{slash}{last.partition(':')[0]}@{digest}"


def known_pins(
    images: Iterable[Image], builder: str, facts: Mapping[str, Mapping[str, Any]]
) -> tuple[dict[str, str], dict[str, str]]:
    """Pins that need no work, and for every id the host that has it: the builder, else one that ran it before."""
    pins: dict[str, str] = {}
    sources: dict[str, str] = {}
    for image in images:
        ref = image["ref"]
        if "@" in ref:
            pins[ref] = digest_pin(ref)
            continue
        holders = {host: found for host, one in facts.items() if (found := _holds(image, one))}
        if not holders:
            continue
        common = Counter(holders.values()).most_common(1)[0][0]
        pins[ref] = holders.get(builder, common)
        sources[ref] = builder if builder in holders else next(host for host in holders if holders[host] == pins[ref])
    return pins, sources


def _holds(image: Image, facts: Mapping[str, Any]) -> str:
    """The id under which the host has this image and that may serve as its pin, else an empty string."""
    found = facts["docker"].get("images") or {}
    ident = str(found.get("tags", {}).get(image["ref"], ""))
    if image["kind"] == "registry" and ident not in found.get("made", ()):
        return ""  # its tag may have moved: ask the registry
    wanted = image.get("id") if facts["docker"].get("store") == "classic" else None
    return "" if wanted and ident != wanted else ident


def lacks(ref: str, pin: str, facts: Mapping[str, Any]) -> bool:
    """Whether a host must be given the image before a service can start there."""
    found = facts["docker"].get("images") or {}
    if is_id(pin):
        return bool(found.get("tags", {}).get(ref) != pin)
    return full_name(pin) not in found.get("digests", {})


def lacking(host: str, images: Iterable[Image], pins: Mapping[str, str], facts: Mapping[str, Any]) -> list[str]:
    """The references that this host may run and does not have, as far as their pins are known."""
    mine = (image["ref"] for image in images if host in image["hosts"])
    return [ref for ref in mine if ref in pins and lacks(ref, pins[ref], facts)]
