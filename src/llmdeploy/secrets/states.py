"""Whether every secret has a value that will do. Values never leave this module."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from typing import TYPE_CHECKING, Any

from llmdeploy.config.watching import GRAFANA_KEY, GRAFANA_PASSWORD
from llmdeploy.secrets.checks import wrong_with
from llmdeploy.secrets.names import UNLOCK_KEY, all_parts, store_of, users_of
from llmdeploy.secrets.placeholders import is_placeholder
from llmdeploy.secrets.stores import Store

if TYPE_CHECKING:
    from llmdeploy.config.models import Secret

_WORST_FIRST = ("missing", "placeholder", "unusable", "not asked", "set")


def rows(
    declared: Mapping[str, Secret], given: Mapping[str, list[str]], stores: Mapping[str, Store]
) -> list[dict[str, Any]]:
    """For every declared secret: `name`, `kind`, `store`, `used_by`, `state` and `parts`, the state of each part.

    Programs are not run: one may ask a person, or take a minute. Raises as the encrypted file's store does.
    """
    found = []
    for name, secret in declared.items():
        store = store_of(secret)
        parts = {part: _state(part, stores[store]) for part in secret.parts(name)}
        state = next(word for word in _WORST_FIRST if word in parts.values())
        used_by = users_of(name, secret, given)
        found.append(
            {"name": name, "kind": secret.kind, "store": store, "used_by": used_by, "state": state, "parts": parts}
        )
    return found


def undeclared(declared: Mapping[str, Secret], values: Collection[str]) -> list[str]:
    """Out: names in the encrypted file that nobody declares."""
    known = {*all_parts(declared), UNLOCK_KEY, GRAFANA_PASSWORD, GRAFANA_KEY}
    return [part for part in values if part not in known]


def _state(part: str, store: Store) -> str:
    if store.name == "command":
        return "not asked"
    value = store.get(part)
    if value is None:
        return "missing"
    if is_placeholder(part, value):
        return "placeholder"
    return "unusable" if wrong_with(part, value) else "set"
