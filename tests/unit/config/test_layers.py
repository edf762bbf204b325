"""What beats what, and where each value says it comes from."""

from __future__ import annotations

import pytest

from llmdeploy.config import Mark, effective, load
from llmdeploy.errors import ConfigError, UsageError

from .conftest import CATALOGUE, Maker

CAT = "inventory/group_vars/all.yml"
ENV = "environments/dev.yml"
DEFAULT = Mark("default")


def test_an_empty_environment_changes_nothing(maker: Maker) -> None:
    environment = maker.load()
    assert environment.settings.services["alpha"].image == "demo"
    assert environment.name == "dev"
    assert not environment.confirm


def test_each_layer_beats_the_ones_below(maker: Maker) -> None:
    maker.catalogue(CATALOGUE.replace("image: demo", "image: demo, memory: 100MB, cpus: 2, stop_grace: 1s"))
    maker.environment("defaults: {memory: 200MB}\nservices:\n  alpha: {cpus: 3}\n")
    environment = maker.load("services.alpha.stop_grace=4s", "services.beta.memory=300MB")
    alpha, beta = environment.settings.services["alpha"], environment.settings.services["beta"]
    assert (alpha.memory, alpha.cpus, alpha.stop_grace) == (200 * 1024**2, 3, 4)
    assert (beta.memory, beta.cpus, beta.stop_grace) == (300 * 1024**2, 2, 1)
    of = environment.origins.of
    assert of(("services", "alpha", "memory")) == Mark(ENV, 1)
    assert of(("services", "alpha", "cpus")) == Mark(ENV, 3)
    assert of(("services", "alpha", "stop_grace")) == Mark("--set")
    assert of(("services", "beta", "memory")) == Mark("--set")
    assert of(("services", "beta", "cpus")) == Mark(CAT, 1)
    assert of(("services", "alpha", "group")) == Mark(CAT, 4)
    assert of(("services", "alpha", "ports", 0, "number")) == Mark(CAT, 6)
    assert of(("services", "alpha", "replicas")) == DEFAULT
    assert of(("services", "alpha", "health", "path")) == DEFAULT
    assert of(("edge", "image")) == Mark(CAT, 10)
    assert of(("stack",)) == DEFAULT


def test_a_catalogue_service_beats_the_environments_defaults(maker: Maker) -> None:
    maker.environment("defaults: {group: two}\n")
    maker.inventory("[one]\nhost1\n[two]\nhost1\n")
    assert maker.load().settings.services["alpha"].group == "one"


def test_maps_merge_deep_and_lists_replace(maker: Maker) -> None:
    maker.catalogue(
        CATALOGUE.replace("    group: one\n    ports", "    group: one\n    environment: {A: 1, B: 2}\n    ports")
    )
    maker.environment(
        "services:\n  alpha:\n    environment: {B: 3, C: 4}\n    ports: [{number: 1, protocol: tcp}]\n"
        "    health: {retries: 5}\n"
    )
    environment = maker.load("services.alpha.health.interval=9s", "services.alpha.environment.D=x y")
    alpha = environment.settings.services["alpha"]
    assert alpha.environment == {"A": "1", "B": "3", "C": "4", "D": "x y"}
    assert [port.number for port in alpha.ports] == [1]
    assert (alpha.health.retries, alpha.health.interval) == (5, 9)
    assert environment.origins.of(("services", "alpha", "environment", "A")) == Mark(CAT, 5)
    assert environment.origins.of(("services", "alpha", "environment", "C")) == Mark(ENV, 3)


def test_null_brings_the_models_default_back(maker: Maker) -> None:
    maker.catalogue(CATALOGUE.replace("image: demo", "image: demo, memory: 100MB, environment: {A: 1, B: 2}"))
    maker.environment("services:\n  alpha: {memory: null, environment: {A: ~}, ports: null}\n")
    alpha = maker.load().settings.services["alpha"]
    assert alpha.memory == 1024**3
    assert alpha.environment == {"B": "2"}
    assert alpha.ports == []
    assert maker.load("services.alpha.memory=64MB").settings.services["alpha"].memory == 64 * 1024**2


def test_null_takes_a_service_away(maker: Maker) -> None:
    maker.environment("services: {beta: null}\n")
    assert list(maker.load().settings.services) == ["alpha"]
    assert list(maker.load("services.beta={group: one}").settings.services) == ["alpha", "beta"]


