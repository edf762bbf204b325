"""Commands that only touch files: init, environments, schema, validate, config."""

from __future__ import annotations

import json
import subprocess
from pathlib import Path

import jsonschema
import pytest
import yaml

from llmdeploy.project import resources
from tests.unit.cli.conftest import COMMAND, Call


def test_init_makes_a_project_that_validates_and_never_overwrites(call: Call, tmp_path: Path) -> None:
    folder = tmp_path / "my-stack"
    first = call("init", folder, "--json").envelope["data"]
    assert str(folder / "inventory" / "group_vars" / "all.yml") in first["written"]
    assert first["folder"] == str(folder)
    for name in ("dev", "staging", "production"):
        made = call(name, "validate", "--project", folder, "--json").envelope["data"]
        assert (made["services"], len(made["waves"])) == (10, 5)

    mine = folder / "environments" / "dev.yml"
    mine.write_text("# mine\n")
    (folder / "environments" / "staging.yml").unlink()
    again = call("init", folder, "--json").envelope["data"]
    assert again["written"] == [str(folder / "environments" / "staging.yml")]
    assert mine.read_text() == "# mine\n"
    said = call("init", folder)
    assert (said.code, said.out.splitlines()[0]) == (0, f"0 files written to {folder}")


def test_init_where_it_cannot_write_is_exit_code_1(call: Call, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    said = call("init", tmp_path / "file", "--json")
    assert said.code == 1
    assert "cannot write the project" in said.envelope["errors"][0]["message"]


def test_environments(call: Call, project: Path) -> None:
    rows = call("environments", "--json").envelope["data"]["environments"]
    assert [row["name"] for row in rows] == ["dev", "production", "staging"]
    assert rows[0]["inventory"] == str(project / "inventory" / "dev.ini")
    assert "staging" in call("environments").out


def test_validate_counts_and_orders(call: Call, project: Path) -> None:
    data = call("dev", "validate", "--json").envelope["data"]
    assert data == {"environment": "dev", "hosts": 1, "services": 2, "waves": [["store"], ["web"]]}
    assert "dev: valid, 2 services on 1 host" in call("dev", "validate").out


def test_validate_tells_all_problems_at_once(call: Call, project: Path) -> None:
    (project / "environments" / "dev.yml").write_text("services:\n  web: {replicas: many, repicas: 2}\n  wob: {}\n")
    said = call("dev", "validate")
    assert said.code == 3
    assert "nothing was contacted or changed" in said.err
    for part in ("environments/dev.yml:2: services.web.replicas = many", "services.web.repicas", "services.wob"):
        assert part in said.err
    assert "did you mean" in said.err
    problems = call("dev", "validate", "--json").envelope["errors"][0]["problems"]
    assert {"file", "line", "path", "value", "why", "hint"} == set(problems[0])
    assert len(problems) == 3


def test_set_overrides_a_value_and_is_its_origin(call: Call, project: Path) -> None:
    (row,) = call("dev", "config", "services.web.replicas", "--set", "services.web.replicas=3", "--json").envelope[
        "data"
    ]["values"]
    assert (row["value"], row["origin"]) == (3, "--set")
    assert call("dev", "validate", "--set", "services.web.replicas=no").code == 3
    assert call("dev", "validate", "--set", "nonsense").code == 2


def test_config_shows_where_each_value_comes_from(call: Call, project: Path) -> None:
    rows = {row["key"]: row for row in call("dev", "config", "--json").envelope["data"]["values"]}
    assert rows["services.web.ports[0].number"]["origin"] == "inventory/group_vars/all.yml:7"
    assert rows["services.web.replicas"] == {"key": "services.web.replicas", "value": 1, "origin": "default"}
    part = call("dev", "config", "services.store")
    assert "services.store.ports[0].protocol" in part.out
    assert "services.web" not in part.out


def test_config_of_a_key_that_is_not_there(call: Call, project: Path) -> None:
    said = call("dev", "config", "services.nothing", "--json")
    assert said.code == 2
    assert "services.nothing" in said.envelope["errors"][0]["message"]


def test_schema_gives_both_or_one(call: Call) -> None:
    both = json.loads(call("schema").out)
    assert set(both) == {"catalogue", "environment"}
    assert json.loads(call("schema", "catalogue").out) == both["catalogue"]
    assert call("schema", "environment", "--json").envelope["data"] == both["environment"]


@pytest.mark.parametrize(
    ("which", "file"),
    [
        ("catalogue", "inventory/group_vars/all.yml"),
        ("environment", "environments/dev.yml"),
        ("environment", "environments/staging.yml"),
        ("environment", "environments/production.yml"),
    ],
)
def test_the_shipped_files_satisfy_the_schema(call: Call, which: str, file: str) -> None:
    schema = json.loads(call("schema", which).out)
    jsonschema.Draft202012Validator.check_schema(schema)
    content = yaml.safe_load((resources() / file).read_text())
    # An environment without a setting is an empty file, which every loader reads as nothing.
    jsonschema.validate({} if content is None else content, schema)


@pytest.mark.parametrize(
    "wrong", ["servces: {}", "services: {web: {repicas: 2}}", "services: {web: {replicas: two}}", "stack: [a]"]
)
def test_the_schema_refuses_what_validate_refuses(call: Call, wrong: str) -> None:
    schema = json.loads(call("schema", "environment").out)
    with pytest.raises(jsonschema.ValidationError):
        jsonschema.validate(yaml.safe_load(wrong), schema)


def test_output_into_a_pipe_that_closes_is_no_traceback(project: Path) -> None:
    done = subprocess.run(
        f"{COMMAND} schema | head -c 10", shell=True, capture_output=True, text=True, timeout=60, check=False
    )
    assert "Traceback" not in done.stderr
    assert "bug" not in done.stderr
