"""JSON Schema of both files, for editors."""

from __future__ import annotations

from typing import Any

from llmdeploy.config.models import Settings

_DIALECT = "https://json-schema.org/draft/2020-12/schema"
_IN_LISTS = ("Port", "Volume", "Request")  # lists are replaced whole, so their items must be complete


def schema() -> dict[str, Any]:
    """The schemas of the catalogue and of an environment file, in which everything is optional and may be null."""
    return {"catalogue": _catalogue(), "environment": _environment()}


def _catalogue() -> dict[str, Any]:
    made = _settings("llmdeploy catalogue: inventory/group_vars/all.yml")
    made["patternProperties"] = {"^(ansible|llmdeploy)_": {"description": "variable of all hosts"}}
    made["required"] = ["services"]
    return made


def _environment() -> dict[str, Any]:
    made = _settings("llmdeploy environment: environments/ENV.yml")
    made.pop("required", None)
    _let_null(made)
    for name, definition in made["$defs"].items():
        if name not in _IN_LISTS:
            definition.pop("required", None)
            _let_null(definition)
    return made


def _settings(title: str) -> dict[str, Any]:
    """The models' schema, with `defaults` and services that may lack what `defaults` gives them."""
    made: dict[str, Any] = Settings.model_json_schema()
    service = made["$defs"]["Service"]
    service.pop("required", None)
    defaults = {key: value for key, value in service.items() if key != "description"}
    about = {"description": Settings.model_fields["defaults"].description}
    made["properties"]["defaults"] = {**defaults, **about, "title": "Defaults"}
    return {"$schema": _DIALECT, **made, "title": title, "description": "See the configuration reference."}


def _let_null(definition: dict[str, Any]) -> None:
    properties = definition.get("properties", {})
    for name, value in properties.items():
        kinds = value.get("anyOf", [value])
        if {"type": "null"} not in kinds:
            shared = {key: value[key] for key in ("title", "description", "default") if key in value}
            properties[name] = {**shared, "anyOf": [*kinds, {"type": "null"}]}
    inner = properties.get("services", {}).get("anyOf", [])
    for kind in inner:
        if "additionalProperties" in kind:
            kind["additionalProperties"] = {"anyOf": [kind["additionalProperties"], {"type": "null"}]}