def test_a_key_with_nothing_after_it_leaves_a_mapping_alone(maker: Maker) -> None:
    maker.environment("services:\n  alpha:\n  # replicas: 3\nedge:\n")
    assert list(maker.load().settings.services) == ["alpha", "beta"]
    maker.environment("services:\n  # alpha: {replicas: 3}\n")
    assert maker.load().settings.edge.image == "proxy"


def test_image_replaces_build_and_the_other_way_round(maker: Maker) -> None:
    maker.write("app/Dockerfile", "FROM scratch\n")
    maker.environment("services: {alpha: {build: app}}\nedge: {build: app}\n")
    settings = maker.load().settings
    assert settings.services["alpha"].image is None
    assert settings.services["alpha"].build is not None
    assert settings.edge.image is None
    settings = maker.load("services.alpha.image=again", "edge.image=again").settings
    assert settings.services["alpha"].build is None
    assert settings.edge.build is None
    maker.catalogue(CATALOGUE.replace("image: demo", "build: app"))
    maker.environment("defaults: {image: other}\n")
    assert maker.load().settings.services["beta"].build is None


def test_a_build_is_merged_whichever_way_it_is_written(maker: Maker) -> None:
    maker.write("app/Dockerfile", "FROM scratch\n")
    maker.catalogue(CATALOGUE.replace("image: demo", "build: app"))
    maker.environment("services: {alpha: {build: {args: {VERSION: 1.10, N: 3}}}}\n")
    environment = maker.load()
    build = environment.settings.services["alpha"].build
    assert build is not None
    assert (build.context, build.args) == ("app", {"VERSION": "1.10", "N": "3"})
    assert environment.origins.of(("services", "alpha", "build", "context")) == Mark(CAT, 1)


def test_the_edge_is_built_from_our_folder_unless_said_otherwise(maker: Maker) -> None:
    maker.catalogue(CATALOGUE.replace("edge: {image: proxy}", "edge: {cpus: 2}"))
    maker.write("edge/Dockerfile", "")
    environment = maker.load()
    assert environment.settings.edge.build is not None
    assert environment.origins.of(("edge", "build", "context")) == DEFAULT


@pytest.mark.parametrize(
    ("written", "value"),
    [
        ("1.10", "1.10"),
        ("yes", "yes"),
        ("12:30:45", "12:30:45"),
        ("0x10", "0x10"),
        ("2024-01-01", "2024-01-01"),
        ("", ""),
        ('"quoted"', "quoted"),
        ("1_000", "1_000"),
    ],
)
def test_environment_variables_are_what_is_written(maker: Maker, written: str, value: str) -> None:
    maker.environment(f"services:\n  alpha:\n    environment:\n      A: {written}\n")
    assert maker.load().settings.services["alpha"].environment == {"A": value}


def test_text_is_taken_as_written_where_text_is_wanted(maker: Maker) -> None:
    maker.environment("services: {alpha: {command: [run, --port, 8000, --flag, on], user: 1000, image: 7}}\n")
    alpha = maker.load().settings.services["alpha"]
    assert alpha.command == ["run", "--port", "8000", "--flag", "on"]
    assert (alpha.user, alpha.image) == ("1000", "7")


def test_an_environment_may_add_a_complete_service(maker: Maker) -> None:
    maker.environment("services:\n  gamma: {group: one, depends_on: [alpha]}\n  alpha2: {group: one}\n")
    services = maker.load().settings.services
    assert services["gamma"].image == "demo"
    assert "alpha2" in services


def test_a_near_name_that_only_fine_tunes_is_a_mistake_even_when_defaults_complete_it(maker: Maker) -> None:
    maker.catalogue(CATALOGUE.replace("image: demo", "image: demo, group: one"))
    maker.environment("services: {alpah: {replicas: 2}}\n")
    assert [problem.hint for problem in maker.problems()] == ["did you mean `alpha`?"]


def test_merge_keys_and_aliases(maker: Maker) -> None:
    maker.environment("services:\n  alpha: &a {cpus: 2}\n  beta:\n    <<: *a\n    memory: 64MB\n")
    environment = maker.load()
    assert environment.settings.services["beta"].cpus == 2
    assert environment.origins.of(("services", "beta", "cpus")) == Mark(ENV, 2)


def test_volumes_in_short_have_one_origin(maker: Maker) -> None:
    maker.environment('services:\n  alpha:\n    volumes:\n      - "data:/data:ro"\n')
    environment = maker.load()
    assert environment.settings.services["alpha"].volumes[0].read_only
    assert environment.origins.of(("services", "alpha", "volumes", 0, "target")) == Mark(ENV, 4)


