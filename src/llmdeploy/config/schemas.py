"""JSON Schema of both files, for editors."""

from __future__ import annotations

from typing import Any

from llmdeploy.config.models import Settings

_DIALECT = "https://json-schema.org/draft/2020-12/schema"
_NULL = {"type": "null"}
_IN_LISTS = ("Port", "Volume", "Request")  # lists are replaced whole, so their items must be complete


def schema() -> dict[str, Any]:
    """The schemas of the catalogue and of an environment file, in which everything is optional."""
    return {"catalogue": _catalogue(), "environment": _environment()}


def _catalogue() -> dict[str, Any]:
    made = _settings("llmdeploy catalogue: inventory/group_vars/all.yml")
    made["patternProperties"] = {"^(ansible|llmdeploy)_": {"description": "variable of all hosts"}}
    made["required"] = ["services"]
    return made


def _environment() -> dict[str, Any]:
    made = _settings("llmdeploy environment: environments/ENV.yml")
    made.pop("required", None)
    for kind in made["properties"]["services"]["anyOf"]:
        kind.pop("minProperties", None)
    for name, definition in made["$defs"].items():
        if name not in _IN_LISTS:
            definition.pop("required", None)
    return made


def _settings(title: str) -> dict[str, Any]:
    """The models' schema; `null` is allowed everywhere, and services may lack what `defaults` gives them."""
    made: dict[str, Any] = Settings.model_json_schema()
    service = made["$defs"]["Service"]
    service.pop("required", None)
    about = {"description": Settings.model_fields["defaults"].description, "title": "Defaults"}
    made["properties"]["defaults"] = {**service, **about}
    for name, definition in [("", made), *made["$defs"].items()]:
        if name not in _IN_LISTS:
            _let_null(definition["properties"])
    return {"$schema": _DIALECT, **made, "title": title, "description": "See the configuration reference."}


def _let_null(properties: dict[str, Any]) -> None:
    for name, value in properties.items():
        about = {key: value[key] for key in ("title", "description", "default") if key in value}
        kinds = value.get("anyOf") or [{key: part for key, part in value.items() if key not in about}]
        for kind in kinds:
            _let_values_null(kind)
        properties[name] = {**about, "anyOf": kinds if _NULL in kinds else [*kinds, _NULL]}


def _let_values_null(kind: dict[str, Any]) -> None:
    """Of a mapping with free keys (services, environment variables): a value may be null, which takes it away."""
    if isinstance(kind.get("additionalProperties"), dict):
        kind["additionalProperties"] = {"anyOf": [kind["additionalProperties"], _NULL]}
    for pattern, value in kind.get("patternProperties", {}).items():
        kind["patternProperties"][pattern] = {"anyOf": [value, _NULL]}
