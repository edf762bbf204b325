"""Which keys a place of the configuration may have, read off the models."""

from __future__ import annotations

import types
import typing
from typing import Annotated, Any, Union

from pydantic import BaseModel

from llmdeploy.config.marks import KeyPath
from llmdeploy.config.models import Service, Settings


def known_keys(path: KeyPath) -> list[str] | None:
    """The keys allowed in the mapping at `path`; None when any key is (environment variables, services)."""
    kind: Any = Settings
    if path and path[0] == "defaults":  # a service in all but the name
        path, kind = path[1:], Service
    for key in path:
        kind = _below(kind, key)
    model = _model(kind)
    return list(model.model_fields) if model else None


def _below(kind: Any, key: str | int) -> Any:
    model = _model(kind)
    if model:
        field = model.model_fields.get(str(key))
        return field.annotation if field else None
    for part in _parts(kind):
        arguments = typing.get_args(part)
        if typing.get_origin(part) in (dict, list) and arguments:
            return arguments[-1]
    return None


def _model(kind: Any) -> type[BaseModel] | None:
    for part in _parts(kind):
        if isinstance(part, type) and issubclass(part, BaseModel):
            return part
    return None


def _parts(kind: Any) -> list[Any]:
    """`kind` without Annotated, and the members of a union."""
    origin = typing.get_origin(kind)
    if origin is Annotated:
        return _parts(typing.get_args(kind)[0])
    if origin in (Union, types.UnionType):
        return [part for argument in typing.get_args(kind) for part in _parts(argument)]
    return [kind]
