"""The JSON Schemas, and the public names of the room."""

from __future__ import annotations

import json
import subprocess
import sys
from typing import Any

import pytest

import llmdeploy.config
from llmdeploy.config import schema
from llmdeploy.config.kinds import known_keys
from llmdeploy.config.models import Service, Settings


def kinds(value: dict[str, Any]) -> list[str]:
    return sorted(kind.get("type", "ref") for kind in value["anyOf"])


def test_both_schemas_are_plain_json() -> None:
    made = schema()
    assert set(made) == {"catalogue", "environment"}
    assert json.loads(json.dumps(made)) == made
    assert all(part["additionalProperties"] is False for part in made.values())


def test_everything_is_optional_in_an_environment() -> None:
    made = schema()["environment"]
    assert "required" not in made
    asking = {name for name, definition in made["$defs"].items() if "required" in definition}
    assert asking == {"Port", "Volume", "Request"}  # items of lists, which are replaced whole
    services = made["properties"]["services"]["anyOf"][0]
    assert "minProperties" not in services
    (service,) = services["patternProperties"].values()
    assert {"type": "null"} in service["anyOf"]


def test_the_catalogue_needs_services_and_may_hold_host_variables() -> None:
    made = schema()["catalogue"]
    assert made["required"] == ["services"]
    assert set(made["patternProperties"]) == {"^(ansible|llmdeploy)_"}
    assert "required" not in made["$defs"]["Service"]  # `defaults` may give the group


def test_units_are_accepted_as_people_write_them() -> None:
    service = schema()["catalogue"]["$defs"]["Service"]["properties"]
    assert kinds(service["memory"]) == ["integer", "null", "string"]
    assert kinds(service["stop_grace"]) == ["null", "number", "string"]
    assert "string" in kinds(service["build"])


def test_defaults_are_described_as_a_service() -> None:
    defaults = schema()["catalogue"]["properties"]["defaults"]["anyOf"][0]
    assert set(defaults["properties"]) == set(Service.model_fields)


@pytest.mark.parametrize(
    ("path", "keys"),
    [
        ((), set(Settings.model_fields)),
        (("defaults",), set(Service.model_fields)),
        (("services", "x"), set(Service.model_fields)),
        (("services", "x", "ports", 0), {"number", "protocol", "published", "allow_from", "tls"}),
        (("services", "x", "build"), {"context", "dockerfile", "args"}),
        (("services", "x", "volumes", 0), {"source", "target", "read_only", "follow_mounts"}),
        (("services",), None),
        (("services", "x", "environment"), None),
        (("nothing", "there"), None),
    ],
)
def test_known_keys(path: tuple[str | int, ...], keys: set[str] | None) -> None:
    found = known_keys(path)
    assert (set(found) if found is not None else None) == keys


def test_public_names_exist() -> None:
    for name in llmdeploy.config.__all__:
        assert getattr(llmdeploy.config, name)
    with pytest.raises(AttributeError, match="nothing"):
        llmdeploy.config.nothing  # noqa: B018


def test_units_come_without_pydantic_and_the_room_without_ansible() -> None:
    code = "import sys, llmdeploy.config.units; print('pydantic' in sys.modules)"
    code += "; from llmdeploy.config import load; print('pydantic' in sys.modules, 'ansible' in sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.split() == ["False", "True", "False"]