def test_effective_lists_every_leaf_with_its_origin(maker: Maker) -> None:
    maker.environment("services:\n  alpha: {cpus: 2, volumes: ['data:/data']}\n")
    rows = {key: (value, origin) for key, value, origin in effective(maker.load("stack=mine"))}
    assert rows["stack"] == ("mine", "--set")
    assert rows["services.alpha.cpus"] == (2, f"{ENV}:2")
    assert rows["services.alpha.ports[0].published"] == (True, f"{CAT}:6")
    assert rows["services.alpha.volumes[0].target"] == ("/data", f"{ENV}:2")
    assert rows["services.beta.image"] == ("demo", f"{CAT}:1")
    assert rows["services.beta.ports"] == ([], "default")
    assert rows["deadline"] == (900.0, "default")
    assert not any(key.startswith("defaults") for key in rows)


@pytest.mark.parametrize(
    ("override", "message"),
    [
        ("replicas", "--set replicas: no `=` in it"),
        ("=3", "--set =3: a key is empty"),
        ("services..x=3", "--set services..x=3: a key is empty"),
        ("a.ports[0].number=3", "--set a.ports[0].number=3: a single item of a list cannot be set"),
        ("a.ports.0=3", "--set a.ports.0=3: a single item of a list cannot be set"),
    ],
)
def test_malformed_overrides(maker: Maker, override: str, message: str) -> None:
    with pytest.raises(UsageError) as caught:
        maker.load(override)
    assert caught.value.message == message
    assert caught.value.hint


@pytest.mark.parametrize(
    ("override", "shown"),
    [
        ("services.alpha.replicas=many", "--set: services.alpha.replicas = many: must be a whole number"),
        ("services.alpha.replcias=2", "--set: services.alpha.replcias = 2: unknown key (did you mean `replicas`?)"),
        ("services.alpah.cpus=2", "--set: services.alpah: no service `alpah` in the catalogue (did you mean `alpha`?)"),
        ("network.mtu=[", "--set: network.mtu = [: broken YAML: did not find expected node content"),
        ("stack=a: b", "--set: stack = a: b: broken YAML: mapping values are not allowed in this context"),
        ("stack=!!int x", "--set: stack = x: is not a number"),
        ("stack.deeper=1", "--set: stack = {…}: must be text"),
    ],
)
def test_overrides_with_problems(maker: Maker, override: str, shown: str) -> None:
    assert maker.lines(override) == [shown]


def test_an_override_may_be_a_block(maker: Maker) -> None:
    settings = maker.load("services.alpha=replicas: 2\nenvironment:\n  A: b").settings
    assert settings.services["alpha"].replicas == 2
    assert settings.services["alpha"].environment == {"A": "b"}


def test_production_always_asks(maker: Maker) -> None:
    maker.write("environments/production.yml", "confirm: false\n")
    maker.write("inventory/production.ini", "[one]\nhost1\n")
    assert load(maker.project, "production").confirm
    maker.environment("confirm: true\n")
    assert maker.load().confirm


@pytest.mark.parametrize("name", ["../../etc", "-x", "", "Dev", "dev/x", "dev.yml", "d v", "dev\n"])
def test_names_that_no_environment_can_have(maker: Maker, name: str) -> None:
    with pytest.raises(UsageError, match="is not an environment's name"):
        load(maker.project, name)


def test_an_unknown_environment_gets_the_nearest_name(maker: Maker) -> None:
    maker.write("environments/staging.yml", "")
    maker.write("environments/dev.secrets.yml", "")
    assert maker.project.environments() == ["dev", "staging"]
    with pytest.raises(UsageError, match="no environment `stagin`") as caught:
        load(maker.project, "stagin")
    assert caught.value.hint == "did you mean `staging`?"


def test_host_variables_in_the_catalogue_are_no_settings(maker: Maker) -> None:
    maker.catalogue(CATALOGUE + "ansible_user: deploy\nllmdeploy_role: x\n")
    host = maker.load().inventory.hosts[0]
    assert host.user == "deploy"
    assert host.variables == {"ansible_user": "deploy", "ansible_connection": "local", "llmdeploy_role": "x"}


def test_config_error_carries_data_for_json(maker: Maker) -> None:
    maker.environment("stack: Bad Stack\n")
    with pytest.raises(ConfigError) as caught:
        maker.load()
    assert caught.value.details["problems"][0]["line"] == 1
