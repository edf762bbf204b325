"""Host variables out of Ansible: the ones that concern us, as plain data. Imports ansible only for templates."""

from __future__ import annotations

import sys
from collections.abc import Mapping
from typing import Any

from llmdeploy.config.guard import runs
from llmdeploy.config.normal import HOST_VARIABLES
from llmdeploy.errors import Problem

# Read by us before Ansible runs, so their templates must be resolvable without facts.
_NEEDED = ("ansible_host", "ansible_port", "ansible_user", "ansible_connection")


def kept(variables: Mapping[str, Any]) -> dict[str, Any]:
    """Of `variables`, those for Ansible and for us."""
    return {str(key): value for key, value in variables.items() if str(key).startswith(HOST_VARIABLES)}


def resolve(
    host: str, variables: Mapping[str, Any], loader: Any, file: str, magic: Mapping[str, Any]
) -> tuple[dict[str, Any], list[Problem]]:
    """`variables` of `host` with templates filled in, as plain data; a problem for each that cannot be had.

    A template that needs facts stays as it is, for Ansible, unless we need the value ourselves.
    """
    values: dict[str, Any] = {}
    problems: list[Problem] = []
    for key, value in kept(variables).items():
        why = hint = ""
        try:
            why = runs(_plain(value))
            values[key] = _plain(value if why else _filled(value, variables, loader, magic))
        except _EncryptedError:
            why, hint = "is encrypted with ansible-vault", "keep vaulted values out of the inventory's variables"
        except Exception as error:  # noqa: BLE001 - templates run filters and lookups of all kinds
            values[key] = _plain(value)
            if key in _NEEDED:
                why = f"its template cannot be filled in: {' '.join(str(error).split())[:200]}"
        if why:
            problems.append(Problem(file, 0, f"{host}.{key}", str(values.get(key, ""))[:60], why, hint))
    return values, problems


class _EncryptedError(Exception):
    """The value is a vault's."""


def _filled(value: Any, variables: Mapping[str, Any], loader: Any, magic: Mapping[str, Any]) -> Any:
    if not _has_template(value):
        return value
    from ansible.template import Templar  # noqa: PLC0415 - rare, and only with ansible loaded already

    scope = {"ansible_playbook_python": sys.executable, **variables, **magic}
    return Templar(loader=loader, variables=scope).template(value)


def _has_template(value: Any) -> bool:
    if isinstance(value, Mapping):
        return any(map(_has_template, value.values()))
    if isinstance(value, (list, tuple)):
        return any(map(_has_template, value))
    return isinstance(value, str) and ("{{" in value or "{%" in value)


def _plain(value: Any) -> Any:
    """`value` without Ansible's tags."""
    if isinstance(value, Mapping):
        return {str(key): _plain(child) for key, child in value.items()}
    if isinstance(value, (list, tuple, set)):
        return [_plain(child) for child in value]
    if isinstance(value, bool) or value is None:
        return value
    for kind in (int, float, str):
        if isinstance(value, kind):
            return kind(value)
    if "Encrypted" in type(value).__name__:
        raise _EncryptedError
    return str(value)
